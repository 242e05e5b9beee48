"""Metric maths in numpy and the evaluators that Detectron2 runs."""

import inspect
import os
from collections.abc import Mapping, Sequence
from typing import Any

from detectron2.config import CfgNode
from detectron2.data import DatasetCatalog, MetadataCatalog
from detectron2.evaluation import DatasetEvaluator, DatasetEvaluators

from ..skeleton import get_skeleton
from .boxes import BoxEvaluator
from .coco import COCOKeypointEvaluator
from .human36m import Human36MEvaluator
from .mupots import evaluate_mupots
from .mupots_evaluator import MuPoTSEvaluator
from .panoptic import PanopticEvaluator
from .pose_evaluator import Pose3DEvaluator
from .threedpw import ThreeDPWEvaluator

__all__ = [
    "BoxEvaluator",
    "COCOKeypointEvaluator",
    "Human36MEvaluator",
    "MuPoTSEvaluator",
    "PanopticEvaluator",
    "Pose3DEvaluator",
    "ThreeDPWEvaluator",
    "build_evaluator",
    "evaluate_mupots",
]

_EVALUATORS: dict[str, type[DatasetEvaluator]] = {
    "3dpw": ThreeDPWEvaluator,
    "boxes": BoxEvaluator,
    "coco": COCOKeypointEvaluator,
    "human36m": Human36MEvaluator,
    "mupots": MuPoTSEvaluator,
    "panoptic": PanopticEvaluator,
    "pose3d": Pose3DEvaluator,
}


def build_evaluator(cfg: CfgNode, dataset_name: str, folder: str = "inference") -> DatasetEvaluator:
    """The evaluator that a dataset's metadata asks for.

    ``evaluator_type`` is "pose3d" (any dataset with 3D), "coco", "mupots", "panoptic", "3dpw",
    "human36m" or "boxes" (box AP alone), or a list of these.  ``evaluator_options``, a dict, has
    options of that class, such as ``{"matching": "smap"}`` for Panoptic; for MuPoTS it gives
    ``annotation_dir``.  The config's TEST.EVALUATOR_OPTIONS for the dataset go over them, a later
    entry over an earlier one.  Files go to OUTPUT_DIR/<folder>/<dataset_name>.  Of several types,
    each has a folder in there, and an option goes to all that have it.

    Raises:
        ValueError: for another type, or options that the class does not have, naming the dataset;
            for an entry of TEST.EVALUATOR_OPTIONS, whosever it is, whose dataset does not exist.
    """
    metadata = MetadataCatalog.get(dataset_name)
    evaluator_type = metadata.get("evaluator_type", None)
    options = {**metadata.get("evaluator_options", {}), **_config_options(cfg, dataset_name)}
    path = os.path.join(cfg.OUTPUT_DIR, folder, dataset_name)
    skeleton = get_skeleton(cfg.MODEL.HMOR.SKELETON)
    if not isinstance(evaluator_type, Sequence) or isinstance(evaluator_type, str):
        kind = _evaluator_class(dataset_name, evaluator_type)
        return _build(kind, dataset_name, options, skeleton=skeleton, output_dir=path)
    kinds = {name: _evaluator_class(dataset_name, name) for name in evaluator_type}
    taken = {name: inspect.signature(kind).parameters for name, kind in kinds.items()}
    unknown = [key for key in options if not any(key in names for names in taken.values())]
    if unknown:
        raise ValueError(
            f"dataset '{dataset_name}': none of its evaluators {list(kinds)} has the options "
            f"{unknown}"
        )
    evaluators = []
    for name, kind in kinds.items():
        own = {key: value for key, value in options.items() if key in taken[name]}
        output_dir = os.path.join(path, name)
        evaluators.append(_build(kind, dataset_name, own, skeleton=skeleton, output_dir=output_dir))
    return DatasetEvaluators(evaluators)


def _evaluator_class(dataset_name: str, evaluator_type: Any) -> type[DatasetEvaluator]:
    if evaluator_type not in _EVALUATORS:
        raise ValueError(
            f"dataset '{dataset_name}': found evaluator_type {evaluator_type!r}, expected one of "
            f"{sorted(_EVALUATORS)}"
        )
    return _EVALUATORS[evaluator_type]


def _build(
    kind: type[DatasetEvaluator], dataset_name: str, options: dict[str, Any], **arguments: Any
) -> DatasetEvaluator:
    try:
        inspect.signature(kind).bind(dataset_name, **arguments, **options)
    except TypeError as error:
        raise ValueError(
            f"dataset '{dataset_name}': evaluator_options {options} do not fit "
            f"{kind.__name__}: {error}"
        ) from None
    return kind(dataset_name, **arguments, **options)


def _config_options(cfg: CfgNode, dataset_name: str) -> dict[str, Any]:
    """What TEST.EVALUATOR_OPTIONS says of a dataset."""
    options: dict[str, Any] = {}
    for entry in cfg.TEST.EVALUATOR_OPTIONS:
        name = entry.get("dataset") if isinstance(entry, Mapping) else None
        if not isinstance(name, str) or (name != dataset_name and name not in DatasetCatalog):
            raise ValueError(
                f"TEST.EVALUATOR_OPTIONS: found {entry!r}, expected a mapping with 'dataset', the "
                f"name of a registered dataset, and options of its evaluator"
            )
        if name == dataset_name:
            options |= {key: value for key, value in entry.items() if key != "dataset"}
    return options
