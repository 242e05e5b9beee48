"""Registers datasets with Detectron2, by format, also those that a config describes."""

import functools
import inspect
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from detectron2.data import DatasetCatalog, MetadataCatalog

from ..skeleton import Skeleton, get_skeleton
from . import datasets as loaders
from .dataset_error import DatasetError

__all__ = [
    "datasets_root",
    "register_coco_keypoints",
    "register_custom_datasets",
    "register_human36m",
    "register_muco",
    "register_mupots",
    "register_mupots_json",
    "register_panoptic",
    "register_panoptic_records",
    "register_threedpw",
    "skeleton_metadata",
]

_RIGHT, _LEFT, _MIDDLE = (230, 90, 60), (60, 120, 230), (90, 190, 90)


def datasets_root() -> str:
    """The folder of all datasets: ``DETECTRON2_DATASETS``, ``datasets`` where it is not set."""
    return os.path.expanduser(os.getenv("DETECTRON2_DATASETS", "datasets"))


# The functions below raise DatasetError if the name is taken by another dataset or an argument is
# unknown.  ``options`` are the other arguments of the format's loader, and ``evaluator_type`` and
# ``evaluator_options`` (see ``hmor_d2.evaluation.build_evaluator``) to replace the format's own.


def register_muco(name: str, json_file: str, image_root: str, **options: Any) -> None:
    """Register a file in MuCo-3DHP's format; see ``load_muco_json`` for the arguments."""
    arguments = {"json_file": json_file, "image_root": image_root, **options}
    # No json_file here: COCOEvaluator would read it as COCO's.
    metadata = {"evaluator_type": "pose3d", "image_root": image_root}
    _register(name, loaders.load_muco_json, arguments, "muco21", metadata)


def register_mupots(name: str, root: str, **options: Any) -> None:
    """Register MuPoTS-3D's folder of sequences; see ``load_mupots`` for the arguments."""
    arguments = {"root": root, **options}
    _register(name, loaders.load_mupots, arguments, "muco17", _mupots_metadata(root))


def register_mupots_json(name: str, json_file: str, image_root: str, **options: Any) -> None:
    """Register MuPoTS-3D as 3DMPPE's JSON file; ``image_root`` has the ``annot.mat`` as well."""
    arguments = {"json_file": json_file, "image_root": image_root, **options}
    _register(name, loaders.load_mupots_json, arguments, "muco17", _mupots_metadata(image_root))


def _mupots_metadata(root: str) -> dict[str, Any]:
    return {
        "evaluator_type": "mupots",
        "evaluator_options": {"annotation_dir": root},
        "image_root": root,
    }


def register_coco_keypoints(name: str, json_file: str, image_root: str, **options: Any) -> None:
    """Register COCO person keypoints; see ``load_coco_keypoints`` for the arguments."""
    arguments = {"json_file": json_file, "image_root": image_root, **options}
    metadata = {
        "evaluator_type": "coco",
        "image_root": image_root,
        "json_file": json_file,
        "thing_dataset_id_to_contiguous_id": {options.get("person_category_id", 1): 0},
    }
    _register(name, loaders.load_coco_keypoints, arguments, "coco17", metadata)


def register_panoptic(
    name: str,
    root: str,
    sequences: Sequence[str],
    cameras: Sequence[str],
    **options: Any,
) -> None:
    """Register sequences of CMU Panoptic; see ``load_panoptic`` for the arguments.

    Metadata describe ``panoptic19`` unless ``joint_set`` says otherwise; a record's own
    ``joint_set`` goes first, as old sequences have the 15 joints of ``panoptic15``.
    """
    arguments = {"root": root, "sequences": sequences, "cameras": cameras, **options}
    joint_set = options.get("joint_set") or "panoptic19"
    metadata = {"evaluator_type": "pose3d", "image_root": root}
    _register(name, loaders.load_panoptic, arguments, joint_set, metadata)


def register_panoptic_records(name: str, pickle_file: str, image_root: str, **options: Any) -> None:
    """Register the authors' own pickle of CMU Panoptic; see ``load_panoptic_records``."""
    arguments = {"pickle_file": pickle_file, "image_root": image_root, **options}
    metadata = {"evaluator_type": "panoptic", "image_root": image_root}
    _register(name, loaders.load_panoptic_records, arguments, "panoptic15", metadata)


def register_threedpw(name: str, root: str, split: str, **options: Any) -> None:
    """Register a split of 3DPW; see ``load_threedpw`` for the arguments."""
    arguments = {"root": root, "split": split, **options}
    metadata = {"evaluator_type": "3dpw", "image_root": os.path.join(root, "imageFiles")}
    _register(name, loaders.load_threedpw, arguments, "smpl24", metadata)


def register_human36m(name: str, root: str, subjects: Sequence[int], **options: Any) -> None:
    """Register subjects of Human3.6M; see ``load_human36m`` for the arguments."""
    arguments = {"root": root, "subjects": subjects, **options}
    metadata = {"evaluator_type": "human36m", "image_root": os.path.join(root, "images")}
    _register(name, loaders.load_human36m, arguments, "h36m17", metadata)


# Format: how to register it, and which of its arguments are paths.
_FORMATS: dict[str, tuple[Callable[..., None], tuple[str, ...]]] = {
    "coco": (register_coco_keypoints, ("json_file", "image_root")),
    "human36m": (register_human36m, ("root",)),
    "muco": (register_muco, ("json_file", "image_root")),
    "mupots": (register_mupots, ("root",)),
    "mupots_json": (register_mupots_json, ("json_file", "image_root")),
    "panoptic": (register_panoptic, ("root",)),
    "panoptic_records": (register_panoptic_records, ("pickle_file", "image_root")),
    "threedpw": (register_threedpw, ("root",)),
}


def register_custom_datasets(entries: Iterable[Mapping[str, Any]], root: str | None = None) -> None:
    """Register datasets that a config describes (key ``DATASETS.CUSTOM``).

    Args:
        entries: each with ``name``, ``format`` ("muco", "coco", "panoptic", ...) and the
            arguments of that format's ``register_...`` function and loader.  Registering the
            same entry again does nothing.
        root: folder that relative paths start from, also that of the evaluator's
            ``annotation_dir``; ``DETECTRON2_DATASETS`` where None.

    Raises:
        DatasetError: names the entry; for a format or argument that is unknown or missing, or a
            name that another dataset has.
    """
    root = datasets_root() if root is None else root
    for entry in entries:
        if not isinstance(entry, Mapping) or not isinstance(entry.get("name"), str):
            raise DatasetError(f"dataset {entry}: expected a mapping with a 'name'")
        arguments = {key: value for key, value in entry.items() if key not in ("name", "format")}
        if not isinstance(entry.get("format"), str) or entry["format"] not in _FORMATS:
            raise DatasetError(
                f"dataset {dict(entry)}: found format {entry.get('format')!r}, expected one of "
                f"{sorted(_FORMATS)}"
            )
        register, paths = _FORMATS[entry["format"]]
        for key in paths:
            if isinstance(arguments.get(key), str):
                arguments[key] = _absolute(root, arguments[key])
        options = arguments.get("evaluator_options")
        if isinstance(options, Mapping) and isinstance(options.get("annotation_dir"), str):
            path = _absolute(root, options["annotation_dir"])
            arguments["evaluator_options"] = {**options, "annotation_dir": path}
        try:
            inspect.signature(register).bind(entry["name"], **arguments)
        except TypeError as error:
            raise DatasetError(f"dataset {dict(entry)}: {error}") from None
        register(entry["name"], **arguments)


def _absolute(root: str, path: str) -> str:
    """A path of a config; ``~`` is the home folder, and a relative one starts from ``root``."""
    return os.path.join(root, os.path.expanduser(path))


_EVALUATOR_KEYS = ("evaluator_type", "evaluator_options")
# What each name was registered with, to tell the same dataset from another.
_REGISTERED: dict[str, tuple[Callable[..., list[dict]], dict[str, Any]]] = {}


def _register(
    name: str,
    load: Callable[..., list[dict]],
    arguments: dict[str, Any],
    joint_set: str,
    metadata: Mapping[str, Any],
) -> None:
    known = [*inspect.signature(load).parameters, *_EVALUATOR_KEYS]
    unknown = set(arguments) - set(known)
    if unknown:
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
    _REGISTERED[name] = (load, arguments)
    evaluator = {key: arguments[key] for key in _EVALUATOR_KEYS if key in arguments}
    arguments = {key: value for key, value in arguments.items() if key not in evaluator}
    DatasetCatalog.register(name, functools.partial(load, **arguments))
    metadata = {**skeleton_metadata(get_skeleton(joint_set)), **metadata, **evaluator}
    MetadataCatalog.get(name).set(**metadata)


def skeleton_metadata(skeleton: Skeleton) -> dict[str, Any]:
    """Metadata that describe joints to Detectron2, whose people have these joints."""
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
