"""Are the images there, whole, and of the annotated size?"""

import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from ..image_file import open_picture
from .rows import Check

__all__ = ["check_images_present", "check_images_readable"]

_EXIF_ORIENTATION = 0x0112
_Progress = Callable[..., Iterable]


def check_images_present(
    records: Sequence[Mapping[str, Any]], *, workers: int = 1, progress: _Progress | None = None
) -> Check:
    """Whether every ``file_name`` exists, by listing each folder once (stat calls are slow on
    network disks).

    Args:
        workers: threads.
        progress: wraps the folders, called as tqdm is.
    """
    folders: dict[str, list[str]] = defaultdict(list)
    for record in records:
        folder, name = os.path.split(record["file_name"])
        folders[folder].append(name)

    def missing_of(item: tuple[str, list[str]]) -> list[str]:
        folder, names = item
        try:
            there = set(os.listdir(folder or "."))
        except (FileNotFoundError, NotADirectoryError):
            there = set()
        return [os.path.join(folder, name) for name in names if name not in there]

    with ThreadPoolExecutor(workers) as pool:
        results = pool.map(missing_of, folders.items())
        if progress is not None:
            results = progress(results, total=len(folders), desc="folders", unit="folder")
        missing = [path for paths in results for path in paths]
    value = f"{len(records) - len(missing)} of {len(records)}"
    if missing:
        value += f", missing e.g. {missing[0]}"
    return Check.judged("images present", value, "all", not missing)


def check_images_readable(
    records: Sequence[Mapping[str, Any]],
    *,
    sample: int | None,
    workers: int = 1,
    progress: _Progress | None = None,
) -> Check:
    """Whether images are whole and have the annotated size.

    Each is read to its end, a JPEG at an eighth of its size: that finds truncated files and
    costs little.

    Args:
        sample: how many, spread evenly over the records; None for all.
        workers: threads; the decoder runs in parallel.
        progress: wraps the images, called as tqdm is.
    """
    chosen = records
    if sample is not None and sample < len(records):
        places = np.linspace(0, len(records) - 1, sample).round().astype(int)
        chosen = [records[place] for place in places]
    with ThreadPoolExecutor(workers) as pool:
        results = pool.map(_image_fault, chosen)
        if progress is not None:
            results = progress(results, total=len(chosen), desc="images", unit="image")
        faults = [fault for fault in results if fault is not None]
    value = f"{len(chosen) - len(faults)} of {len(chosen)}"
    if faults:
        value += f", e.g. {faults[0]}"
    return Check.judged("images readable, size as annotated", value, "all", not faults)


def _image_fault(record: Mapping[str, Any]) -> str | None:
    """What is wrong with a record's image; None if nothing."""
    path = record["file_name"]
    try:
        with open_picture(path) as image:
            width, height = image.size
            # The mapper turns pictures as EXIF says, too.
            if image.getexif().get(_EXIF_ORIENTATION, 1) in (5, 6, 7, 8):
                width, height = height, width
            image.draft(None, (max(1, image.width // 8), max(1, image.height // 8)))
            image.load()
    except Exception as error:  # Pillow raises whatever parsing arbitrary bytes runs into
        return f"{path}: {error}"
    if (width, height) != (record["width"], record["height"]):
        return (
            f"{path}: found {width}x{height}, expected {record['width']}x{record['height']} "
            f"(image {record.get('image_id')})"
        )
    return None
