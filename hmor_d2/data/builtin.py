"""Registers MuCo-3DHP, COCO and CMU Panoptic with Detectron2, and datasets of one's own.

Folders are looked up under the environment variable ``DETECTRON2_DATASETS`` (``datasets`` where
it is not set), in the tree that datasets/README.md shows.  Registration does not touch the disk:
what is missing is reported when the dataset is loaded.
"""

import functools
import inspect
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from detectron2.data import DatasetCatalog, MetadataCatalog

from ..skeleton import Skeleton, available_skeletons, get_skeleton
from .annotations import DatasetError
from .datasets import load_coco_keypoints, load_muco_json, load_panoptic

__all__ = [
    "register_coco_keypoints",
    "register_custom_datasets",
    "register_muco",
    "register_panoptic",
]

# The monocular protocol of Zanfir et al.: two HD cameras; test sequences as in CRMH's evaluation,
# training sequences as in SMAP's, none of them in both lists.
_PANOPTIC_CAMERAS = ("00_16", "00_30")
_PANOPTIC_TRAIN = (
    "160224_haggling1",
    "160224_mafia1",
    "160224_mafia2",
    "160226_mafia2",
    "160224_ultimatum1",
    "160224_ultimatum2",
)
_PANOPTIC_TEST = (
    "160422_haggling1",
    "160422_mafia2",
    "160422_ultimatum1",
    "160906_pizza1",
)
# Two cameras make 2400 images an activity, 9600 in all.
_PANOPTIC_TEST_FRAMES = 1200

_RIGHT, _LEFT, _MIDDLE = (230, 90, 60), (60, 120, 230), (90, 190, 90)


def register_muco(name: str, json_file: str, image_root: str, **loader_kwargs: Any) -> None:
    """Register a file in MuCo-3DHP's format; see ``load_muco_json`` for the arguments.

    Raises:
        DatasetError: if the name is taken by another dataset, or an argument is unknown.
    """
    arguments = {"json_file": json_file, "image_root": image_root, **loader_kwargs}
    # No json_file here: COCOEvaluator would read it as COCO's.
    metadata = {"evaluator_type": "pose3d", "image_root": image_root}
    _register(name, load_muco_json, arguments, get_skeleton("muco21"), metadata)


def register_coco_keypoints(
    name: str, json_file: str, image_root: str, **loader_kwargs: Any
) -> None:
    """Register COCO person keypoints; see ``load_coco_keypoints`` for the arguments.

    Raises:
        DatasetError: if the name is taken by another dataset, or an argument is unknown.
    """
    arguments = {"json_file": json_file, "image_root": image_root, **loader_kwargs}
    metadata = {
        "evaluator_type": "coco",
        "image_root": image_root,
        "json_file": json_file,
        "thing_dataset_id_to_contiguous_id": {loader_kwargs.get("person_category_id", 1): 0},
    }
    _register(name, load_coco_keypoints, arguments, get_skeleton("coco17"), metadata)


def register_panoptic(
    name: str,
    root: str,
    sequences: Sequence[str],
    cameras: Sequence[str],
    **loader_kwargs: Any,
) -> None:
    """Register sequences of CMU Panoptic; see ``load_panoptic`` for the arguments.

    Metadata describe ``panoptic19`` unless ``joint_set`` says otherwise; a record's own
    ``joint_set`` goes first, as old sequences have the 15 joints of ``panoptic15``.

    Raises:
        DatasetError: if the name is taken by another dataset, or an argument is unknown.
    """
    arguments = {"root": root, "sequences": sequences, "cameras": cameras, **loader_kwargs}
    skeleton = get_skeleton(loader_kwargs.get("joint_set") or "panoptic19")
    metadata = {"evaluator_type": "pose3d", "image_root": root}
    _register(name, load_panoptic, arguments, skeleton, metadata)


# Format: how to register it, and which of its arguments are paths.
_FORMATS: dict[str, tuple[Callable[..., None], tuple[str, ...]]] = {
    "muco": (register_muco, ("json_file", "image_root")),
    "coco": (register_coco_keypoints, ("json_file", "image_root")),
    "panoptic": (register_panoptic, ("root",)),
}


def register_custom_datasets(entries: Iterable[Mapping[str, Any]], root: str | None = None) -> None:
    """Register datasets that a config describes (key ``DATASETS.CUSTOM``).

    Args:
        entries: each with ``name``, ``format`` ("muco", "coco" or "panoptic") and the arguments
            of that format's loader.  Registering the same entry again does nothing.
        root: folder that relative paths start from; ``DETECTRON2_DATASETS`` where None.

    Raises:
        DatasetError: names the entry; for a format or argument that is unknown or missing, or a
            name that another dataset has.
    """
    root = _datasets_root() if root is None else root
    for entry in entries:
        if not isinstance(entry, Mapping) or not isinstance(entry.get("name"), str):
            raise DatasetError(f"dataset {entry}: expected a mapping with a 'name'")
        arguments = {key: value for key, value in entry.items() if key not in ("name", "format")}
        if entry.get("format") not in _FORMATS:
            raise DatasetError(
                f"dataset {dict(entry)}: found format {entry.get('format')!r}, expected one of "
                f"{sorted(_FORMATS)}"
            )
        register, paths = _FORMATS[entry["format"]]
        for key in paths:
            if isinstance(arguments.get(key), str):
                arguments[key] = os.path.join(root, arguments[key])
        try:
            inspect.signature(register).bind(entry["name"], **arguments)
        except TypeError as error:
            raise DatasetError(f"dataset {dict(entry)}: {error}") from None
        register(entry["name"], **arguments)


def _datasets_root() -> str:
    return os.path.expanduser(os.getenv("DETECTRON2_DATASETS", "datasets"))


# What each name was registered with, to tell the same dataset from another.
_REGISTERED: dict[str, tuple[Callable[..., list[dict]], dict[str, Any]]] = {}


def _register(
    name: str,
    load: Callable[..., list[dict]],
    arguments: dict[str, Any],
    skeleton: Skeleton,
    metadata: Mapping[str, Any],
) -> None:
    unknown = set(arguments) - set(inspect.signature(load).parameters)
    if unknown:
        known = list(inspect.signature(load).parameters)
        raise DatasetError(
            f"dataset '{name}': found arguments {sorted(unknown)}, expected some of {known}"
        )
    arguments = {key: _frozen(value) for key, value in arguments.items()}
    if name in DatasetCatalog:
        if _REGISTERED.get(name) == (load, arguments):
            return
        registered = _REGISTERED.get(name, (None, "by other code"))[1]
        raise DatasetError(
            f"dataset '{name}' is registered already: {registered}; found now: {arguments}"
        )
    DatasetCatalog.register(name, functools.partial(load, **arguments))
    MetadataCatalog.get(name).set(**_skeleton_metadata(skeleton), **metadata)
    _REGISTERED[name] = (load, arguments)


def _skeleton_metadata(skeleton: Skeleton) -> dict[str, Any]:
    return {
        "thing_classes": ["person"],
        "joint_set": skeleton.name,
        "keypoint_names": skeleton.joint_names,
        "keypoint_flip_map": [
            (skeleton.joint_names[b], skeleton.joint_names[a]) for a, b in skeleton.flip_pairs
        ],
        "keypoint_connection_rules": _connection_rules(skeleton),
    }


def _frozen(value: Any) -> Any:
    """Lists as tuples, so that later changes of a config do not reach the registered loader."""
    if isinstance(value, Mapping):
        return {key: _frozen(item) for key, item in value.items()}
    return tuple(value) if isinstance(value, list) else value


def _connection_rules(skeleton: Skeleton) -> list[tuple[str, str, tuple[int, int, int]]]:
    """The skeleton's parts as Detectron2's Visualizer takes them: two joints and an RGB colour."""
    rules = []
    for start, end in skeleton.parts:
        names = skeleton.joint_names[start], skeleton.joint_names[end]
        right, left = (any(n.startswith(side) for n in names) for side in ("right_", "left_"))
        rules.append((*names, _MIDDLE if right == left else _RIGHT if right else _LEFT))
    return rules


def _register_all(root: str) -> None:
    muco = os.path.join(root, "muco")
    muco_json = os.path.join(muco, "MuCo-3DHP.json")
    register_muco("muco_train", muco_json, muco)
    register_muco("muco_train_augmented", muco_json, muco, file_prefix="augmented_set/")
    for split in ("train", "val"):
        register_coco_keypoints(
            f"coco_person_keypoints_2017_{split}",
            os.path.join(root, "coco", "annotations", f"person_keypoints_{split}2017.json"),
            os.path.join(root, "coco", f"{split}2017"),
        )
    panoptic = os.path.join(root, "panoptic")
    register_panoptic("panoptic_train", panoptic, _PANOPTIC_TRAIN, _PANOPTIC_CAMERAS)
    register_panoptic(
        "panoptic_test",
        panoptic,
        _PANOPTIC_TEST,
        _PANOPTIC_CAMERAS,
        num_frames=_PANOPTIC_TEST_FRAMES,
    )


def _register_skeletons() -> None:
    """Metadata ``hmor_<skeleton>`` to draw a model's output with: its joints, not a dataset's."""
    for name in available_skeletons():
        MetadataCatalog.get(f"hmor_{name}").set(**_skeleton_metadata(get_skeleton(name)))


_register_all(_datasets_root())
_register_skeletons()
