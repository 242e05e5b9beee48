"""Meta-architecture, heads and test-time augmentation; importing registers them."""

from .depth_head import DEPTH_HEAD_REGISTRY, build_depth_head
from .depth_map_head import DEPTH_MAP_HEAD_REGISTRY, build_depth_map_head
from .inference import has_bfloat16_units, optimize_for_inference
from .meta_arch import HMORRCNN
from .pose_head import POSE_HEAD_REGISTRY, build_pose_head
from .roi_heads import HMORROIHeads
from .test_time_augmentation import HMORRCNNWithTTA

__all__ = [
    "DEPTH_HEAD_REGISTRY",
    "DEPTH_MAP_HEAD_REGISTRY",
    "HMORRCNN",
    "POSE_HEAD_REGISTRY",
    "HMORRCNNWithTTA",
    "HMORROIHeads",
    "build_depth_head",
    "build_depth_map_head",
    "build_pose_head",
    "has_bfloat16_units",
    "optimize_for_inference",
]
