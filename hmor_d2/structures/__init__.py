"""Batched cameras and poses, and the maps between image, RoI and camera space.  Torch alone."""

from .cameras import PinholeCameras
from .depth_map import DepthMap
from .poses import Poses3D
from .roi_coding import (
    decode_roi_poses,
    encode_roi_poses,
    equivalent_depth_scale,
)

__all__ = [
    "DepthMap",
    "PinholeCameras",
    "Poses3D",
    "decode_roi_poses",
    "encode_roi_poses",
    "equivalent_depth_scale",
]
