"""CMU Panoptic as the authors of HMOR annotated it: one pickle with a record an image.

A record has ``image_name`` (``.../<sequence>/hdImgs/<camera>/<file>``), ``intrinsics`` (3, 3),
``joints_3d_cam`` (P, 15, 3) in cm in the camera frame, ``joints_3d_vis`` (P, 15, 1 or more), and,
in the form that VirtualPose's ``pack.py`` writes, the fields of the camera's calibration.

**Lens distortion.**  The pictures are the toolbox's, and the lens does not change camera
coordinates, so they are undistorted by the mapper as those of :mod:`.panoptic` are (it says by
how much they would be off).  VirtualPose reads the same records without distortion.
"""

import collections
import logging
import os
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ...skeleton import get_skeleton
from ..annotations import LARGEST, check_image_size, stack_field
from ..array_fields import array_field
from ..dataset_error import DatasetError, Where, field_error, require
from ..json_file import collector_paused
from ..projection import annotate_people, camera_intrinsics
from ..safe_pickle import load_pickle
from .panoptic_record_lens import record_distortions

__all__ = ["load_panoptic_records"]

logger = logging.getLogger(__name__)

_JOINT_SET = "panoptic15"
_MM_PER_CM = 10.0
_HD_SIZE = (1920, 1080)
# Records that are converted at once: bounds the memory beside the file's own content.
_BATCH = 5_000


class _View(NamedTuple):
    """Where a record's picture is."""

    sequence: str
    camera: str
    file: str
    frame: int

    @property
    def image_id(self) -> str:
        return f"{self.sequence}/{self.camera}/{self.frame:08d}"


@collector_paused()
def load_panoptic_records(
    pickle_file: str,
    image_root: str,
    *,
    activities: Collection[str] | None = None,
    use_distortion: bool = True,
    compact: bool = False,
) -> list[dict[str, Any]]:
    """Load the authors' pickle of CMU Panoptic as dataset dicts of joint set ``panoptic15``.

    Keypoints, visibility, boxes and people outside the image are as in :func:`load_panoptic`.
    A joint is known where the first number of ``joints_3d_vis`` is above 0.  Images without
    people keep an empty list.

    Args:
        pickle_file: ``clean_train.pkl`` or ``clean_valid.pkl``, or what ``pack.py`` makes of them.
        image_root: folder of the sequences; ``image_name`` counts from the sequence on.
        activities: only sequences in whose name one of these occurs, such as "haggling".
        use_distortion: give ``distortion``, from the record's ``distCoef`` or, where it has
            none, from ``calibration_<sequence>.json`` in the sequence's folder.  Choose False
            for pictures that are undistorted already, or to compare with VirtualPose.
        compact: ``keypoints`` as float32 arrays (45,) in place of lists of floats, as
            :func:`load_muco_json` has it.

    Returns:
        one dict an image, in the file's order, with ``sequence``, ``camera`` and ``frame``; ids
        are those of :func:`load_panoptic`, and ``person_id`` is the index in the record.

    Raises:
        DatasetError: for a pickle that is broken or names anything but data, missing fields,
            an ``image_name`` of another form, an image that occurs twice, wrong shapes, known
            joints that are not finite, skew, a missing calibration, intrinsics that are not
            the calibration's.
        ValueError: if ``activities`` is one string.
    """
    if isinstance(activities, str):
        raise ValueError(f"activities is '{activities}', expected a list of names")
    content = load_pickle(pickle_file)
    if not isinstance(content, Sequence) or isinstance(content, str | bytes):
        raise DatasetError(f"{pickle_file}: found {type(content).__name__}, expected a list")
    entries, views = [], []
    for index, entry in enumerate(content):
        view = _view(entry, Where(f"{pickle_file}, record {index}"))
        if activities is None or any(name in view.sequence for name in activities):
            entries.append(entry)
            views.append(view)
    for image_id, times in collections.Counter(view.image_id for view in views).items():
        if times > 1:
            found = f"the image {times} times"
            raise field_error(Where(pickle_file, image_id), "image_name", found, "each image once")

    if not entries:
        logger.warning("%s: no record is left of %d", pickle_file, len(content))
    del content

    def where(i: int) -> Where:
        return Where(pickle_file, views[i].image_id)

    records = _image_records(entries, views, image_root, where)
    if use_distortion:
        distortions = record_distortions(entries, records, image_root, where)
        for record, distortion in zip(records, distortions, strict=True):
            record["distortion"] = distortion
    outside = 0
    for start in range(0, len(records), _BATCH):
        batch = slice(start, start + _BATCH)
        outside += _annotate(records[batch], entries[batch], pickle_file, compact)
        entries[batch] = [{}] * len(entries[batch])  # frees the pickle's content
    people = sum(len(record["annotations"]) for record in records)
    logger.info(
        "%s: %d images, %d people; %d are outside the image",
        pickle_file,
        len(records),
        people,
        outside,
    )
    return records


def _view(entry: Mapping[str, Any], where: Where) -> _View:
    name = require(entry, "image_name", where)
    parts = name.split("/") if isinstance(name, str) else []
    frame = re.fullmatch(r"(?:.*_)?([0-9]{1,12})\.\w+", parts[-1]) if parts else None
    if len(parts) < 4 or parts[-3] != "hdImgs" or frame is None or {"", ".", ".."} & {*parts[-4:]}:
        expected = "'.../<sequence>/hdImgs/<camera>/<file>' whose file ends in a frame number"
        raise field_error(where, "image_name", name, expected)
    return _View(parts[-4], parts[-2], parts[-1], int(frame.group(1)))


def _image_records(
    entries: Sequence[Mapping[str, Any]],
    views: Sequence[_View],
    image_root: str,
    where: Callable[[int], Where],
) -> list[dict[str, Any]]:
    """Dataset dicts without distortion and people."""
    matrices = stack_field(entries, "intrinsics", (3, 3), where)
    sized = [i for i, entry in enumerate(entries) if "resolution" in entry]
    with_size = [entries[i] for i in sized]
    stacked = stack_field(with_size, "resolution", (2,), lambda i: where(sized[i]))
    sizes = dict(zip(sized, stacked, strict=True))
    records = []
    for i, (view, matrix) in enumerate(zip(views, matrices, strict=True)):
        # A side that is no whole number stays a float, for the check to name.
        width, height = (int(s) if s == int(s) else float(s) for s in sizes.get(i, _HD_SIZE))
        check_image_size(height, width, where(i))
        records.append(
            {
                "file_name": os.path.join(
                    image_root, view.sequence, "hdImgs", view.camera, view.file
                ),
                "image_id": view.image_id,
                "height": height,
                "width": width,
                "intrinsics": camera_intrinsics(matrix, "intrinsics", where(i)),
                "joint_set": _JOINT_SET,
                "sequence": view.sequence,
                "camera": view.camera,
                "frame": view.frame,
                "annotations": [],
            }
        )
    return records


def _annotate(
    records: Sequence[dict[str, Any]],
    entries: Sequence[Mapping[str, Any]],
    pickle_file: str,
    compact: bool,
) -> int:
    """Fill ``annotations`` in; returns how many people are outside their image."""

    def where(i: int) -> Where:
        return Where(pickle_file, records[i]["image_id"])

    joints = [_people(e, "joints_3d_cam", 3, where(i)) for i, e in enumerate(entries)]
    flags = [_people(e, "joints_3d_vis", None, where(i)) for i, e in enumerate(entries)]
    counts = [len(poses) for poses in joints]
    for i, (count, visible) in enumerate(zip(counts, flags, strict=True)):
        if len(visible) != count:
            expected = f"{count} as in 'joints_3d_cam'"
            raise field_error(where(i), "joints_3d_vis", f"{len(visible)} people", expected)
    owners = np.repeat(np.arange(len(records)), counts)
    stacked = np.concatenate(joints)
    known = np.concatenate([visible[..., 0] for visible in flags]) > 0
    bounded = (np.abs(stacked) <= LARGEST).all(axis=2)  # which NaN is not
    for row in np.flatnonzero((known & ~bounded).any(axis=1)):
        found, expected = stacked[row].tolist(), f"finite known joints, up to {LARGEST:g}"
        raise field_error(where(owners[row]), "joints_3d_cam", found, expected)
    people = annotate_people(
        stacked * _MM_PER_CM,
        known,
        np.array([record["intrinsics"] for record in records])[owners],
        np.array([(record["width"], record["height"]) for record in records])[owners],
        [person for count in counts for person in range(count)],
        compact=compact,
    )
    for owner, person in zip(owners.tolist(), people, strict=True):
        if person is not None:
            records[owner]["annotations"].append(person)
    return people.count(None)


def _people(entry: Mapping[str, Any], field: str, depth: int | None, where: Where) -> np.ndarray:
    """(P, 15, depth): a field of all people of a record; an empty one has any shape."""
    value = require(entry, field, where)
    num_joints = get_skeleton(_JOINT_SET).num_joints
    if (isinstance(value, list) and not value) or getattr(value, "size", 1) == 0:
        return np.zeros((0, num_joints, depth or 1))
    return array_field(value, field, (None, num_joints, depth), where)
