"""Lens distortion of the pictures that the authors' records of CMU Panoptic belong to."""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..annotations import stack_field
from ..dataset_error import DatasetError, Where, field_error
from ..projection import camera_intrinsics
from .panoptic_calibration import load_calibration

__all__ = ["record_distortions"]

# Pixels: how far intrinsics may be from the calibration whose distortion goes with them.
_TOLERANCE = 0.5


class _Lens(NamedTuple):
    """Distortion k1, k2, p1, p2, k3 and the fx, fy, cx, cy that it goes with."""

    distortion: list[float]
    intrinsics: list[float]


def record_distortions(
    entries: Sequence[Mapping[str, Any]],
    records: Sequence[Mapping[str, Any]],
    image_root: str,
    where: Callable[[int], Where],
) -> list[list[float]]:
    """k1, k2, p1, p2, k3 of each record, from ``distCoef`` and ``K`` in it.

    Where it has none, they are from ``calibration_<sequence>.json`` in the sequence's folder.

    Args:
        entries: the records as the authors' file has them.
        records: their dataset dicts, with ``sequence``, ``camera`` and ``intrinsics``.
        image_root: folder of the sequences.
        where: gives the place of record i.

    Raises:
        DatasetError: for wrong shapes, numbers that are not finite, a record without ``K``, a
            calibration that is in neither place or broken, and intrinsics that differ from it
            by more than half a pixel: its distortion would belong to another picture.
    """
    packed = [i for i, entry in enumerate(entries) if "distCoef" in entry]
    with_lens = [entries[i] for i in packed]
    distortions = stack_field(with_lens, "distCoef", (5,), lambda i: where(packed[i])).tolist()
    matrices = stack_field(with_lens, "K", (3, 3), lambda i: where(packed[i]))
    lenses = {
        i: _Lens(distortion, camera_intrinsics(matrix, "K", where(i)))
        for i, distortion, matrix in zip(packed, distortions, matrices, strict=True)
    }
    calibrated: dict[tuple[str, str], _Lens] = {}
    result = []
    for i, record in enumerate(records):
        key = record["sequence"], record["camera"]
        if i not in lenses and key not in calibrated:
            calibrated[key] = _calibrated_lens(*key, image_root, where(i))
        lens = lenses.get(i) or calibrated[key]
        if np.abs(np.subtract(record["intrinsics"], lens.intrinsics)).max() > _TOLERANCE:
            expected = (
                f"{lens.intrinsics}, the calibration's (fx, fy, cx, cy, pixels counted from 0.5), "
                "which the distortion goes with; use_distortion=False leaves it out"
            )
            raise field_error(where(i), "intrinsics", f"{record['intrinsics']}", expected)
        result.append(list(lens.distortion))
    return result


def _calibrated_lens(sequence: str, camera: str, image_root: str, where: Where) -> _Lens:
    folder = os.path.join(image_root, sequence)
    path = os.path.join(folder, f"calibration_{sequence}.json")
    if not os.path.exists(path):
        raise DatasetError(
            f"{where}: found no 'distCoef', and nothing at {path}; expected one of them, or "
            "use_distortion=False"
        )
    calibration = load_calibration(folder, sequence, [camera])[camera]
    return _Lens(calibration.distortion, calibration.intrinsics)
