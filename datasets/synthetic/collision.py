"""Do two people overlap?  Bodies as capsules whose radii are measured on the subject."""

import math
from functools import lru_cache

import numpy as np

from .assets import Assets, Subject
from .compiling import kernel
from .rig import JOINT_NAMES, SEGMENT_INDEX

_CLOTH = 0.008  # metres that clothes add


# The points that capsules hang on: the joints, and keypoints of the feet's skin.
_FEET = [
    f"{side}_{name}" for name in ("big_toe", "small_toe", "heel") for side in ("left", "right")
]
_POINTS = (*JOINT_NAMES, *_FEET)


# Axis ends as mixtures of joints, and the segments whose skin the capsule stands for.
def _capsule_table():
    torso = ("pelvis", "spine", "chest")
    table = [
        ({"pelvis": 0.85, "left_hip": 0.6, "right_hip": -0.45},
         {"neck": 0.85, "left_shoulder": 0.45, "right_shoulder": -0.30}, torso),
        ({"pelvis": 0.85, "right_hip": 0.6, "left_hip": -0.45},
         {"neck": 0.85, "right_shoulder": 0.45, "left_shoulder": -0.30}, torso),
        ({"neck": 1.0}, {"head": 1.0}, ("neck",)),
        ({"head": 0.55, "head_top": 0.45}, {"head": 0.3, "head_top": 0.7}, ("head",)),
    ]  # fmt: skip
    for side, s in (("left", "L"), ("right", "R")):
        chains = (
            (f"{side}_shoulder", f"{side}_elbow", (f"upper_arm_a.{s}", f"upper_arm.{s}")),
            (f"{side}_elbow", f"{side}_wrist", (f"forearm_a.{s}", f"forearm.{s}")),
            (f"{side}_hip", f"{side}_knee", (f"thigh_a.{s}", f"thigh.{s}")),
            (f"{side}_knee", f"{side}_ankle", (f"shin.{s}",)),
        )
        table += [({a: 1.0}, {b: 1.0}, segments) for a, b, segments in chains]
        toes = {f"{side}_big_toe": 0.5, f"{side}_small_toe": 0.5}
        table.append(({f"{side}_heel": 0.6, f"{side}_ankle": 0.4}, toes, (f"foot.{s}",)))
        # The hand goes on where the forearm points.
        wrist, elbow = f"{side}_wrist", f"{side}_elbow"
        table.append(({wrist: 1.0}, {wrist: 1.55, elbow: -0.55}, (f"hand.{s}",)))
    return table


_TABLE = _capsule_table()
_MIX = np.zeros((2, len(_TABLE), len(_POINTS)))
for _k, (_start, _end, _) in enumerate(_TABLE):
    for _e, _ends in enumerate((_start, _end)):
        for _name, _weight in _ends.items():
            _MIX[_e, _k, _POINTS.index(_name)] = _weight
_MIX /= _MIX.sum(axis=2, keepdims=True)


def _distance_to_segment(points: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    axis = b - a
    t = np.clip(((points - a) @ axis) / (axis @ axis), 0, 1)
    return np.linalg.norm(points - a - t[:, None] * axis, axis=1)


@lru_cache(maxsize=2)
def _members(assets: Assets) -> list[np.ndarray]:
    """For each capsule: the body's vertices that its segments move most."""
    strongest = assets.influences[assets.skin_vertices, 0]
    segments = [[SEGMENT_INDEX[name] for name in names] for _, _, names in _TABLE]
    return [assets.skin_vertices[np.isin(strongest, own)] for own in segments]


@lru_cache(maxsize=128)
def capsule_radii(assets: Assets, subject_index: int) -> np.ndarray:
    """(C,) radii in metres: the 75th percentile of the skin's distance from the axis."""
    subject: Subject = assets.subjects[subject_index]
    feet = subject.keypoint_moments[17:, :, :3].sum(axis=1)
    ends = capsule_ends(subject.joints, feet)
    radii = []
    for k, members in enumerate(_members(assets)):
        skin = subject.vertices[members]
        distance = _distance_to_segment(skin, ends[0, k], ends[1, k])
        if k < 2:  # of the torso, only the half around this axis
            other = _distance_to_segment(skin, ends[0, 1 - k], ends[1, 1 - k])
            distance = distance[distance <= other]
        radii.append(np.percentile(distance, 75) + _CLOTH)
    return np.array(radii)


def capsule_ends(joints: np.ndarray, feet: np.ndarray) -> np.ndarray:
    """(2, C, 3) ends of the capsules' axes of a person.

    Args:
        joints: (17, 3); feet: (6, 3) big toes, small toes and heels, of each the left first.
    """
    return _MIX @ np.concatenate([joints, feet])


@kernel
def penetration(ends_a, radii_a, ends_b, radii_b):
    """How deep two people's capsules overlap, metres; negative: the gap between them.

    Closest points of pairs of line segments as in Ericson, Real-Time Collision Detection, 5.1.9.

    Args:
        ends_a, ends_b: (2, C, 3) as of :func:`capsule_ends`; radii_a, radii_b: (C,).
    """
    deepest = -np.inf
    for i in range(np.uint64(len(radii_a))):
        px, py, pz = ends_a[0, i, 0], ends_a[0, i, 1], ends_a[0, i, 2]
        ux, uy, uz = ends_a[1, i, 0] - px, ends_a[1, i, 1] - py, ends_a[1, i, 2] - pz
        a = ux * ux + uy * uy + uz * uz
        for j in range(np.uint64(len(radii_b))):
            qx, qy, qz = ends_b[0, j, 0], ends_b[0, j, 1], ends_b[0, j, 2]
            vx, vy, vz = ends_b[1, j, 0] - qx, ends_b[1, j, 1] - qy, ends_b[1, j, 2] - qz
            wx, wy, wz = px - qx, py - qy, pz - qz
            e = vx * vx + vy * vy + vz * vz
            b = ux * vx + uy * vy + uz * vz
            c = ux * wx + uy * wy + uz * wz
            f = vx * wx + vy * wy + vz * wz
            denominator = a * e - b * b
            s = (b * f - c * e) / (denominator + 1e-12) if denominator > 1e-9 else 0.0
            s = min(max(s, 0.0), 1.0)
            t = min(max((b * s + f) / e, 0.0), 1.0)
            s = min(max((b * t - c) / a, 0.0), 1.0)
            x, y, z = wx + s * ux - t * vx, wy + s * uy - t * vy, wz + s * uz - t * vz
            gap = math.sqrt(x * x + y * y + z * z)
            deepest = max(deepest, radii_a[i] + radii_b[j] - gap)
    return deepest
