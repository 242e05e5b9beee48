"""What a program that runs an exported model must know of it, kept in the model's file."""

import json
from typing import Any

from detectron2.config import CfgNode

from .. import __version__
from ..skeleton import get_skeleton

__all__ = ["FORMAT", "METADATA_FILE", "METADATA_KEY", "describe_model", "to_json"]

# Raised where programs that read the present format would misread a newer one.
FORMAT = 1
METADATA_KEY = "hmor_d2"  # among an ONNX file's metadata_props
METADATA_FILE = "hmor_d2.json"  # among a TorchScript file's extra files


def describe_model(cfg: CfgNode, size: tuple[int, int] | None = None) -> dict[str, Any]:
    """The metadata of an exported model.

    Args:
        cfg: the model's config.
        size: height and width of its images where they are fixed, pixels.

    Returns:
        a dict of plain values, explained in docs/export.md.

    Raises:
        ValueError: for an INPUT.FORMAT other than BGR and RGB, and for sizes that are not positive.
    """
    if cfg.INPUT.FORMAT not in ("BGR", "RGB"):
        raise ValueError(f"INPUT.FORMAT is '{cfg.INPUT.FORMAT}', expected BGR or RGB")
    if size is None:
        rule = {
            "rule": "shortest_edge",
            "min_size": int(cfg.INPUT.MIN_SIZE_TEST),
            "max_size": int(cfg.INPUT.MAX_SIZE_TEST),
        }
    else:
        height, width = size
        if min(size) < 1:
            raise ValueError(f"the image size is {height} x {width}, expected positive numbers")
        rule = {"rule": "fixed", "height": int(height), "width": int(width)}
    skeleton = get_skeleton(cfg.MODEL.HMOR.SKELETON)
    return {
        "format": FORMAT,
        "hmor_d2_version": __version__,
        "channels": cfg.INPUT.FORMAT,
        "size": rule,
        "pixel_mean": [float(value) for value in cfg.MODEL.PIXEL_MEAN],
        "pixel_std": [float(value) for value in cfg.MODEL.PIXEL_STD],
        "default_fov_deg": float(cfg.INPUT.DEFAULT_FOV_DEG),
        "score_threshold": float(cfg.MODEL.ROI_HEADS.SCORE_THRESH_TEST),
        "skeleton": skeleton.name,
        "joint_names": list(skeleton.joint_names),
        "parts": [[int(joint) for joint in part] for part in skeleton.parts],
        "flip_pairs": [[int(joint) for joint in pair] for pair in skeleton.flip_pairs],
        "root_index": int(skeleton.root_index),
    }


def to_json(metadata: dict[str, Any]) -> str:
    return json.dumps(metadata, indent=1)
