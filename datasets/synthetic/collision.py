"""Do two people overlap?  Bodies as capsules whose radii are measured on the subject."""

from functools import lru_cache

import numpy as np

from .assets import Assets, Subject
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


@lru_cache(maxsize=128)
def capsule_radii(assets: Assets, subject_index: int) -> np.ndarray:
    """(C,) radii in metres: the 75th percentile of the skin's distance from the axis."""
    subject: Subject = assets.subjects[subject_index]
    strongest = assets.influences[:, 0]
    on_body = assets.skin_vertices
    feet = subject.keypoint_moments[17:, :, :3].sum(axis=1)
    ends = capsule_ends(subject.joints, feet)
    radii = []
    for k, (_, _, segments) in enumerate(_TABLE):
        members = on_body[np.isin(strongest[on_body], [SEGMENT_INDEX[s] for s in segments])]
        distance = _distance_to_segment(subject.vertices[members], ends[0, k], ends[1, k])
        if k < 2:  # of the torso, only the half around this axis
            other = _distance_to_segment(subject.vertices[members], ends[0, 1 - k], ends[1, 1 - k])
            distance = distance[distance <= other]
        radii.append(np.percentile(distance, 75) + _CLOTH)
    return np.array(radii)


def capsule_ends(joints: np.ndarray, feet: np.ndarray) -> np.ndarray:
    """(2, C, 3) ends of the capsules' axes of a person.

    Args:
        joints: (17, 3); feet: (6, 3) big toes, small toes and heels, of each the left first.
    """
    return _MIX @ np.concatenate([joints, feet])


def penetration(
    ends_a: np.ndarray, radii_a: np.ndarray, ends_b: np.ndarray, radii_b: np.ndarray
) -> float:
    """How deep two people's capsules overlap, metres; negative: the gap between them.

    Closest points of pairs of line segments as in Ericson, Real-Time Collision Detection, 5.1.9.
    """
    p, q = ends_a[0][:, None], ends_b[0][None]
    u, v = ends_a[1][:, None] - p, ends_b[1][None] - q
    w = p - q
    a, e = (u * u).sum(-1), (v * v).sum(-1)
    b, c, f = (u * v).sum(-1), (u * w).sum(-1), (v * w).sum(-1)
    denominator = a * e - b * b
    s = np.clip(np.where(denominator > 1e-9, (b * f - c * e) / (denominator + 1e-12), 0), 0, 1)
    t = np.clip((b * s + f) / e, 0, 1)
    s = np.clip((b * t - c) / a, 0, 1)
    gap = np.linalg.norm(w + s[..., None] * u - t[..., None] * v, axis=-1)
    return float((radii_a[:, None] + radii_b[None] - gap).max())
