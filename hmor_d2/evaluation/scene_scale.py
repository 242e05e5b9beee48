"""Whether scenes come out too small: in depth between people, and as a whole.

Numpy alone; shapes and frame as in :mod:`hmor_d2.evaluation.metrics`.
"""

import numpy as np

from .metrics import pairs_within_groups, share

__all__ = ["common_scale", "pair_depth_slope"]


def pair_depth_slope(pred_depth: np.ndarray, gt_depth: np.ndarray, group: np.ndarray) -> float:
    """How predicted differences in depth between people of an image grow with the true ones.

    The slope of the least-squares line through the origin: 1 where people are as far apart as
    they should be on average, less where they are drawn together.  Errors that have nothing to
    do with the truth do not change its expectation.

    Args:
        pred_depth: (N,) root depths, mm.
        gt_depth: (N,) root depths, mm.
        group: (N,) image of each person.

    Returns:
        the slope; NaN if no true depths differ within an image.
    """
    a, b = pairs_within_groups(group)
    truth = gt_depth[a] - gt_depth[b]
    return share((pred_depth[a] - pred_depth[b]) @ truth, truth @ truth)


def common_scale(pred: np.ndarray, gt: np.ndarray, valid: np.ndarray) -> float:
    """The one factor that brings all predictions closest to the truth, in least squares.

    Depth estimation knows it as scale alignment.  Above 1, people come out too near and small.

    Args:
        pred: (N, J, 3) mm, absolute.
        gt: (N, J, 3) mm.
        valid: (N, J) bool.

    Returns:
        the factor; NaN without valid joints.
    """
    p, g = pred[valid], gt[valid]
    return share((p * g).sum(), (p * p).sum())
