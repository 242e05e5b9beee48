"""Where people stand: AP of root positions, and the order of root depths; pure numpy.

Roots are pelvis positions (X, Y, Z) in mm in the camera frame.  ``image`` arrays hold an integer
for each person that tells its image; people of one image need not be adjacent.
"""

import numpy as np

from .metrics import pairs_within_groups

__all__ = ["ordinal_depth_pairs", "root_average_precision"]

_AP_DISTANCE_MM = 250.0
_SAME_DEPTH_MM = 300.0


def root_average_precision(
    roots: np.ndarray,
    scores: np.ndarray,
    image: np.ndarray,
    gt_roots: np.ndarray,
    gt_image: np.ndarray,
    distance: float = _AP_DISTANCE_MM,
) -> float:
    """AP_25^root of Moon et al., ICCV 2019 (3DMPPE RootNet, ``MuPoTS_eval.py``).

    Predictions of all images in the order of descending score (equal scores as given).  Each
    looks at the annotated root nearest to its own, in 3D (the first of equals): a true positive
    if that is nearer than ``distance`` and no earlier prediction was one for it, else a false
    positive.  Predictions of images without annotated people are left out.  The area is RootNet's:
    precision is not made monotonous, and the first prediction's step of recall is dropped.

    Args:
        roots: (N, 3) mm.
        scores: (N,).
        image: (N,).
        gt_roots: (M, 3) mm.
        gt_image: (M,).
        distance: mm.

    Returns:
        percent; NaN where M is 0.
    """
    if len(gt_roots) == 0:
        return float("nan")
    by_score = np.argsort(-scores, kind="stable")
    prediction, person = _pairs_across(image[by_score], gt_image)
    distances = np.linalg.norm(roots[by_score][prediction] - gt_roots[person], axis=-1)
    # The nearest person of each prediction: pairs of a prediction are adjacent, and lexsort
    # keeps the first of equals in front.
    order = np.lexsort((distances, prediction))
    counted, nearest = np.unique(prediction[order], return_index=True)
    nearest = order[nearest]
    near = np.flatnonzero(distances[nearest] < distance)
    # Of the predictions near to a person, the one with the highest score has it.
    _, first = np.unique(person[nearest[near]], return_index=True)
    correct = np.zeros(len(counted), dtype=np.bool_)
    correct[near[first]] = True
    precision = np.cumsum(correct) / np.arange(1, len(correct) + 1)
    return float(100 * (precision * correct)[1:].sum() / len(gt_roots))


def _pairs_across(group: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Indices (i, j) of all pairs with ``group[i] == other[j]``, i ascending, then j."""
    by_group = np.argsort(other, kind="stable")
    ordered = other[by_group]
    start = np.searchsorted(ordered, group, side="left")
    number = np.searchsorted(ordered, group, side="right") - start
    i = np.repeat(np.arange(len(group)), number)
    rank = np.arange(len(i)) - np.repeat(np.cumsum(number) - number, number)
    return i, by_group[np.repeat(start, number) + rank]


def ordinal_depth_pairs(
    depth: np.ndarray, gt_depth: np.ndarray, image: np.ndarray
) -> tuple[int, int]:
    """Pairs of people of an image whose order in depth is right, for PCOD.

    PCOD is SMAP's (Zhen et al., ECCV 2020; ``cal_ordinal.m``): a pair is right if it has the
    order of the annotation, or if both its true and its predicted depths differ by less than
    300 mm.

    Args:
        depth: (N,) predicted, mm.
        gt_depth: (N,) annotated, mm.
        image: (N,).

    Returns:
        number of right pairs, and of all pairs.
    """
    a, b = pairs_within_groups(image)
    predicted, true = depth[a] - depth[b], gt_depth[a] - gt_depth[b]
    alike = (np.abs(true) < _SAME_DEPTH_MM) & (np.abs(predicted) < _SAME_DEPTH_MM)
    return int(((true * predicted > 0) | alike).sum()), len(a)
