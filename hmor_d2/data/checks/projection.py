"""Do the 2D joints lie where the camera shows the 3D joints?"""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np

from ..projection import NEAREST_MM
from .people import People
from .rows import Check, note, skip

__all__ = ["ProjectionCheck", "reprojection_errors", "undistortion_errors"]

# Hips and spine of MPI-INF-3DHP, and so of MuCo-3DHP and MuPoTS-3D: in 3D they were moved to the
# skeleton of the subject, in 2D not, so that they are off by some pixels (and by hundreds for the
# spine in MuPoTS TS1 and TS2).  These joints are reported, not judged.
_LOOSE_JOINTS = dict.fromkeys(("muco17", "muco21"), ("right_hip", "left_hip", "spine"))
_MAX_UNDISTORTION_PX = 1e-3


class ProjectionCheck:
    """Collects, over all people, how far 2D joints are from the projections of the 3D ones.

    Args:
        max_median_px, max_worst_px: limits over all joints that are judged.
    """

    def __init__(self, max_median_px: float, max_worst_px: float):
        self.max_median_px, self.max_worst_px = max_median_px, max_worst_px
        self._errors: dict[str, list[np.ndarray]] = defaultdict(list)
        self._loose: set[str] = set()
        self._undistortion: list[np.ndarray] = []
        self._bend = 0.0  # the longest way a lens moves a joint, pixels
        self._people = self._behind = self._without_camera = 0

    def add(self, people: People) -> None:
        self._people += int(people.valid.any(axis=1).sum())
        errors = reprojection_errors(people)
        names = people.skeleton.joint_names
        for column, name in zip(errors.T, names, strict=True):
            self._errors[name].append(column[~np.isnan(column)])
        self._loose.update(_LOOSE_JOINTS.get(people.skeleton.name, ()))
        known = people.valid & (people.keypoints[..., 2] > 0)
        self._behind += int((known & (people.joints[..., 2] <= 0)).sum())
        has_camera = ~np.isnan(people.intrinsics).any(axis=1)
        self._without_camera += int((people.valid.any(axis=1) & ~has_camera).sum())
        returned, moved = undistortion_errors(people)
        self._undistortion.append(returned)
        self._bend = max(self._bend, moved)

    def by_joint(self) -> dict[str, dict[str, Any]]:
        """Count, median and worst error in pixels of each joint that could be compared."""
        result = {}
        for name, parts in self._errors.items():
            errors = np.concatenate(parts)
            if len(errors):
                median, worst = float(np.median(errors)), float(errors.max())
                result[name] = {"count": len(errors), "median_px": median, "worst_px": worst}
        return result

    def rows(self) -> list[Check]:
        if not self._people:
            return [skip("2D joints against 3D joints", "no 3D joints")]
        rows = [
            Check.judged("3D people without a camera", f"{self._without_camera}", "0",
                         self._without_camera == 0),
            Check.judged("labelled joints behind the camera", f"{self._behind}", "0",
                         self._behind == 0),
        ]  # fmt: skip
        errors = {name: np.concatenate(parts) for name, parts in self._errors.items()}
        rows += self._reprojection_rows(errors)
        undistortion = np.concatenate(self._undistortion or [np.zeros(0, np.float32)])
        if len(undistortion):
            rows.append(
                Check.judged(
                    "distorted and back by OpenCV, worst",
                    f"{undistortion.max():.1e} px (the lens moves joints up to {self._bend:.0f})",
                    f"<= {_MAX_UNDISTORTION_PX} px",
                    bool(undistortion.max() <= _MAX_UNDISTORTION_PX),
                )
            )
        else:
            rows.append(skip("distorted and back by OpenCV, worst", "no lens distortion"))
        return rows

    def _reprojection_rows(self, errors: Mapping[str, np.ndarray]) -> list[Check]:
        judged = [errors[name] for name in errors if name not in self._loose]
        joined = np.concatenate(judged or [np.zeros(0, np.float32)])
        if not len(joined):
            reason = "no joint known in 2D and 3D"
            return [skip(f"reprojection, {what}", reason) for what in ("median", "worst")]
        median, worst = float(np.median(joined)), float(joined.max())
        worst_joint = max(
            (name for name in errors if name not in self._loose),
            key=lambda name: errors[name].max(initial=-1.0),
        )
        rows = [
            Check.judged("reprojection, median", f"{median:.3g} px of {len(joined)} joints",
                         f"<= {self.max_median_px:g} px", median <= self.max_median_px),
            Check.judged("reprojection, worst", f"{worst:.3g} px ({worst_joint})",
                         f"<= {self.max_worst_px:g} px", worst <= self.max_worst_px),
        ]  # fmt: skip
        for name in sorted(self._loose & {name for name, found in errors.items() if len(found)}):
            found = errors[name]
            value = f"median {np.median(found):.3g} px, worst {found.max():.3g} px"
            rows.append(note(f"reprojection of {name}", value))
        return rows


def reprojection_errors(people: People) -> np.ndarray:
    """Distance of each 2D joint from the pinhole projection of its 3D joint.

    Returns:
        (P, J) float32 pixels; NaN where a joint is not known in both (v > 0 and valid), its
        image has no intrinsics, or it is nearer than 100 mm to the camera plane.
    """
    depth = people.joints[..., 2].astype(np.float64)
    comparable = people.valid & (people.keypoints[..., 2] > 0) & (depth >= NEAREST_MM)
    scale = people.intrinsics[:, None, :2] / np.where(comparable, depth, 1.0)[..., None]
    pixels = people.joints[..., :2] * scale + people.intrinsics[:, None, 2:]
    errors = np.hypot(*np.moveaxis(pixels - people.keypoints[..., :2], -1, 0))
    return np.where(comparable, errors, np.nan).astype(np.float32)


def undistortion_errors(people: People) -> tuple[np.ndarray, float]:
    """The way through the distorted picture, by OpenCV, which the loaders do not use for it.

    Each 3D joint is projected into the distorted picture (``cv2.projectPoints``) and taken back
    (``cv2.undistortPoints``); it should meet the annotated keypoint, as records describe the
    undistorted image.  Compared are joints inside that image (v = 2); beyond its border the
    lens model need not be invertible.

    Returns:
        (N,) float32 distances in pixels of the N joints compared, and the longest distance
        between a joint's distorted and undistorted place.
    """
    shown = people.valid & (people.keypoints[..., 2] == 2) & (people.joints[..., 2] >= NEAREST_MM)
    lenses = np.hstack((people.intrinsics, people.distortion))
    bent = (np.nan_to_num(people.distortion) != 0).any(axis=1) & ~np.isnan(lenses).any(axis=1)
    bent &= shown.any(axis=1)
    if not bent.any():
        return np.zeros(0, np.float32), 0.0
    distinct, owner = np.unique(lenses[bent], axis=0, return_inverse=True)
    errors, moved = [], 0.0
    for number, (fx, fy, cx, cy, *distortion) in enumerate(distinct):
        rows = np.flatnonzero(bent)[owner.ravel() == number]
        # OpenCV counts pixels by index: the principal point is half a pixel less there.
        matrix = np.array([[fx, 0, cx - 0.5], [0, fy, cy - 0.5], [0, 0, 1]])
        lens = np.array(distortion)
        joints = people.joints[rows][shown[rows]].astype(np.float64)
        distorted, _ = cv2.projectPoints(joints, np.zeros(3), np.zeros(3), matrix, lens)
        returned = _undistort(distorted, matrix, lens)[:, 0] + 0.5
        errors.append(np.linalg.norm(returned - people.keypoints[rows][shown[rows], :2], axis=1))
        moved = max(moved, float(np.linalg.norm(returned - 0.5 - distorted[:, 0], axis=1).max()))
    return np.concatenate(errors).astype(np.float32), moved


def _undistort(points: np.ndarray, matrix: np.ndarray, lens: np.ndarray) -> np.ndarray:
    """``cv2.undistortPoints`` to convergence; its default of 5 iterations is off by pixels."""
    criteria = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 500, 1e-9)
    # The version with criteria has a name of its own in OpenCV 4.
    undistort = getattr(cv2, "undistortPointsIter", cv2.undistortPoints)
    return undistort(points, matrix, lens, R=np.eye(3), P=matrix, criteria=criteria)
