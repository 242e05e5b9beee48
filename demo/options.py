"""Command line of the demo."""

import argparse
import math
from pathlib import Path

from one_euro import OneEuro
from tracker import Tracker

__all__ = ["parse_args"]

DEFAULT_MODEL = "synthetic/hmor_rcnn_R_50_half_FPN"


def positive(text: str) -> float:
    value = float(text)
    if not (math.isfinite(value) and value > 0):
        raise argparse.ArgumentTypeError(f"found {text}, expected a positive number")
    return value


def not_negative(text: str) -> float:
    value = float(text)
    if not (math.isfinite(value) and value >= 0):
        raise argparse.ArgumentTypeError(f"found {text}, expected a number that is not negative")
    return value


def count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"found {text}, expected 1 or more")
    return value


def camera_number(text: str) -> int:
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"found {text}, expected 0 or more")
    return value


def field_of_view(text: str) -> float:
    value = float(text)
    if not 0 < value < 180:
        raise argparse.ArgumentTypeError(f"found {text}, expected degrees between 0 and 180")
    return value


def overlap(text: str) -> float:
    value = float(text)
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(f"found {text}, expected an overlap above 0, at most 1")
    return value


def parse_args(description: str, arguments: list[str] | None) -> argparse.Namespace:
    """Read and check the command line; ends the program, with a message, where it is wrong."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "--input", nargs="+", help="pictures, videos, folders, or glob patterns in quotes"
    )
    source.add_argument(
        "--webcam", nargs="?", type=camera_number, const=0, metavar="N", help="camera N, default 0"
    )
    add = parser.add_argument
    add("--output", required=True, type=Path, metavar="DIR", help="folder for the results")
    add("--score-threshold", type=float, default=0.5, help="leave out people below (default 0.5)")
    add("--batch-size", type=count, metavar="N", help="pictures at once (4 on a CPU, 8 on a GPU)")
    add("--panels", action="store_true", help="also <name>_3d.png: a view in space and a map")

    _add_model(parser.add_argument_group("model"))
    _add_camera(parser.add_argument_group("camera"))
    _add_video(parser.add_argument_group("videos and webcam"))
    args = parser.parse_args(arguments)
    if args.intrinsics is not None:
        fx, fy, *_ = args.intrinsics
        if not all(map(math.isfinite, args.intrinsics)) or min(fx, fy) <= 0:
            parser.error(f"--intrinsics: found {args.intrinsics}, expected positive FX and FY")
    return args


def _add_model(group: argparse._ArgumentGroup) -> None:
    choice = group.add_mutually_exclusive_group()
    choice.add_argument(
        "--model",
        default=DEFAULT_MODEL,
        metavar="NAME",
        help=f"trained model of the package (default {DEFAULT_MODEL})",
    )
    choice.add_argument("--config-file", metavar="FILE", help="config of one's own model")
    group.add_argument(
        "--precise",
        action="store_true",
        help="on a CPU, run the model as it was trained: slower, and equal but for rounding",
    )
    group.add_argument(
        "--opts",
        nargs=argparse.REMAINDER,
        default=[],
        metavar="KEY VALUE",
        help="config changes, e.g. MODEL.WEIGHTS model.pth; the last option",
    )


def _add_camera(group: argparse._ArgumentGroup) -> None:
    choice = group.add_mutually_exclusive_group()
    choice.add_argument(
        "--focal", type=positive, metavar="PX", help="focal length in pixels of the pictures"
    )
    choice.add_argument(
        "--intrinsics",
        type=float,
        nargs=4,
        metavar=("FX", "FY", "CX", "CY"),
        help="in pixels of the pictures, the top left pixel's centre at (0.5, 0.5)",
    )
    choice.add_argument(
        "--fov",
        type=field_of_view,
        metavar="DEG",
        help="field of view on the larger side, where EXIF does not tell the focal length",
    )
    group.add_argument(
        "--no-exif",
        action="store_true",
        help="do not read EXIF.  It is read as: 35 mm equivalents hold for the diagonal",
    )


def _add_video(group: argparse._ArgumentGroup) -> None:
    add, smoothing, tracking = group.add_argument, OneEuro(), Tracker()
    add("--stride", type=count, default=1, metavar="N", help="take every N-th frame")
    add("--max-frames", type=count, metavar="N", help="take N frames at most")
    add("--no-smoothing", action="store_true", help="leave out the One-Euro filter of joints")
    add(
        "--min-cutoff",
        type=positive,
        default=smoothing.min_cutoff_hz,
        metavar="HZ",
        help="its cutoff at rest, lower is smoother (default %(default)g)",
    )
    add(
        "--beta",
        type=not_negative,
        default=smoothing.beta,
        help="growth of the cutoff, Hz for each m/s, higher lags less (default %(default)g)",
    )
    add(
        "--derivative-cutoff",
        type=positive,
        default=smoothing.derivative_cutoff_hz,
        metavar="HZ",
        help="cutoff of the speed (default %(default)g)",
    )
    add(
        "--track-distance",
        type=positive,
        default=tracking.max_distance_mm,
        metavar="MM",
        help="between frames, one person is found within this distance (default %(default)g), or",
    )
    add(
        "--track-overlap",
        type=overlap,
        default=tracking.min_iou,
        metavar="IOU",
        help="with boxes that overlap at least so (default %(default)g)",
    )
    add(
        "--track-speed",
        type=not_negative,
        default=tracking.max_speed_mm_s / 1000,
        metavar="M/S",
        help="growth of the distance with time (default %(default)g)",
    )
    add(
        "--track-gap",
        type=not_negative,
        default=tracking.max_gap_s,
        metavar="S",
        help="seconds unseen after which a person counts as new (default %(default)g)",
    )
