"""Checkpoint files: written whole or not at all, and looked at before they are used."""

import contextlib
import glob
import os
import shutil
import zipfile
from collections.abc import Mapping
from typing import Any

import torch

from .atomic_file import TEMPORARY_SUFFIX, write_atomically
from .data.bounded_unpickler import scan_pickle
from .stored_zip import require_unpacked

__all__ = ["CheckpointError", "find_problem", "read_checkpoint", "write_checkpoint"]


class CheckpointError(ValueError):
    """A checkpoint is broken, is more than data, or cannot be written."""


def write_checkpoint(path: str, data: Mapping[str, Any]) -> None:
    """Save ``data`` with PyTorch, as :func:`write_atomically` does.

    Removes what processes that were killed while writing left in the folder: nobody else may be
    writing there.

    Raises:
        CheckpointError: names the file, its size and the space left, where the system refuses.
    """
    folder = os.path.dirname(path) or "."
    for leftover in glob.glob(os.path.join(glob.escape(folder), f"*.pth.*{TEMPORARY_SUFFIX}")):
        with contextlib.suppress(OSError):
            os.remove(leftover)
    try:
        write_atomically(path, lambda file: torch.save(data, file))
    except (OSError, RuntimeError) as error:  # PyTorch makes the one of the other
        size, free = _num_bytes(data) / 2**20, shutil.disk_usage(folder).free / 2**20
        raise CheckpointError(
            f"{path}: cannot write this checkpoint of {size:.1f} MiB ({free:.1f} MiB are free): "
            f"{_cause(error)}; earlier checkpoints are as they were"
        ) from error


def read_checkpoint(path: str | os.PathLike) -> Any:
    """What PyTorch saved in a file: tensors, numbers, text and plain containers alone.

    Raises:
        OSError: where the file cannot be opened.
        CheckpointError: where it is broken, or is more than data.
    """
    with open(path, "rb") as file:  # an OSError of this is about the file, and names it
        try:
            if file.read(2) == b"PK":
                _check_archive(path)
            file.seek(0)
            return torch.load(file, map_location="cpu", weights_only=True)
        except Exception as error:  # a broken file may raise anything, OSError too
            raise CheckpointError(f"{path}: cannot be read as weights alone: {error}") from error


def _check_archive(path: str | os.PathLike) -> None:
    """Raise, whatever it is, for a zip file that unpacks to more, or whose keys end the process."""
    require_unpacked(path)
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if name.endswith("/data.pkl"):
                scan_pickle(archive.read(name))


def find_problem(path: str) -> str | None:
    """Why a checkpoint cannot be resumed from; None where no byte of it has changed.

    PyTorch writes checksums, but compares none.  A file that is not in its present format passes,
    for the loader to judge.
    """
    if not os.path.isfile(path):
        return f"{path} (named by last_checkpoint): no such file"
    if os.path.getsize(path) == 0:
        return f"{path}: the file is empty"
    try:
        if not zipfile.is_zipfile(path):
            return None
        require_unpacked(path)
        with zipfile.ZipFile(path) as file:
            broken = file.testzip()
    except Exception as error:  # a broken zip file fails in a dozen ways
        return f"{path}: {error}"
    return None if broken is None else f"{path}: the checksum of '{broken}' is wrong"


def _cause(error: BaseException) -> BaseException:
    """What the system said, behind PyTorch's complaint that the file is too short."""
    while not isinstance(error, OSError) and error.__context__ is not None:
        error = error.__context__
    return error


def _num_bytes(data: Any) -> int:
    """Of all tensors in containers."""
    if isinstance(data, torch.Tensor):
        return data.numel() * data.element_size()
    if isinstance(data, Mapping):
        return sum(map(_num_bytes, data.values()))
    return sum(map(_num_bytes, data)) if isinstance(data, list | tuple) else 0
