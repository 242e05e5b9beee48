"""Metric maths in numpy and the evaluators that Detectron2 runs."""

import inspect
import os
from collections.abc import Mapping
from typing import Any

from detectron2.config import CfgNode
from detectron2.data import DatasetCatalog, MetadataCatalog
from detectron2.evaluation import DatasetEvaluator

from ..skeleton import get_skeleton
from .coco import COCOKeypointEvaluator
from .human36m import Human36MEvaluator
from .mupots import evaluate_mupots
from .mupots_evaluator import MuPoTSEvaluator
from .panoptic import PanopticEvaluator
from .pose_evaluator import Pose3DEvaluator
from .threedpw import ThreeDPWEvaluator

__all__ = [
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
    "coco": COCOKeypointEvaluator,
    "human36m": Human36MEvaluator,
    "mupots": MuPoTSEvaluator,
    "panoptic": PanopticEvaluator,
    "pose3d": Pose3DEvaluator,
}


def build_evaluator(cfg: CfgNode, dataset_name: str, folder: str = "inference") -> DatasetEvaluator:
    """The evaluator that a dataset's metadata asks for.

    ``evaluator_type`` is "pose3d" (any dataset with 3D), "coco", "mupots", "panoptic", "3dpw" or
    "human36m".  ``evaluator_options``, a dict, has options of that class, such as
    ``{"matching": "smap"}`` for Panoptic; for MuPoTS it gives ``annotation_dir``.  The config's
    TEST.EVALUATOR_OPTIONS for the dataset go over them, a later entry over an earlier one.  Files
    go to OUTPUT_DIR/<folder>/<dataset_name>.

    Raises:
        ValueError: for another type, or options that the class does not have, naming the dataset;
            for an entry of TEST.EVALUATOR_OPTIONS, whosever it is, whose dataset does not exist.
    """
    metadata = MetadataCatalog.get(dataset_name)
    evaluator_type = metadata.get("evaluator_type", None)
    if evaluator_type not in _EVALUATORS:
        raise ValueError(
            f"dataset '{dataset_name}': found evaluator_type {evaluator_type!r}, expected one of "
            f"{sorted(_EVALUATORS)}"
        )
    evaluator = _EVALUATORS[evaluator_type]
    arguments = {
        "skeleton": get_skeleton(cfg.MODEL.HMOR.SKELETON),
        "output_dir": os.path.join(cfg.OUTPUT_DIR, folder, dataset_name),
    }
    options = {**metadata.get("evaluator_options", {}), **_config_options(cfg, dataset_name)}
    try:
        inspect.signature(evaluator).bind(dataset_name, **arguments, **options)
    except TypeError as error:
        raise ValueError(
            f"dataset '{dataset_name}': evaluator_options {options} do not fit "
            f"{evaluator.__name__}: {error}"
        ) from None
    return evaluator(dataset_name, **arguments, **options)


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
