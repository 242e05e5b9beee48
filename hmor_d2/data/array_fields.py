"""Fields of pickled records as arrays of a known shape.

JSON's fields come in millions and are stacked (:func:`.annotations.stack_field`); a pickle's are
a few large arrays each, of which one length may be free and parts not valid.
"""

from typing import Any

import numpy as np

from .annotations import as_float64
from .dataset_error import Where, field_error

__all__ = ["array_field"]


def array_field(
    value: Any, field: str, shape: tuple[int | None, ...], where: Where | str
) -> np.ndarray:
    """A field's value as a float64 array of ``shape``, in which None stands for any length.

    Numbers that are not finite are let through: the dataset's own flags may exclude them.

    Raises:
        DatasetError: for another shape, and for what is no number.
    """
    lengths = ", ".join("any" if length is None else str(length) for length in shape)
    expected = f"numbers of shape ({lengths})"
    try:
        array = as_float64(value)
    except (TypeError, ValueError, OverflowError):
        raise field_error(where, field, value, expected) from None
    fits = array.ndim == len(shape) and all(
        wanted in (None, length) for wanted, length in zip(shape, array.shape, strict=True)
    )
    if not fits:
        raise field_error(where, field, f"shape {array.shape}", expected)
    return array
