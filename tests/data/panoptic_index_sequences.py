"""A sequence of CMU Panoptic to index, and changes of its files."""

import os
from pathlib import Path

import numpy as np

from tests.data.bodies import standing_person
from tests.data.writers import panoptic_camera, write_panoptic

CAMERAS = ["00_16", "00_30"]
POSES = "hdPose3d_stage1_coco19"


def write_sequence(root: Path, name: str = "seq", **kwargs) -> Path:
    cameras = [panoptic_camera(camera, np.eye(3), (0.0, 100.0, 300.0)) for camera in CAMERAS]
    rng = np.random.default_rng(0)
    frames = {
        120: {3: standing_person(0, 0), 8: standing_person(*rng.normal(0, 50, 2))},
        121: {},
        7: {3: standing_person(*rng.normal(0, 50, 2)), -1: standing_person(9, 9)},
        500: {4: standing_person(*rng.normal(0, 50, 2))},
    }
    images = {"00_16": [7, 120, 121, 600], "00_30": [500]}
    return write_panoptic(root, name, cameras, frames, images=images, **kwargs)


def touch_later(path: Path) -> None:
    """Create a file, and make sure that the folder's time tells."""
    before = path.parent.stat().st_mtime_ns
    path.touch()
    if path.parent.stat().st_mtime_ns == before:
        os.utime(path.parent, ns=(before + 10**9,) * 2)
