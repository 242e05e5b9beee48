"""How far joints move where parts of a trained model compute in bfloat16.

Every convolution and linear layer of a part gets rounded weights and inputs, and a rounded output;
what is between the layers stays in float32.  People are those that the model finds in float32 on
the pictures; one counts as found again where a box overlaps by 0.9.

    python tools/benchmark.py rounding --input demo/photographs/*.jpg
"""

import argparse
import copy
import json
from collections.abc import Sequence
from pathlib import Path

import detectron2.data.transforms as T
import torch
from detectron2.structures import Instances, pairwise_iou
from torch import nn
from tqdm import tqdm

from benchmarks.inference import count
from hmor_d2 import model_zoo
from hmor_d2.data import image_file
from hmor_d2.modeling import optimize_for_inference
from hmor_d2.modeling.inference import fold_norms, run_in_bfloat16

_STAGES = [f"backbone.bottom_up.res{number}" for number in (2, 3, 4, 5)]
# Beginnings of layers' names.
PARTS = {
    "RPN": ["proposal_generator.rpn_head.conv"],
    "FPN outputs": ["backbone.fpn_output"],
    "FPN laterals": ["backbone.fpn_lateral"],
    "box head": ["roi_heads.box_head"],
    "stem": ["backbone.bottom_up.stem"],
    **{stage.rpartition(".")[2]: [stage] for stage in _STAGES},
    "res4, res5": _STAGES[2:],
    "ResNet but its stem": _STAGES,
    "ResNet": ["backbone.bottom_up"],
    "depth map": ["depth_map_head.laterals", "depth_map_head.convs"],
    "pose head": ["roi_heads.pose_head"],
    "depth head": ["roi_heads.depth_head"],
}
_CHOSEN = "optimize_for_inference"
_SAME_BOX = 0.9


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--model", default="synthetic/hmor_rcnn_R_50_half_FPN", help="of hmor_d2.model_zoo")
    add("--input", nargs="+", required=True, metavar="PICTURE")
    add("--score-threshold", type=float, default=0.3)
    add("--threads", type=count, default=torch.get_num_threads())
    add("--json", help="file for the figures")


def run(args: argparse.Namespace) -> None:
    torch.set_num_threads(args.threads)
    cfg = model_zoo.get_config(args.model)
    model = model_zoo.get(args.model, device="cpu")
    resize = T.ResizeShortestEdge([cfg.INPUT.MIN_SIZE_TEST] * 2, cfg.INPUT.MAX_SIZE_TEST)
    pictures = [read(path, cfg.INPUT.FORMAT, resize) for path in args.input]
    expected = detect(model, pictures)
    people = sum(int((found.scores > args.score_threshold).sum()) for found in expected)
    print(f"{people} people in {len(pictures)} pictures; mm, means and medians over joints\n")
    print(f"{'in bfloat16':<24}{'found':>8}{'moved by':>12}{'median':>10}{'to the root':>14}")
    rows = {}
    with tqdm(total=len(PARTS) + 1, disable=None) as progress:
        for name in (_CHOSEN, *PARTS):
            changed = (
                optimize_for_inference(model, bfloat16=True)
                if name == _CHOSEN
                else in_bfloat16(model, PARTS[name])
            )
            row = compare(expected, detect(changed, pictures), model, args.score_threshold)
            rows[name] = row
            tqdm.write(
                f"{name:<24}{row['found']:>8.1%}{row['moved_mm']:>12.2f}"
                f"{row['moved_median_mm']:>10.2f}{row['moved_to_root_mm']:>14.2f}"
            )
            progress.update()
    if args.json:
        Path(args.json).write_text(json.dumps(rows, indent=1) + "\n")


def read(path: str, picture_format: str, resize: T.Augmentation) -> dict:
    """A picture as the model takes it, without intrinsics."""
    try:
        image = image_file.read_picture(path, picture_format)
    except (OSError, ValueError) as error:
        raise SystemExit(f"error: {error}") from error
    height, width = image.shape[:2]
    image = resize.get_transform(image).apply_image(image)
    image = torch.from_numpy(image.transpose(2, 0, 1).copy())
    return {"image": image, "height": height, "width": width}


def in_bfloat16(model: nn.Module, beginnings: Sequence[str]) -> nn.Module:
    """A copy with folded norms, of which layers of such names compute in bfloat16."""
    model = copy.deepcopy(model).requires_grad_(False)
    fold_norms(model)
    for name, module in list(model.named_modules()):
        is_layer = isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear)
        if is_layer and name.startswith(tuple(beginnings)):
            run_in_bfloat16(module)
    return model


@torch.inference_mode()
def detect(model: nn.Module, pictures: Sequence[dict]) -> list[Instances]:
    return [model([dict(picture)])[0]["instances"] for picture in pictures]


def compare(
    expected: Sequence[Instances],
    found: Sequence[Instances],
    model: nn.Module,
    threshold: float,
) -> dict[str, float]:
    """Share of people found again, and how far their joints moved, mm."""
    root, moved, relative, people = model.skeleton.root_index, [], [], 0
    for a, b in zip(expected, found, strict=True):
        a = a[a.scores > threshold]
        people += len(a)
        if len(a) == 0 or len(b) == 0:
            continue
        overlap, index = pairwise_iou(a.pred_boxes, b.pred_boxes).max(dim=1)
        same = overlap > _SAME_BOX
        difference = b.pred_keypoints_cam[index[same]] - a.pred_keypoints_cam[same]
        moved.append(difference.norm(dim=2))
        relative.append((difference - difference[:, root : root + 1]).norm(dim=2))
    if not moved:
        raise SystemExit("error: nobody is found in the pictures in both ways")
    moved, relative = torch.cat(moved), torch.cat(relative)
    return {
        "found": len(moved) / people,
        "moved_mm": moved.mean().item(),
        "moved_median_mm": moved.median().item(),
        "moved_to_root_mm": relative.mean().item(),
    }
