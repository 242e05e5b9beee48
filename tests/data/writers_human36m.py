"""Made-up subjects of Human3.6M, their dataset dicts, and their files as Moon et al. package them.

Written from the format's description and not from the loader; projections are OpenCV's.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from detectron2.structures import BoxMode

from tests.data.writers import HALF_PIXEL, write_json

JOINTS = 17
# Of annotations and images, so that the one cannot pass for the other.
ANNOTATION_ID_OFFSET = 500


@dataclass(frozen=True)
class Camera:
    """Sees ``rotation @ (world - position)``; principal point in index coordinates."""

    rotation: np.ndarray
    position: np.ndarray
    focal: np.ndarray
    center: np.ndarray
    size: tuple[int, int]  # width, height

    def to_camera(self, world: np.ndarray) -> np.ndarray:
        return np.stack([self.rotation @ (joint - self.position) for joint in world])

    def project(self, world: np.ndarray) -> np.ndarray:
        """Pixels in index coordinates."""
        matrix = np.diag((*self.focal, 1.0))
        matrix[:2, 2] = self.center
        turn, shift = cv2.Rodrigues(self.rotation)[0], -self.rotation @ self.position
        return cv2.projectPoints(world, turn, shift, matrix, None)[0][:, 0]


@dataclass(frozen=True)
class Subject:
    """Attributes: ``poses`` world joints (F, 17, 3) by action and subaction; ``flags`` the files'
    visibility by image id; ``absent`` recordings (action, subaction, camera)."""

    number: int
    first_id: int
    cameras: dict[int, Camera]
    poses: dict[tuple[int, int], np.ndarray]
    absent: Collection[tuple[int, int, int]] = ()
    flags: dict[int, np.ndarray] = field(default_factory=dict)

    def images(self) -> Iterator[tuple[int, int, int, int, int]]:
        """Id, action, subaction, camera and frame, in the order of the files."""
        identity = self.first_id
        for (action, subaction), poses in self.poses.items():
            for camera in self.cameras:
                if (action, subaction, camera) not in self.absent:
                    for frame in range(len(poses)):
                        yield identity, action, subaction, camera, frame
                        identity += 1


def make_camera(rng: np.random.Generator, angle: float, size: tuple[int, int]) -> Camera:
    """Looks at the middle of the room, where people are; the world's z is up."""
    radius = rng.uniform(4500, 5500)
    position = np.array((radius * np.cos(angle), radius * np.sin(angle), rng.uniform(1300, 1700)))
    forward = (np.array((0, 0, 900)) + rng.normal(0, 100, 3)) - position
    forward /= np.linalg.norm(forward)
    right = np.cross(forward, (0, 0, 1))
    right /= np.linalg.norm(right)
    rotation = np.stack((right, np.cross(forward, right), forward))
    focal, center = rng.uniform(1140, 1150, 2), rng.uniform(505, 520, 2)
    return Camera(rotation, position, focal, center, size)


def make_subject(
    seed: int,
    number: int = 1,
    first_id: int = 0,
    frames: Mapping[tuple[int, int], int] = {(2, 1): 3, (3, 2): 2},
    absent: Collection[tuple[int, int, int]] = (),
) -> Subject:
    rng = np.random.default_rng(seed)
    cameras = {
        index: make_camera(rng, angle, (1000, 1002 if index in (2, 3) else 1000))
        for index, angle in enumerate(rng.uniform(0, 0.5) + np.pi * np.array((0.2, 0.7, 1.3, 1.8)))
    }
    cameras = {index + 1: camera for index, camera in cameras.items()}
    poses = {}
    for recording, count in frames.items():
        places = rng.uniform((-1500, -1500, 900), (1500, 1500, 901), (count, 1, 3))
        poses[recording] = places + rng.normal(0, (250, 250, 400), (count, JOINTS, 3))
    subject = Subject(number, first_id, cameras, poses, absent)
    for identity, action, subaction, index, frame in subject.images():
        camera = cameras[index]
        pixels = camera.project(poses[action, subaction][frame])
        inside = ((pixels >= 0) & (pixels < camera.size)).all(axis=1)
        subject.flags[identity] = inside & (rng.random(JOINTS) < 0.9)
    return subject


def folder_name(subject: Subject, action: int, subaction: int, camera: int) -> str:
    return f"s_{subject.number:02d}_act_{action:02d}_subact_{subaction:02d}_ca_{camera:02d}"


def box_of(pixels: np.ndarray) -> list[float]:
    """XYWH as the package's writer makes it."""
    low, high = pixels.min(axis=0), pixels.max(axis=0)
    size = 1.2 * (high - low - 1)
    return [*((low + high) / 2 - size / 2).tolist(), *size.tolist()]


def make_human36m_records(root: Path, subject: Subject, frame_step: int = 1) -> list[dict]:
    """Dataset dicts as ``load_human36m`` should return them."""
    records = []
    for identity, action, subaction, index, frame in subject.images():
        if frame % frame_step:
            continue
        camera, world = subject.cameras[index], subject.poses[action, subaction][frame]
        pixels = camera.project(world)
        folder = folder_name(subject, action, subaction, index)
        flags = np.where(subject.flags[identity], 2, 1)[:, None]
        person = {
            "bbox": box_of(pixels),
            "bbox_mode": BoxMode.XYWH_ABS,
            "category_id": 0,
            "iscrowd": 0,
            "keypoints": np.hstack((pixels + HALF_PIXEL, flags)).ravel().tolist(),
            "keypoints_cam": camera.to_camera(world).astype(np.float32),
            "keypoints_cam_valid": np.ones(JOINTS, bool),
        }
        records.append(
            {
                "file_name": f"{root}/images/{folder}/{folder}_{frame + 1:06d}.jpg",
                "image_id": identity,
                "height": camera.size[1],
                "width": camera.size[0],
                "joint_set": "h36m17",
                "intrinsics": [*camera.focal.tolist(), *(camera.center + HALF_PIXEL).tolist()],
                "subject": subject.number,
                "action": action,
                "subaction": subaction,
                "camera": index,
                "frame": frame,
                "annotations": [person],
            }
        )
    return records


def human36m_contents(subject: Subject, positions: Collection[int] = ()) -> dict[str, dict]:
    """The contents of a subject's files ``data``, ``camera`` and ``joint_3d``.

    Cameras in ``positions`` get a t for R (X - t), their position; the others one for R X + t.
    """
    images, annotations = [], []
    for identity, action, subaction, index, frame in subject.images():
        camera = subject.cameras[index]
        folder = folder_name(subject, action, subaction, index)
        images.append(
            {
                "id": identity,
                "file_name": f"{folder}/{folder}_{frame + 1:06d}.jpg",
                "width": camera.size[0],
                "height": camera.size[1],
                "subject": subject.number,
                "action_name": "Directions",
                "action_idx": action,
                "subaction_idx": subaction,
                "cam_idx": index,
                "frame_idx": frame,
            }
        )
        annotations.append(
            {
                "id": identity + ANNOTATION_ID_OFFSET,
                "image_id": identity,
                "keypoints_vis": subject.flags[identity].tolist(),
                "bbox": box_of(camera.project(subject.poses[action, subaction][frame])),
            }
        )
    cameras = {}
    for index, camera in subject.cameras.items():
        shift = camera.position if index in positions else -camera.rotation @ camera.position
        cameras[str(index)] = {
            "R": camera.rotation.tolist(),
            "t": shift.tolist(),
            "f": camera.focal.tolist(),
            "c": camera.center.tolist(),
        }
    joints: dict[str, dict[str, dict]] = {}
    for (action, subaction), poses in subject.poses.items():
        of_action = joints.setdefault(str(action), {})
        of_action[str(subaction)] = {str(i): pose.tolist() for i, pose in enumerate(poses)}
    return {
        "data": {"images": images, "annotations": annotations},
        "camera": cameras,
        "joint_3d": joints,
    }


def human36m_path(root: Path, subject: int, part: str) -> Path:
    return root / "annotations" / f"Human36M_subject{subject}_{part}.json"


def write_human36m(root: Path, subject: int, contents: Mapping[str, object]) -> None:
    for part, content in contents.items():
        write_json(human36m_path(root, subject, part), content)
