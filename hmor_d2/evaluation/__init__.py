"""Metric maths in numpy and the evaluators that Detectron2 runs."""

import inspect
import os

from detectron2.data import MetadataCatalog
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


def build_evaluator(cfg, dataset_name: str, folder: str = "inference") -> DatasetEvaluator:
    """The evaluator that a dataset's metadata asks for.

    ``evaluator_type`` is "pose3d" (any dataset with 3D), "coco", "mupots", "panoptic", "3dpw" or
    "human36m".  ``evaluator_options``, a dict, has options of that class, such as
    ``{"matching": "smap"}`` for Panoptic; for MuPoTS it gives ``annotation_dir``.  Files go to
    OUTPUT_DIR/<folder>/<dataset_name>.

    Raises:
        ValueError: for another type, or options that the class does not have; names the dataset.
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
    options = metadata.get("evaluator_options", {})
    try:
        inspect.signature(evaluator).bind(dataset_name, **arguments, **options)
    except TypeError as error:
        raise ValueError(
            f"dataset '{dataset_name}': evaluator_options {options} do not fit "
            f"{evaluator.__name__}: {error}"
        ) from None
    return evaluator(dataset_name, **arguments, **options)
