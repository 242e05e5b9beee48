"""The paper's losses as pure functions on tensors; they need torch alone."""

from .depth import depth_map_l1_loss, depth_map_targets, refined_depth_l1_loss
from .hmor import hmor_losses, hmor_losses_batched
from .pose import absolute_pose_l1_loss, marginal_loss, relative_pose_l1_loss
from .process_means import masked_mean, total_over_processes
from .views import sample_view_normals

__all__ = [
    "absolute_pose_l1_loss",
    "depth_map_l1_loss",
    "depth_map_targets",
    "hmor_losses",
    "hmor_losses_batched",
    "marginal_loss",
    "masked_mean",
    "refined_depth_l1_loss",
    "relative_pose_l1_loss",
    "sample_view_normals",
    "total_over_processes",
]
