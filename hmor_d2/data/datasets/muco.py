"""MuCo-3DHP, multi-person composites of MPI-INF-3DHP, as packaged by Moon et al. for 3DMPPE.

One JSON file in COCO's layout describes both sets of images: ``augmented_set`` (backgrounds
replaced) and ``unaugmented_set`` (the green-screen studio).
"""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from detectron2.structures import BoxMode

from ...skeleton import get_skeleton
from ..annotations import Where, check_intrinsics, field_error, require, stack_field
from .coco import image_record, read_coco_style_json

__all__ = ["load_muco_json"]

logger = logging.getLogger(__name__)

_JOINT_SET = "muco21"
# Annotations that are converted at once: bounds the memory beside the file's own content.
_BATCH = 50_000


def load_muco_json(
    json_file: str,
    image_root: str,
    *,
    file_prefix: str = "",
    min_root_distance_mm: float = 0.0,
) -> list[dict[str, Any]]:
    """Load Moon's ``MuCo-3DHP.json`` as dataset dicts of joint set ``muco21``.

    2D joints and the principal point are shifted by +0.5 to continuous pixels; boxes are the
    file's, XYWH, and may reach outside the image.  Every joint is labelled: v is 2 where the
    file's ``keypoints_vis`` is not zero, else 1.  Images without people keep an empty list.

    Args:
        json_file: path of the file.
        image_root: folder that ``file_name`` is relative to.
        file_prefix: only images whose ``file_name`` starts with it, e.g. ``"augmented_set/"``.
        min_root_distance_mm: 0 keeps everyone.  500 is 3DMPPE PoseNet's choice for crops of one
            person: of an image, the person nearest in depth, and others whose root is at least
            this far from every other root in the camera's XY plane.  People left out stay
            in the picture, unlabelled.

    Returns:
        one dict an image, in the file's order, with ``intrinsics`` and 3D joints.

    Raises:
        DatasetError: for a missing or truncated file, missing fields, ids that occur twice, an
            annotation of an unknown image, another number of joints, numbers that are not
            finite, joints that are not in front of the camera, boxes of no size, focal
            lengths that are not positive.
    """
    data = read_coco_style_json(json_file)
    records = {
        image["id"]: _image_record(image, image_root, json_file)
        for image in data["images"]
        if require(image, "file_name", Where(json_file, image["id"])).startswith(file_prefix)
    }
    people = [person for person in data.pop("annotations") if person["image_id"] in records]
    for start in range(0, len(people), _BATCH):
        batch = people[start : start + _BATCH]
        for person, converted in zip(batch, _convert_people(batch, json_file), strict=True):
            records[person["image_id"]]["annotations"].append(converted)
        people[start : start + _BATCH] = [None] * len(batch)  # frees the parsed JSON
    if min_root_distance_mm > 0:
        for record in records.values():
            record["annotations"] = _separate_people(record["annotations"], min_root_distance_mm)
    kept = sum(len(record["annotations"]) for record in records.values())
    logger.info("%s: %d images, %d of %d people kept", json_file, len(records), kept, len(people))
    return list(records.values())


def _image_record(image: Mapping[str, Any], image_root: str, json_file: str) -> dict[str, Any]:
    where = Where(json_file, image["id"])
    focal, center = require(image, "f", where), require(image, "c", where)
    try:
        (fx, fy), (cx, cy) = focal, center
        intrinsics = [float(fx), float(fy), cx + 0.5, cy + 0.5]
    except (TypeError, ValueError):
        found = f"f {focal}, c {center}"
        raise field_error(where, "f, c", found, "two numbers each, in pixels") from None
    check_intrinsics(intrinsics, where)
    record = image_record(image, image_root, json_file, _JOINT_SET)
    return record | {"intrinsics": intrinsics, "annotations": []}


def _convert_people(people: Sequence[Mapping[str, Any]], json_file: str) -> list[dict[str, Any]]:
    """Annotations in Detectron2's format; every ``keypoints_cam`` is a row of one array."""
    num_joints = get_skeleton(_JOINT_SET).num_joints

    def where(i: int) -> Where:
        return Where(json_file, people[i]["image_id"], people[i]["id"])

    boxes = stack_field(people, "bbox", (4,), where)
    pixels = stack_field(people, "keypoints_img", (num_joints, 2), where)
    joints = stack_field(people, "keypoints_cam", (num_joints, 3), where)
    visible = stack_field(people, "keypoints_vis", (num_joints,), where)
    for i in np.flatnonzero((boxes[:, 2:] <= 0).any(axis=1)):
        raise field_error(where(i), "bbox", people[i]["bbox"], "a positive width and height")
    for i in np.flatnonzero((joints[..., 2] <= 0).any(axis=1)):
        found = f"a depth of {joints[i, :, 2].min()} mm"
        raise field_error(where(i), "keypoints_cam", found, "joints in front of the camera, Z > 0")

    flags = np.where(visible != 0, 2.0, 1.0)
    keypoints = np.concatenate((pixels + 0.5, flags[..., None]), axis=-1)
    joints = joints.astype(np.float32)
    return [
        {
            "bbox": box,
            "bbox_mode": BoxMode.XYWH_ABS,
            "category_id": 0,
            "iscrowd": 0,
            "keypoints": flat,
            "keypoints_cam": person_joints,
            "keypoints_cam_valid": np.ones(num_joints, dtype=np.bool_),
        }
        for box, flat, person_joints in zip(
            boxes.tolist(), keypoints.reshape(len(people), -1).tolist(), joints, strict=True
        )
    ]


def _separate_people(annotations: list[dict[str, Any]], min_distance: float) -> list[dict]:
    """The nearest person, and those at least ``min_distance`` mm from every other, in XY."""
    if len(annotations) < 2:
        return annotations
    root = get_skeleton(_JOINT_SET).root_index
    roots = np.stack([annotation["keypoints_cam"][root] for annotation in annotations])
    distances = np.linalg.norm(roots[:, None, :2] - roots[None, :, :2], axis=-1)
    np.fill_diagonal(distances, np.inf)
    keep = distances.min(axis=1) >= min_distance
    keep[roots[:, 2].argmin()] = True
    return [annotation for annotation, kept in zip(annotations, keep, strict=True) if kept]
