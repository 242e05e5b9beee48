"""MuCo-3DHP, multi-person composites of MPI-INF-3DHP, as packaged by Moon et al. for 3DMPPE.

One JSON file in COCO's layout describes both sets of images: ``augmented_set`` (backgrounds
replaced) and ``unaugmented_set`` (the green-screen studio).
"""

import logging
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from ...skeleton import get_skeleton
from ..dataset_error import require_file
from ..json_file import collector_paused
from ..record_cache import load_or_build
from .muco_columns import JOINT_SET, LAYOUT, read_muco_columns, unpack_text
from .posed_people import posed_annotations

__all__ = ["load_muco_json"]

logger = logging.getLogger(__name__)

# Bytes of a file that takes seconds to parse.
_WORTH_CACHING = 64 << 20


def load_muco_json(
    json_file: str,
    image_root: str,
    *,
    file_prefix: str = "",
    min_root_distance_mm: float = 0.0,
    compact: bool = False,
    cache: bool = True,
) -> list[dict[str, Any]]:
    """Load Moon's ``MuCo-3DHP.json`` as dataset dicts of joint set ``muco21``.

    2D joints and the principal point are shifted by +0.5 to continuous pixels; boxes are the
    file's, XYWH, and may reach outside the image.  Every joint is labelled: v is 2 where the
    file's ``keypoints_vis`` is not zero, else 1.  Images without people keep an empty list.

    Records are made for a million people: ``intrinsics`` are a tuple, shared by the images of a
    camera; ``keypoints_cam`` are float32 (21, 3); ``keypoints_cam_valid`` of everybody is one
    array, all true and read-only, to be replaced in a record rather than written into.

    Args:
        json_file: path of the file.
        image_root: folder that ``file_name`` is relative to.
        file_prefix: only images whose ``file_name`` starts with it, e.g. ``"augmented_set/"``.
        min_root_distance_mm: 0 keeps everyone.  500 is 3DMPPE PoseNet's choice for crops of one
            person: of an image, the person nearest in depth, and others whose root is at least
            this far from every other root in the camera's XY plane.  People left out stay
            in the picture, unlabelled.
        compact: ``keypoints`` as float32 arrays (63,) in place of lists of floats, in a quarter of
            the memory: over 1 GB less for all of MuCo.  Detectron2's tools take both, but
            COCOEvaluator cannot write arrays as JSON.
        cache: keep what is parsed of a file of 64 MiB or more in the folder of
            :mod:`hmor_d2.data.record_cache`; the other arguments share it.

    Returns:
        one dict an image, in the file's order, with ``intrinsics`` and 3D joints.

    Raises:
        DatasetError: for a missing or truncated file, a folder, missing fields, ids that occur
            twice, an annotation of an unknown image, another number of joints, numbers that are
            not finite, joints that are not in front of the camera, boxes of no size, focal
            lengths that are not positive.
    """
    require_file(json_file, "a JSON file")
    with collector_paused():
        if cache and os.path.getsize(json_file) >= _WORTH_CACHING:
            logger.info("%s: loading; the first time takes about 20 seconds a GB", json_file)
            columns = load_or_build(json_file, LAYOUT, lambda: read_muco_columns(json_file))
        else:
            columns = read_muco_columns(json_file)
        names, counts = unpack_text(columns["file_name"]), columns["people"]
        images = np.array([name.startswith(file_prefix) for name in names], dtype=bool)
        people = np.repeat(images, counts)
        if min_root_distance_mm > 0:
            roots = columns["keypoints_cam"][:, get_skeleton(JOINT_SET).root_index]
            people &= _separate_people(roots, counts, min_root_distance_mm)
        records = _image_records(columns, names, image_root)
        annotations = _annotations(columns, people, compact)
        kept_before = np.concatenate(([0], np.cumsum(people)))
        ends = np.cumsum(counts)
        starts = kept_before[ends - counts].tolist()
        for record, start, end in zip(records, starts, kept_before[ends].tolist(), strict=True):
            record["annotations"] = annotations[start:end]
        records = [record for record, kept in zip(records, images.tolist(), strict=True) if kept]
    logger.info(
        "%s: %d images, %d of %d people kept", json_file, len(records), people.sum(), len(people)
    )
    return records


def _image_records(
    columns: Mapping[str, np.ndarray], names: list[str], image_root: str
) -> list[dict[str, Any]]:
    """Dataset dicts without annotations."""
    cameras: dict[tuple, tuple] = {}  # one object for all images of a camera
    sizes: dict[tuple, tuple] = {}
    return [
        {
            "file_name": os.path.join(image_root, name),
            "image_id": identity,
            "height": height,
            "width": width,
            "joint_set": JOINT_SET,
            "intrinsics": cameras.setdefault(intrinsics, intrinsics),
        }
        for name, identity, (height, width), intrinsics in zip(
            names,
            unpack_text(columns["image_id"]),
            (sizes.setdefault(size, size) for size in map(tuple, columns["size"].tolist())),
            map(tuple, columns["intrinsics"].tolist()),
            strict=True,
        )
    ]


def _annotations(
    columns: Mapping[str, np.ndarray], kept: np.ndarray, compact: bool
) -> list[dict[str, Any]]:
    """The people where ``kept``, in Detectron2's format; joints are rows of one array."""
    boxes, keypoints, joints = (
        columns[field] if kept.all() else columns[field][kept]
        for field in ("bbox", "keypoints", "keypoints_cam")
    )
    return posed_annotations(boxes, keypoints, joints, compact=compact)


def _separate_people(roots: np.ndarray, counts: np.ndarray, min_distance: float) -> np.ndarray:
    """The nearest person, and those at least ``min_distance`` mm from every other, in XY.

    Args:
        roots: (P, 3) mm, the people of one image after those of another.
        counts: (N,) people of each image.

    Returns:
        (P,) whether a person is kept.
    """
    kept = np.ones(len(roots), dtype=bool)
    starts = np.cumsum(counts) - counts
    for count in np.unique(counts[counts > 1]):  # images of as many people at once
        people = starts[counts == count, None] + np.arange(count)
        of_image = roots[people]
        distances = np.linalg.norm(of_image[:, :, None, :2] - of_image[:, None, :, :2], axis=-1)
        distances[:, np.arange(count), np.arange(count)] = np.inf
        apart = distances.min(axis=2) >= min_distance
        apart[np.arange(len(apart)), of_image[..., 2].argmin(axis=1)] = True
        kept[people] = apart
    return kept
