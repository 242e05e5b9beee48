"""Regression losses on poses: eq. 11 and the baseline L_abs of Table 4."""

import torch

__all__ = ["absolute_pose_l1_loss", "relative_pose_l1_loss"]


def relative_pose_l1_loss(
    pred: torch.Tensor, target: torch.Tensor, valid_uv: torch.Tensor, valid_z: torch.Tensor
) -> torch.Tensor:
    """L_pose, eq. 11: mean over joints of the L1 error in RoI coordinates.

    Image coordinates and depth are averaged apart, so that people with 2D annotations alone
    dilute nothing.

    Args:
        pred, target: (N, J, 3) of (u, v, z), see ``structures.encode_roi_poses``.
        valid_uv: (N, J) bool, joints whose place in the image is known.
        valid_z: (N, J) bool, joints whose depth is known.

    Returns:
        scalar; zero with a graph where nothing is valid.
    """
    error = (pred - target).abs()
    return _masked_mean(error[..., :2].sum(dim=-1), valid_uv) + _masked_mean(error[..., 2], valid_z)


def absolute_pose_l1_loss(
    pred: torch.Tensor, target: torch.Tensor, valid: torch.Tensor, unit_mm: float = 1000.0
) -> torch.Tensor:
    """L_abs, the baseline of Table 4: mean over joints of the L1 error of absolute poses.

    Args:
        pred, target: (..., J, 3) mm in the camera frame.
        valid: (..., J) bool.
        unit_mm: millimetres in the unit of the loss.

    Returns:
        scalar; zero with a graph where nothing is valid.
    """
    return _masked_mean((pred - target).abs().sum(dim=-1) / unit_mm, valid)


def _masked_mean(values: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    return torch.where(mask, values, 0).sum() / mask.sum().clamp(min=1)
