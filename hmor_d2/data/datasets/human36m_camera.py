"""Cameras of Human3.6M as packaged by Moon et al., and which way their extrinsics are meant.

The package as published has R and t of R X + t; so its loader takes them (3DMPPE PoseNet,
Human36M.py, issues 58 and 100).  Earlier it had the dataset's own, of R (X - t), which the script
that makes such files (h36m2coco.py) still writes.  Which one a camera's are is decided by
projection: a person's box is 1.2 times the extent of the joints, hence holds them.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..annotations import check_intrinsics, stack_field
from ..dataset_error import Where, field_error, require
from ..projection import project_joints
from ..record_fields import check_rotation

__all__ = ["Human36MCamera", "read_camera", "to_camera_frame"]

logger = logging.getLogger(__name__)

_FORMS = ("R X + t", "R (X - t)")
# A box hardly longer than the joints' extent, which the files take as max - min - 1, may miss one.
_BOX_TOLERANCE_PX = 1.0


@dataclass(frozen=True)
class Human36MCamera:
    """One camera of a subject.

    Attributes:
        where: its place, for messages.
        rotation, translation: the file's R (3, 3) and t (3,), mm.
        intrinsics: fx, fy, cx, cy; the principal point in continuous pixels.
    """

    where: Where
    rotation: np.ndarray
    translation: np.ndarray
    intrinsics: list[float]


def read_camera(cameras: Mapping[str, Any], index: int, file: str) -> Human36MCamera:
    """Camera ``index`` of the content of a subject's camera file, whose path is for messages.

    Raises:
        DatasetError: for a camera or field that is missing, wrong shapes, numbers that are not
            finite, an R that is no rotation, focal lengths that are not positive.
    """
    entry = require(cameras, str(index), Where(file))
    where = Where(f"{file}, camera {index}")
    shapes = {"R": (3, 3), "t": (3,), "f": (2,), "c": (2,)}
    values = {f: stack_field([entry], f, s, lambda _: where)[0] for f, s in shapes.items()}
    rotation = values["R"]
    check_rotation(rotation, "R", where)
    intrinsics = [*values["f"].tolist(), *(values["c"] + 0.5).tolist()]
    check_intrinsics(intrinsics, where)
    return Human36MCamera(where, rotation, values["t"], intrinsics)


def to_camera_frame(camera: Human36MCamera, world: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Bring world joints to a camera's frame, by the reading of R and t that fits the boxes.

    Args:
        camera: that sees all N people.
        world: (N, J, 3) mm, N at least 1.
        boxes: (N, 4) XYWH, pixels.

    Returns:
        (N, J, 3) mm, camera frame.  A few people may still be outside their box (counted in
        the log) or not in front of the camera.

    Raises:
        DatasetError: names the camera, if neither reading brings most people into their box.
    """
    rotated = world @ camera.rotation.T
    candidates = (rotated + camera.translation, rotated - camera.rotation @ camera.translation)
    fits = [_in_box(camera, joints, boxes) for joints in candidates]
    best = int(np.argmax([fit.sum() for fit in fits]))
    if fits[best].mean() <= 0.5:
        plus, minus = (f"{fit.sum()} with {form}" for fit, form in zip(fits, _FORMS, strict=True))
        found = f"joints inside the boxes of {plus}, {minus}, of {len(boxes)} people"
        raise field_error(camera.where, "R, t", found, "most people inside their box")
    outside = len(boxes) - fits[best].sum()
    level = logging.WARNING if outside else logging.INFO
    message = "%s: R and t are those of %s; %d of %d people reach outside their box"
    logger.log(level, message, camera.where, _FORMS[best], outside, len(boxes))
    return candidates[best]


def _in_box(camera: Human36MCamera, joints: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """(N,) bool: all joints are in front of the camera and inside the person's XYWH box."""
    known = np.ones(joints.shape[:2], dtype=bool)
    projected = project_joints(joints, known, camera.intrinsics, (np.inf, np.inf))
    low = boxes[:, None, :2] - _BOX_TOLERANCE_PX
    high = boxes[:, None, :2] + boxes[:, None, 2:] + _BOX_TOLERANCE_PX
    inside = (projected[..., :2] >= low) & (projected[..., :2] <= high)
    return (inside & (projected[..., 2:] > 0)).all(axis=(1, 2))
