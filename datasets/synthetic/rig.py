"""The rig: which rigid segments move a body, where they turn, and which joints they carry.

MakeHuman's 104 bones are merged into 25 segments.  A segment turns about a joint of the ground
truth, so the bones between neighbouring joints keep their length in every pose.  The helper
segments ``*_a`` share the joint of their neighbours and take half of a limb's twist, which keeps
the skin from wringing.
"""

import numpy as np

SIDES = ("L", "R")
TRUNK = ("pelvis", "spine", "chest", "neck", "head")
LIMBS = ("clavicle", "upper_arm_a", "upper_arm", "forearm_a", "forearm", "hand", "thigh_a", "thigh",
         "shin", "foot")  # fmt: skip
SEGMENTS = (*TRUNK, *(f"{limb}.{side}" for side in SIDES for limb in LIMBS))
SEGMENT_INDEX = {name: i for i, name in enumerate(SEGMENTS)}

_TRUNK_PARENTS = {"pelvis": None, "spine": "pelvis", "chest": "spine", "neck": "chest"}
_LIMB_PARENTS = {
    "upper_arm_a": "clavicle",
    "upper_arm": "clavicle",
    "forearm_a": "upper_arm",
    "forearm": "upper_arm",
    "hand": "forearm",
    "shin": "thigh",
    "foot": "shin",
}
_ROOTS_OF_LIMBS = {"clavicle": "chest", "thigh_a": "pelvis", "thigh": "pelvis"}


def _parent(segment: str) -> int:
    if segment in TRUNK:
        parent = "neck" if segment == "head" else _TRUNK_PARENTS[segment]
        return -1 if parent is None else SEGMENT_INDEX[parent]
    limb, side = segment.split(".")
    if limb in _ROOTS_OF_LIMBS:
        return SEGMENT_INDEX[_ROOTS_OF_LIMBS[limb]]
    return SEGMENT_INDEX[f"{_LIMB_PARENTS[limb]}.{side}"]


# Parents come before their children.
PARENTS = np.array([_parent(segment) for segment in SEGMENTS])
# Segment of the other side: exchanged when a motion is mirrored.
MIRRORED = np.array(
    [SEGMENT_INDEX[s[:-1] + {"L": "R", "R": "L"}[s[-1]] if "." in s else s] for s in SEGMENTS]
)

# The joints of muco17 and the segment that carries each.
JOINTS = {
    "head_top": "head",
    "neck": "chest",
    "right_shoulder": "clavicle.R",
    "right_elbow": "upper_arm.R",
    "right_wrist": "forearm.R",
    "left_shoulder": "clavicle.L",
    "left_elbow": "upper_arm.L",
    "left_wrist": "forearm.L",
    "right_hip": "pelvis",
    "right_knee": "thigh.R",
    "right_ankle": "shin.R",
    "left_hip": "pelvis",
    "left_knee": "thigh.L",
    "left_ankle": "shin.L",
    "pelvis": "pelvis",
    "spine": "spine",
    "head": "neck",
}
JOINT_NAMES = tuple(JOINTS)
JOINT_SEGMENTS = np.array([SEGMENT_INDEX[segment] for segment in JOINTS.values()])

# COCO's joints, regressed from the skin.
COCO_NAMES = (
    "nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder",
    "left_elbow", "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip",
    "left_knee", "right_knee", "left_ankle", "right_ankle",
)  # fmt: skip

# The joint that each segment turns about.
_PIVOTS = {
    "pelvis": "pelvis",
    "spine": "pelvis",
    "chest": "spine",
    "neck": "neck",
    "head": "head",
    "clavicle": "neck",
    "upper_arm_a": "shoulder",
    "upper_arm": "shoulder",
    "forearm_a": "elbow",
    "forearm": "elbow",
    "hand": "wrist",
    "thigh_a": "hip",
    "thigh": "hip",
    "shin": "knee",
    "foot": "ankle",
}


def _pivot_joint(segment: str) -> int:
    limb, _, side = segment.partition(".")
    joint = _PIVOTS[limb]
    if joint not in JOINTS:
        joint = {"L": "left_", "R": "right_"}[side] + joint
    return JOINT_NAMES.index(joint)


PIVOT_JOINTS = np.array([_pivot_joint(segment) for segment in SEGMENTS])

# Pairs of joints whose distance is the same in every pose of a subject.
BONES = tuple(
    (JOINT_NAMES.index(a), JOINT_NAMES.index(b))
    for chain in (
        "pelvis spine neck head head_top",
        *(
            f"{start} {side}_{a} {side}_{b} {side}_{c}"
            for side in ("left", "right")
            for start, a, b, c in (
                ("neck", "shoulder", "elbow", "wrist"),
                ("pelvis", "hip", "knee", "ankle"),
            )
        ),
    )
    for a, b in zip(chain.split()[:-1], chain.split()[1:], strict=True)
)
