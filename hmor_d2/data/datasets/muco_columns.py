"""Reads and checks MuCo-3DHP.json, a column of numbers for each field, without holding the file.

The file has 2 GB and more; its columns have half a gigabyte, and are what is cached.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from ...skeleton import get_skeleton
from ..annotations import check_image_size, check_intrinsics, stack_field
from ..dataset_error import Where, field_error, require
from ..json_stream import stream_json_arrays
from ..record_fields import require_id, require_text
from .posed_people import check_boxes, check_in_front

__all__ = ["JOINT_SET", "LAYOUT", "read_muco_columns", "unpack_text"]

JOINT_SET = "muco21"
# Name and version of the columns: to be changed with them or their checks, as they are cached.
LAYOUT = "muco 2"


def read_muco_columns(json_file: str) -> dict[str, np.ndarray]:
    """The content of Moon's ``MuCo-3DHP.json``, checked.

    Returns:
        of N images in the file's order ``image_id`` and ``file_name`` (for
        :func:`unpack_text`), ``size`` (N, 2) height and width, ``intrinsics`` (N, 4) fx, fy, cx,
        cy and ``people`` (N,), their number.  Of all people, the first image's first, ``bbox``
        (P, 4) XYWH, ``keypoints`` (P, 63) float32 x, y, v and ``keypoints_cam`` (P, 21, 3)
        float32 mm.  Pixels are continuous.

    Raises:
        DatasetError: as ``load_muco_json``.
    """
    image_rows: dict[int | str, int] = {}
    people_rows: dict[int | str, int] = {}
    names, sizes, intrinsics, owners = [], [], [], []
    columns = {field: _Column(rows) for field, rows in _convert_people([], json_file).items()}
    for field, batch in stream_json_arrays(json_file, ("images", "annotations")):
        if field == "images":
            _add_ids(image_rows, batch, field, json_file)
            for image in batch:
                where = Where(json_file, image["id"])
                names.append(require_text(image, "file_name", where, "a path"))
                sizes.append(_size(image, where))
                intrinsics.append(_intrinsics(image, where))
        else:
            _add_ids(people_rows, batch, field, json_file)
            owners += _ids(
                batch, "image_id", lambda i, b=batch: Where(json_file, annotation_id=b[i]["id"])
            )
            for name, rows in _convert_people(batch, json_file).items():
                columns[name].append(rows)

    rows = [image_rows.get(owner, -1) for owner in owners]
    if -1 in rows:
        index = rows.index(-1)
        where = Where(json_file, annotation_id=list(people_rows)[index])
        raise field_error(where, "image_id", owners[index], "the id of one of the images")
    rows = np.array(rows, dtype=np.int64)
    people = {name: column.array() for name, column in columns.items()}
    if (rows[1:] < rows[:-1]).any():
        order = np.argsort(rows, kind="stable")
        people = {name: array[order] for name, array in people.items()}
    return {
        "image_id": _pack_text(image_rows),
        "file_name": _pack_text(names),
        "size": np.array(sizes, dtype=np.int64).reshape(-1, 2),
        "intrinsics": np.array(intrinsics, dtype=np.float64).reshape(-1, 4),
        "people": np.bincount(rows, minlength=len(names)),
        **people,
    }


def unpack_text(packed: np.ndarray) -> list[Any]:
    """The N image ids or file names of a column."""
    return json.loads(packed.tobytes())


def _pack_text(values: Iterable[int | str]) -> np.ndarray:
    return np.frombuffer(json.dumps(list(values)).encode(), dtype=np.uint8)


class _Column:
    """Rows that come in batches, kept in one piece of memory."""

    def __init__(self, first: np.ndarray):
        self._shape, self._dtype = first.shape[1:], first.dtype
        self._bytes = bytearray()
        self.append(first)

    def append(self, rows: np.ndarray) -> None:
        self._bytes += rows.tobytes()

    def array(self) -> np.ndarray:
        return np.frombuffer(self._bytes, dtype=self._dtype).reshape(-1, *self._shape)


def _add_ids(rows: dict[int | str, int], batch: Sequence[Any], field: str, json_file: str) -> None:
    """Number the records' ids after those that are there."""

    def where(i: int) -> Where:
        return Where(f"{json_file}, {field}[{len(rows) + i}]")

    ids = _ids(batch, "id", where)
    if len(set(ids)) < len(ids) or not rows.keys().isdisjoint(ids):
        for i, identity in enumerate(ids):
            if identity in rows or identity in ids[:i]:
                raise field_error(where(i), "id", identity, "unique ids")
    rows.update(zip(ids, range(len(rows), len(rows) + len(ids)), strict=True))


def _ids(batch: Sequence[Any], field: str, where: Callable[[int], Where]) -> list[int | str]:
    try:
        ids = [record[field] for record in batch]
    except (KeyError, TypeError):
        ids = None
    if ids is None or not {int, str}.issuperset(map(type, ids)):
        return [require_id(record, field, where(i)) for i, record in enumerate(batch)]
    return ids


def _size(image: Mapping[str, Any], where: Where) -> tuple[int, int]:
    height, width = require(image, "height", where), require(image, "width", where)
    check_image_size(height, width, where)
    return height, width


def _intrinsics(image: Mapping[str, Any], where: Where) -> list[float]:
    focal, center = require(image, "f", where), require(image, "c", where)
    try:
        (fx, fy), (cx, cy) = focal, center
        intrinsics = [fx + 0.0, fy + 0.0, cx + 0.5, cy + 0.5]  # a TypeError for texts
    except (TypeError, ValueError, OverflowError):
        found = f"f {focal}, c {center}"
        raise field_error(where, "f, c", found, "two numbers each, in pixels") from None
    check_intrinsics(intrinsics, where)
    return intrinsics


def _convert_people(people: Sequence[Mapping[str, Any]], json_file: str) -> dict[str, np.ndarray]:
    """``bbox`` (N, 4), ``keypoints`` (N, 63) and ``keypoints_cam`` (N, 21, 3) of a batch."""
    num_joints = get_skeleton(JOINT_SET).num_joints

    def where(i: int) -> Where:
        return Where(json_file, people[i]["image_id"], people[i]["id"])

    boxes = stack_field(people, "bbox", (4,), where)
    pixels = stack_field(people, "keypoints_img", (num_joints, 2), where)
    joints = stack_field(people, "keypoints_cam", (num_joints, 3), where)
    visible = stack_field(people, "keypoints_vis", (num_joints,), where)
    check_boxes(people, boxes, where)
    check_in_front(joints, where)

    flags = np.where(visible != 0, 2.0, 1.0)
    keypoints = np.concatenate((pixels + 0.5, flags[..., None]), axis=-1)
    return {
        "bbox": boxes,
        "keypoints": keypoints.reshape(len(people), 3 * num_joints).astype(np.float32),
        "keypoints_cam": joints.astype(np.float32),
    }
