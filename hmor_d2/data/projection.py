"""From 3D joints to what a picture shows of them: keypoints, boxes, annotations.

For datasets that give camera coordinates and a camera, but neither 2D joints nor boxes.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from detectron2.structures import BoxMode

from .annotations import check_intrinsics
from .dataset_error import Where, field_error

__all__ = [
    "NEAREST_MM",
    "annotate_people",
    "camera_intrinsics",
    "enlarged_box",
    "project_joints",
]

#: Depth from which on a joint counts as in front of the camera.  Nearer ones are inside a lens, or
#: pass it: their projection goes to infinity, and the rounding of float32 shows in pixels.
NEAREST_MM = 100.0

# As in Moon et al.'s conversions of MuCo-3DHP, Human3.6M and 3DPW.
_BOX_ENLARGEMENT = 1.2


def camera_intrinsics(matrix: np.ndarray, field: str, where: Where | str) -> list[float]:
    """fx, fy, cx, cy of a camera matrix (3, 3) that counts pixels by index.

    The principal point is shifted by +0.5 to continuous pixels.

    Raises:
        DatasetError: names ``field`` for skew; for numbers that are not finite, and focal
            lengths that are not positive.
    """
    if matrix[0, 1] or matrix[1, 0]:
        raise field_error(where, field, np.asarray(matrix).tolist(), "no skew")
    center = (matrix[:2, 2] + 0.5).tolist()
    intrinsics = [float(matrix[0, 0]), float(matrix[1, 1]), *center]
    check_intrinsics(intrinsics, where)
    return intrinsics


def project_joints(
    joints: np.ndarray, known: np.ndarray, intrinsics: np.ndarray, image_size: np.ndarray
) -> np.ndarray:
    """Pinhole projection, with a visibility that follows from geometry alone.

    Args:
        joints: (N, J, 3) mm in the camera frame.
        known: (N, J) bool.
        intrinsics: (4,) or (N, 4): fx, fy, cx, cy in continuous pixels.
        image_size: (2,) or (N, 2): width and height, pixels.

    Returns:
        (N, J, 3) x, y in continuous pixels and v: 2 inside the image, 1 outside it, 0 (and
        x = y = 0) where unknown or not in front of the camera by :data:`NEAREST_MM`.
    """
    in_front = known & (joints[..., 2] >= NEAREST_MM)
    depth = np.where(in_front, joints[..., 2], 1.0)[..., None]
    camera = np.asarray(intrinsics, dtype=np.float64)[..., None, :]
    pixels = joints[..., :2] / depth * camera[..., :2] + camera[..., 2:]
    pixels = np.where(in_front[..., None], pixels, 0.0)
    size = np.asarray(image_size, dtype=np.float64)[..., None, :]
    inside = ((pixels >= 0) & (pixels <= size)).all(axis=-1)
    visibility = np.where(in_front, np.where(inside, 2.0, 1.0), 0.0)
    return np.concatenate((pixels, visibility[..., None]), axis=-1)


def enlarged_box(pixels: np.ndarray, counted: np.ndarray) -> np.ndarray:
    """The extent of a person's joints, enlarged 1.2 times about its centre; it is not clipped.

    Args:
        pixels: (N, J, 2) in continuous pixels.
        counted: (N, J) bool, the joints that count.

    Returns:
        (N, 4) XYXY; of no size for a person with fewer than two such joints, at 0 for one
        without any.
    """
    mask = counted[..., None]
    anyone = counted.any(axis=1)[:, None]
    low = np.where(anyone, pixels.min(axis=1, initial=np.inf, where=mask), 0.0)
    high = np.where(anyone, pixels.max(axis=1, initial=-np.inf, where=mask), 0.0)
    middle, half = (low + high) / 2, (high - low) / 2 * _BOX_ENLARGEMENT
    return np.concatenate((middle - half, middle + half), axis=1)


def annotate_people(
    joints_mm: np.ndarray,
    known: np.ndarray,
    intrinsics: np.ndarray,
    image_size: np.ndarray,
    person_ids: Sequence[Any],
    *,
    compact: bool = False,
) -> list[dict[str, Any] | None]:
    """Annotations of dataset dicts for people of whom the 3D joints are known.

    Args:
        joints_mm: (N, J, 3) mm in the camera frame, finite where known.
        known: (N, J) bool.
        intrinsics, image_size: as in :func:`project_joints`.
        person_ids: N values for ``person_id``.
        compact: ``keypoints`` as float32 arrays (3 J,) in place of lists of floats.

    Returns:
        one annotation a person, None for one without any joint inside the image, and for one
        whose box has no size.  ``keypoints`` are as :func:`project_joints` gives them; the box,
        XYXY, is the :func:`enlarged_box` of joints in front of the camera; unknown joints are
        zero in ``keypoints_cam``.
    """
    joints = np.where(known[..., None], joints_mm, 0.0)
    keypoints = project_joints(joints, known, intrinsics, image_size)
    boxes = enlarged_box(keypoints[..., :2], keypoints[..., 2] > 0)
    seen = (keypoints[..., 2] == 2).any(axis=1)
    rows = np.flatnonzero(seen & (boxes[:, 2:] > boxes[:, :2]).all(axis=1))
    joints = joints.astype(np.float32)
    people: list[dict[str, Any] | None] = [None] * len(joints)
    flat = keypoints[rows].reshape(len(rows), 3 * joints_mm.shape[1])
    flat = flat.astype(np.float32) if compact else flat.tolist()
    for row, box, person in zip(rows.tolist(), boxes[rows].tolist(), flat, strict=True):
        people[row] = {
            "bbox": box,
            "bbox_mode": BoxMode.XYXY_ABS,
            "category_id": 0,
            "iscrowd": 0,
            "keypoints": person,
            "keypoints_cam": joints[row],
            "keypoints_cam_valid": known[row],
            "person_id": person_ids[row],
        }
    return people
