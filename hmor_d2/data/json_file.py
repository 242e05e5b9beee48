"""Reading JSON files of annotations, of any size that memory holds."""

import contextlib
import gc
import json
from collections.abc import Iterator
from typing import Any

from .dataset_error import DatasetError, require_file

__all__ = ["broken_json", "collector_paused", "load_json"]


def broken_json(path: str, error: Exception) -> DatasetError:
    """The error to raise for a file that does not parse."""
    return DatasetError(f"{path}: found broken JSON ({error}), expected a whole file")


@contextlib.contextmanager
def collector_paused() -> Iterator[None]:
    """Keep the garbage collector off while millions of lists are made, none of them garbage.

    It would visit all of them again and again: half the time that a large JSON file takes.
    """
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


def load_json(path: str) -> Any:
    """Parse a JSON file.  Raises DatasetError where it is missing, a folder or not whole."""
    try:
        with collector_paused(), open(path, encoding="utf-8") as file:
            return json.load(file)
    except OSError:
        require_file(path, "a JSON file")
        raise
    except (ValueError, RecursionError) as error:  # of JSON, UTF-8, huge numbers, deep lists
        raise broken_json(path, error) from error
