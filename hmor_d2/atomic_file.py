"""Writes files that are either as they were or complete, at whatever moment a process ends."""

import contextlib
import os
import uuid
from collections.abc import Callable
from typing import BinaryIO

__all__ = ["TEMPORARY_SUFFIX", "write_atomically"]

# Of files being written; one that a killed process left behind may be removed.
TEMPORARY_SUFFIX = ".tmp"


def write_atomically(path: str, write: Callable[[BinaryIO], object]) -> None:
    """Write a file beside ``path``, bring it to the disk, and only then give it that name.

    A process that is killed, or a machine that loses power, leaves the old file or the new one,
    and at most a file ``<path>.<random>.tmp`` besides.

    Args:
        path: of a local file, which may exist.
        write: gets the open file.

    Raises:
        OSError: whatever the system says, e.g. that the disk is full; like any error of
            ``write`` it leaves the old file as it was, and no temporary one.
    """
    temporary = f"{path}.{uuid.uuid4().hex}{TEMPORARY_SUFFIX}"
    try:
        with open(temporary, "xb") as file:  # the mode is what the user's umask says
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.remove(temporary)
        raise
    _sync_folder(os.path.dirname(path) or ".")


def _sync_folder(folder: str) -> None:
    """Bring the new name to the disk too, where the system can (not on Windows)."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
