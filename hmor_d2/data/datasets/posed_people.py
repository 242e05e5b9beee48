"""What datasets have in common that give each person a box, 2D joints and all 3D joints."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from detectron2.structures import BoxMode

from ..dataset_error import Where, field_error

__all__ = ["check_boxes", "check_in_front", "posed_annotations"]


def check_boxes(
    people: Sequence[Mapping[str, Any]], boxes: np.ndarray, where: Callable[[int], Where]
) -> None:
    """Raise DatasetError for the first of the boxes (N, 4) XYWH, ``bbox`` of people, of no size."""
    for i in np.flatnonzero((boxes[:, 2:] <= 0).any(axis=1)):
        raise field_error(where(i), "bbox", people[i]["bbox"], "a positive width and height")


def check_in_front(joints: np.ndarray, where: Callable[[int], Where]) -> None:
    """Raise DatasetError for the first of ``keypoints_cam`` (N, J, 3) with a Z of 0 or less."""
    for i in np.flatnonzero((joints[..., 2] <= 0).any(axis=1)):
        found = f"a depth of {joints[i, :, 2].min()} mm"
        raise field_error(where(i), "keypoints_cam", found, "joints in front of the camera, Z > 0")


def posed_annotations(
    boxes: np.ndarray, keypoints: np.ndarray, joints: np.ndarray, *, compact: bool = False
) -> list[dict[str, Any]]:
    """N people in Detectron2's format; every ``keypoints_cam`` is a row of one array.

    Args:
        boxes: (N, 4) XYWH, pixels.
        keypoints: (N, 3 J) or (N, J, 3) x, y in continuous pixels and v.
        joints: (N, J, 3) mm, camera frame, all of them known.
        compact: ``keypoints`` as rows of the array in place of lists of floats.
    """
    valid = np.ones(joints.shape[1], dtype=np.bool_)  # one for all: there may be a million people
    valid.flags.writeable = False
    flat = keypoints.reshape(len(joints), 3 * joints.shape[1])
    return [
        {
            "bbox": box,
            "bbox_mode": BoxMode.XYWH_ABS,
            "category_id": 0,
            "iscrowd": 0,
            "keypoints": person_keypoints,
            "keypoints_cam": person_joints,
            "keypoints_cam_valid": valid,
        }
        for box, person_keypoints, person_joints in zip(
            boxes.tolist(),
            flat if compact else flat.tolist(),
            joints.astype(np.float32, copy=False),
            strict=True,
        )
    ]
