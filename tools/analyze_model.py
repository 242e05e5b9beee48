#!/usr/bin/env python
"""Parameters and multiply-adds: of a model part by part, and the columns of the paper's Table 5.

Table 5 compares the integrated model with a route over crops of people: Faster R-CNN R50-FPN, then
a network for root depths and one for poses on a 256x256 crop a person (3DMPPE; see
tools/benchmarks/rivals.py).  Counted with fvcore, which takes a multiply-add as one operation, at a
fixed image size and for given numbers of detected people (Detectron2 keeps at most 100).
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch
from benchmarks.rivals import CROP, CropRoute, build_crop_route
from detectron2.config import CfgNode
from detectron2.modeling import build_model
from detectron2.structures import Boxes, ImageList, Instances
from fvcore.nn import FlopCountAnalysis
from tabulate import tabulate
from torch import nn

from hmor_d2.config_file import read_config
from hmor_d2.skeleton import get_skeleton
from hmor_d2.structures import PinholeCameras

# The paper's Table 5; how many people its count has is not said.
PAPER = (("the paper: Moon et al.", 167.7, 547.8), ("the paper: HMOR", 45.0, 320.2))


class FixedDetections(nn.Module):
    """Runs a model as at test time, but on as many boxes as it may have, or as are asked for.

    DetHead sees RPN.POST_NMS_TOPK_TEST proposals, the pose and depth heads ``num_people`` boxes,
    so that the count does not depend on what an untrained detector happens to find.
    """

    def __init__(self, model: nn.Module, image_size: tuple[int, int], num_people: int):
        super().__init__()
        self.model = model
        self.image_size = image_size
        height, width = image_size
        box = torch.tensor([[0.4 * width, 0.2 * height, 0.6 * width, 0.8 * height]])
        self.boxes = box.expand(num_people, 4)
        self.proposals = box.expand(model.proposal_generator.post_nms_topk[False], 4)
        self.cameras = PinholeCameras.from_fov([image_size], model.default_fov_deg)

    def forward(self, padded: torch.Tensor) -> torch.Tensor:
        """Map a normalised, padded (1, 3, H, W) image to the (N, J, 3) poses of N people."""
        model = self.model
        images = ImageList(padded, [self.image_size])
        features = model.backbone(padded)
        depth_map = model.depth_map_head(features)
        model.proposal_generator(images, features, None)
        proposals = Instances(self.image_size, proposal_boxes=Boxes(self.proposals))
        model.roi_heads._forward_box(features, [proposals])
        people = Instances(self.image_size, pred_boxes=Boxes(self.boxes))
        people.pred_classes = torch.zeros(len(people), dtype=torch.long)
        (people,) = model.roi_heads.forward_with_given_boxes(
            features, [people], cameras=self.cameras, depth_map=depth_map
        )
        return people.pred_keypoints_cam


def analyze(
    cfg: CfgNode, height: int, width: int, num_people: int
) -> list[tuple[str, float, float]]:
    """Count a model.

    Returns:
        rows (part, parameters in millions, multiply-adds in billions); the last is the total.
    """
    cfg = cfg.clone()
    cfg.MODEL.DEVICE = "cpu"
    model = build_model(cfg).eval()
    image = torch.zeros(3, height, width)
    padded = model.preprocess_image([{"image": image}]).tensor
    counter = FlopCountAnalysis(FixedDetections(model, (height, width), num_people), padded)
    counter.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    with torch.no_grad():
        operations = counter.by_module()
    parts = {
        "ResNet-FPN": "backbone",
        "RPN": "proposal_generator",
        "DetHead": ("roi_heads.box_head", "roi_heads.box_predictor"),
        "depth map": "depth_map_head",
        "PoseHead": "roi_heads.pose_head",
        "DepthHead": "roi_heads.depth_head",
    }
    parameters = {
        name: sum(p.numel() for p in module.parameters()) for name, module in model.named_modules()
    }
    rows = []
    for title, names in parts.items():
        names = (names,) if isinstance(names, str) else names
        names = [n for n in names if n in parameters]
        rows.append(
            (
                title,
                sum(parameters[n] for n in names) / 1e6,
                sum(operations[f"model.{n}"] for n in names) / 1e9,
            )
        )
    return [*rows, ("total", parameters[""] / 1e6, operations[""] / 1e9)]


class FixedDetector(nn.Module):
    """Runs a Faster R-CNN as at test time; its box head sees RPN.POST_NMS_TOPK_TEST proposals."""

    def __init__(self, detector: nn.Module, image_size: tuple[int, int]):
        super().__init__()
        self.detector = detector
        self.image_size = image_size
        height, width = image_size
        box = torch.tensor([[0.4 * width, 0.2 * height, 0.6 * width, 0.8 * height]])
        self.proposals = box.expand(detector.proposal_generator.post_nms_topk[False], 4)

    def forward(self, padded: torch.Tensor) -> torch.Tensor:
        """Map a normalised, padded (1, 3, H, W) image to the boxes' scores."""
        detector = self.detector
        features = detector.backbone(padded)
        detector.proposal_generator(ImageList(padded, [self.image_size]), features, None)
        proposals = Instances(self.image_size, proposal_boxes=Boxes(self.proposals))
        (people,) = detector.roi_heads._forward_box(features, [proposals])
        return people.scores


def analyze_crop_route(route: CropRoute, height: int, width: int) -> tuple[float, float, float]:
    """Count the crop-based route.

    Returns:
        parameters in millions; multiply-adds in billions of the detector, and of the two
        networks on one person's crop, which run once a person.
    """
    image = {"image": torch.zeros(3, height, width)}
    padded = route.detector.preprocess_image([image]).tensor
    detector = _operations(FixedDetector(route.detector, (height, width)), padded)
    crop = torch.zeros(1, 3, CROP, CROP)
    person = sum(_operations(net, crop) for net in (route.root_depth_net, route.pose_net))
    return sum(p.numel() for p in route.parameters()) / 1e6, detector, person


def _operations(network: nn.Module, inputs: torch.Tensor) -> float:
    counter = FlopCountAnalysis(network, inputs)
    counter.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    with torch.no_grad():
        return counter.total() / 1e9


def table_5(
    cfg: CfgNode, height: int, width: int, people: Sequence[int]
) -> list[tuple[str, int | None, float, float]]:
    """Ours and the crop-based route at each number of people, then the paper's figures.

    Returns:
        rows (method, people or None, parameters in millions, multiply-adds in billions).
    """
    num_joints = get_skeleton(cfg.MODEL.HMOR.SKELETON).num_joints
    route = build_crop_route(num_joints, "cpu", optimize=False)
    parameters, detector, person = analyze_crop_route(route, height, width)
    rows = []
    for number in people:
        _, own_parameters, operations = analyze(cfg, height, width, number)[-1]
        rows.append(("ours", number, own_parameters, operations))
    rows += [("crop-based route", n, parameters, detector + n * person) for n in people]
    return rows + [(method, None, size, operations) for method, size, operations in PAPER]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    root = Path(__file__).parents[1]
    default = root / "configs/muco_coco/hmor_rcnn_R_50_FPN.yaml"
    parser.add_argument("--config-file", default=str(default))
    parser.add_argument("--height", type=int, default=800)
    parser.add_argument("--width", type=int, default=1333)
    parser.add_argument(
        "--people", type=int, nargs="+", default=[100], help="detections in the image"
    )
    parser.add_argument(
        "--table-5", action="store_true", help="compare with the crop-based route and the paper"
    )
    parser.add_argument("--opts", nargs="+", default=[], help="KEY VALUE pairs of the config")
    args = parser.parse_args(arguments)
    if min(args.people) < 1:
        parser.error(f"--people: found {min(args.people)}, expected 1 or more")
    cfg = read_config(args.config_file, args.opts)
    if args.table_5:
        print(f"{args.width}x{args.height}")
        head = ["method", "people", "#Params, M", "GMAC"]
        rows = table_5(cfg, args.height, args.width, args.people)
        print(tabulate(rows, headers=head, floatfmt=".1f", missingval="not said"))
        return
    for number in args.people:
        print(f"{args.width}x{args.height}, {number} people")
        rows = analyze(cfg, args.height, args.width, number)
        print(tabulate(rows, headers=["part", "parameters, M", "GMAC"], floatfmt=".2f"))


if __name__ == "__main__":
    main()
