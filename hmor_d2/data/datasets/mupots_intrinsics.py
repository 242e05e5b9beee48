"""Camera intrinsics of MuPoTS-3D, which its annotation files lack, from its 2D and 3D joints.

``annot2`` is the pinhole projection of ``annot3``, rounded to six digits, for every joint but the
hips (0.4 to 4 px off at the median) and the spine (up to 98 px).  Each image axis is then a line,
x = fx X/Z + cx, and a few thousand joints a sequence fix it to about 0.001 px.
"""

import numpy as np

from ...skeleton import get_skeleton
from ..annotations import check_intrinsics
from ..dataset_error import DatasetError
from .mupots_annotations import MUPOTS_JOINT_SET, MuPoTSSequence

__all__ = ["MUPOTS_PROJECTED_JOINTS", "fit_mupots_intrinsics"]

#: Indices of the joints whose ``annot2`` is the projection of ``annot3``.
MUPOTS_PROJECTED_JOINTS: tuple[int, ...] = tuple(
    index
    for index, name in enumerate(get_skeleton(MUPOTS_JOINT_SET).joint_names)
    if name not in ("right_hip", "left_hip", "spine")
)

# A fit whose residuals are larger is none: other joints were exchanged, or univ_annot3 was taken.
_MAX_MEDIAN_PX = 1.0
# Residuals of rounding alone are below 0.01 px; what exceeds this is another kind of error.
_MIN_INLIER_PX = 0.02
_MAX_STEPS = 100


def fit_mupots_intrinsics(sequence: MuPoTSSequence) -> tuple[float, float, float, float]:
    """Intrinsics of a sequence's camera, by least trimmed squares over all valid people.

    Up to about a third of the joints may be wrong, by any amount, without effect.

    Returns:
        fx, fy, cx, cy in pixels; the principal point in index coordinates, as ``annot2``.

    Raises:
        DatasetError: names the sequence; if nobody is valid, all joints lie in one direction, or
            the median residual of the fit is above 1 px.
    """
    joints = sequence.annot3[sequence.valid][:, MUPOTS_PROJECTED_JOINTS].reshape(-1, 3)
    pixels = sequence.annot2[sequence.valid][:, MUPOTS_PROJECTED_JOINTS].reshape(-1, 2)
    where = f"sequence {sequence.name}"
    if not len(joints):
        raise DatasetError(f"{where}: found no valid person, expected some to fit a camera to")
    ratios = joints[:, :2] / joints[:, 2:]
    if np.ptp(ratios, axis=0).min() < 1e-6:
        raise DatasetError(f"{where}: found all joints in one direction, cannot fit a camera")
    (fx, cx), (fy, cy) = (_fit_line(ratios[:, axis], pixels[:, axis]) for axis in (0, 1))
    residuals = np.hypot(*(ratios * (fx, fy) + (cx, cy) - pixels).T)
    if np.median(residuals) > _MAX_MEDIAN_PX:
        raise DatasetError(
            f"{where}: found annot2 to be {np.median(residuals):.2f} px (median) from the best "
            f"projection of annot3, expected less than {_MAX_MEDIAN_PX} px"
        )
    check_intrinsics((fx, fy, cx, cy), where)
    return fx, fy, cx, cy


def _fit_line(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Slope and intercept of y over x, (N,) each, of which less than half may be outliers.

    Least trimmed squares by concentration steps (Rousseeuw and Van Driessen, 2006): each refits
    the half with the smallest residuals, which cannot increase their sum.  Then one plain fit
    to all inliers.
    """
    half = len(x) // 2 + 1
    chosen = np.arange(len(x))
    for _ in range(_MAX_STEPS):
        slope, intercept = _least_squares(x[chosen], y[chosen])
        residuals = np.abs(slope * x + intercept - y)
        nearest = np.sort(np.argpartition(residuals, half - 1)[:half])
        if np.array_equal(nearest, chosen):
            break
        chosen = nearest
    scale = 1.4826 * np.median(residuals)
    inliers = residuals <= max(3 * scale, _MIN_INLIER_PX)
    return _least_squares(x[inliers], y[inliers])


def _least_squares(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    middle = x.mean()
    centered = x - middle
    slope = centered @ y / (centered @ centered)
    return float(slope), float(y.mean() - slope * middle)
