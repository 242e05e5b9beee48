#!/usr/bin/env python
"""Absolute 3D poses of everyone in pictures, by a model that tools/export_model.py exported.

Needs this file and exported_model.py beside it, numpy, OpenCV, and onnxruntime for .onnx, or
PyTorch and torchvision for .ts; neither Detectron2 nor hmor_d2.  Of each picture, writes
<name>.json as demo.py does.  EXIF data is not read: without a camera option a field of view is
assumed, and absolute depths are approximate then.
"""

import argparse
import json
import math
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from exported_model import ExportedModel, ModelError, default_intrinsics

SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"}
FRAME = (
    "keypoints_cam and root_depth: camera frame, origin at the camera's centre, X right, Y down, "
    "Z forward along the optical axis. keypoints (x, y, score) and bbox (x1, y1, x2, y2): "
    "continuous pixels of the image, the top left pixel's centre at (0.5, 0.5)."
)


def find_pictures(inputs: Iterable[str]) -> list[Path]:
    """Files as they are named, and the pictures of folders."""
    found: list[Path] = []
    for path in map(Path, inputs):
        inside = sorted(path.iterdir()) if path.is_dir() else [path]
        found += [p for p in inside if p is path or p.suffix.lower() in SUFFIXES]
    return list(dict.fromkeys(found))


def describe(found: dict[str, np.ndarray], threshold: float) -> list[dict[str, Any]]:
    """Of each person that scores enough: score, bbox, keypoints, keypoints_cam, root_depth."""
    chosen = found["scores"] >= threshold
    names = {"score": 4, "bbox": 2, "keypoints": 3, "keypoints_cam": 1, "root_depth": 1}
    sources = ("scores", "boxes", "keypoints", "keypoints_cam", "root_depth")
    columns = [
        np.round(found[source][chosen].astype(np.float64), digits).tolist()
        for source, digits in zip(sources, names.values(), strict=True)
    ]
    return [dict(zip(names, person, strict=True)) for person in zip(*columns, strict=True)]


def choose_camera(
    args: argparse.Namespace, height: int, width: int, default_fov_deg: float
) -> tuple[tuple[float, ...], str]:
    """Intrinsics of a picture, and whether they are "given" or "assumed"."""
    if args.intrinsics:
        return tuple(args.intrinsics), "given"
    if args.focal:
        return (args.focal, args.focal, width / 2, height / 2), "given"
    if args.fov:
        return default_intrinsics(height, width, args.fov), "given"
    return default_intrinsics(height, width, default_fov_deg), "assumed"


def run(args: argparse.Namespace) -> list[str]:
    """Write the results; returns why pictures could not be used."""
    model = ExportedModel(args.model, args.threads)
    args.output.mkdir(parents=True, exist_ok=True)
    failed, taken = [], set()
    for path in find_pictures(args.input):
        image = cv2.imread(str(path), cv2.IMREAD_COLOR) if path.is_file() else None
        if image is None:
            failed.append(f"{path}: cannot be read as a picture")
            continue
        height, width = image.shape[:2]
        fov_deg = model.metadata["default_fov_deg"]
        intrinsics, source = choose_camera(args, height, width, fov_deg)
        result = {
            "image": str(path),
            "width": width,
            "height": height,
            "intrinsics": [round(float(value), 4) for value in intrinsics],
            "intrinsics_source": source,
            "units": "mm",
            "frame": FRAME,
            "joint_names": model.metadata["joint_names"],
            "people": describe(model(image, intrinsics), args.score_threshold),
        }
        name, number = path.stem, 1
        while name.lower() in taken:
            number += 1
            name = f"{path.stem}_{number}"
        taken.add(name.lower())
        (args.output / f"{name}.json").write_text(json.dumps(result, indent=1), "utf-8")
        print(f"{path}: {len(result['people'])} people")
    return failed


def positive(text: str) -> float:
    value = float(text)
    if not (math.isfinite(value) and value > 0):
        raise argparse.ArgumentTypeError(f"found {text}, expected a positive number")
    return value


def field_of_view(text: str) -> float:
    value = float(text)
    if not 0 < value < 180:
        raise argparse.ArgumentTypeError(f"found {text}, expected degrees between 0 and 180")
    return value


def parse_args(arguments: list[str] | None) -> argparse.Namespace:
    """Read and check the command line; ends the program, with a message, where it is wrong."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--model", required=True, type=Path, metavar="FILE", help="exported model, .onnx or .ts")
    add("--input", required=True, nargs="+", help="pictures, or folders of them")
    add("--output", required=True, type=Path, metavar="DIR", help="folder for the results")
    add("--score-threshold", type=float, default=0.5, help="leave out people below (default 0.5)")
    add("--threads", type=int, default=0, metavar="N", help="default: what the runtime likes")
    camera = parser.add_mutually_exclusive_group()
    camera.add_argument("--focal", type=positive, metavar="PX", help="focal length in pixels")
    camera.add_argument(
        "--fov", type=field_of_view, metavar="DEG", help="field of view on the larger side"
    )
    camera.add_argument(
        "--intrinsics",
        type=float,
        nargs=4,
        metavar=("FX", "FY", "CX", "CY"),
        help="in pixels of the pictures, the top left pixel's centre at (0.5, 0.5)",
    )
    args = parser.parse_args(arguments)
    if args.intrinsics is not None:
        fx, fy, *_ = args.intrinsics
        if not all(map(math.isfinite, args.intrinsics)) or min(fx, fy) <= 0:
            parser.error(f"--intrinsics: found {args.intrinsics}, expected positive FX and FY")
    return args


def main(arguments: list[str] | None = None) -> int:
    """Run the program; returns the exit status, 1 where an input could not be used."""
    args = parse_args(arguments)
    try:
        failed = run(args)
    except (OSError, ModelError) as error:
        print(error, file=sys.stderr)
        return 1
    for failure in failed:
        print(failure, file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
