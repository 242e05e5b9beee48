#!/usr/bin/env python
"""Parameters and multiply-adds of a model, part by part: the columns of the paper's Table 5.

Counted with fvcore, which takes a multiply-add as one operation, at a fixed image size and a
fixed number of detected people (Detectron2 keeps at most 100).
"""

import argparse

import torch
from detectron2.config import CfgNode, get_cfg
from detectron2.modeling import build_model
from detectron2.structures import Boxes, ImageList, Instances
from fvcore.nn import FlopCountAnalysis
from tabulate import tabulate
from torch import nn

from hmor_d2 import add_hmor_config
from hmor_d2.structures import PinholeCameras


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config-file", required=True)
    parser.add_argument("--height", type=int, default=800)
    parser.add_argument("--width", type=int, default=1333)
    parser.add_argument("--people", type=int, default=100, help="detections in the image")
    parser.add_argument("opts", nargs=argparse.REMAINDER, help="KEY VALUE pairs of the config")
    args = parser.parse_args()
    cfg = get_cfg()
    add_hmor_config(cfg)
    cfg.merge_from_file(args.config_file)
    cfg.merge_from_list(args.opts)
    rows = analyze(cfg, args.height, args.width, args.people)
    print(f"{args.width}x{args.height}, {args.people} people")
    print(tabulate(rows, headers=["part", "parameters, M", "GMAC"], floatfmt=".2f"))


if __name__ == "__main__":
    main()
