"""A reader with hostile files for it, and what a dataset loader may let through."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from hmor_d2.data import DatasetError
from hmor_d2.data.annotations import check_image_size, check_intrinsics, check_person
from hmor_d2.skeleton import get_skeleton

__all__ = ["HostileReader", "check_records"]


class HostileReader(NamedTuple):
    """A reader with a writer of hostile files for it, and the errors that it may raise."""

    read: Callable[[Path], object]
    write: Callable[[random.Random, Path], Path]
    errors: tuple[type[BaseException], ...] = (DatasetError,)
    rounds: int = 60
    mention: str | None = None  # what errors must name, where it is not the file alone


def check_records(records: list[dict]) -> None:
    """What a loader lets through must be right: only images are left for the mapper to judge."""
    for record in records:
        check_image_size(record["height"], record["width"], "a record")
        if "intrinsics" in record:
            check_intrinsics(record["intrinsics"], "a record")
        for person in record["annotations"]:
            try:
                check_person(person, get_skeleton(record["joint_set"]), "a record")
            except DatasetError as error:
                raise AssertionError(f"the loader let through: {error}") from error
