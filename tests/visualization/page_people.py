"""Frames for tests of the page: people who stand upright before a camera."""

import cv2
import numpy as np

from hmor_d2.skeleton import get_skeleton
from hmor_d2.visualization import PageFrame

SKELETON = get_skeleton("muco17")
CAMERA = (400.0, 410.0, 321.25, 239.5)
# Millimetres above the sole, and to the side.
_PLACES = {
    "head_top": (1780, 0), "head": (1650, 0), "nose": (1640, 0), "eye": (1670, 30),
    "ear": (1650, 70), "neck": (1480, 0), "collar": (1480, 80), "shoulder": (1450, 180),
    "elbow": (1150, 230), "wrist": (900, 260), "hand": (820, 270), "spine": (1200, 0),
    "pelvis": (950, 0), "hip": (930, 110), "knee": (500, 120), "ankle": (80, 130),
    "toe": (20, 150),
}  # fmt: skip


def standing(skeleton=SKELETON):
    """(J, 3) mm: upright in the camera's axes, the sole's middle at the origin."""
    pose = np.zeros((skeleton.num_joints, 3))
    for j, name in enumerate(skeleton.joint_names):
        height, aside = next(v for k, v in _PLACES.items() if name.rstrip("123").endswith(k))
        side = name.startswith("left_") - name.startswith("right_")
        pose[j] = side * aside, -height, 0
    return pose


def make_frame(name="a.jpg", people=1, depth=4000.0, camera_height=1600.0):
    """A frame of 640 x 480 whose keypoints are the projected poses."""
    rng = np.random.default_rng(people)
    offsets = [
        ((i - (people - 1) / 2) * 1100, camera_height, depth + 700 * i) for i in range(people)
    ]
    poses = standing() + np.reshape(offsets, (people, 1, 3))
    poses += rng.normal(0, 0.3, poses.shape)
    fx, fy, cx, cy = CAMERA
    points = poses[..., :2] / poses[..., 2:] * (fx, fy) + (cx, cy)
    keypoints = np.concatenate([points, rng.uniform(0.5, 1, (*points.shape[:2], 1))], axis=-1)
    boxes = np.concatenate([points.min(axis=1) - 9, points.max(axis=1) + 9], axis=-1)
    image = rng.integers(90, 140, (12, 16, 3), dtype=np.uint8)
    image = cv2.resize(image, (640, 480), interpolation=cv2.INTER_CUBIC)
    return PageFrame(
        name, image, CAMERA, False, boxes, keypoints, poses, rng.uniform(0.5, 1, people)
    )
