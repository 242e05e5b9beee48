"""Which prediction stands for which annotated person, by their joints: rules of the literature.

Shapes: N predictions, P annotated people, J joints of one image.  Every function returns (P,)
indices of predictions, -1 for people who are missed.  ``valid`` and ``known`` mark joints of the
annotated people; coordinates of the others are not read.  Numpy alone.
"""

import numpy as np

__all__ = [
    "match_by_keypoints",
    "match_by_pixel",
    "match_by_position",
    "match_by_shape",
]


def match_by_shape(
    pred: np.ndarray, gt: np.ndarray, valid: np.ndarray, root_index: int
) -> np.ndarray:
    """CRMH: each person takes the prediction of the nearest root-relative pose, free or not.

    Poses are compared by the root of the summed squared distances of the joints that are valid
    in **all** people of the image.  Nobody is missed where there is any prediction, and one
    prediction may stand for several people (``PanopticEvalHandler`` of CRMH's eval_utils.py).

    Args:
        pred: (N, J, 3) mm.
        gt: (P, J, 3) mm; people without a valid root take nobody and are not regarded.
        valid: (P, J) bool.
        root_index: joint that both are aligned at.
    """
    matches = np.full(len(gt), -1, dtype=np.int64)
    rooted = valid[:, root_index]
    if len(pred) and rooted.any():
        common = valid[rooted].all(axis=0)
        root = slice(root_index, root_index + 1)
        a = (gt[rooted] - gt[rooted, root])[:, common]
        b = (pred - pred[:, root])[:, common]
        distances = ((a[:, None] - b[None]) ** 2).sum(axis=(2, 3))
        matches[rooted] = distances.argmin(axis=1)
    return matches


def match_by_position(
    pred: np.ndarray, scores: np.ndarray, gt: np.ndarray, valid: np.ndarray, limit: float
) -> np.ndarray:
    """HMOR's annotation, as VirtualPose evaluates on it: nearest person in absolute position.

    Predictions are taken by descending score, of equal scores the nearer first.  Each belongs to
    the person of least mean distance over that person's valid joints, whoever has that person
    already; it counts if that distance is below ``limit`` and the person is still free.  It never
    falls back on its second nearest person (``evaluate`` of VirtualPose's panoptic.py).

    Args:
        pred: (N, J, 3) mm.
        scores: (N,).
        gt: (P, J, 3) mm; people without a valid joint are never found.
        valid: (P, J) bool.
        limit: mm.
    """
    matches = np.full(len(gt), -1, dtype=np.int64)
    if not len(pred) or not len(gt):
        return matches
    distances = np.linalg.norm(pred[:, None] - gt[None], axis=-1)
    number = valid.sum(axis=1)
    total = np.where(valid, distances, 0).sum(axis=2)
    distances = np.where(number > 0, total / np.maximum(number, 1), np.inf)  # (N, P)
    nearest = distances.argmin(axis=1)
    least = distances.min(axis=1)
    order = np.lexsort((least, -scores))
    order = order[least[order] < limit]
    people, first = np.unique(nearest[order], return_index=True)
    matches[people] = order[first]
    return matches


def match_by_pixel(pred: np.ndarray, gt: np.ndarray, known: np.ndarray, limit: float) -> np.ndarray:
    """SMAP: pairs of the nearest root joints in the image, the smallest distance first.

    Args:
        pred: (N, 2) root joints, px.
        gt: (P, 2) root joints, px.
        known: (P,) bool; people of unknown root are missed.
        limit: px; a pair's distance is below it.
    """
    matches = np.full(len(gt), -1, dtype=np.int64)
    distances = np.linalg.norm(gt[:, None] - pred[None], axis=-1)
    distances = np.where((distances < limit) & known[:, None], distances, np.inf)
    while np.isfinite(distances).any():
        person, prediction = np.unravel_index(distances.argmin(), distances.shape)
        matches[person] = prediction
        distances[person] = np.inf
        distances[:, prediction] = np.inf
    return matches


def match_by_keypoints(
    pred: np.ndarray, gt: np.ndarray, known: np.ndarray, min_iou: float
) -> np.ndarray:
    """ROMP and BEV: pairs of the nearest 2D poses, the smallest distance first.

    The distance is the root of the summed squared pixel distances of the person's known joints.
    A pair whose boxes around these joints (pixels counted inclusively) overlap less than
    ``min_iou`` is rejected, and the search ends once as many predictions are matched or pairs
    rejected as there are predictions, as in ``match_2d_greedy`` of their eval_cmu_panoptic.py.

    Args:
        pred: (N, J, 2) px.
        gt: (P, J, 2) px; people without a known joint are never found.
        known: (P, J) bool.
        min_iou: least IoU of a pair.
    """
    matches = np.full(len(gt), -1, dtype=np.int64)
    people = np.flatnonzero(known.any(axis=1))
    if not len(pred) or not len(people):
        return matches
    gt, known = gt[people], known[people]
    squares = ((pred[:, None] - gt[None]) ** 2).sum(axis=-1)
    distances = np.sqrt(np.where(known, squares, 0).sum(axis=2))  # (N, P)
    own = _extent(np.broadcast_to(pred[:, None], (*squares.shape, 2)), known[None])
    overlaps = _inclusive_iou(own, _extent(gt, known)[None]) >= min_iou
    free = np.ones(len(pred), dtype=bool)
    rejected = 0
    for pair in distances.ravel().argsort(kind="stable"):
        if not (matches[people] < 0).any() or (~free).sum() + rejected >= len(pred):
            break
        prediction, person = np.unravel_index(pair, distances.shape)
        if not overlaps[prediction, person]:
            rejected += 1
        elif free[prediction] and matches[people[person]] < 0:
            matches[people[person]] = prediction
            free[prediction] = False
    return matches


def _extent(points: np.ndarray, known: np.ndarray) -> np.ndarray:
    """(..., 4) XYXY boxes of the known of the joints (..., J, 2)."""
    low = np.where(known[..., None], points, np.inf).min(axis=-2)
    high = np.where(known[..., None], points, -np.inf).max(axis=-2)
    return np.concatenate((low, high), axis=-1)


def _inclusive_iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """IoU of boxes (..., 4) whose last pixel belongs to them: each side is one pixel longer."""
    low, high = np.maximum(a[..., :2], b[..., :2]), np.minimum(a[..., 2:], b[..., 2:])
    shared = np.maximum(high - low + 1, 0).prod(axis=-1)
    area_a, area_b = ((boxes[..., 2:] - boxes[..., :2] + 1).prod(axis=-1) for boxes in (a, b))
    return shared / (area_a + area_b - shared)
