"""Single fields of a record that must be an id, a text, a list or a rotation."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from .dataset_error import Where, field_error, require

__all__ = ["check_rotation", "require_id", "require_list", "require_text"]


def require_id(record: Mapping[str, Any], field: str, where: Where | str) -> int | str:
    """``record[field]``.  Raises DatasetError unless it is a whole number or a text."""
    identity = require(record, field, where)
    if type(identity) not in (int, str):
        raise field_error(where, field, identity, "a whole number or a text")
    return identity


def require_text(record: Mapping[str, Any], field: str, where: Where | str, expected: str) -> str:
    """``record[field]``.  Raises DatasetError, with what was ``expected``, unless it is a text."""
    text = require(record, field, where)
    if not isinstance(text, str):
        raise field_error(where, field, text, expected)
    return text


def require_list(record: Mapping[str, Any], field: str, where: Where | str) -> list[Any]:
    """``record[field]``.  Raises DatasetError unless it is a list."""
    values = require(record, field, where)
    if not isinstance(values, list):
        raise field_error(where, field, values, "a list")
    return values


def check_rotation(matrix: np.ndarray, field: str, where: Where | str) -> None:
    """Raise DatasetError unless ``matrix`` (3, 3) is a rotation, to 1e-3.

    A factor would not show in a projection, yet scale the joints.
    """
    if not np.allclose(matrix @ matrix.T, np.eye(3), atol=1e-3) or np.linalg.det(matrix) < 0:
        raise field_error(where, field, matrix.tolist(), "a rotation")
