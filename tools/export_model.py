#!/usr/bin/env python
"""Write a trained model as a file that runs without Detectron2: ONNX (.onnx), TorchScript (.ts).

  python tools/export_model.py --config-file CONFIG --output model.onnx model.ts \\
      --opts MODEL.WEIGHTS model.pth
  python demo/run_exported.py --model model.onnx --input photos/ --output results/

The file holds the whole model for one image, NMS included, from the resized image and the
camera's intrinsics to boxes, scores, 2D joints, absolute poses and root depths, and beside it what
a program must know to use it; docs/export.md.  People below MODEL.ROI_HEADS.SCORE_THRESH_TEST are
not in its answers: a higher threshold saves time.  --check runs the file and the model on pictures
and fails where they find different people, or joints more than a millimetre apart; --time prints
what share of this package's time the file needs there.
"""

import argparse
import sys
from pathlib import Path

import cv2
import numpy as np
from detectron2.config import CfgNode
from detectron2.data.transforms import ResizeShortestEdge
from detectron2.modeling import build_model
from torch import nn

from hmor_d2 import model_zoo
from hmor_d2.checkpoint import HMORCheckpointer
from hmor_d2.config_file import read_config
from hmor_d2.export import (
    describe_model,
    export_onnx,
    export_torchscript,
    open_exported,
    prepare_for_export,
    show_agreement,
    time_exported,
)
from hmor_d2.modeling import optimize_for_inference
from hmor_d2.structures import PinholeCameras

SUFFIXES = (".onnx", ".ts")


def load_model(args: argparse.Namespace) -> tuple[CfgNode, nn.Module]:
    """The model, on the CPU in evaluation mode, and its config.

    Raises:
        OSError, KeyError, ValueError: where there is no such config or model, or it is broken.
    """
    if args.config_file is None:
        cfg = model_zoo.get_config(args.model)
    else:
        if not args.config_file.is_file():
            raise FileNotFoundError(f"{args.config_file}: there is no such config file")
        cfg = read_config(args.config_file)
    cfg.merge_from_list(args.opts)
    cfg.MODEL.DEVICE = "cpu"
    if not cfg.MODEL.WEIGHTS:
        raise ValueError(
            "MODEL.WEIGHTS is empty: name a trained model's, --opts MODEL.WEIGHTS FILE"
        )
    model = build_model(cfg).eval()
    HMORCheckpointer(model).load(cfg.MODEL.WEIGHTS)
    return cfg, model


def export(args: argparse.Namespace) -> list[str]:
    """Write the files; returns how those differ from the model that differ too much."""
    cfg, model = load_model(args)
    graph = prepare_for_export(model)
    quick = optimize_for_inference(model) if args.time else None
    metadata = describe_model(cfg, args.size)
    differing = []
    for path in args.output:
        if path.suffix == ".onnx":
            export_onnx(graph, path, metadata, size=args.size)
        else:
            export_torchscript(graph, path, metadata)
        print(f"{path}: {path.stat().st_size / 1e6:.1f} MB")
        run, _ = open_exported(path) if args.check else (None, None)
        for picture in args.check:
            image, intrinsics = read_picture(picture, cfg, args.size)
            agreement = show_agreement(model, run, image, intrinsics)
            print(f"  {picture}: {agreement}")
            if args.time:
                seconds = time_exported(quick, run, image, intrinsics)
                low, share, high = np.quantile(seconds[:, 1] / seconds[:, 0], (0.25, 0.5, 0.75))
                print(
                    f"  {np.median(seconds[:, 1]):.3f} s, {share:.2f} ({low:.2f} to {high:.2f}) of "
                    f"the {np.median(seconds[:, 0]):.3f} s of this package"
                )
            if not agreement.holds():
                differing.append(f"{path}: {picture}: {agreement}")
    return differing


def read_picture(
    path: Path, cfg: CfgNode, size: tuple[int, int] | None
) -> tuple[np.ndarray, np.ndarray]:
    """Pixels (3, H, W) and intrinsics (4,) of a camera of INPUT.DEFAULT_FOV_DEG, float32.

    Raises:
        OSError: if the picture cannot be read.
    """
    image = cv2.imread(str(path), cv2.IMREAD_COLOR) if path.is_file() else None
    if image is None:
        raise OSError(f"{path}: cannot be read as a picture")
    limits = cfg.INPUT.MIN_SIZE_TEST, cfg.INPUT.MAX_SIZE_TEST
    # Both get the same pixels: how they are interpolated does not matter here.
    height, width = size or ResizeShortestEdge.get_output_shape(*image.shape[:2], *limits)
    image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    if cfg.INPUT.FORMAT == "RGB":
        image = image[:, :, ::-1]
    camera = PinholeCameras.from_fov([(height, width)], cfg.INPUT.DEFAULT_FOV_DEG)
    pixels = np.ascontiguousarray(image.transpose(2, 0, 1), dtype=np.float32)
    return pixels, camera.tensor[0].numpy()


def parse_args(arguments: list[str] | None) -> argparse.Namespace:
    """Read and check the command line; ends the program, with a message, where it is wrong."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    model = parser.add_mutually_exclusive_group(required=True)
    model.add_argument("--config-file", type=Path, metavar="FILE", help="config of the model")
    model.add_argument("--model", metavar="NAME", help="trained model of the package")
    add("--output", required=True, nargs="+", type=Path, metavar="FILE", help=".onnx or .ts")
    add(
        "--size",
        type=int,
        nargs=2,
        metavar=("HEIGHT", "WIDTH"),
        help="fix the size of images, for runtimes that need it; default: any size",
    )
    add("--check", nargs="+", type=Path, default=[], metavar="PICTURE", help="compare on these")
    add("--time", action="store_true", help="compare the time that they take, too")
    add(
        "--opts",
        nargs=argparse.REMAINDER,
        default=[],
        metavar="KEY VALUE",
        help="config changes, e.g. MODEL.WEIGHTS model.pth; the last option",
    )
    args = parser.parse_args(arguments)
    for path in args.output:
        if path.suffix not in SUFFIXES:
            parser.error(f"--output: found {path}, expected a name that ends in .onnx or .ts")
    if args.size is not None:
        args.size = tuple(args.size)
        if min(args.size) < 32:
            parser.error(f"--size: found {args.size}, expected 32 pixels or more")
    return args


def main(arguments: list[str] | None = None) -> int:
    """Run the tool; returns the exit status, 1 where a file is not as the model."""
    args = parse_args(arguments)
    try:
        differing = export(args)
    # Detectron2 asserts that weights are there, and that a config has the keys of --opts.
    except (AssertionError, ImportError, KeyError, OSError, ValueError) as error:
        print(f"export_model.py: {error}", file=sys.stderr)
        return 1
    for line in differing:
        print(f"export_model.py: {line}", file=sys.stderr)
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
