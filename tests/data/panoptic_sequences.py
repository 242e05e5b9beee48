"""Generated sequences of CMU Panoptic: two cameras, people, and the loader with what it needs."""

from pathlib import Path

import cv2
import numpy as np

from hmor_d2.data.datasets import load_panoptic
from hmor_d2.skeleton import get_skeleton
from tests.data.writers import panoptic_camera

PANOPTIC19 = get_skeleton("panoptic19")
TRANSLATION = (0.0, 100.0, 300.0)
CAMERAS = [
    panoptic_camera("00_16", np.eye(3), TRANSLATION),
    panoptic_camera("00_30", cv2.Rodrigues(np.array([0.1, 0.6, -0.05]))[0], (20.0, 90.0, 310.0)),
]
NAMES = [camera["name"] for camera in CAMERAS]


def make_body(seed: int, num_joints: int = 19) -> np.ndarray:
    """(J, 4): a blob of known joints at the height of a person; y is down, the floor at 0."""
    rng = np.random.default_rng(seed)
    joints = rng.normal((*rng.uniform(-60, 60, 2), -90), (20, 20, 35), (num_joints, 3))
    return np.column_stack((joints[:, [0, 2, 1]], rng.uniform(0.2, 0.9, num_joints)))


def load(folder: Path, sequences=("seq",), cameras=("00_16",), **kwargs) -> list[dict]:
    return load_panoptic(str(folder), list(sequences), list(cameras), **kwargs)


def keypoints_of(person: dict) -> np.ndarray:
    return np.reshape(person["keypoints"], (-1, 3))
