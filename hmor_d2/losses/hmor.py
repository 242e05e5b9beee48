"""Hierarchical Multi-person Ordinal Relations (HMOR), section 3.2 and equations 5 to 10.

Pairs of people, of body parts and of joints have an order along a viewing direction n.  A
prediction is punished where it has the opposite order to the ground truth.  docs/hmor.md says
where the equations are taken literally and where not.  Torch alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from .levels import (
    compare_instances,
    compare_joints,
    compare_parts,
    compare_parts_2d,
    joint_items,
)
from .relations import Comparison

if TYPE_CHECKING:  # the losses use no more of it than ``parts``
    from ..skeleton import Skeleton

__all__ = ["hmor_losses", "hmor_losses_batched"]

LEVELS = ("instance", "part", "joint")
PART_REPRESENTATIONS = ("vector", "particle")


def hmor_losses(
    pred: Tensor,
    gt: Tensor,
    valid: Tensor,
    skeleton: Skeleton,
    normals: Tensor,
    *,
    levels: Sequence[str] = LEVELS,
    part_representation: str = "vector",
    unit_mm: float = 1000.0,
) -> dict[str, Tensor]:
    """The HMOR losses of one image; see :func:`hmor_losses_batched`.

    Args:
        pred, gt: (N, J, 3) joints of N people in the camera frame, mm.
        valid: (N, J) bool.
        skeleton: gives the parts.
        normals: (V, 3) unit view directions in the camera frame.
        levels, part_representation, unit_mm: as in the batched form.

    Returns:
        ``loss_hmor_instance``, ``loss_hmor_part``, ``loss_hmor_joint``, those of ``levels``: the
        mean over valid pairs and views.
    """
    losses, _ = hmor_losses_batched(
        pred.unsqueeze(0),
        gt.unsqueeze(0),
        valid.unsqueeze(0),
        skeleton,
        normals.unsqueeze(0),
        levels=levels,
        part_representation=part_representation,
        unit_mm=unit_mm,
    )
    return losses


def hmor_losses_batched(
    pred: Tensor,
    gt: Tensor,
    valid: Tensor,
    skeleton: Skeleton,
    normals: Tensor,
    *,
    levels: Sequence[str] = LEVELS,
    part_representation: str = "vector",
    unit_mm: float = 1000.0,
    pred_2d: Tensor | None = None,
    gt_2d: Tensor | None = None,
    valid_2d: Tensor | None = None,
    box_areas: Tensor | None = None,
    max_pairs: int = 0,
    generator: torch.Generator | None = None,
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The HMOR losses of a padded batch of images, and figures to log.

    An image's loss at a level is the mean over its pairs of valid items, then over views.  The
    batch's is the mean over all B images; an image without a pair counts as 0, so that processes
    with equally many images average to the loss of the whole batch.

    What is invalid or padding may hold anything, NaN too: it touches neither loss nor gradient.
    Pairs are computed in float32 (float64 where ``pred`` is), under autocast as well.

    Args:
        pred, gt: (B, N, J, 3) joints of up to N people an image in the camera frame, mm.
        valid: (B, N, J) bool, False on padding.
        skeleton: gives the parts, pairs (start, end) of joint indices.
        normals: (B, V, 3) unit view directions in the camera frame, V >= 1.
        levels: any of "instance", "part", "joint".
        part_representation: "vector" compares the angles of parts (eq. 7), "particle" the depths
            of their middles (Table 4 b).
        unit_mm: length, in mm, that the losses are in: log(1 + d) depends on it.
        pred_2d, gt_2d: (B, M, J, 2) joints in pixels of people without 3D annotations.  They take
            part in the part level alone, as vectors seen along (0, 0, 1), an image's mean being
            added to that of its 3D people.  As particles they have no depth and add nothing.
        valid_2d: (B, M, J) bool, False on padding.
        box_areas: (B, M) boxes of the 2D people in pixels^2, taken as 1 at least.  Vectors are
            divided by the area's square root.
        max_pairs: 0 takes all pairs of a level.  Otherwise, where the padded number of pairs is
            larger, at most so many of each image, a random sample that leaves the expectation
            of its loss as it is (see :class:`hmor_d2.losses.pairs.ItemPairs`).
        generator: source of that sample.

    Returns:
        Losses ``loss_hmor_instance``, ``loss_hmor_part``, ``loss_hmor_joint``, those of
        ``levels``, scalars; and detached figures for each level: ``hmor/wrong_instance`` ...,
        the share, over the batch, of ordered (not tied) pairs in a view whose order is wrong, and
        ``hmor/pairs_instance`` ..., the number of pairs.

    Raises:
        ValueError: for unknown levels or representations, no views, or shapes that disagree.
    """
    _check_shapes(3, pred=pred, gt=gt, valid=valid)
    _check_options(levels, part_representation, skeleton, pred, normals)
    people_2d = (pred_2d, gt_2d, valid_2d, box_areas)
    has_2d = any(tensor is not None for tensor in people_2d)
    if has_2d:
        if any(tensor is None for tensor in people_2d):
            raise ValueError("pred_2d, gt_2d, valid_2d and box_areas must be given together")
        _check_shapes(2, pred_2d=pred_2d, gt_2d=gt_2d, valid_2d=valid_2d, box_areas=box_areas)

    sampling = {"max_pairs": max_pairs, "generator": generator}
    with torch.autocast(device_type=pred.device.type, enabled=False):
        dtype = torch.promote_types(pred.dtype, torch.float32)
        joints = joint_items(pred, gt, valid, dtype)
        in_views = (normals.detach().to(dtype), unit_mm)
        compared = {}
        if "instance" in levels:
            compared["instance"] = compare_instances(joints, valid, *in_views, **sampling)
        if "part" in levels:
            compared["part"] = compare_parts(
                joints, valid, skeleton, *in_views, part_representation, **sampling
            )
        if "part" in levels and part_representation == "vector" and has_2d:
            joints_2d = joint_items(pred_2d, gt_2d, valid_2d, dtype)
            added = compare_parts_2d(joints_2d, valid_2d, skeleton, box_areas, **sampling)
            both = zip(compared["part"], added, strict=True)
            compared["part"] = Comparison(*(a + b for a, b in both))
        if "joint" in levels:
            compared["joint"] = compare_joints(joints, valid, *in_views, **sampling)

    losses, figures = {}, {}
    for level in levels:
        result = compared[level]
        losses[f"loss_hmor_{level}"] = result.loss.sum() / max(pred.shape[0], 1)
        figures[f"hmor/wrong_{level}"] = result.wrong.sum() / result.ordered.sum().clamp(min=1)
        figures[f"hmor/pairs_{level}"] = result.pairs.sum()
    return losses, figures


def _check_options(levels, part_representation, skeleton, pred, normals) -> None:
    unknown = sorted(set(levels) - set(LEVELS))
    if unknown or isinstance(levels, str):
        raise ValueError(f"levels must be a sequence of {LEVELS}, found {levels!r}")
    if part_representation not in PART_REPRESENTATIONS:
        raise ValueError(
            f"part_representation must be one of {PART_REPRESENTATIONS}, "
            f"found {part_representation!r}"
        )
    if normals.dim() != 3 or normals.shape[1] < 1 or normals.shape[::2] != (pred.shape[0], 3):
        raise ValueError(
            f"normals must have shape (B, V, 3) with B = {pred.shape[0]} and V >= 1, "
            f"found {tuple(normals.shape)}"
        )
    num_joints = 1 + max((index for part in skeleton.parts for index in part), default=-1)
    if pred.dim() > 2 and pred.shape[2] < num_joints:
        raise ValueError(f"the parts need {num_joints} joints, found {pred.shape[2]}")


def _check_shapes(dimensions: int, **tensors: Tensor) -> None:
    """Check, in this order and named as given: pred, gt, valid and, where given, box_areas."""
    (name, pred), *others = tensors.items()
    if pred.dim() != 4 or pred.shape[3] != dimensions:
        raise ValueError(
            f"{name} must have shape (B, N, J, {dimensions}), found {tuple(pred.shape)}"
        )
    expected = (pred.shape, pred.shape[:3], pred.shape[:2])
    for (other, tensor), shape in zip(others, expected, strict=False):
        if tensor.shape != shape:
            raise ValueError(
                f"{other} must have shape {tuple(shape)}, as {name}, found {tuple(tensor.shape)}"
            )
    (other, valid) = others[1]
    if valid.dtype != torch.bool:
        raise ValueError(f"{other} must be bool, found {valid.dtype}")
