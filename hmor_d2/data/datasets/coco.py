"""COCO person keypoints, and the reading of JSON files that follow COCO's layout.

Detectron2's ``load_coco_json`` gives the same records (a test compares them).  Its messages name
neither the annotation nor the field, and it gives no place to skip COCO's one person whose box
has no height, so the file is read here.
"""

import logging
import math
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pycocotools.mask as mask_util
from detectron2.structures import BoxMode

from ...skeleton import get_skeleton
from ..annotations import check_image_size, stack_field
from ..dataset_error import Where, field_error, require
from ..json_file import load_json
from ..record_fields import require_id, require_list, require_text

__all__ = ["image_record", "load_coco_keypoints", "read_coco_style_json"]

logger = logging.getLogger(__name__)

_JOINT_SET = "coco17"


def read_coco_style_json(json_file: str) -> dict[str, Any]:
    """Read a JSON file with COCO's ``images`` and ``annotations``.

    Returns:
        the file's content, in which both are there, ids are unique, and every annotation
        belongs to one of the images.

    Raises:
        DatasetError: for a missing or truncated file, a missing field, an id that occurs twice,
            an annotation of an image that the file lacks, ids that are neither numbers nor
            texts.
    """
    data = load_json(json_file)
    file = Where(json_file)
    image_ids = _unique_ids(require_list(data, "images", file), "images", json_file)
    annotations = require_list(data, "annotations", file)
    _unique_ids(annotations, "annotations", json_file)
    for annotation in annotations:
        where = Where(json_file, annotation_id=annotation["id"])
        image_id = require_id(annotation, "image_id", where)
        if image_id not in image_ids:
            raise field_error(where, "image_id", image_id, "the id of one of the images")
    return data


def _unique_ids(records: Sequence[Mapping[str, Any]], field: str, json_file: str) -> set[Any]:
    ids = set()
    for index, record in enumerate(records):
        identity = require_id(record, "id", Where(f"{json_file}, {field}[{index}]"))
        if identity in ids:
            raise field_error(Where(f"{json_file}, {field}[{index}]"), "id", identity, "unique ids")
        ids.add(identity)
    return ids


def image_record(
    image: Mapping[str, Any], image_root: str, json_file: str, joint_set: str
) -> dict[str, Any]:
    """The fields of a dataset dict that an entry of ``images`` gives, without ``annotations``."""
    where = Where(json_file, image["id"])
    height, width = require(image, "height", where), require(image, "width", where)
    check_image_size(height, width, where)
    return {
        "file_name": os.path.join(image_root, require_text(image, "file_name", where, "a path")),
        "image_id": image["id"],
        "height": height,
        "width": width,
        "joint_set": joint_set,
    }


def load_coco_keypoints(
    json_file: str,
    image_root: str,
    *,
    person_category_id: int = 1,
    keep_segmentation: bool = False,
) -> list[dict[str, Any]]:
    """Load COCO person keypoints as 2D dataset dicts of joint set ``coco17``.

    Keypoints are shifted by +0.5 to continuous pixels; boxes (XYWH) are continuous in COCO
    already.  Kept are annotations of people alone, crowds (``iscrowd`` 1) among them; a person
    without keypoints keeps the box, every v 0.  A box of no size (COCO 2017 train has one) is
    skipped and counted in the log.

    Args:
        json_file: ``person_keypoints_*.json``, or another file of that format.
        image_root: folder that ``file_name`` is relative to.
        person_category_id: the id of people in the file; 0 in the result.
        keep_segmentation: also keep masks as Detectron2 does: people without a whole polygon
            are then left out.

    Returns:
        one dict an image, in the file's order, without ``intrinsics`` and 3D.

    Raises:
        DatasetError: for what :func:`read_coco_style_json` names, a category that the file
            lacks or whose joints differ from COCO's, another number of keypoints, numbers that
            are not finite, visibility other than 0, 1, 2, ``iscrowd`` other than 0, 1.
    """
    data = read_coco_style_json(json_file)
    _check_category(
        require_list(data, "categories", Where(json_file)), person_category_id, json_file
    )
    records = {
        image["id"]: image_record(image, image_root, json_file, _JOINT_SET) | {"annotations": []}
        for image in data["images"]
    }
    people = [
        annotation
        for annotation in data["annotations"]
        if require(annotation, "category_id", _place(annotation, json_file)) == person_category_id
    ]
    skipped = 0
    for person, converted in zip(people, _convert_people(people, json_file), strict=True):
        if keep_segmentation and person.get("segmentation"):
            converted["segmentation"] = _segmentation(person, json_file)
        if min(converted["bbox"][2:]) > 0 and converted.get("segmentation") != []:
            records[person["image_id"]]["annotations"].append(converted)
        else:
            skipped += 1
    logger.info("%s: %d images, %d people", json_file, len(records), len(people) - skipped)
    if skipped:
        logger.warning("%s: skipped %d people whose box or mask has no size", json_file, skipped)
    return list(records.values())


def _place(annotation: Mapping[str, Any], json_file: str) -> Where:
    return Where(json_file, annotation["image_id"], annotation["id"])


def _check_category(
    categories: Sequence[Mapping[str, Any]], person_category_id: int, json_file: str
) -> None:
    """The file's people must have COCO's joints; a file may leave their names out."""
    file = Where(json_file)
    by_id = {require_id(category, "id", file): category for category in categories}
    if person_category_id not in by_id:
        expected = f"the people's, {person_category_id}"
        raise field_error(file, "categories", f"ids {list(by_id)}", expected)
    names = by_id[person_category_id].get("keypoints")
    expected = list(get_skeleton(_JOINT_SET).joint_names)
    if names is not None and names != expected:
        raise field_error(file, "categories", f"keypoints {names}", f"{expected}")


def _convert_people(people: Sequence[Mapping[str, Any]], json_file: str) -> list[dict[str, Any]]:
    """Annotations in Detectron2's format, without masks."""
    boxes = stack_field(people, "bbox", (4,), lambda i: _place(people[i], json_file))
    for i in np.flatnonzero((boxes[:, 2:] < 0).any(axis=1)):
        where = _place(people[i], json_file)
        raise field_error(where, "bbox", people[i]["bbox"], "a width and height of 0 or more")

    # Crowds and custom files may leave "keypoints" out: such people have none.
    num_joints = get_skeleton(_JOINT_SET).num_joints
    labelled = [i for i, person in enumerate(people) if person.get("keypoints")]
    with_keypoints = [people[i] for i in labelled]
    points = stack_field(
        with_keypoints,
        "keypoints",
        (3 * num_joints,),
        lambda i: _place(with_keypoints[i], json_file),
    ).reshape(-1, num_joints, 3)
    for i in np.flatnonzero(~np.isin(points[..., 2], (0, 1, 2)).all(axis=1)):
        where, found = _place(with_keypoints[i], json_file), points[i, :, 2].tolist()
        raise field_error(where, "keypoints", found, "visibility of 0, 1 or 2")
    points[..., :2] += 0.5
    keypoints = np.zeros((len(people), num_joints, 3))
    keypoints[labelled] = points

    return [
        {
            "bbox": box,
            "bbox_mode": BoxMode.XYWH_ABS,
            "category_id": 0,
            "iscrowd": _is_crowd(person, json_file),
            "keypoints": flat,
        }
        for person, box, flat in zip(
            people,
            boxes.tolist(),
            keypoints.reshape(len(people), 3 * num_joints).tolist(),
            strict=True,
        )
    ]


def _is_crowd(person: Mapping[str, Any], json_file: str) -> int:
    crowd = person.get("iscrowd", 0)
    if crowd not in (0, 1):
        raise field_error(_place(person, json_file), "iscrowd", crowd, "0 or 1")
    return int(crowd)


def _segmentation(person: Mapping[str, Any], json_file: str) -> list | dict:
    """A mask as Detectron2 takes it: compressed RLE, or polygons of 3 points or more."""
    mask, where = person["segmentation"], _place(person, json_file)
    if isinstance(mask, list):
        if not all(isinstance(polygon, list) for polygon in mask):
            raise field_error(where, "segmentation", mask, "lists x, y, x, y, ...")
        return [polygon for polygon in mask if len(polygon) % 2 == 0 and len(polygon) >= 6]
    counts = require(mask, "counts", where)
    if isinstance(counts, list):
        size = require_list(mask, "size", where)
        if [type(side) for side in size] != [int, int]:
            raise field_error(where, "size", size, "height and width of the mask")
        whole = all(type(count) is int and count >= 0 for count in counts)
        if not whole or min(size) < 1 or sum(counts) != math.prod(size):
            expected = "runs of pixels, as many as the mask has"
            raise field_error(where, "segmentation", counts, expected)
        return mask_util.frPyObjects(mask, *size)
    return mask
