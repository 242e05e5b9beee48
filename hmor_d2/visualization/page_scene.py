"""What a page tells about a scene beyond the poses: the ground, people's depth and height."""

from dataclasses import dataclass

import numpy as np

from ..skeleton import Skeleton

__all__ = ["GroundPlane", "body_height", "estimate_ground", "median_ground", "root_positions"]

_ANKLE_HEIGHT = 80.0  # mm from the sole to the ankle joint
# Scale of a foot's distance from the ground (mm), and of the ground's slope that is expected of
# cameras without looking at feet: people roll a camera little and pitch it often.
_FOOT_SCALE, _ROLL_SLOPE, _PITCH_SLOPE = 80.0, 0.05, 0.3
_EYE_LEVEL = 1500.0  # mm; height of the camera above the ground where nobody is seen


@dataclass(frozen=True)
class GroundPlane:
    """The plane Y = height + slope_x X + slope_z Z in the camera frame, mm.

    Attributes:
        people: how many people's feet it was laid through; 0 where it is a mere guess.
    """

    height: float
    slope_x: float = 0.0
    slope_z: float = 0.0
    people: int = 0

    @property
    def axes(self) -> np.ndarray:
        """(3, 3) rows right, forward and up: orthonormal, up is the plane's normal.

        Seen from above, forward is where the camera looks.
        """
        up = np.array([self.slope_x, -1.0, self.slope_z])
        up /= np.linalg.norm(up)
        forward = np.array([0.0, 0.0, 1.0]) - up[2] * up
        forward /= np.linalg.norm(forward)
        return np.stack([np.cross(forward, up), forward, up])

    @property
    def camera_height(self) -> float:
        """Distance of the camera above the plane, mm; negative below it."""
        return self.height / float(np.linalg.norm([self.slope_x, 1.0, self.slope_z]))

    @property
    def camera_pitch_deg(self) -> float:
        """Degrees by which the camera looks downwards."""
        return float(np.degrees(np.arcsin(-self.axes[2, 2])))


def estimate_ground(poses_cam: np.ndarray, skeleton: Skeleton) -> GroundPlane:
    """Lay the ground through people's feet.

    Each person gives one point, 80 mm below the lower ankle (the lowest joint where no ankle is
    known).  A robust regression (Cauchy weights) lays the plane through the points; a prior on
    its slopes keeps the ground level with the camera where feet say little, exactly so for one
    person or people at one place.

    Args:
        poses_cam: (N, J, 3) mm in the camera frame; joints that are not finite are unknown.
        skeleton: names of the J joints.
    """
    finite = np.isfinite(poses_cam).all(axis=-1)
    ankles = np.array([name.endswith("_ankle") for name in skeleton.joint_names])
    candidates = np.where((finite & ankles).any(axis=1, keepdims=True), finite & ankles, finite)
    poses_cam, candidates = poses_cam[finite.any(axis=1)], candidates[finite.any(axis=1)]
    if not len(poses_cam):
        return GroundPlane(_EYE_LEVEL)
    lowest = np.where(candidates, poses_cam[..., 1], -np.inf).argmax(axis=1)
    x, y, z = poses_cam[np.arange(len(lowest)), lowest].astype(np.float64).T
    y = y + _ANKLE_HEIGHT
    centre = np.array([x.mean(), z.mean()])
    design = np.column_stack([np.ones_like(x), x - centre[0], z - centre[1]])
    prior = np.diag([0.0, (_FOOT_SCALE / _ROLL_SLOPE) ** 2, (_FOOT_SCALE / _PITCH_SLOPE) ** 2])
    weights = np.ones_like(x)
    for _ in range(30):
        normal = (design.T * weights) @ design + prior
        solution = np.linalg.solve(normal, (design.T * weights) @ y)
        weights = 1 / (1 + ((y - design @ solution) / _FOOT_SCALE) ** 2)
    level, slope_x, slope_z = solution
    height = level - slope_x * centre[0] - slope_z * centre[1]
    return GroundPlane(float(height), float(slope_x), float(slope_z), len(x))


def median_ground(grounds: list[GroundPlane]) -> GroundPlane:
    """One ground for all frames of a video: the median of theirs, of frames that have people."""
    found = [ground for ground in grounds if ground.people]
    if not found:
        return GroundPlane(_EYE_LEVEL)
    values = np.median([(g.height, g.slope_x, g.slope_z) for g in found], axis=0)
    return GroundPlane(*values.tolist(), max(ground.people for ground in found))


def root_positions(poses_cam: np.ndarray, skeleton: Skeleton) -> np.ndarray:
    """(N, 3) mm: the root joint; the mean of the known joints where the root is unknown.

    NaN for people without any known joint.
    """
    known = np.isfinite(poses_cam).all(axis=-1)
    count = known.sum(axis=1, keepdims=True)
    mean = np.where(known[..., None], poses_cam, 0).sum(axis=1) / np.where(count, count, np.nan)
    if skeleton.root_index is None:
        return mean
    root = poses_cam[:, skeleton.root_index]
    return np.where(known[:, skeleton.root_index, None], root, mean)


def body_height(poses_cam: np.ndarray, skeleton: Skeleton) -> np.ndarray:
    """(N,) mm: length of head, trunk and legs, which posture changes little; NaN if unknown.

    The sum of head top to neck, neck to pelvis, the mean of both legs' hip to knee to ankle, and
    80 mm for the foot.  The convention must have ``head_top``, ``neck`` and ``pelvis``.
    """
    names = skeleton.joint_names
    chains = [("head_top", "neck", "pelvis")]
    chains += [tuple(f"{side}_{j}" for j in ("hip", "knee", "ankle")) for side in ("left", "right")]
    if not all(name in names for chain in chains for name in chain):
        return np.full(len(poses_cam), np.nan)

    def length(chain: tuple[str, ...]) -> np.ndarray:
        points = poses_cam[:, [names.index(name) for name in chain]]
        return np.linalg.norm(np.diff(points, axis=1), axis=-1).sum(axis=1)

    trunk, left, right = map(length, chains)
    legs = np.stack([left, right])
    count = np.isfinite(legs).sum(axis=0)
    leg = np.where(np.isfinite(legs), legs, 0).sum(axis=0) / np.where(count, count, np.nan)
    return trunk + leg + _ANKLE_HEIGHT
