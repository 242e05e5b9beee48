"""The people of dataset dicts as arrays, some thousands at a time."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from detectron2.structures import BoxMode

from ...skeleton import Skeleton, available_skeletons, get_skeleton
from ..annotations import stack_field
from ..dataset_error import Where, field_error, require

__all__ = ["People", "stack_people"]

# People stacked at once: bounds the memory, and is enough for numpy to be at full speed.
_CHUNK = 20_000


@dataclass(frozen=True)
class People:
    """P people of one joint set, of any images.

    Attributes:
        skeleton: their J joints.
        boxes: (P, 4) XYXY, pixels.
        crowd: (P,) bool, annotated as a crowd.
        keypoints: (P, J, 3) x, y, v; zeros where a person has none.
        joints: (P, J, 3) float32, mm in the camera frame; zeros where a person has none.
        valid: (P, J) bool, of ``joints``.
        intrinsics: (P, 4) fx, fy, cx, cy of each one's image; NaN where it has none.
        distortion: (P, 5) k1, k2, p1, p2, k3 of each one's image; NaN where it has none.
        sizes: (P, 2) width and height of each one's image, pixels.
    """

    skeleton: Skeleton
    boxes: np.ndarray
    crowd: np.ndarray
    keypoints: np.ndarray
    joints: np.ndarray
    valid: np.ndarray
    intrinsics: np.ndarray
    distortion: np.ndarray
    sizes: np.ndarray

    def __len__(self) -> int:
        return len(self.boxes)


def stack_people(
    records: Iterable[Mapping[str, Any]], default_joint_set: str, chunk: int = _CHUNK
) -> Iterator[People]:
    """Yield all people of the records, up to ``chunk`` of one joint set at a time.

    Args:
        records: dataset dicts.
        default_joint_set: of records without "joint_set".

    Raises:
        DatasetError: for an unknown joint set, a field of another shape, numbers that are not
            finite, visibility other than 0, 1, 2.
    """
    waiting: dict[str, list[tuple[Mapping, int, Mapping]]] = defaultdict(list)
    for record in records:
        joint_set = record.get("joint_set", default_joint_set)
        bucket = waiting[joint_set]
        bucket.extend((record, i, person) for i, person in enumerate(record["annotations"]))
        if len(bucket) >= chunk:
            yield _stack(waiting.pop(joint_set), joint_set)
    for joint_set, bucket in waiting.items():
        if bucket:
            yield _stack(bucket, joint_set)


def _stack(entries: list[tuple[Mapping, int, Mapping]], joint_set: str) -> People:
    def where(i: int) -> Where:
        record, number, _ = entries[i]
        return Where(record["file_name"], record.get("image_id"), f"of person {number}")

    if joint_set not in available_skeletons():
        raise field_error(where(0), "joint_set", joint_set, f"one of {available_skeletons()}")
    skeleton = get_skeleton(joint_set)
    people = [person for _, _, person in entries]
    joints = skeleton.num_joints

    def optional(field: str, shape: tuple[int, ...]) -> tuple[np.ndarray, list[int]]:
        """The field of all, zeros where absent, and the rows that have it."""
        rows = [i for i, person in enumerate(people) if person.get(field) is not None]
        found = stack_field([people[i] for i in rows], field, shape, lambda i: where(rows[i]))
        if len(rows) == len(people):
            return found, rows
        values = np.zeros((len(people), *shape))
        values[rows] = found
        return values, rows

    keypoints, _ = optional("keypoints", (3 * joints,))
    keypoints = keypoints.reshape(-1, joints, 3)
    for i in np.flatnonzero(~np.isin(keypoints[..., 2], (0, 1, 2)).all(axis=1)):
        found = keypoints[i, :, 2].tolist()
        raise field_error(where(i), "keypoints", found, "visibility of 0, 1 or 2")
    positions, with_3d = optional("keypoints_cam", (joints, 3))
    flags, with_flags = optional("keypoints_cam_valid", (joints,))
    valid = np.zeros((len(people), joints), dtype=bool)
    valid[with_3d] = True
    valid[with_flags] &= flags[with_flags] != 0

    return People(
        skeleton=skeleton,
        boxes=_boxes(people, where),
        crowd=np.array([person.get("iscrowd", 0) != 0 for person in people]),
        keypoints=keypoints,
        joints=positions.astype(np.float32),
        valid=valid,
        intrinsics=_of_images(entries, "intrinsics", 4),
        distortion=_of_images(entries, "distortion", 5),
        sizes=np.array([(record["width"], record["height"]) for record, _, _ in entries], float),
    )


def _boxes(people: list[Mapping], where) -> np.ndarray:
    boxes = stack_field(people, "bbox", (4,), where)
    modes = [require(person, "bbox_mode", where(i)) for i, person in enumerate(people)]
    for i, mode in enumerate(modes):
        if mode not in (BoxMode.XYWH_ABS, BoxMode.XYXY_ABS):
            raise field_error(where(i), "bbox_mode", mode, "XYWH_ABS or XYXY_ABS")
    by_size = np.array([mode == BoxMode.XYWH_ABS for mode in modes], dtype=bool)
    boxes[by_size, 2:] += boxes[by_size, :2]
    return boxes


def _of_images(entries: list[tuple[Mapping, int, Mapping]], field: str, count: int) -> np.ndarray:
    """(P, count) values of a field of each person's image, NaN where it has none."""
    nothing = (float("nan"),) * count
    rows = []
    for record, _, _ in entries:
        values = record.get(field)
        if values is not None and len(values) != count:
            where = Where(record["file_name"], record.get("image_id"))
            raise field_error(where, field, values, f"{count} numbers")
        rows.append(nothing if values is None else values)
    return np.array(rows, dtype=np.float64)
