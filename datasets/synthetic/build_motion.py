"""Motion of the asset pack: CMU's clips and MakeHuman's poses as rotations of a few segments.

A clip holds, for each frame, the world rotation of the anatomical frame (``build_body``) of the
segments in ``CAPTURED``, so that it fits a body of any proportions.  World: X left of someone who
stands straight, Y back, Z up.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from .rig import SEGMENT_INDEX

LIMBS = ("upper_arm", "forearm", "hand", "thigh", "shin", "foot")
CAPTURED = ("pelvis", "chest", "head", *(f"{limb}.{side}" for side in "LR" for limb in LIMBS))
FRAMES_PER_SECOND = 30
QUATERNION_STEP = 1 / 32767

# Motion capture has X left, Y up, Z forward.
_TO_WORLD = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
_CMU_BONES = {
    "upper_arm": "Upperarm",
    "forearm": "Forearm",
    "hand": "Hand",
    "thigh": "Thigh",
    "shin": "Calf",
    "foot": "Foot",
}
# Mean elevations of the gaze and the chest's forward axis that a walking actor is given, degrees.
_WALKING_PITCH_DEG = {"pelvis": 0.0, "chest": -3.0, "head": -4.0}
_MAKEHUMAN_BONES = {
    "pelvis": "root",
    "chest": "spine01",
    "head": "head",
    "upper_arm": "upperarm02",
    "forearm": "lowerarm01",
    "hand": "wrist",
    "thigh": "upperleg02",
    "shin": "lowerleg01",
    "foot": "foot",
}


@dataclass
class Bvh:
    """A BVH file: joint ``names``, ``rotations`` (T, N, 3, 3) and ``positions`` (T, N, 3)."""

    names: list[str]
    rotations: np.ndarray
    positions: np.ndarray
    frame_seconds: float

    def index(self, bone: str) -> int:
        return self.names.index(f"CC_Base_{bone}")


def read_bvh(text: str) -> Bvh:
    """Parse a BVH file and run its forward kinematics, in the file's own axes and units."""
    header, motion = text.split("MOTION")
    names, parents, offsets, channels = [], [], [], []
    stack: list[int] = []
    tokens = iter(header.split())
    current = -1
    for token in tokens:
        if token in ("ROOT", "JOINT"):
            names.append(next(tokens))
            parents.append(stack[-1] if stack else -1)
            current = len(names) - 1
        elif token == "End":
            next(tokens)
            current = -1
        elif token == "{":
            stack.append(current)
        elif token == "}":
            stack.pop()
        elif token == "OFFSET":
            offset = [float(next(tokens)) for _ in range(3)]
            if current >= 0:
                offsets.append(offset)
        elif token == "CHANNELS":
            channels.append([next(tokens) for _ in range(int(next(tokens)))])
    lines = motion.strip().split("\n")
    values = np.array([line.split() for line in lines[2:]], dtype=float)
    rotations = np.zeros((len(values), len(names), 3, 3))
    positions = np.zeros((len(values), len(names), 3))
    first = 0
    for bone, parent in enumerate(parents):
        columns = values[:, first : first + len(channels[bone])]
        first += len(channels[bone])
        is_rotation = np.array([c.endswith("rotation") for c in channels[bone]])
        order = "".join(c[0] for c in channels[bone] if c.endswith("rotation"))
        local = Rotation.from_euler(order, columns[:, is_rotation], degrees=True).as_matrix()
        moved = not is_rotation.all()
        offset = columns[:, ~is_rotation] if moved else np.tile(offsets[bone], (len(values), 1))
        if parent < 0:
            rotations[:, bone], positions[:, bone] = local, offset
        else:
            rotations[:, bone] = rotations[:, parent] @ local
            turned = np.einsum("tij,tj->ti", rotations[:, parent], offset)
            positions[:, bone] = positions[:, parent] + turned
    return Bvh(names, rotations, positions, float(lines[1].split(":")[1]))


def _trunk_frame(across: np.ndarray, up: np.ndarray) -> np.ndarray:
    """(T, 3, 3) trunk rotations, columns left, back, up, in the world's axes."""
    up = up / np.linalg.norm(up, axis=1, keepdims=True)
    left = across - (across * up).sum(axis=1, keepdims=True) * up
    left /= np.linalg.norm(left, axis=1, keepdims=True)
    return np.stack([left, np.cross(up, left), up], axis=2)


def _pitch_deg(trunk: np.ndarray) -> np.ndarray:
    """(T,) elevation of the forward axis."""
    return np.degrees(np.arcsin(np.clip(-trunk[:, 2, 1], -1, 1)))


def cmu_frames(bvh: Bvh, flat_foot_deg: float) -> tuple[np.ndarray, np.ndarray]:
    """(T, 15, 3, 3) frames of ``CAPTURED``, not yet calibrated, and (T, 2) ground positions.

    Positions are in lengths of the leg.  ``flat_foot_deg``: elevation of the actor's foot bones,
    degrees, while a sole lies flat.
    """
    turn = _TO_WORLD
    at = {n[8:]: bvh.positions[:, i] @ turn.T for i, n in enumerate(bvh.names)}
    axes = {n[8:]: turn @ bvh.rotations[:, i] for i, n in enumerate(bvh.names)}
    hips = (at["L_Thigh"] + at["R_Thigh"]) / 2
    frames = np.zeros((len(hips), len(CAPTURED), 3, 3))
    frames[:, 0] = _trunk_frame(at["L_Thigh"] - at["R_Thigh"], at["Spine01"] - hips)
    frames[:, 1] = _trunk_frame(axes["Spine02"][:, :, 0], at["NeckTwist01"] - at["Spine01"])
    frames[:, 2] = axes["Head"] @ turn.T
    for side in "LR":
        for limb in LIMBS:
            frame = axes[f"{side}_{_CMU_BONES[limb]}"]
            if limb == "foot":
                # Columns of a foot: X right, Y to the toes; turn it up so that flat is level.
                frame = frame @ Rotation.from_euler("x", -flat_foot_deg, degrees=True).as_matrix()
            frames[:, CAPTURED.index(f"{limb}.{side}")] = frame
    leg = np.linalg.norm(at["L_Calf"] - at["L_Thigh"], axis=1).mean()
    leg += np.linalg.norm(at["L_Foot"] - at["L_Calf"], axis=1).mean()
    return frames, hips[:, :2] / leg


def calibrate_actor(clips: dict[str, tuple[np.ndarray, np.ndarray]], walk: str) -> None:
    """Pitch the trunk and head of one actor's clips, in place, so that ``walk`` looks ahead.

    The capture's skeleton bends its spine at rest by an amount that differs between actors.
    """
    for segment, pitch in _WALKING_PITCH_DEG.items():
        k = CAPTURED.index(segment)
        seen = [clips[walk]] if segment != "head" else clips.values()
        found = np.median(np.concatenate([_pitch_deg(frames[:, k]) for frames, _ in seen]))
        correction = Rotation.from_euler("x", found - pitch, degrees=True).as_matrix()
        for frames, _ in clips.values():
            frames[:, k] = frames[:, k] @ correction


def makehuman_frames(pose: dict, parents: dict[str, str | None], rest: np.ndarray) -> np.ndarray:
    """(15, 3, 3) frames of ``CAPTURED`` of a MakeHuman pose.

    Args:
        pose: bone name -> quaternion x, y, z, w, relative to the parent, in MakeHuman's axes
            (X left, Y up, Z forward) at every bone.
        parents: bone name -> parent's name.
        rest: (25, 3, 3) rest frames of a typical body.
    """
    frames = np.zeros((len(CAPTURED), 3, 3))
    for k, segment in enumerate(CAPTURED):
        limb, _, side = segment.partition(".")
        bone = _MAKEHUMAN_BONES[limb] + (f".{side}" if side else "")
        world = np.eye(3)
        while bone is not None:
            world = Rotation.from_quat(pose.get(bone, (0, 0, 0, 1))).as_matrix() @ world
            bone = parents[bone]
        frames[k] = _TO_WORLD @ world @ _TO_WORLD.T @ rest[SEGMENT_INDEX[segment]]
    return frames


def pack_quaternions(frames: np.ndarray) -> np.ndarray:
    """(..., 4) int16 quaternions x, y, z, w, continuous along the first axis."""
    shape = frames.shape[:-2]
    q = Rotation.from_matrix(frames.reshape(-1, 3, 3)).as_quat().reshape(*shape, 4)
    for t in range(1, len(q)):
        q[t] *= np.where((q[t] * q[t - 1]).sum(-1, keepdims=True) < 0, -1.0, 1.0)
    return np.round(q / QUATERNION_STEP).astype(np.int16)


def read_poses(path: Path, skip: tuple[str, ...]) -> dict[str, dict]:
    """MakeHuman's poses by name, without those whose name starts with one of ``skip``."""
    poses = json.loads(path.read_text())
    return {name: pose for name, pose in poses.items() if not name.startswith(skip)}
