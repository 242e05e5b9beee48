#!/usr/bin/env python
"""Absolute 3D poses of everyone in one's own pictures and videos, or before a webcam.

Of each picture, writes <name>_overlay.png (2D poses, scores and depths) and <name>.json (all
numbers, in pixels and millimetres), and of all of them index.html, to be turned around in a
browser.  Of a video, <name>_poses.mp4, <name>.json with all frames, and <name>.html; people keep
their numbers, and joints are smoothed over time.  Ctrl-C ends a webcam's recording.

The focal length comes from the camera options or the pictures' EXIF data.  Otherwise a field of
view is assumed, and absolute depths are approximate: their ratios are right, their scale may not
be.  JSON says which: intrinsics_source is "given", "exif" or "assumed".
"""

import argparse
import logging
import sys
from pathlib import Path

import torch
from cameras import CameraChoice
from capture import Clip, VideoClip, WebcamClip
from clips import ClipSummary, process_clip
from detectron2.config import CfgNode
from detectron2.utils.logger import setup_logger
from one_euro import OneEuro
from options import parse_args
from pictures import process_pictures
from predictor import PosePredictor
from sources import SourceError, find_inputs, output_names
from tracker import Tracker

from hmor_d2 import model_zoo
from hmor_d2.checkpoint import CheckpointError
from hmor_d2.config_file import ConfigError, read_config

logger = logging.getLogger("hmor_d2.demo")

INTERRUPTED = 130  # exit status of a program that Ctrl-C ended


def setup_cfg(args: argparse.Namespace) -> CfgNode:
    """The model's config for the device there is.  Raises OSError if there is no such model."""
    if args.config_file is None:
        cfg = zoo_config(args.model)
    else:
        if not Path(args.config_file).is_file():
            raise FileNotFoundError(f"{args.config_file}: there is no such config file")
        cfg = read_config(args.config_file)
    cfg.merge_from_list(args.opts)
    # Poses of people who would not be shown need not be computed.
    cfg.MODEL.ROI_HEADS.SCORE_THRESH_TEST = args.score_threshold
    if cfg.MODEL.DEVICE.startswith("cuda") and not torch.cuda.is_available():
        logger.warning("MODEL.DEVICE is '%s' but there is no GPU: using the CPU", cfg.MODEL.DEVICE)
        cfg.MODEL.DEVICE = "cpu"
    cfg.freeze()
    return cfg


def zoo_config(name: str) -> CfgNode:
    """The config of a model that comes with the package.  Raises OSError if there is none."""
    try:
        cfg = model_zoo.get_config(name).clone()
    except (KeyError, RuntimeError, ValueError) as error:
        raise FileNotFoundError(f"--model {name}: {error}") from error
    cfg.defrost()
    return cfg


class Demo:
    """The model and the options, loaded once for all inputs.

    Attributes:
        failed: why inputs could not be used.
    """

    def __init__(self, args: argparse.Namespace):
        cfg = setup_cfg(args)
        self.args = args
        self.predictor = PosePredictor(cfg, precise=args.precise)
        self.batch_size = args.batch_size or (4 if cfg.MODEL.DEVICE == "cpu" else 8)
        self.cameras = CameraChoice(
            default_fov_deg=self.predictor.default_fov_deg,
            intrinsics=args.intrinsics,
            focal=args.focal,
            fov_deg=args.fov,
            use_exif=not args.no_exif,
        )
        self.failed: list[str] = []

    def pictures(self, paths: list[Path], names: list[str]) -> None:
        counts, failed = process_pictures(
            paths,
            [self.args.output / name for name in names],
            self.predictor,
            self.cameras,
            page=self.args.output / "index.html",
            score_threshold=self.args.score_threshold,
            batch_size=self.batch_size,
            panels=self.args.panels,
        )
        self.failed += failed
        logger.info("%d people in %d pictures", sum(counts), len(counts))

    def clip(self, clip: Clip, name: str, batch_size: int) -> ClipSummary:
        args = self.args
        smoothing = OneEuro(args.min_cutoff, args.beta, args.derivative_cutoff)
        tracker = Tracker(
            min_iou=args.track_overlap,
            max_distance_mm=args.track_distance,
            max_speed_mm_s=1000 * args.track_speed,
            max_gap_s=args.track_gap,
        )
        summary = process_clip(
            clip,
            args.output / name,
            self.predictor,
            self.cameras,
            score_threshold=args.score_threshold,
            batch_size=batch_size,
            tracker=tracker,
            smoothing=None if args.no_smoothing else smoothing,
        )
        message = "%s: %d different people in %d frames"
        logger.info(message, clip.name, summary.people, summary.frames)
        return summary


def run_files(args: argparse.Namespace) -> tuple[list[str], bool]:
    """Pictures, then videos.  Returns why inputs could not be used, and whether Ctrl-C ended it."""
    pictures, videos, empty = find_inputs(args.input)
    failed = [f"{text}: no pictures or videos found" for text in empty]
    if not pictures and not videos:
        return failed, False
    args.output.mkdir(parents=True, exist_ok=True)
    demo = Demo(args)
    names = output_names([*pictures, *videos])
    if pictures:
        demo.pictures(pictures, names[: len(pictures)])
    interrupted = False
    for path, name in zip(videos, names[len(pictures) :], strict=True):
        try:
            clip = VideoClip(path, args.stride, args.max_frames)
            interrupted = demo.clip(clip, name, demo.batch_size).interrupted
        except SourceError as error:
            demo.failed.append(str(error))
        if interrupted:
            break
    return failed + demo.failed, interrupted


def run_webcam(args: argparse.Namespace) -> list[str]:
    """Returns why the camera could not be used.  Ctrl-C is the usual end."""
    try:
        clip = WebcamClip(args.webcam, args.stride, args.max_frames)
        args.output.mkdir(parents=True, exist_ok=True)
        # One frame at a time: a camera does not wait for a batch.
        Demo(args).clip(clip, "webcam", batch_size=1)
    except SourceError as error:
        return [str(error)]
    return []


def main(arguments: list[str] | None = None) -> int:
    """Run the demo; returns the exit status, 1 where an input could not be used."""
    args = parse_args(__doc__, arguments)
    for name in ("hmor_d2", "fvcore"):
        setup_logger(name=name)
    interrupted = False
    try:
        if args.webcam is None:
            failed, interrupted = run_files(args)
        else:
            failed = run_webcam(args)
    except (OSError, CheckpointError, ConfigError) as error:  # no model, or nowhere to write
        logger.error(error)
        return 1
    for failure in failed:
        logger.error(failure)
    if failed:
        logger.error("%d inputs could not be used", len(failed))
    if args.output.is_dir():
        logger.info("Results: %s", args.output)
    if interrupted:
        return INTERRUPTED
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
