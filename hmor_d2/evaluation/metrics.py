"""Errors of 3D poses, as pure functions of numpy arrays over N people at once.

Shapes: N people, J joints.  Lengths are millimetres in the camera frame (X right, Y down, Z
forward), although nothing here depends on the unit.  ``valid`` marks the joints of the ground
truth that are known; coordinates of the others are never read and may be NaN.  Functions return
one figure a person, NaN where it is not defined, so that each protocol averages as it must.
Numpy alone.
"""

import numpy as np

__all__ = [
    "align_procrustes",
    "has_rigid_shape",
    "joint_distances",
    "mean_or_nan",
    "mpjpe",
    "ordinal_accuracy",
    "pa_mpjpe",
    "pairs_within_groups",
    "pck",
    "root_errors",
    "share",
]

# Singular values of a person's joints below this share of the largest count as zero.  Rounding
# of float32 millimetres at 10 m leaves a share of about 1e-6 in joints that lie on a line.
_COLLINEAR_TOLERANCE = 1e-5


def mean_or_nan(values: np.ndarray) -> float:
    """Mean of the entries that are not NaN; NaN, without a warning, where there are none."""
    values = values[~np.isnan(values)]
    return float(values.mean()) if values.size else float("nan")


def share(part: float, whole: float) -> float:
    """``part / whole``, NaN where there is nothing to have a part of."""
    return float(part / whole) if whole else float("nan")


def joint_distances(pred: np.ndarray, gt: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Euclidean distance of every joint.

    Args:
        pred: (N, J, D).
        gt: (N, J, D).
        valid: (N, J) bool.

    Returns:
        (N, J), NaN where a joint is not valid.

    Raises:
        ValueError: if the shapes do not agree.
    """
    if pred.shape != gt.shape or pred.shape[:2] != valid.shape:
        raise ValueError(
            "pred and gt must have the same shape (N, J, D) and valid (N, J), found "
            f"{pred.shape}, {gt.shape} and {valid.shape}"
        )
    return np.where(valid, np.linalg.norm(pred - gt, axis=-1), np.nan)


def _mean_over_joints(distances: np.ndarray) -> np.ndarray:
    """(N, J) with NaN for joints that do not count to (N,), NaN where no joint counts."""
    counted = ~np.isnan(distances)
    total = np.where(counted, distances, 0).sum(axis=1)
    number = counted.sum(axis=1)
    return np.where(number > 0, total / np.maximum(number, 1), np.nan)


def mpjpe(
    pred: np.ndarray, gt: np.ndarray, valid: np.ndarray, root_index: int | None = None
) -> np.ndarray:
    """Mean per-joint position error: MPJPE with a root, ABS-MPJPE (section 4.3) without.

    With a root, the root joint is subtracted from the prediction and from the ground truth.  It
    stays in the mean, with error 0, as is usual on Human3.6M.

    Args:
        pred: (N, J, 3) mm.
        gt: (N, J, 3) mm.
        valid: (N, J) bool.
        root_index: joint to align, or None to compare absolute positions.

    Returns:
        (N,) mm, the mean over a person's valid joints.  NaN where none is valid and, with a
        root, where the root is not valid or no other joint is.
    """
    distances = joint_distances(pred, gt, valid)
    if root_index is None:
        return _mean_over_joints(distances)
    root = slice(root_index, root_index + 1)
    distances = joint_distances(pred - pred[:, root], gt - gt[:, root], valid)
    defined = valid[:, root_index] & (valid.sum(axis=1) > 1)
    return np.where(defined, _mean_over_joints(distances), np.nan)


def _centred(points: np.ndarray, valid: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Points minus the mean of the valid ones, zero where invalid; and the (N, 1, 3) means."""
    points = np.where(valid[..., None], points, 0)
    number = np.maximum(valid.sum(axis=1), 1)[:, None, None]
    mean = points.sum(axis=1, keepdims=True) / number
    return np.where(valid[..., None], points - mean, 0), mean


def has_rigid_shape(poses: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """(N,) bool: at least three valid joints that do not lie on a line, which fix a rotation."""
    if len(poses) == 0:
        return np.zeros(0, dtype=bool)
    centred, _ = _centred(poses, valid)
    # Not from the 3x3 second moment: it squares the ratio, to below float64's resolution.
    values = np.linalg.svd(centred, compute_uv=False)
    return values[:, 1] > _COLLINEAR_TOLERANCE * values[:, 0]


def align_procrustes(
    pred: np.ndarray, gt: np.ndarray, valid: np.ndarray, with_scale: bool = True
) -> np.ndarray:
    """Move each person of ``pred`` onto ``gt`` by the best rotation, translation and scale.

    Best in the sum of squared distances over the valid joints (orthogonal Procrustes; Umeyama,
    PAMI 1991).  Only proper rotations: a mirrored person is not turned into its reflection.

    A prediction without shape of its own (joints on a line or in one point) still has a best
    placement, and is scored with it.  A ground truth of fewer than three valid joints, or of
    joints on a line, leaves the rotation open: no alignment is defined.

    Args:
        pred: (N, J, 3) mm.
        gt: (N, J, 3) mm.
        valid: (N, J) bool, joints that the alignment is fitted on; it moves the others too.
        with_scale: False fits rotation and translation alone (Human3.6M as packaged by Moon).

    Returns:
        (N, J, 3) mm; NaN for people whose ground truth defines no alignment.
    """
    if len(pred) == 0:
        return np.array(pred, dtype=np.float64)
    pred_centred, pred_mean = _centred(pred, valid)
    gt_centred, gt_mean = _centred(gt, valid)
    u, s, vt = np.linalg.svd(pred_centred.transpose(0, 2, 1) @ gt_centred)
    # Of the two orthogonal matrices U diag(1, 1, +-1) V^T one is a reflection.  Giving up the
    # smallest singular value costs least.
    handedness = np.sign(np.linalg.det(u @ vt))
    u[:, :, 2] *= handedness[:, None]
    s[:, 2] *= handedness
    scale = np.ones(len(pred))
    if with_scale:
        spread = (pred_centred**2).sum(axis=(1, 2))
        scale = np.where(spread > 0, s.sum(axis=1) / np.where(spread > 0, spread, 1), 0)
    aligned = scale[:, None, None] * ((pred - pred_mean) @ (u @ vt)) + gt_mean
    return np.where(has_rigid_shape(gt, valid)[:, None, None], aligned, np.nan)


def pa_mpjpe(
    pred: np.ndarray, gt: np.ndarray, valid: np.ndarray, with_scale: bool = True
) -> np.ndarray:
    """MPJPE after :func:`align_procrustes`, whose arguments it takes.

    Returns:
        (N,) mm; NaN for people whose ground truth defines no alignment.
    """
    return mpjpe(align_procrustes(pred, gt, valid, with_scale), gt, valid)


def root_errors(
    pred: np.ndarray, gt: np.ndarray, valid: np.ndarray, root_index: int
) -> tuple[np.ndarray, np.ndarray]:
    """Root position error, the summand of MRPE (Moon et al., ICCV 2019).

    Args:
        pred: (N, J, 3) mm.
        gt: (N, J, 3) mm.
        valid: (N, J) bool.
        root_index: the root joint.

    Returns:
        (N,) distances and (N, 3) absolute differences along X, Y and Z, mm; NaN where the root
        is not valid.
    """
    difference = np.abs(pred[:, root_index] - gt[:, root_index])
    difference = np.where(valid[:, root_index, None], difference, np.nan)
    return np.linalg.norm(difference, axis=1), difference


def pck(
    pred: np.ndarray, gt: np.ndarray, valid: np.ndarray, radius: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Correct joints: those nearer to the truth than a radius of each person's own.

    Args:
        pred: (N, J, D), pixels or mm.
        gt: (N, J, D).
        valid: (N, J) bool.
        radius: (N,), same unit; people with NaN or a radius that is not positive are left out.

    Returns:
        (N,) number of correct joints and (N,) number of counted joints.  Summing both before
        dividing weighs joints alike, dividing before averaging weighs people alike.
    """
    counted = valid & (radius > 0)[:, None]
    correct = joint_distances(pred, gt, valid) < radius[:, None]
    return (correct & counted).sum(axis=1), counted.sum(axis=1)


def pairs_within_groups(group: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Indices (a, b) of every unordered pair of entries of the same group, such as an image.

    Args:
        group: (N,) integers, in any order.

    Returns:
        two (P,) arrays of indices into ``group``.
    """
    order = np.argsort(group, kind="stable")
    ordered = group[order]
    position = np.arange(len(group))
    # Entry i is paired with the entries between it and the end of its group.
    later = np.searchsorted(ordered, ordered, side="right") - position - 1
    first = np.repeat(position, later)
    rank = np.arange(len(first)) - np.repeat(np.cumsum(later) - later, later)
    return order[first], order[first + 1 + rank]


def ordinal_accuracy(
    pred_depth: np.ndarray, gt_depth: np.ndarray, group: np.ndarray
) -> tuple[int, int]:
    """Pairs of people in an image whose order in depth is right.

    Args:
        pred_depth: (N,) root depths, mm.
        gt_depth: (N,) root depths, mm.
        group: (N,) image of each person.

    Returns:
        number of pairs in the right order, and number of pairs whose true depths differ.  A tie
        of the predicted depths is wrong.
    """
    a, b = pairs_within_groups(group)
    truth = np.sign(gt_depth[a] - gt_depth[b])
    right = np.sign(pred_depth[a] - pred_depth[b]) == truth
    ordered = truth != 0
    return int((right & ordered).sum()), int(ordered.sum())
