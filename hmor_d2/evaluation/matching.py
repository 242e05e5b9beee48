"""Which prediction is compared with which annotated person: greedy matching, pure numpy.

Boxes are (x0, y0, x1, y1) in continuous pixels of the original image.
"""

import numpy as np

__all__ = [
    "box_intersections",
    "box_iou",
    "clip_boxes",
    "covered_by_crowd",
    "match_boxes",
    "match_greedily",
]


def clip_boxes(boxes: np.ndarray, image_size: tuple[int, int]) -> np.ndarray:
    """Cut boxes at the image's border.

    Args:
        boxes: (N, 4).
        image_size: (height, width).

    Returns:
        (N, 4); a box outside the image has no area left.
    """
    height, width = image_size
    return np.clip(boxes, 0, np.array([width, height, width, height], dtype=np.float64))


def _areas(boxes: np.ndarray) -> np.ndarray:
    return np.prod(np.maximum(boxes[:, 2:] - boxes[:, :2], 0), axis=1)


def box_intersections(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(N, M) areas, in square pixels, that boxes ``a`` (N, 4) and ``b`` (M, 4) share."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    return np.prod(np.maximum(high - low, 0), axis=2)


def box_iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(N, M) intersection over union of ``a`` (N, 4) and ``b`` (M, 4); 0 for empty boxes."""
    shared = box_intersections(a, b)
    union = _areas(a)[:, None] + _areas(b)[None, :] - shared
    return shared / np.where(union > 0, union, 1)


def covered_by_crowd(boxes: np.ndarray, crowd: np.ndarray, threshold: float) -> np.ndarray:
    """Which boxes lie in a region annotated as a crowd, as COCO decides it.

    Args:
        boxes: (N, 4).
        crowd: (M, 4), boxes with ``iscrowd``.
        threshold: share of a box's own area that one crowd box must cover, in (0, 1].

    Returns:
        (N,) bool.
    """
    own = _areas(boxes)[:, None]
    share = box_intersections(boxes, crowd) / np.where(own > 0, own, 1)
    return (share >= threshold).any(axis=1)


def match_greedily(affinity: np.ndarray, order: np.ndarray, threshold: float) -> np.ndarray:
    """Give each prediction in turn the free person that suits it best.

    Args:
        affinity: (N, M) of N predictions and M people, larger is better: IoU, or a negated
            distance.
        order: (N,) permutation: the predictions in the order in which they choose.
        threshold: least affinity of a match.

    Returns:
        (N,) index of the matched person, -1 for none.  Among equal affinities the person with
        the lowest index is taken.
    """
    matches = np.full(affinity.shape[0], -1, dtype=np.int64)
    # People are only ever taken away, so whoever has no candidate left never gets one, and the
    # next match is always that of the first in order who still has one.
    candidates = affinity[order] >= threshold
    while candidates.any():
        turn = int(np.argmax(candidates.any(axis=1)))
        prediction = order[turn]
        person = int(np.argmax(np.where(candidates[turn], affinity[prediction], -np.inf)))
        matches[prediction] = person
        candidates[turn] = False
        candidates[:, person] = False
    return matches


def match_boxes(
    boxes: np.ndarray, scores: np.ndarray, gt_boxes: np.ndarray, iou_threshold: float
) -> np.ndarray:
    """Match predictions to people: by descending score, each takes the free person of best IoU.

    Equal scores are ordered by the boxes' coordinates, so that the order in which predictions
    are given changes nothing.

    Args:
        boxes: (N, 4), clipped to the image as ``gt_boxes`` are.
        scores: (N,).
        gt_boxes: (M, 4).
        iou_threshold: least IoU of a match, in (0, 1].

    Returns:
        (N,) index into ``gt_boxes``, -1 for none.
    """
    order = np.lexsort((*boxes.T[::-1], -scores))
    return match_greedily(box_iou(boxes, gt_boxes), order, iou_threshold)
