"""The levels of HMOR: which items of an image are compared, and how (section 3.2).  Torch alone.

Joints are (2, B, N, J, D), ground truth and deviation, as :func:`joint_items` makes them, in mm.
They are divided by the loss's unit after differences and means are taken: then parts of people
who differ in place alone are equal to the last bit, and tie.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from .relations import Comparison, compare_angles, compare_depths, compare_plane_angles

if TYPE_CHECKING:
    from ..skeleton import Skeleton

__all__ = [
    "compare_instances",
    "compare_joints",
    "compare_parts",
    "compare_parts_2d",
    "joint_items",
]


def joint_items(pred: Tensor, gt: Tensor, valid: Tensor, dtype: torch.dtype) -> Tensor:
    """Ground truth and deviation, (2, B, N, J, D), of joints (B, N, J, D); 0 where invalid."""
    valid = valid.unsqueeze(-1)
    # Selected before any arithmetic: 0 * NaN, in a gradient too, would be NaN.
    gt = torch.where(valid, gt.detach().to(dtype), 0.0)
    return torch.stack([gt, torch.where(valid, pred.to(dtype), gt) - gt])


def compare_instances(
    joints: Tensor, valid: Tensor, normals: Tensor, unit: float, **sampling
) -> Comparison:
    """Depths of people, each the mean over its valid joints (eq. 5)."""
    people = joints.sum(3) / valid.sum(2).clamp(min=1).unsqueeze(-1)
    return compare_depths(people / unit, valid.any(2), normals, **sampling)


def compare_joints(
    joints: Tensor, valid: Tensor, normals: Tensor, unit: float, **sampling
) -> Comparison:
    """Depths of all joints of an image, within and across people (eq. 8)."""
    return compare_depths(joints.flatten(2, 3) / unit, valid.flatten(1), normals, **sampling)


def compare_parts(
    joints: Tensor,
    valid: Tensor,
    skeleton: Skeleton,
    normals: Tensor,
    unit: float,
    representation: str,
    **sampling,
) -> Comparison:
    """Angles of all parts of an image (eq. 7), or as "particle" depths of their middles."""
    starts, ends, valid = _part_ends(joints, valid, skeleton)
    if representation == "particle":
        return compare_depths((starts + ends) / (2 * unit), valid, normals, **sampling)
    return compare_angles((ends - starts) / unit, valid, normals, **sampling)


def compare_parts_2d(
    joints: Tensor, valid: Tensor, skeleton: Skeleton, box_areas: Tensor, **sampling
) -> Comparison:
    """Angles of the parts of people known in 2D, in units of the root of each one's box area.

    One positive factor a person keeps every sign, and makes people of all sizes weigh the same.
    """
    starts, ends, valid_parts = _part_ends(joints, valid, skeleton)
    areas = torch.where(valid.any(2), box_areas.detach().to(joints.dtype), 1.0).clamp(min=1.0)
    units = areas.sqrt().repeat_interleave(len(skeleton.parts), dim=1)
    return compare_plane_angles((ends - starts) / units.unsqueeze(-1), valid_parts, **sampling)


def _part_ends(joints: Tensor, valid: Tensor, skeleton: Skeleton) -> tuple[Tensor, Tensor, Tensor]:
    """Starts and ends of all parts, (2, B, N * S, D), and which have both joints, (B, N * S)."""
    parts = torch.tensor(skeleton.parts, device=valid.device, dtype=torch.long).reshape(-1, 2)
    starts, ends = parts.unbind(1)
    return (
        joints.index_select(3, starts).flatten(2, 3),
        joints.index_select(3, ends).flatten(2, 3),
        (valid.index_select(2, starts) & valid.index_select(2, ends)).flatten(1),
    )
