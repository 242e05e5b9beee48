"""Losses on poses: eq. 11, the baseline L_abs of Table 4, and one on the heatmaps themselves."""

import torch

from .process_means import masked_mean

__all__ = ["absolute_pose_l1_loss", "marginal_loss", "relative_pose_l1_loss"]


def relative_pose_l1_loss(
    pred: torch.Tensor,
    target: torch.Tensor,
    valid_uv: torch.Tensor,
    valid_z: torch.Tensor,
    across_processes: bool = False,
) -> torch.Tensor:
    """L_pose, eq. 11: mean over joints of the L1 error in RoI coordinates.

    Image coordinates and depth are averaged apart, so that people with 2D annotations alone
    dilute nothing.

    Args:
        pred, target: (N, J, 3) of (u, v, z), see ``structures.encode_roi_poses``.
        valid_uv: (N, J) bool, joints whose place in the image is known.
        valid_z: (N, J) bool, joints whose depth is known.
        across_processes: see ``masked_mean``.

    Returns:
        scalar; zero with a graph where nothing is valid.
    """
    error = (pred - target).abs()
    place = masked_mean(error[..., :2].sum(dim=-1), valid_uv, across_processes)
    return place + masked_mean(error[..., 2], valid_z, across_processes)


def marginal_loss(
    marginal: torch.Tensor,
    target: torch.Tensor,
    valid: torch.Tensor,
    sigma_bins: float = 1.0,
    across_processes: bool = False,
) -> torch.Tensor:
    """Divergence of heatmaps' marginals from Gaussians around the joints.  Not in the paper.

    The gradient of eq. 11 vanishes where a marginal has shrunk to one wrong bin; this one grows.
    That on the image marginal says of every place in the RoI whether the joint is there, which
    features tell long before they tell its expectation.  (Joint training of heatmaps and their
    expectation: Sun et al., Integral Human Pose Regression, ECCV 2018; Nibali et al., 3D Human
    Pose Estimation with 2D Marginal Heatmaps, WACV 2019.)

    Args:
        marginal: (N, J, bins) or (N, J, H, W) probabilities.
        target: (N, J, 1), or (N, J, 2) of u along W and v along H: the joint's place in [0, 1].
        valid: (N, J) bool.
        sigma_bins: standard deviation of the Gaussians, bins.
        across_processes: see ``masked_mean``.

    Returns:
        scalar, the mean Kullback-Leibler divergence in nats; zero with a graph where nothing is
        valid.
    """
    target = torch.where(valid.unsqueeze(-1), target, 0.5)
    wanted = _gaussian(target[..., 0], marginal.shape[-1], sigma_bins)
    if target.shape[-1] == 2:
        rows = _gaussian(target[..., 1], marginal.shape[-2], sigma_bins)
        wanted = rows.unsqueeze(-1) * wanted.unsqueeze(-2)
    # The floor is far below what float32 can add to 1, and keeps the gradient of a lost bin.
    divergence = wanted * ((wanted + 1e-12).log() - (marginal + 1e-12).log())
    return masked_mean(divergence.flatten(2).sum(dim=-1), valid, across_processes)


def _gaussian(place: torch.Tensor, bins: int, sigma_bins: float) -> torch.Tensor:
    """Probabilities (..., bins) around (...) places in [0, 1]."""
    centers = torch.arange(bins, device=place.device, dtype=place.dtype) + 0.5
    return (-0.5 * ((centers - bins * place.unsqueeze(-1)) / sigma_bins) ** 2).softmax(dim=-1)


def absolute_pose_l1_loss(
    pred: torch.Tensor,
    target: torch.Tensor,
    valid: torch.Tensor,
    unit_mm: float = 1000.0,
    across_processes: bool = False,
) -> torch.Tensor:
    """L_abs, the baseline of Table 4: mean over joints of the L1 error of absolute poses.

    Args:
        pred, target: (..., J, 3) mm in the camera frame.
        valid: (..., J) bool.
        unit_mm: millimetres in the unit of the loss.
        across_processes: see ``masked_mean``.

    Returns:
        scalar; zero with a graph where nothing is valid.
    """
    return masked_mean((pred - target).abs().sum(dim=-1) / unit_mm, valid, across_processes)
