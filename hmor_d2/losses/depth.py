"""Losses on root depths: the initial depth map (eq. 13) and the refinement (eq. 16)."""

import torch

from .process_means import masked_mean

__all__ = ["depth_map_l1_loss", "depth_map_targets", "refined_depth_l1_loss"]


def depth_map_targets(
    roots: torch.Tensor,
    depths: torch.Tensor,
    image_index: torch.Tensor,
    map_shape: tuple[int, int, int],
    stride: int,
    radius: int,
) -> torch.Tensor:
    """Normalised depths around each root; where people overlap, the nearer wins.

    Args:
        roots: (N, 2) root joints in pixels.
        depths: (N,) normalised depths (eq. 12).
        image_index: (N,) image of each person.
        map_shape: (B, H, W) of the depth map.
        stride: pixels a cell.
        radius: cells; a root's cell and all within this distance of it are supervised.

    Returns:
        (B, H, W), +inf where nothing is supervised.
    """
    batch, height, width = map_shape
    steps = torch.arange(-radius, radius + 1, device=roots.device)
    offsets = torch.cartesian_prod(steps, steps)
    offsets = offsets[(offsets**2).sum(dim=1) <= radius**2]
    cells = (roots / stride).floor().long()[:, None] + offsets
    x, y = cells.unbind(dim=-1)
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    index = (image_index[:, None] * height + y) * width + x
    # People outside the map write into one spare cell, so that shapes do not depend on the data.
    index = torch.where(inside, index, batch * height * width)
    target = depths.new_full((batch * height * width + 1,), torch.inf)
    values = depths[:, None].expand_as(index).reshape(-1)
    target = target.scatter_reduce(0, index.reshape(-1), values, "amin")
    return target[:-1].reshape(map_shape)


def depth_map_l1_loss(
    depth_map: torch.Tensor, target: torch.Tensor, across_processes: bool = False
) -> torch.Tensor:
    """L_init, eq. 13: mean absolute error over the supervised cells.

    Args:
        depth_map: (B, H, W) normalised depths.
        target: (B, H, W) of :func:`depth_map_targets`.
        across_processes: see ``masked_mean``.

    Returns:
        scalar; zero with a graph where nothing is supervised.
    """
    mask = target.isfinite()
    error = torch.where(mask, depth_map - torch.where(mask, target, 0), 0).abs()
    return masked_mean(error, mask, across_processes)


def refined_depth_l1_loss(
    residual: torch.Tensor,
    initial: torch.Tensor,
    target: torch.Tensor,
    valid: torch.Tensor,
    across_processes: bool = False,
) -> torch.Tensor:
    """L_refine, eq. 16.

    Args:
        residual: (N,) predicted correction of the equivalent depth.
        initial: (N,) equivalent initial depth (eq. 15), in the same unit.
        target: (N,) equivalent ground-truth depth (eq. 14).
        valid: (N,) bool, people whose root depth is known.
        across_processes: see ``masked_mean``.

    Returns:
        scalar; zero with a graph where nobody is valid.
    """
    error = torch.where(valid, target - initial - residual, 0).abs()
    return masked_mean(error, valid, across_processes)
