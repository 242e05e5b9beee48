"""Checks of annotations, shared by the dataset loaders and the mapper.

A broken annotation stops the run with its file, image and field, rather than reach the loss as a
NaN.  People come in millions: :func:`check_person` is for one person, a few microseconds;
:func:`stack_field` takes one field of many people to an array and checks it there.
"""

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from detectron2.structures import BoxMode

from ..skeleton import Skeleton
from .dataset_error import Where, field_error, require

__all__ = [
    "LARGEST",
    "as_float64",
    "check_image_size",
    "check_intrinsics",
    "check_person",
    "stack_field",
]

#: Numbers beyond it are no coordinates of anything; the square of this is still a float32.
LARGEST = 1e15

_VISIBILITY = frozenset((0, 1, 2))
# Numbers in nested lists; a pickle may name one list in a million places.
_MAX_NUMBERS = 1_000_000


def check_image_size(height: Any, width: Any, where: Where | str) -> None:
    """Raise DatasetError unless height and width are positive integers of pixels, below 2**31."""
    for field, value in (("height", height), ("width", width)):
        if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 1 << 31:
            raise field_error(where, field, value, "a positive integer below 2**31")


def check_intrinsics(values: Sequence[float], where: Where | str) -> None:
    """Raise DatasetError unless ``values`` is (fx, fy, cx, cy), finite, focal lengths positive."""
    try:
        good = len(values) == 4 and _is_finite(values) and min(values[:2]) > 0
    except (TypeError, OverflowError):
        good = False
    if not good:
        expected = "4 finite numbers fx, fy, cx, cy in pixels, fx and fy positive"
        raise field_error(where, "intrinsics", values, expected)


def check_person(annotation: Mapping[str, Any], skeleton: Skeleton, where: Where | str) -> None:
    """Check one person of a dataset dict, before any image transform.

    ``keypoints``, ``keypoints_cam`` and ``keypoints_cam_valid`` may be absent; a box may not.

    Args:
        annotation: a person in the format of the dataset dicts.
        skeleton: the convention that its joints should follow.
        where: its place, for the message.

    Raises:
        DatasetError: for a box without 4 finite numbers or of no size, another number of joints
            than the skeleton's, coordinates that are not finite, visibility not 0, 1 or 2.
    """
    box = require(annotation, "bbox", where)
    mode = require(annotation, "bbox_mode", where)
    if not _is_box(box, mode):
        raise field_error(where, "bbox", box, f"4 finite numbers of positive size, {mode}")
    joints = skeleton.num_joints
    keypoints = annotation.get("keypoints")
    if keypoints is not None:
        count = len(keypoints) if hasattr(keypoints, "__len__") else 1
        if count != 3 * joints:
            expected = f"{3 * joints} for '{skeleton.name}'"
            raise field_error(where, "keypoints", f"{count} numbers", expected)
        if isinstance(keypoints, np.ndarray):
            keypoints = keypoints.tolist()  # summing a few numbers is quicker so
        if not _is_finite(keypoints):
            raise field_error(where, "keypoints", keypoints, "finite numbers")
        if not _VISIBILITY.issuperset(keypoints[2::3]):
            raise field_error(where, "keypoints", keypoints[2::3], "visibility of 0, 1 or 2")
    for field, shape in (("keypoints_cam", (joints, 3)), ("keypoints_cam_valid", (joints,))):
        values = annotation.get(field)
        if values is None:
            continue
        values = np.asarray(values)
        if values.shape != shape:
            expected = f"{shape} for '{skeleton.name}'"
            raise field_error(where, field, f"shape {values.shape}", expected)
        # A sum is finite only if every term is, and costs less than isfinite of each.
        numbers = values.dtype.kind in "fiu" and math.isfinite(values.sum())
        numbers = numbers and (not values.size or np.abs(values).max() <= LARGEST)
        if field == "keypoints_cam" and not numbers:
            raise field_error(where, field, values, "finite numbers")


def _is_finite(values: Sequence[float]) -> bool:
    try:
        finite = math.isfinite(sum(values))
        return finite and (not values or (max(values) <= LARGEST and min(values) >= -LARGEST))
    except (TypeError, OverflowError):  # an integer of JSON may be too large for a float
        return False


def _is_box(box: Sequence[float], mode: BoxMode) -> bool:
    if not hasattr(box, "__len__") or len(box) != 4 or not _is_finite(box):
        return False
    if mode == BoxMode.XYWH_ABS:
        return box[2] > 0 and box[3] > 0
    return mode == BoxMode.XYXY_ABS and box[2] > box[0] and box[3] > box[1]


def stack_field(
    records: Sequence[Mapping[str, Any]],
    field: str,
    shape: tuple[int, ...],
    where: Callable[[int], Where],
) -> np.ndarray:
    """One field of N records as an array.

    Args:
        records: N mappings.
        field: the key, whose value is nested lists of numbers.
        shape: that every value should have.
        where: gives the place of record i; called for a bad one alone.

    Returns:
        (N, *shape) float64, finite, up to :data:`LARGEST`.

    Raises:
        DatasetError: names the first record that lacks the field, has another shape, or holds a
            number that is not finite or larger.
    """
    if not records:
        return np.zeros((0, *shape))
    try:
        stacked = _to_array([record[field] for record in records], shape)
    except (KeyError, TypeError, ValueError, OverflowError):
        stacked = None
    if stacked is not None and stacked.shape[1:] == shape and _are_finite(stacked):
        return stacked
    rows = []
    for i, record in enumerate(records):  # something is wrong: look for it one at a time
        value = require(record, field, where(i))
        try:
            numbers = as_float64(value)
        except (TypeError, ValueError, OverflowError):
            raise field_error(where(i), field, value, f"numbers of shape {shape}") from None
        if numbers.shape != shape:
            raise field_error(where(i), field, f"shape {numbers.shape}", f"shape {shape}")
        if not _are_finite(numbers):
            raise field_error(where(i), field, value, f"finite numbers up to {LARGEST:g}")
        rows.append(numbers)
    return np.stack(rows)


def _to_array(values: list[Any], shape: tuple[int, ...]) -> np.ndarray:
    """As :func:`as_float64`, in less time, of lists that have the shape if they are right."""
    flatten = itertools.chain.from_iterable
    rows = [values]
    for size in shape:
        rows = list(flatten(rows))
        if set(map(type, rows)) != {list} or set(map(len, rows)) != {size}:
            return as_float64(values)
    # Of texts numpy would make numbers; on arrays that hold themselves it ends the process.
    if not {int, float, bool}.issuperset(map(type, flatten(rows))):
        return as_float64(values)
    numbers = np.fromiter(flatten(rows), np.float64, count=len(values) * math.prod(shape))
    return numbers.reshape(-1, *shape)


def _are_finite(numbers: np.ndarray) -> bool:
    return not numbers.size or bool(np.abs(numbers).max() <= LARGEST)  # not so for NaN


def as_float64(values: Any) -> np.ndarray:
    """``np.asarray``, but a TypeError for texts, of which numpy would make numbers.

    A ValueError for a million numbers in lists: a pickle may have them in a few bytes.
    """
    lists, count = [values], 0
    while lists:
        inner = lists.pop()
        if not isinstance(inner, list | tuple):
            continue
        count += len(inner)
        if count > _MAX_NUMBERS:
            raise ValueError(f"more than {_MAX_NUMBERS} numbers in lists")
        lists += [part for part in inner if isinstance(part, list | tuple)]
    if np.asarray(values).dtype.kind in "US":
        raise TypeError("expected numbers, found text")
    return np.asarray(values, dtype=np.float64)
