"""Which files are meant, what their results are called, and reading pictures."""

import glob
import itertools
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeVar

import numpy as np

from hmor_d2.data import image_file

__all__ = ["SourceError", "batches", "find_inputs", "is_utf8", "output_names", "read_picture"]

PICTURE_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"}
VIDEO_SUFFIXES = {".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".wmv", ".3gp"}
T = TypeVar("T")


class SourceError(Exception):
    """An input cannot be used; the text names it and says why."""


def find_inputs(inputs: Iterable[str]) -> tuple[list[Path], list[Path], list[str]]:
    """Pictures and videos that files, folders and glob patterns name, each once.

    A file is taken whatever its suffix, and whether or not it exists: reading it tells.  Of
    folders and patterns, files with a suffix of pictures or videos are.

    Returns:
        pictures, videos, and the inputs without any.
    """
    known = PICTURE_SUFFIXES | VIDEO_SUFFIXES
    files: dict[Path, Path] = {}
    empty = []
    for text in inputs:
        path = Path(text)
        if path.is_dir():
            found = sorted(p for p in path.iterdir() if p.suffix.lower() in known)
        elif path.exists() or not glob.has_magic(text):
            found = [path]
        else:
            found = [Path(match) for match in sorted(glob.glob(text, recursive=True))]
            found = [match for match in found if match.suffix.lower() in known]
        if not found:
            empty.append(text)
        for match in found:
            files.setdefault(match.resolve(), match)
    videos = [path for path in files.values() if path.suffix.lower() in VIDEO_SUFFIXES]
    return [path for path in files.values() if path not in videos], videos, empty


def output_names(paths: Iterable[Path]) -> list[str]:
    """A name for each input's results: its stem, with a number where another has that name.

    "index" is the page of all pictures.
    """
    names: list[str] = []
    taken = {"index"}
    for path in paths:
        stem = os.fsencode(path.stem).decode("utf-8", "replace")  # others end OpenCV
        name, number = stem, 1
        while name.lower() in taken:  # some file systems do not tell upper from lower case
            number += 1
            name = f"{stem}_{number}"
        taken.add(name.lower())
        names.append(name)
    return names


def read_picture(path: Path) -> np.ndarray:
    """(H, W, 3) uint8 BGR, upright by EXIF's orientation.  Raises SourceError."""
    if not path.exists():
        raise SourceError(f"{path}: does not exist")
    try:
        # Not OpenCV, which decodes a billion pixels, and ends the process for names not in UTF-8.
        return image_file.read_picture(path, "BGR")
    except (OSError, ValueError) as error:
        raise SourceError(f"{path}: cannot be read as a picture: {error}") from error


def batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Lists of ``size`` items, the last one shorter."""
    iterator = iter(items)
    while batch := list(itertools.islice(iterator, size)):
        yield batch


def is_utf8(path: Path) -> bool:
    """Whether OpenCV can be given the name: others end the process."""
    try:
        str(path).encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
