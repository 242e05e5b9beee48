"""Checks of predictions that others made: real numbers, and lengths in millimetres."""

import reprlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..data.annotations import stack_field
from ..data.dataset_error import field_error
from ..skeleton import Skeleton

__all__ = ["check_millimetres", "stack_numbers"]

# A person's median bone is 100 to 400 mm.  Of a file's people it is in another unit outside of:
_BONE_RANGE_MM = (40.0, 2500.0)
# What it is then as if in.
_METRES, _CENTIMETRES = (0.05, 2.0), (4.0, 40.0)


def stack_numbers(
    people: Sequence[Mapping[str, Any]],
    field: str,
    shape: tuple[int, ...],
    place: Callable[[int], str],
) -> np.ndarray:
    """``stack_field`` of real numbers; that alone takes true for 1 and drops imaginary parts.

    Args:
        people: N mappings.
        field: the key, whose value is nested lists or an array.
        shape: that every value should have.
        place: gives the place of person i, for messages.

    Returns:
        (N, *shape) float64, finite.

    Raises:
        DatasetError: names the first person whose field is anything else.
    """
    stacked = stack_field(people, field, shape, place)
    for i, person in enumerate(people):
        if not _is_numeric(person[field]):
            found = reprlib.repr(person[field])
            raise field_error(place(i), field, found, "real numbers, not true or false")
    return stacked


def _is_numeric(value: Any) -> bool:
    """Whether nested lists or an array hold real numbers alone."""
    if isinstance(value, list | tuple):
        if set(map(type, value)) <= {int, float}:
            return True
        return all(map(_is_numeric, value))
    return type(value) in (int, float) or np.asarray(value).dtype.kind in "fiu"


def check_millimetres(
    poses: np.ndarray, skeleton: Skeleton, source: str, place: Callable[[int], str]
) -> None:
    """Recognise metres and centimetres by the length of people's bones.

    A person's size is the median of the bones.  People of less than 0.05, as a collapsed model
    gives, are points and have no unit.

    Args:
        poses: (N, J, 3), what should be mm.
        skeleton: the J joints and their bones.
        source: origin of all, for messages.
        place: gives the place of person i, for messages.

    Raises:
        DatasetError: if the median size of all is not within 40 to 2500, or anybody's is 0.05
            to 2, as in metres; names the first such person.
    """
    start, end = np.array(skeleton.parts).T
    sizes = np.median(np.linalg.norm(poses[:, end] - poses[:, start], axis=-1), axis=-1)
    extended = sizes[sizes >= _METRES[0]]
    if len(extended) == 0:
        return
    median = float(np.median(extended))
    low, high = _BONE_RANGE_MM
    expected = (
        f"millimetres, a median from {low:g} to {high:g} (or, in a JSON file, "
        '"units": {"keypoints_cam": "mm"} if they are)'
    )
    if not low <= median <= high:
        units = {"metres": _METRES, "centimetres": _CENTIMETRES}
        unit = [f", as if in {name}" for name, (a, b) in units.items() if a <= median < b]
        raise field_error(
            f"{source}, {len(poses)} people, first {place(0)}",
            "keypoints_cam",
            f"bones whose median length is {median:.3g}{''.join(unit)}",
            expected,
        )
    for i in np.flatnonzero((sizes >= _METRES[0]) & (sizes < _METRES[1])):
        found = f"bones whose median length is {sizes[i]:.3g}, as if in metres"
        raise field_error(place(i), "keypoints_cam", found, expected)
