"""Recordings in CMU Panoptic's layout: distorted cameras around people, poses in the world.

Of every sequence of ``TRAIN_SEQUENCES`` and ``TEST_SEQUENCES`` are written::

    <sequence>/calibration_<sequence>.json
    <sequence>/hdPose3d_stage1_coco19/body3DScene_%08d.json
    <sequence>/hdImgs/00_00/00_00_%08d.jpg

The toolbox's world is in centimetres, Y down; ours is in metres, Z up.  Bodies have the joints of
``panoptic19``: nose, eyes and ears are COCO's, the others those of ``muco17``.  Everybody is in
the poses, also whom no camera sees.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .avatar import PosedBody
from .camera import Camera
from .pieces import Piece, pieces_of_takes
from .rig import COCO_NAMES, JOINT_NAMES
from .scene import Take, generate_multiview
from .storage import rounded, write_joined_json, write_jpeg, write_json

TRAIN_SEQUENCES = tuple(f"train{i}" for i in range(1, 7))
TEST_SEQUENCES = tuple(f"test{i}" for i in range(1, 5))
CAMERAS = ("00_00", "00_01", "00_02")
PANOPTIC19 = (
    "neck", "nose", "pelvis", "left_shoulder", "left_elbow", "left_wrist", "left_hip", "left_knee",
    "left_ankle", "right_shoulder", "right_elbow", "right_wrist", "right_hip", "right_knee",
    "right_ankle", "left_eye", "left_ear", "right_eye", "right_ear",
)  # fmt: skip

_MOMENTS_PER_PIECE = 5
# A moment is taken every so many frames of a video of 30 frames a second.
FRAME_STEP = 10
_FRAMES_PER_SECOND = 30
# World to the toolbox's: X stays, down is Y, what was Y is Z.
_AXES = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
_FROM_JOINTS = np.array([name in JOINT_NAMES for name in PANOPTIC19])
_SOURCES = [
    JOINT_NAMES.index(name) if name in JOINT_NAMES else COCO_NAMES.index(name)
    for name in PANOPTIC19
]


@dataclass(frozen=True)
class PanopticPlan:
    """``moments`` of every sequence, each seen by all cameras, at ``size`` (width, height)."""

    moments: int
    size: tuple[int, int] = (960, 540)
    train: tuple[str, ...] = TRAIN_SEQUENCES
    test: tuple[str, ...] = TEST_SEQUENCES
    folder: str = "panoptic"

    @property
    def sequences(self) -> tuple[str, ...]:
        return (*self.train, *self.test)

    def pieces(self) -> list[Piece]:
        count = len(self.sequences)
        return pieces_of_takes(count, self.moments, _MOMENTS_PER_PIECE, len(CAMERAS))

    def take(self, sequence: int, seed: int) -> Take:
        """The recording of ``sequences[sequence]``."""
        name = self.sequences[sequence]
        pool = "train" if name in self.train else "test"
        times = tuple(FRAME_STEP * i / _FRAMES_PER_SECOND for i in range(self.moments))
        index = (self.train if pool == "train" else self.test).index(name)
        return generate_multiview(f"{pool}/panoptic", index, seed, self.size, len(CAMERAS), times)

    def draw(self, folder: Path, piece: Piece, seed: int) -> dict[str, Any]:
        name = self.sequences[piece.sequence]
        take, files = self.take(piece.sequence, seed), []
        for moment in range(piece.first, piece.last):
            frame = FRAME_STEP * moment
            for camera, scene in zip(CAMERAS, take.scenes(moment), strict=True):
                files.append(f"{name}/hdImgs/{camera}/{camera}_{frame:08d}.jpg")
                write_jpeg(folder / files[-1], scene.image)
            files.append(f"{name}/hdPose3d_stage1_coco19/body3DScene_{frame:08d}.json")
            people = take.world.bodies(take.times[moment])
            bodies = [panoptic_body(body, number) for number, body in enumerate(people)]
            write_json(folder / files[-1], {"version": 0.7, "univTime": -1.0, "bodies": bodies})
        cameras = zip(CAMERAS, take.cameras, strict=True)
        entries = [panoptic_camera(camera, camera_name) for camera_name, camera in cameras]
        return {"files": files, "sequence": name, "cameras": entries}

    def finish(self, folder: Path, parts: Callable[[], Iterable[dict[str, Any]]]) -> None:
        done = set()
        for part in parts():
            name = part["sequence"]
            if name not in done:
                path = folder / name / f"calibration_{name}.json"
                write_joined_json(path, lambda part=part: [part], ("cameras",))
                done.add(name)


def panoptic_body(body: PosedBody, number: int) -> dict[str, Any]:
    """Entry of ``bodies``: id and joints19, flat x, y, z in cm and confidence."""
    chosen = np.where(_FROM_JOINTS[:, None], body.joints[_SOURCES], body.keypoints[_SOURCES])
    joints = np.concatenate([100 * chosen @ _AXES.T, np.ones((len(chosen), 1))], axis=1)
    return {"id": number, "joints19": rounded(joints.ravel(), 5)}


def panoptic_camera(camera: Camera, name: str) -> dict[str, Any]:
    """Entry of ``cameras`` in the calibration; the principal point counts pixels by index."""
    fx, fy, cx, cy = camera.intrinsics.tolist()
    return {
        "name": name,
        "type": "hd",
        "resolution": list(camera.size),
        "panel": int(name[:2]),
        "node": int(name[3:]),
        "K": [[fx, 0.0, cx - 0.5], [0.0, fy, cy - 0.5], [0.0, 0.0, 1.0]],
        "distCoef": camera.distortion.tolist(),
        "R": (camera.rotation @ _AXES.T).tolist(),
        "t": (camera.translation[:, None] / 10).tolist(),
    }
