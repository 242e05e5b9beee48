"""Evaluate a model on people whose boxes are given: all of them, the same for every model.

What is left is pose and depth.  A detector that finds fewer or other people, or frames them
otherwise, changes nothing: errors and pairs are always those of the same people.

    python tools/ablation/given_boxes.py --config-file CONFIG --weights FILE --output DIR \\
        --test-sets NAME
"""

import argparse
import os

import torch
from detectron2.config import CfgNode
from detectron2.data import DatasetCatalog, build_detection_test_loader
from detectron2.evaluation import inference_on_dataset
from detectron2.modeling import build_model
from detectron2.structures import Boxes, Instances
from detectron2.utils.logger import setup_logger
from torch import nn

from hmor_d2.checkpoint import HMORCheckpointer
from hmor_d2.config_file import read_config
from hmor_d2.data import HMORDatasetMapper, register_custom_datasets
from hmor_d2.evaluation import build_evaluator
from hmor_d2.evaluation.people import annotated_people, place
from hmor_d2.skeleton import get_skeleton

__all__ = ["GivenBoxes", "annotated_boxes", "evaluate_given_boxes"]

FOLDER = "inference_given_boxes"


def annotated_boxes(dataset_name: str, skeleton_name: str) -> dict:
    """(P, 4) XYXY boxes of the people that evaluators count, clipped to the image, by image id."""
    skeleton = get_skeleton(skeleton_name)
    boxes = {}
    for record in DatasetCatalog.get(dataset_name):
        people, _, _ = annotated_people(record, skeleton, place(dataset_name, record))
        boxes[record["image_id"]] = torch.as_tensor(people["boxes"], dtype=torch.float32)
    return boxes


class GivenBoxes(nn.Module):
    """A model that estimates poses in known boxes, as if it had detected them with certainty."""

    def __init__(self, model: nn.Module, boxes: dict):
        """
        Args:
            model: an HMORRCNN.
            boxes: (P, 4) px of the original image, by image id.
        """
        super().__init__()
        self.model = model
        self.boxes = boxes

    def forward(self, batched_inputs: list[dict]) -> list[dict]:
        """As ``HMORRCNN.inference``; a prediction a box, in the boxes' order."""
        return self.model.inference(batched_inputs, [self._known(x) for x in batched_inputs])

    def _known(self, picture: dict) -> Instances:
        height, width = picture["image"].shape[1:]
        boxes = Boxes(self.boxes[picture["image_id"]].clone())
        boxes.scale(width / picture["width"], height / picture["height"])
        known = Instances((height, width))
        known.pred_boxes = boxes
        known.scores = torch.ones(len(boxes))
        known.pred_classes = torch.zeros(len(boxes), dtype=torch.long)
        return known


def evaluate_given_boxes(cfg: CfgNode, model: nn.Module) -> dict[str, dict]:
    """Figures on each of DATASETS.TEST; files go to OUTPUT_DIR/inference_given_boxes."""
    results = {}
    for name in cfg.DATASETS.TEST:
        loader = build_detection_test_loader(cfg, name, mapper=HMORDatasetMapper(cfg, False))
        boxes = annotated_boxes(name, cfg.MODEL.HMOR.SKELETON)
        evaluator = build_evaluator(cfg, name, FOLDER)
        results[name] = inference_on_dataset(GivenBoxes(model, boxes), loader, evaluator)
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config-file", required=True)
    parser.add_argument("--weights", required=True)
    parser.add_argument("--output", required=True)
    parser.add_argument("--test-sets", nargs="+", help="instead of the config's DATASETS.TEST")
    args = parser.parse_args()
    cfg = read_config(args.config_file)
    cfg.OUTPUT_DIR = args.output
    if args.test_sets:
        cfg.DATASETS.TEST = tuple(args.test_sets)
    register_custom_datasets(cfg.DATASETS.CUSTOM)
    os.makedirs(args.output, exist_ok=True)
    setup_logger()
    setup_logger(name="hmor_d2")
    model = build_model(cfg).eval()
    HMORCheckpointer(model).load(args.weights)
    evaluate_given_boxes(cfg, model)


if __name__ == "__main__":
    main()
