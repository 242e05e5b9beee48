"""Body and clothes of the asset pack: raw MakeHuman arrays to compact ones on the rig's segments.

Frame of the raw arrays and of the rest pose in the pack: X left, Y back, Z up, metres.
"""

import re
from pathlib import Path

import numpy as np

from .rig import JOINT_NAMES, JOINTS, PIVOT_JOINTS, SEGMENT_INDEX, SEGMENTS

VERTEX_STEP = 5e-5  # metres, the quantum of vertex coordinates
WEIGHT_STEP = 2e-4  # the quantum of the weights that hang clothes on the body
MAX_INFLUENCES = 4
_TONGUE = range(13380, 13606)

_BONE_RULES = (
    (r"root|pelvis", "pelvis"),
    (r"spine0[345]", "spine"),
    (r"spine0[12]", "chest"),
    (r"neck", "neck"),
    (r"head|eye", "head"),
    (r"clavicle|shoulder01", "clavicle"),
    (r"upperarm01", "upper_arm_a"),
    (r"upperarm02", "upper_arm"),
    (r"lowerarm01", "forearm_a"),
    (r"lowerarm02", "forearm"),
    (r"wrist|finger|metacarpal", "hand"),
    (r"upperleg01", "thigh_a"),
    (r"upperleg02", "thigh"),
    (r"lowerleg", "shin"),
    (r"foot|toe", "foot"),
)


def segment_of_bone(bone: str) -> int:
    """Index of the segment that a MakeHuman bone belongs to.  Raises KeyError for others."""
    for pattern, segment in _BONE_RULES:
        if re.match(pattern, bone):
            sided = segment if segment in SEGMENT_INDEX else f"{segment}.{bone[-1]}"
            return SEGMENT_INDEX[sided]
    raise KeyError(f"no segment for the bone '{bone}'")


def rest_joints(vertices: np.ndarray, heads: np.ndarray, names: list[str]) -> np.ndarray:
    """(17, 3) joints of a rest pose.

    The limbs' joints are MakeHuman's.  As in MPI-INF-3DHP, the pelvis is the middle of the hips,
    the neck lies between the shoulders at its base, the head at the base of the skull, and
    head_top on the crown.  The spine is the middle of the back.
    """
    at = {name: heads[i] for i, name in enumerate(names)}
    crown = vertices[:13380]
    crown = crown[crown[:, 2] > crown[:, 2].max() - 0.004].mean(axis=0)
    clavicles = (at["clavicle.L"] + at["clavicle.R"]) / 2
    joints = {
        "head_top": crown,
        "neck": (clavicles + at["neck01"]) / 2,
        "head": (at["neck03"] + at["head"]) / 2,
        "pelvis": (at["upperleg01.L"] + at["upperleg01.R"]) / 2,
        "spine": at["spine02"],
    }
    bones = {
        "shoulder": "upperarm01",
        "elbow": "lowerarm01",
        "wrist": "wrist",
        "hip": "upperleg01",
        "knee": "lowerleg01",
        "ankle": "foot",
    }
    for side in ("left", "right"):
        for joint, bone in bones.items():
            joints[f"{side}_{joint}"] = at[f"{bone}.{side[0].upper()}"]
    return np.stack([joints[name] for name in JOINT_NAMES])


def _frame(direction: np.ndarray, hinge: np.ndarray) -> np.ndarray:
    """(3, 3) right-handed frame, columns X nearest ``hinge``, Y along ``direction``, Z."""
    y = direction / np.linalg.norm(direction)
    x = hinge - (hinge @ y) * y
    x /= np.linalg.norm(x)
    return np.stack([x, y, np.cross(x, y)], axis=1)


def rest_frames(joints: np.ndarray, heads: np.ndarray, names: list[str]) -> np.ndarray:
    """(25, 3, 3) anatomical frames of the segments at rest, columns X (hinge), Y (along), Z.

    The axes are those of the motion capture's skeleton: elbows flex towards Z about X, of legs X
    points right, of feet Y to the toes, of hands Z to the thumb.  Trunk and collar: identity.
    """
    bone = {name: heads[i] for i, name in enumerate(names)}
    joint = dict(zip(JOINT_NAMES, joints, strict=True))
    frames = np.tile(np.eye(3), (len(SEGMENTS), 1, 1))
    for side, word in (("L", "left"), ("R", "right")):
        upper = joint[f"{word}_elbow"] - joint[f"{word}_shoulder"]
        lower = joint[f"{word}_wrist"] - joint[f"{word}_elbow"]
        index, pinky = bone[f"finger2-1.{side}"], bone[f"finger5-1.{side}"]
        palm = (index + pinky) / 2 - joint[f"{word}_wrist"]
        hinge = np.cross(upper, lower)
        right = np.array([-1.0, 0.0, 0.0])
        thigh = joint[f"{word}_knee"] - joint[f"{word}_hip"]
        shin = joint[f"{word}_ankle"] - joint[f"{word}_knee"]
        toes = bone[f"toe3-1.{side}"] - joint[f"{word}_ankle"]
        toes[2] = 0.0  # a sole at rest is flat
        for names_, frame in (
            (("upper_arm_a", "upper_arm"), _frame(upper, hinge)),
            (("forearm_a", "forearm"), _frame(lower, hinge)),
            (("hand",), _frame(palm, np.cross(palm, index - pinky))),
            (("thigh_a", "thigh"), _frame(thigh, right)),
            (("shin",), _frame(shin, right)),
            (("foot",), _frame(toes, right)),
        ):
            for name in names_:
                frames[SEGMENT_INDEX[f"{name}.{side}"]] = frame
    return frames


def segment_weights(raw: dict[str, np.ndarray]) -> np.ndarray:
    """(vertices, 25) float64 skinning weights, rows summing to one."""
    names = [str(n) for n in raw["names"]]
    segments = np.array([segment_of_bone(name) for name in names])
    weights = np.zeros((len(raw["W"]), len(SEGMENTS)))
    rows = np.repeat(np.arange(len(raw["W"])), raw["W"].shape[1])
    np.add.at(weights, (rows, segments[raw["WI"]].ravel()), raw["W"].ravel())
    return weights / weights.sum(axis=1, keepdims=True)


def _strongest(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    order = np.argsort(-weights, axis=1, kind="stable")[:, :MAX_INFLUENCES]
    kept = np.take_along_axis(weights, order, axis=1)
    kept = np.round(kept / kept.sum(axis=1, keepdims=True) * 60000).astype(np.uint16)
    return order.astype(np.uint8), kept


def build_body(raw: dict[str, np.ndarray], items: dict[str, dict]) -> tuple[dict, np.ndarray]:
    """The arrays of ``pack/body.npz`` and the (19158,) map from raw to kept vertices (-1: cut)."""
    names = [str(n) for n in raw["names"]]
    faces = raw["F"]
    visible = ~np.isin(faces, _TONGUE).any(axis=1)
    faces, texture_faces = faces[visible], raw["FT"][visible]
    needed = np.zeros(len(raw["W"]), bool)
    needed[faces] = True
    for item in items.values():
        needed[item["ref"]] = True
    kept = np.flatnonzero(needed)
    renumber = np.full(len(needed), -1)
    renumber[kept] = np.arange(len(kept))

    weights = segment_weights(raw)
    joints, frames, moments = [], [], []
    for vertices, heads in zip(raw["rv"].astype(float), raw["rj"].astype(float), strict=True):
        joints.append(rest_joints(vertices, heads, names))
        frames.append(rest_frames(joints[-1], heads, names))
        homogeneous = np.concatenate([vertices, np.ones((len(vertices), 1))], axis=1)
        # A regressed keypoint is linear in the segments' motions; these are its coefficients.
        per_segment = [(raw["reg"] * weights[:, s]) @ homogeneous for s in range(len(SEGMENTS))]
        moments.append(np.stack(per_segment, axis=1))
    mean = raw["rv"][:, kept].mean(axis=0)
    steps = np.round((raw["rv"][:, kept] - mean) / VERTEX_STEP).astype(np.int16)
    influence, weight = _strongest(weights[kept])
    eyes = np.isin(faces, np.arange(14598, 14742)).all(axis=1)
    return {
        "mean_vertices": mean.astype(np.float32),
        "vertex_steps": steps,
        "triangles": renumber[faces].astype(np.uint16),
        "corner_uv": np.round(raw["UV"][texture_faces] * 65535).clip(0, 65535).astype(np.uint16),
        "eyes": eyes,
        "influences": influence,
        "weights": weight,
        "joints": np.stack(joints).astype(np.float32),
        "frames": np.stack(frames).astype(np.float32),
        "keypoint_moments": np.stack(moments).astype(np.float32),
    }, renumber


def build_item(item: dict, renumber: np.ndarray) -> dict[str, np.ndarray]:
    """Arrays of one garment, shoe or hair, whose vertices hang on triples of body vertices."""
    hidden = renumber[np.flatnonzero(item["dele"])]
    return {
        "references": renumber[item["ref"]].astype(np.uint16),
        # The third weight is what the two lack of one.
        "reference_steps": np.round(item["w"][:, :2] / WEIGHT_STEP).astype(np.int16),
        "offset_steps": np.round(item["off"] / VERTEX_STEP).astype(np.int16),
        "triangles": item["T"].astype(np.uint16),
        "corner_uv": np.round(item["uv"][item["TU"]].clip(0, 1) * 65535).astype(np.uint16),
        "hidden": hidden[hidden >= 0].astype(np.uint16),
    }


def load_items(path: Path) -> dict[str, dict[str, np.ndarray]]:
    """Raw ``items.npz`` as one dict an item."""
    raw = dict(np.load(path))
    items: dict[str, dict[str, np.ndarray]] = {}
    for key, value in raw.items():
        name, field = key.split("/")
        items.setdefault(name, {})[field] = value
    return items


assert len(JOINTS) == 17 and len(PIVOT_JOINTS) == len(SEGMENTS)
