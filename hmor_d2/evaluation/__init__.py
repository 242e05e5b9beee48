"""Metric maths in numpy and the evaluators that Detectron2 runs."""

import os

from detectron2.data import MetadataCatalog
from detectron2.evaluation import COCOEvaluator, DatasetEvaluator

from ..skeleton import get_skeleton
from .pose_evaluator import Pose3DEvaluator

__all__ = ["Pose3DEvaluator", "build_evaluator"]


def build_evaluator(cfg, dataset_name: str, folder: str = "inference") -> DatasetEvaluator:
    """The evaluator that a dataset's metadata asks for by ``evaluator_type``.

    "pose3d" gives :class:`Pose3DEvaluator`, "coco" Detectron2's COCOEvaluator on boxes.
    Both write to OUTPUT_DIR/<folder>/<dataset_name>.

    Raises:
        ValueError: for another type, naming the dataset.
    """
    output_dir = os.path.join(cfg.OUTPUT_DIR, folder, dataset_name)
    evaluator_type = MetadataCatalog.get(dataset_name).get("evaluator_type", None)
    if evaluator_type == "pose3d":
        skeleton = get_skeleton(cfg.MODEL.HMOR.SKELETON)
        return Pose3DEvaluator(dataset_name, skeleton, output_dir=output_dir)
    if evaluator_type == "coco":
        return COCOEvaluator(dataset_name, tasks=("bbox",), output_dir=output_dir)
    raise ValueError(f"dataset '{dataset_name}' has no known evaluator_type: {evaluator_type}")
