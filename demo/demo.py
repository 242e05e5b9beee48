#!/usr/bin/env python
"""Absolute 3D poses of everyone in one's own pictures.

For each picture, writes to the output folder <name>_overlay.png (2D poses, scores and depths),
<name>_3d.png (the same beside a view in space and a map from above) and <name>.json (all numbers,
in pixels and millimetres).  Without a camera option a field of view is assumed, and absolute
depths are approximate: their ratios are right, their scale may not be.
"""

import argparse
import glob
import json
import logging
import math
import sys
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
import torch
from detectron2.config import CfgNode, get_cfg
from detectron2.structures import Instances
from detectron2.utils.logger import setup_logger
from predictor import PosePredictor
from tqdm import tqdm

from hmor_d2 import add_hmor_config
from hmor_d2.skeleton import Skeleton
from hmor_d2.structures import PinholeCameras
from hmor_d2.visualization import draw_panel, draw_poses

logger = logging.getLogger("hmor_d2.demo")

IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"}
FRAME = (
    "keypoints_cam and root_depth: camera frame, origin at the camera's centre, X right, Y down, "
    "Z forward along the optical axis. keypoints (x, y, score) and bbox (x1, y1, x2, y2): "
    "continuous pixels of the image, the top left pixel's centre at (0.5, 0.5)."
)


def find_images(inputs: Iterable[str]) -> tuple[list[Path], list[str]]:
    """Pictures that files, folders and glob patterns name, each once, and inputs without any.

    A file is taken whatever its suffix, and whether or not it exists: reading it tells.
    """
    images: dict[Path, Path] = {}
    empty = []
    for text in inputs:
        path = Path(text)
        if path.is_dir():
            found = sorted(p for p in path.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES)
        elif path.exists() or not glob.has_magic(text):
            found = [path]
        else:
            found = [Path(match) for match in sorted(glob.glob(text, recursive=True))]
            found = [match for match in found if match.suffix.lower() in IMAGE_SUFFIXES]
        if not found:
            empty.append(text)
        images.update((p.resolve(), p) for p in found if p.resolve() not in images)
    return list(images.values()), empty


def output_names(images: Iterable[Path]) -> list[str]:
    """A name for each picture's results: its stem, with a number where another has that name."""
    names: list[str] = []
    taken: set[str] = set()
    for path in images:
        name, number = path.stem, 1
        while name.lower() in taken:  # some file systems do not tell upper from lower case
            number += 1
            name = f"{path.stem}_{number}"
        taken.add(name.lower())
        names.append(name)
    return names


def user_intrinsics(args: argparse.Namespace, height: int, width: int) -> list[float] | None:
    """[fx, fy, cx, cy] of a picture from the camera options, or None without any."""
    if args.intrinsics is not None:
        return list(args.intrinsics)
    if args.focal is not None:
        return [args.focal, args.focal, width / 2, height / 2]
    if args.fov is not None:
        return PinholeCameras.from_fov([(height, width)], args.fov).tensor[0].tolist()
    return None


def describe(
    image: str,
    size: tuple[int, int],
    intrinsics: list[float],
    assumed: bool,
    skeleton: Skeleton,
    people: Instances,
) -> dict:
    """What <name>.json holds; size is (height, width)."""

    def rounded(values: torch.Tensor, digits: int) -> list:
        return np.round(values.double().numpy(), digits).tolist()

    return {
        "image": image,
        "width": size[1],
        "height": size[0],
        "intrinsics": [round(value, 4) for value in intrinsics],
        "intrinsics_assumed": assumed,
        "units": "mm",
        "frame": FRAME,
        "joint_names": list(skeleton.joint_names),
        "people": [
            {
                "score": round(float(people.scores[i]), 4),
                "bbox": rounded(people.pred_boxes.tensor[i], 2),
                "keypoints": rounded(people.pred_keypoints[i], 3),
                "keypoints_cam": rounded(people.pred_keypoints_cam[i], 1),
                "root_depth": round(float(people.pred_root_depth[i]), 1),
            }
            for i in range(len(people))
        ],
    }


def process(
    path: Path, stem: Path, predictor: PosePredictor, args: argparse.Namespace
) -> int | None:
    """Write the results of one picture; the number of people, or None if it cannot be read."""
    image = cv2.imread(str(path), cv2.IMREAD_COLOR) if path.is_file() else None
    if image is None:
        return None
    height, width = image.shape[:2]
    given = user_intrinsics(args, height, width)
    people = predictor(image, given)
    people = people[people.scores >= args.score_threshold]
    intrinsics = given or predictor.assumed_intrinsics(height, width)

    skeleton = predictor.skeleton
    boxes, keypoints = people.pred_boxes.tensor.numpy(), people.pred_keypoints.numpy()
    labels = {"scores": people.scores.numpy(), "root_depth": people.pred_root_depth.numpy()}
    poses = people.pred_keypoints_cam.numpy()
    overlay = draw_poses(image, boxes, keypoints, skeleton, **labels)
    if not cv2.imwrite(f"{stem}_overlay.png", overlay):
        raise OSError(f"cannot write {stem}_overlay.png")
    panel_path = f"{stem}_3d.png"
    camera = {"intrinsics": intrinsics, "path": panel_path}
    draw_panel(image, boxes, keypoints, poses, skeleton, **camera, **labels)
    result = describe(str(path), (height, width), intrinsics, given is None, skeleton, people)
    Path(f"{stem}.json").write_text(json.dumps(result, indent=1))
    return len(people)


def setup_cfg(args: argparse.Namespace) -> CfgNode:
    cfg = get_cfg()
    add_hmor_config(cfg)
    cfg.merge_from_file(args.config_file)
    cfg.merge_from_list(args.opts)
    threshold = min(cfg.MODEL.ROI_HEADS.SCORE_THRESH_TEST, args.score_threshold)
    cfg.MODEL.ROI_HEADS.SCORE_THRESH_TEST = threshold
    if cfg.MODEL.DEVICE.startswith("cuda") and not torch.cuda.is_available():
        logger.warning("MODEL.DEVICE is '%s' but there is no GPU: using the CPU", cfg.MODEL.DEVICE)
        cfg.MODEL.DEVICE = "cpu"
    cfg.freeze()
    return cfg


def positive(text: str) -> float:
    value = float(text)
    if not (math.isfinite(value) and value > 0):
        raise argparse.ArgumentTypeError(f"found {text}, expected a positive number of pixels")
    return value


def field_of_view(text: str) -> float:
    value = float(text)
    if not 0 < value < 180:
        raise argparse.ArgumentTypeError(f"found {text}, expected degrees between 0 and 180")
    return value


def parse_args(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--config-file", required=True, metavar="FILE", help="config of the model")
    add("--input", required=True, nargs="+", help="pictures, folders, or glob patterns in quotes")
    add("--output", required=True, type=Path, metavar="DIR", help="folder for the results")
    camera = parser.add_mutually_exclusive_group()
    camera.add_argument("--focal", type=positive, metavar="PX", help="focal length, pixels")
    camera.add_argument(
        "--fov", type=field_of_view, metavar="DEG", help="field of view on the larger side"
    )
    camera.add_argument(
        "--intrinsics",
        type=float,
        nargs=4,
        metavar=("FX", "FY", "CX", "CY"),
        help="in pixels of the original pictures",
    )
    add("--score-threshold", type=float, default=0.5, help="leave out people below (default 0.5)")
    add("--opts", nargs=argparse.REMAINDER, default=[], metavar="KEY VALUE", help="config changes")
    args = parser.parse_args(arguments)
    if args.intrinsics is not None:
        fx, fy, *_ = args.intrinsics
        if not all(map(math.isfinite, args.intrinsics)) or min(fx, fy) <= 0:
            parser.error(f"--intrinsics: found {args.intrinsics}, expected positive FX and FY")
    return args


def main(arguments: list[str] | None = None) -> int:
    """Run the demo; returns the exit status, 1 where an input could not be used."""
    args = parse_args(arguments)
    for name in ("hmor_d2", "fvcore"):
        setup_logger(name=name)
    images, empty = find_images(args.input)
    failed = [f"{text}: no pictures found" for text in empty]
    counts = []
    if images:
        predictor = PosePredictor(setup_cfg(args))
        args.output.mkdir(parents=True, exist_ok=True)
    for path, name in tqdm(list(zip(images, output_names(images), strict=True)), unit="image"):
        count = process(path, args.output / name, predictor, args)
        if count is None:
            failed.append(f"{path}: {'cannot be read' if path.exists() else 'does not exist'}")
        else:
            counts.append(count)
    for failure in failed:
        logger.error(failure)
    logger.info("%d people in %d pictures, see %s", sum(counts), len(counts), args.output)
    if failed:
        logger.error("%d inputs could not be used", len(failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
