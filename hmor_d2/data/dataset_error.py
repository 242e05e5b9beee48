"""The error for datasets that are not what their format promises, with file, image and field."""

import os
import reprlib
from collections.abc import Mapping
from typing import Any, NamedTuple

__all__ = ["DatasetError", "Where", "field_error", "require", "require_file", "require_path"]

# Fields that an error lists, characters of a value that it shows.
_MAX_LISTED, _MAX_SHOWN = 20, 500
_SHORT = reprlib.Repr()
_SHORT.maxlevel = 4


class DatasetError(ValueError):
    """A dataset's file does not hold what its format promises."""


class Where(NamedTuple):
    """Place of an annotation, for messages; cheap to build, formatted only when needed."""

    file: str
    image_id: Any = None
    annotation_id: Any = None

    def __str__(self) -> str:
        image = "" if self.image_id is None else f", image {self.image_id}"
        annotation = "" if self.annotation_id is None else f", annotation {self.annotation_id}"
        return f"{self.file}{image}{annotation}"


def field_error(where: Where | str, field: str, found: object, expected: str) -> DatasetError:
    """The error to raise for a field; ``found`` is a value, shortened, or a description."""
    return DatasetError(f"{where}: field '{field}': found {_shown(found)}, expected {expected}")


def _shown(found: object) -> str:
    try:
        return found if isinstance(found, str) else _SHORT.repr(found)[:_MAX_SHOWN]
    except Exception:  # an integer of 5000 digits, a list that holds itself a thousand times, ...
        return f"a {type(found).__name__} that cannot be shown"


def require_path(path: str, content: str) -> None:
    """Raise DatasetError, naming DETECTRON2_DATASETS, unless ``path`` exists."""
    if not os.path.exists(path):
        root = os.getenv("DETECTRON2_DATASETS", "datasets")
        raise DatasetError(
            f"{path}: found nothing there, expected {content}; registered datasets are looked up "
            f"under DETECTRON2_DATASETS, here '{root}' (see datasets/README.md)"
        )


def require_file(path: str, content: str) -> None:
    """Raise DatasetError unless ``path`` exists and is no folder."""
    require_path(path, content)
    if os.path.isdir(path):
        raise DatasetError(f"{path}: found a folder, expected {content}")


def require(record: Mapping[str, Any], field: str, where: Where | str) -> Any:
    """``record[field]``.  Raises DatasetError that lists the fields found where it is absent."""
    if not isinstance(record, Mapping):
        raise field_error(where, field, record, "an object with this field")
    if field not in record:
        listed = sorted(str(key) if isinstance(key, str) else _shown(key) for key in record)
        more = f" and {len(listed) - _MAX_LISTED} more" if len(listed) > _MAX_LISTED else ""
        raise field_error(where, field, f"fields {listed[:_MAX_LISTED]}{more}", "this field")
    return record[field]
