"""MuPoTS-3D: 20 sequences of two or three people, a test set, mostly outdoors.

Two packagings are read: the test set as distributed (``annot.mat`` and ``occlusion.mat`` a
sequence), and the one JSON file in COCO's layout that Moon et al. made of it for 3DMPPE.  Poses are
``annot3``, the ones that project to the image; the official evaluation takes ``univ_annot3`` and
reads it with :func:`read_mupots_sequence`.
"""

import logging
import os
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ...skeleton import get_skeleton
from ..annotations import check_intrinsics, stack_field
from ..dataset_error import DatasetError, Where, field_error, require
from ..projection import enlarged_box
from .coco import image_record, read_coco_style_json
from .mupots_annotations import (
    MUPOTS_IMAGE_SIZES,
    MUPOTS_JOINT_SET,
    MUPOTS_SEQUENCES,
    read_mupots_sequence,
)
from .mupots_intrinsics import MUPOTS_PROJECTED_JOINTS, fit_mupots_intrinsics
from .posed_people import check_boxes, check_in_front, posed_annotations

__all__ = ["load_mupots", "load_mupots_json", "mupots_boxes"]

logger = logging.getLogger(__name__)

_FILE_NAME = re.compile(r"(?:.*/)?(TS[0-9]+)/img_([0-9]{1,12})\.\w+")
# Median distance of keypoints_img from the projection of keypoints_cam, beyond which they differ.
_MAX_REPROJECTION_PX = 3.0


def load_mupots(root: str, *, sequences: Sequence[str] | None = None) -> list[dict[str, Any]]:
    """Load the test set as distributed, as dataset dicts of joint set ``muco17``.

    The camera of a sequence is fitted to its annotations.  2D joints and principal points are
    shifted by +0.5 to continuous pixels; v is 1 for an occluded joint, else 2, also outside the
    image.  A box is the extent of the 17 2D joints, enlarged 1.2 times about its centre, XYWH,
    and may reach outside the image.  Frames without valid people keep an empty list.  Images
    need not exist.

    Args:
        root: the folder ``MultiPersonTestSet``.
        sequences: names to load, in this order; all 20 where None.

    Returns:
        one dict a frame, by sequence and frame; besides the standard fields ``sequence`` and
        ``frame``, and ``person_id`` in every annotation: the person's column in the files,
        the same through the sequence.

    Raises:
        DatasetError: for what :func:`read_mupots_sequence` and :func:`fit_mupots_intrinsics` name,
            and for people whose 2D joints span no box.
        ValueError: for a sequence that MuPoTS-3D does not have.
    """
    sequences = MUPOTS_SEQUENCES if sequences is None else sequences
    if isinstance(sequences, str) or not set(MUPOTS_SEQUENCES).issuperset(sequences):
        raise ValueError(f"expected a list of TS1 ... TS20, found sequences {sequences!r}")
    records = []
    for name in sequences:
        records += _load_sequence(os.path.join(root, name))
    people = sum(len(record["annotations"]) for record in records)
    logger.info("%s: %d images, %d people", root, len(records), people)
    return records


def _load_sequence(folder: str) -> list[dict[str, Any]]:
    sequence = read_mupots_sequence(folder)
    width, height = MUPOTS_IMAGE_SIZES[sequence.name]
    try:
        fx, fy, cx, cy = fit_mupots_intrinsics(sequence)
    except DatasetError as error:
        raise DatasetError(f"{os.path.join(folder, 'annot.mat')}: {error}") from error
    records = [
        {
            "file_name": os.path.join(folder, f"img_{frame:06d}.jpg"),
            "image_id": f"{sequence.name}/img_{frame:06d}",
            "height": height,
            "width": width,
            "intrinsics": [fx, fy, cx + 0.5, cy + 0.5],
            "joint_set": MUPOTS_JOINT_SET,
            "sequence": sequence.name,
            "frame": frame,
            "annotations": [],
        }
        for frame in range(len(sequence.valid))
    ]
    frames, people = np.nonzero(sequence.valid)
    points = sequence.annot2[sequence.valid] + 0.5
    boxes = mupots_boxes(points)

    def where(i: int) -> str:
        return f"{os.path.join(folder, 'annot.mat')}, frame {frames[i]}, person {people[i]}"

    for i in np.flatnonzero((boxes[:, 2:] <= 0).any(axis=1)):
        raise field_error(where(i), "annot2", points[i], "joints that span a box")
    annotations = _annotations(
        boxes, points, ~sequence.occluded[sequence.valid], sequence.annot3[sequence.valid]
    )
    for frame, person, annotation in zip(
        frames.tolist(), people.tolist(), annotations, strict=True
    ):
        records[frame]["annotations"].append(annotation | {"person_id": person})
    return records


def mupots_boxes(points: np.ndarray) -> np.ndarray:
    """Boxes (N, 4) XYWH of joints (N, 17, 2), pixels: the extent, enlarged 1.2 times.

    The spine does not count: its 2D joint is off by hundreds of pixels in TS1 and TS2.
    """
    counted = np.ones(points.shape[:2], dtype=np.bool_)
    counted[:, get_skeleton(MUPOTS_JOINT_SET).index("spine")] = False
    corners = enlarged_box(points, counted)
    return np.concatenate((corners[:, :2], corners[:, 2:] - corners[:, :2]), axis=1)


def load_mupots_json(json_file: str, image_root: str) -> list[dict[str, Any]]:
    """Load Moon's ``MuPoTS-3D.json`` as dataset dicts of joint set ``muco17``.

    2D joints and principal points are shifted by +0.5 to continuous pixels; boxes are the file's,
    XYWH, and may reach outside the image.  v is 2 where the file's ``keypoints_vis`` is not
    zero, else 1.  People with ``is_valid`` 0 are left out, unread; images without others keep
    an empty list.  Where ``keypoints_cam`` does not project to ``keypoints_img`` the log warns:
    the file then has the universal skeletons, not the people's own.

    Args:
        json_file: path of the file; ``datasets/prepare_mupots.py`` makes one, too.
        image_root: folder that ``file_name`` is relative to (``MultiPersonTestSet``).

    Returns:
        one dict an image, in the file's order, with ``sequence`` and ``frame`` from its
        ``file_name``.

    Raises:
        DatasetError: for a missing or truncated file, missing fields, ids that occur twice, an
            annotation of an unknown image, a ``file_name`` other than ``TS1/img_000000.jpg``,
            another number of joints, numbers that are not finite, joints that are not in
            front of the camera, boxes of no size, focal lengths that are not positive.
    """
    data = read_coco_style_json(json_file)
    records = {image["id"]: _json_record(image, image_root, json_file) for image in data["images"]}
    everyone = data["annotations"]
    people = [person for person in everyone if _is_valid(person, json_file)]
    boxes, points, visible, joints = _stack_people(people, lambda i: _place(people[i], json_file))
    _check_projection(records, people, points, joints, json_file)
    for person, annotation in zip(
        people, _annotations(boxes, points, visible, joints), strict=True
    ):
        records[person["image_id"]]["annotations"].append(annotation)
    logger.info(
        "%s: %d images, %d of %d people valid", json_file, len(records), len(people), len(everyone)
    )
    return list(records.values())


def _place(person: Mapping[str, Any], json_file: str) -> Where:
    return Where(json_file, person["image_id"], person["id"])


def _is_valid(person: Mapping[str, Any], json_file: str) -> bool:
    flag = require(person, "is_valid", _place(person, json_file))
    if flag not in (0, 1):
        raise field_error(_place(person, json_file), "is_valid", flag, "0 or 1")
    return bool(flag)


def _json_record(image: Mapping[str, Any], image_root: str, json_file: str) -> dict[str, Any]:
    where = Where(json_file, image["id"])
    record = image_record(image, image_root, json_file, MUPOTS_JOINT_SET)
    match = _FILE_NAME.fullmatch(image["file_name"])
    if not match:
        raise field_error(where, "file_name", image["file_name"], "e.g. TS1/img_000000.jpg")
    values = require(image, "intrinsic", where)
    try:
        fx, fy, cx, cy = values
        intrinsics = [fx + 0.0, fy + 0.0, cx + 0.5, cy + 0.5]  # a TypeError for texts
    except (TypeError, ValueError, OverflowError):
        raise field_error(where, "intrinsic", values, "fx, fy, cx, cy in pixels") from None
    check_intrinsics(intrinsics, where)
    return record | {
        "intrinsics": intrinsics,
        "sequence": match[1],
        "frame": int(match[2]),
        "annotations": [],
    }


def _stack_people(
    people: Sequence[Mapping[str, Any]], where: Callable[[int], Where]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Boxes (N, 4), continuous 2D joints (N, 17, 2), visibility (N, 17), 3D joints (N, 17, 3)."""
    num_joints = get_skeleton(MUPOTS_JOINT_SET).num_joints
    boxes = stack_field(people, "bbox", (4,), where)
    points = stack_field(people, "keypoints_img", (num_joints, 2), where) + 0.5
    joints = stack_field(people, "keypoints_cam", (num_joints, 3), where)
    visible = stack_field(people, "keypoints_vis", (num_joints,), where) != 0
    check_boxes(people, boxes, where)
    check_in_front(joints, where)
    return boxes, points, visible, joints


def _check_projection(
    records: Mapping[Any, Mapping[str, Any]],
    people: Sequence[Mapping[str, Any]],
    points: np.ndarray,
    joints: np.ndarray,
    json_file: str,
) -> None:
    if not people:
        return
    cameras = np.array([records[person["image_id"]]["intrinsics"] for person in people])
    focal, center = cameras[:, None, :2], cameras[:, None, 2:]
    projected = joints[..., :2] / joints[..., 2:] * focal + center
    errors = np.linalg.norm(projected - points, axis=-1)[:, MUPOTS_PROJECTED_JOINTS]
    if np.median(errors) > _MAX_REPROJECTION_PX:
        logger.warning(
            "%s: keypoints_cam projects %.1f px (median) away from keypoints_img; are these "
            "univ_annot3? Absolute poses will not agree with the images",
            json_file,
            np.median(errors),
        )


def _annotations(
    boxes: np.ndarray, points: np.ndarray, visible: np.ndarray, joints: np.ndarray
) -> list[dict[str, Any]]:
    flags = np.where(visible, 2.0, 1.0)[..., None]
    return posed_annotations(boxes, np.concatenate((points, flags), axis=-1), joints)
