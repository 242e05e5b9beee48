"""Counts of images and people, ids that occur twice, and plausible cameras."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..annotations import check_image_size, check_intrinsics
from ..dataset_error import Where, require
from .published import PublishedCounts
from .rows import Check, note, skip

__all__ = ["check_cameras", "check_counts", "check_duplicates"]

# Of the larger side: from a long lens to a wide one that still is no fisheye.
_FOV_DEG = (10.0, 120.0)
_MAX_PIXEL_ASPECT = 1.1
# Distance of the principal point from the middle, as a share of the image's side.
_MAX_OFF_CENTER = 0.25


def check_duplicates(records: Sequence[Mapping[str, Any]]) -> list[Check]:
    """Image ids, and files, that more than one record has."""
    rows = []
    for name, field in (("image ids that repeat", "image_id"), ("files that repeat", "file_name")):
        counts = Counter(record.get(field) for record in records)
        repeated = [value for value, count in counts.items() if count > 1]
        value = f"{len(repeated)}" + (f", e.g. {repeated[0]}" if repeated else "")
        rows.append(Check.judged(name, value, "0", not repeated))
    return rows


def check_counts(found: Mapping[str, int], published: PublishedCounts | None) -> list[Check]:
    """Counts against the published ones.

    Args:
        found: by the names of PublishedCounts' fields.
    """
    names = {
        "images": "images",
        "people": "people",
        "people_2d": "people with 2D joints",
        "images_2d": "images with 2D joints",
        "people_3d": "people with 3D joints",
    }
    rows = []
    for field, name in names.items():
        expected = getattr(published, field) if published else None
        if expected is not None:
            good = found[field] == expected
            rows.append(Check.judged(name, f"{found[field]}", f"{expected}, published", good))
        elif field in ("images", "people"):
            rows.append(Check.judged(name, f"{found[field]}", "> 0", found[field] > 0))
        else:
            rows.append(note(name, f"{found[field]}"))
    return rows


def check_cameras(records: Sequence[Mapping[str, Any]]) -> list[Check]:
    """Field of view, pixel aspect and principal point of the images that have intrinsics.

    Raises:
        DatasetError: for a size or intrinsics that are no such thing.
    """
    cameras: Counter[tuple] = Counter()
    for number, record in enumerate(records):
        where = Where(require(record, "file_name", f"record {number}"), record.get("image_id"))
        require(record, "annotations", where)
        intrinsics = record.get("intrinsics")
        camera = None if intrinsics is None else tuple(intrinsics)
        key = record.get("height"), record.get("width"), camera
        if key not in cameras:
            check_image_size(*key[:2], where)
            if camera is not None:
                check_intrinsics(camera, where)
        cameras[key] += 1
    known = [(width, height, *camera) for height, width, camera in cameras if camera is not None]
    names = ("field of view", "focal lengths fx / fy", "principal point off the middle")
    if not known:
        return [skip(name, "no image has intrinsics") for name in names]
    width, height, fx, fy, cx, cy = np.array(known, dtype=np.float64).T
    larger = np.maximum(width / fx, height / fy)
    fov = np.degrees(2 * np.arctan(larger / 2))
    aspect = fx / fy
    off = np.maximum(np.abs(cx / width - 0.5), np.abs(cy / height - 0.5))
    low, high = _FOV_DEG
    values = (
        f"{fov.min():.1f} to {fov.max():.1f} degrees, {len(known)} cameras",
        f"{aspect.min():.3f} to {aspect.max():.3f}",
        f"{off.max():.1%} of the side at most",
    )
    limits = (
        f"{low:g} to {high:g} degrees",
        f"{1 / _MAX_PIXEL_ASPECT:.2f} to {_MAX_PIXEL_ASPECT:.2f}",
        f"<= {_MAX_OFF_CENTER:.0%}",
    )
    good = (
        low <= fov.min() and fov.max() <= high,
        1 / _MAX_PIXEL_ASPECT <= aspect.min() and aspect.max() <= _MAX_PIXEL_ASPECT,
        off.max() <= _MAX_OFF_CENTER,
    )
    rows = [
        Check.judged(n, v, x, bool(g))
        for n, v, x, g in zip(names, values, limits, good, strict=True)
    ]
    without = sum(count for (_, _, camera), count in cameras.items() if camera is None)
    return [*rows, note("images without intrinsics", f"{without}")]
