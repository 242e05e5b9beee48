"""Calibration files of CMU Panoptic: intrinsics, lens distortion and pose of the HD cameras."""

import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..annotations import check_image_size, stack_field
from ..dataset_error import Where, field_error, require
from ..json_file import load_json
from ..projection import camera_intrinsics
from ..record_fields import check_rotation, require_list, require_text

__all__ = ["HDCamera", "load_calibration"]


@dataclass(frozen=True)
class HDCamera:
    """Calibration of one HD camera.

    Attributes:
        name: panel and node, e.g. "00_16".
        width, height: of its images, pixels.
        intrinsics: fx, fy, cx, cy; the principal point in continuous pixels.
        distortion: k1, k2, p1, p2, k3 of OpenCV.
        rotation, translation: (3, 3) and (3,) cm, from the world to the camera frame.
    """

    name: str
    width: int
    height: int
    intrinsics: list[float]
    distortion: list[float]
    rotation: np.ndarray
    translation: np.ndarray


def load_calibration(folder: str, sequence: str, cameras: Sequence[str]) -> dict[str, HDCamera]:
    """Read the named cameras from ``calibration_<sequence>.json`` in a sequence's folder.

    Raises:
        DatasetError: for a missing file, field or camera, a camera that is not HD, skew, wrong
            shapes, numbers that are not finite, an R that is no rotation.
    """
    path = os.path.join(folder, f"calibration_{sequence}.json")
    file = Where(path)
    listed = require_list(load_json(path), "cameras", file)
    entries = {require_text(c, "name", file, "a camera's name"): c for c in listed}
    calibration = {}
    for name in cameras:
        entry = require(entries, name, file)
        where = Where(f"{path}, camera {name}")
        if require(entry, "type", where) != "hd":
            raise field_error(where, "type", entry["type"], "'hd', the cameras with 3D poses")
        shapes = {"K": (3, 3), "distCoef": (5,), "R": (3, 3), "t": (3, 1), "resolution": (2,)}
        values = {f: stack_field([entry], f, s, lambda _, w=where: w)[0] for f, s in shapes.items()}
        intrinsics = camera_intrinsics(values["K"], "K", where)
        check_rotation(values["R"], "R", where)
        width, height = entry["resolution"]
        check_image_size(height, width, where)
        calibration[name] = HDCamera(
            name=name,
            width=width,
            height=height,
            intrinsics=intrinsics,
            distortion=values["distCoef"].tolist(),
            rotation=values["R"],
            translation=values["t"][:, 0],
        )
    return calibration
