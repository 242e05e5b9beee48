"""Videos in the layout of MuPoTS-3D's test set: TS1 ... TS20, each one camera and 2 to 4 people.

    <sequence>/img_%06d.jpg
    <sequence>/annot.mat        annot2, annot3, univ_annot3, isValidFrame of each frame and person
    <sequence>/occlusion.mat    1 where a joint is hidden or outside the image

Images have the real ones' sizes (2048 x 2048, 1920 x 1080), which the dataset's readers know by
heart; they are drawn at half the size and enlarged.  People of whom no pixel shows are not valid.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from .assets import load_assets
from .pieces import Piece, pieces_of_takes
from .rig import JOINT_NAMES
from .scene import Scene, Take, generate_sequence
from .storage import write_jpeg, write_mat

SEQUENCES = tuple(f"TS{i}" for i in range(1, 21))
_SPLIT = "test/mupots"
_FRAMES_PER_PIECE = 25
_ENLARGED = 2
# How long a sequence lasts; fewer frames are further apart.
_SECONDS = 10 / 3
# Mehta et al., "Monocular 3D Human Pose Estimation In The Wild" (3DV 2017), scale people to this
# height from knee to neck: the universal skeleton.
_UNIVERSAL_KNEE_TO_NECK_MM = 920.0
_PELVIS = JOINT_NAMES.index("pelvis")
_LEG_AND_TRUNK = (("left_knee", "left_hip"), ("pelvis", "spine"), ("spine", "neck"))


@dataclass(frozen=True)
class MuPoTSPlan:
    """``frames`` of each of ``sequences``."""

    frames: int
    sequences: tuple[str, ...] = SEQUENCES
    folder: str = "mupots"

    def pieces(self) -> list[Piece]:
        return pieces_of_takes(len(self.sequences), self.frames, _FRAMES_PER_PIECE)

    def take(self, sequence: int, seed: int) -> Take:
        """The video of ``sequences[sequence]``, at half the size of its images."""
        index = SEQUENCES.index(self.sequences[sequence])
        size = (1024, 1024) if index < 5 else (960, 540)
        rate = self.frames / _SECONDS
        return generate_sequence(_SPLIT, index, seed, size, self.frames, rate)

    def draw(self, folder: Path, piece: Piece, seed: int) -> dict[str, Any]:
        name = self.sequences[piece.sequence]
        take = self.take(piece.sequence, seed)
        part: dict[str, Any] = {"files": [], "sequence": name, "frames": []}
        for moment in range(piece.first, piece.last):
            (scene,) = take.scenes(moment)
            part["files"].append(f"{name}/img_{moment:06d}.jpg")
            size = tuple(_ENLARGED * side for side in scene.camera.size)
            image = cv2.resize(scene.image, size, interpolation=cv2.INTER_CUBIC)
            write_jpeg(folder / part["files"][-1], image)
            part["frames"].append(mupots_people(scene, len(take.world.people)))
        return part

    def finish(self, folder: Path, parts: Callable[[], Iterable[dict[str, Any]]]) -> None:
        frames: list[list] = []
        for part in parts():
            frames += part["frames"]
            if len(frames) == self.frames:
                annotations, labels = mupots_cells(frames)
                write_mat(folder / part["sequence"] / "annot.mat", {"annotations": annotations})
                write_mat(folder / part["sequence"] / "occlusion.mat", {"occlusion_labels": labels})
                frames = []


@lru_cache(maxsize=128)
def universal_scale(subject_id: int) -> float:
    """The factor that gives a body the height of the universal skeleton."""
    joints = load_assets().subjects[subject_id].joints
    ends = [[JOINT_NAMES.index(name) for name in bone] for bone in _LEG_AND_TRUNK]
    height = sum(np.linalg.norm(joints[a] - joints[b]) for a, b in ends)
    return float(_UNIVERSAL_KNEE_TO_NECK_MM / (1000 * height))


def mupots_people(scene: Scene, count: int) -> list[dict[str, Any] | None]:
    """What a frame's annotations tell of each of ``count`` people; None for one not valid.

    ``annot2`` (17, 2) px by index, of the enlarged image, ``annot3`` and ``univ_annot3`` (17, 3)
    mm, ``occluded`` (17,).
    """
    people: list[dict[str, Any] | None] = [None] * count
    for person in scene.people:
        joints = person.joints_cam
        root = joints[_PELVIS]
        universal = root + universal_scale(person.subject_id) * (joints - root)
        # A child made large near the camera may reach behind it.
        if person.visible_pixels and universal[:, 2].min() > 0:
            people[person.person] = {
                "annot2": (_ENLARGED * person.joints_px - 0.5).tolist(),
                "annot3": joints.tolist(),
                "univ_annot3": universal.tolist(),
                "occluded": (~person.visible).astype(int).tolist(),
            }
    return people


def mupots_cells(frames: list[list[dict[str, Any] | None]]) -> tuple[np.ndarray, np.ndarray]:
    """``annotations`` and ``occlusion_labels``, cells (frames, people), as the real files nest."""
    shape = len(frames), len(frames[0])
    annotations, labels = np.empty(shape, object), np.empty(shape, object)
    nobody = {"annot2": np.zeros((17, 2)), "annot3": np.zeros((17, 3))}
    nobody |= {"univ_annot3": nobody["annot3"], "occluded": np.zeros(17)}
    for i, people in enumerate(frames):
        for k, person in enumerate(people):
            values = {name: np.array(value) for name, value in (person or nobody).items()}
            labels[i, k] = values.pop("occluded").astype(np.uint8)[None]
            valid = np.array([[person is not None]], np.uint8)
            transposed = {name: value.T for name, value in values.items()}
            annotations[i, k] = transposed | {"isValidFrame": valid}
    return annotations, labels
