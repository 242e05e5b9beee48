"""Order of joints in depth, counted over images: the joint level of HMOR as a measure.

Numpy alone; shapes and frame as in :mod:`hmor_d2.evaluation.metrics`.
"""

import numpy as np

__all__ = ["joint_order_accuracy"]


def joint_order_accuracy(
    pred: np.ndarray, gt: np.ndarray, valid: np.ndarray, group: np.ndarray
) -> tuple[int, int]:
    """Pairs of joints in an image whose order in depth is right, within people and across them.

    These are the pairs that eq. 8 compares in the camera's view.

    Args:
        pred: (N, J, 3) mm, absolute: people are compared with each other.
        gt: (N, J, 3) mm.
        valid: (N, J) bool; pairs of two valid joints are counted.
        group: (N,) image of each person.

    Returns:
        number of pairs in the right order, and number of pairs whose true depths differ.  A tie
        of the predicted depths is wrong.
    """
    right = ordered = 0
    order = np.argsort(group, kind="stable")
    starts = np.flatnonzero(np.diff(group[order])) + 1
    # An image at a time: the pairs of a whole dataset do not fit into memory.
    for people in np.split(order, starts) if len(order) else ():
        known = valid[people]
        p, g = pred[people, :, 2][known], gt[people, :, 2][known]
        truth = np.sign(g[:, None] - g)
        right += np.count_nonzero(truth * (p[:, None] - p) > 0) // 2
        ordered += np.count_nonzero(truth) // 2
    return right, ordered
