"""Ordinal relations of pairs of items in views, and the errors of wrong ones (eq. 5 to 8).

Ground truth and prediction travel as one tensor, whose first axis of 2 holds the ground truth and
the prediction's deviation from it.  Every step up to the items' coordinates in a view is linear,
so a prediction that equals the ground truth has deviation 0, the same coordinates to the last bit,
whatever kernels compute them, and a loss of exactly 0.  Torch alone.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from .pairs import ItemPairs
from .views import plane_basis

__all__ = ["Comparison", "compare_angles", "compare_depths", "compare_plane_angles"]


class Comparison(NamedTuple):
    """What comparing the pairs of a level gives for each image; all (B,).

    Attributes:
        loss: mean error over pairs of valid items, then over views; 0 without such pairs.
        wrong: pairs x views whose predicted order is opposite to the ground truth's.
        ordered: pairs x views that the ground truth orders (does not tie).
        pairs: pairs of valid items.
    """

    loss: Tensor
    wrong: Tensor
    ordered: Tensor
    pairs: Tensor


def compare_depths(items: Tensor, valid: Tensor, normals: Tensor, **sampling) -> Comparison:
    """Depth relations along n: log(1 + max(0, R (pred_a - pred_b) . n)) (eq. 5 and 8).

    R = sign((gt_b - gt_a) . n) is +1 where a is closer.

    Args:
        items: (2, B, M, 3) positions in the loss's unit, ground truth and deviation.
        valid: (B, M) bool.
        normals: (B, V, 3) unit vectors.
        sampling: ``max_pairs`` and ``generator`` of :meth:`ItemPairs.of`.
    """

    def order(pairs: ItemPairs, depths: Tensor) -> Tensor:
        a, b = pairs.ends(depths)
        return b - a

    return _compare(order, (_project(items, normals),), valid, torch.log1p, sampling)


def compare_angles(vectors: Tensor, valid: Tensor, normals: Tensor, **sampling) -> Comparison:
    """Angle relations seen along n: max(0, -sign((g1 x g2) . n) (t1 x t2) . n).

    g and t are vectors of the ground truth and the prediction.  This stands for eq. 6 and 7.

    Args:
        vectors: (2, B, M, 3), ground truth and deviation.
        valid, normals, sampling: as for :func:`compare_depths`.
    """
    # With the normal's plane spanned by e1 and e2, (t1 x t2) . n needs 2 coordinates a vector.
    both_axes = _project(vectors, torch.cat(plane_basis(normals), dim=1))
    return _compare(_oriented_area, both_axes.chunk(2, dim=2), valid, None, sampling)


def compare_plane_angles(vectors: Tensor, valid: Tensor, **sampling) -> Comparison:
    """As :func:`compare_angles`, of vectors (2, B, M, 2) in the image, seen along (0, 0, 1)."""
    x, y = vectors.unsqueeze(2).unbind(-1)
    return _compare(_oriented_area, (x, y), valid, None, sampling)


def _project(items: Tensor, axes: Tensor) -> Tensor:
    """Coordinates (2, B, A, M) of items (2, B, M, 3) along axes (B, A, 3)."""
    # Not a matrix product: that may run in TensorFloat-32, too coarse for close orders.
    return (items.unsqueeze(2) * axes.unsqueeze(2)).sum(-1)


def _oriented_area(pairs: ItemPairs, x: Tensor, y: Tensor) -> Tensor:
    """The cross products of a plane's vectors (x, y), both (B, V, M): (B, V, K, M')."""
    (x1, x2), (y1, y2) = pairs.ends(x), pairs.ends(y)
    return x1 * y2 - y1 * x2


def _compare(
    order: Callable[..., Tensor],
    coordinates: tuple[Tensor, ...],
    valid: Tensor,
    growth: Callable[[Tensor], Tensor] | None,
    sampling: dict,
) -> Comparison:
    """Compare the orders of all pairs between ground truth and prediction.

    Args:
        order: called with pairs and coordinates (B, V, M), gives each pair's signed order in each
            view, (B, V, K, M').
        coordinates: (2, B, V, M) each, ground truth and deviation.
        growth: makes the error of the amount by which a wrong pair violates its order.
    """
    num_views, num_items = coordinates[0].shape[2:]
    if num_items < 2:
        nothing = coordinates[0].sum((0, 2, 3)) * 0
        return Comparison(nothing, *[nothing.detach()] * 3)
    pairs = ItemPairs.of(valid, coordinates[0].dtype, **sampling)
    with torch.no_grad():
        relation = order(pairs, *(c[0] for c in coordinates)).sign_()
    predicted = order(pairs, *(c[0].detach() + c[1] for c in coordinates))
    violation = torch.relu(-relation * predicted)
    error = violation if growth is None else growth(violation)
    # Views first: a pair weighs the same in each.
    loss = (error.sum(1) * pairs.weight).sum((1, 2)) / (pairs.count.clamp(min=1) * num_views)
    with torch.no_grad():
        wrong = (violation.sign().sum(1) * pairs.weight).sum((1, 2))
        ordered = (relation.abs().sum(1) * pairs.weight).sum((1, 2))
    return Comparison(loss, wrong, ordered, pairs.count)
