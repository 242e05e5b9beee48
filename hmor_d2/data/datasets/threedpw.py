"""3DPW: people outdoors, filmed by a moving phone, with poses from cameras and body sensors.

Layout and fields are those of the dataset's own release::

    <root>/sequenceFiles/<split>/<sequence>.pkl      split: train, validation, test
    <root>/imageFiles/<sequence>/image_%05d.jpg

The sequence files are pickles, read by :func:`load_pickle`.  Their ``jointPositions`` are the 24
joints of SMPL, so that no body model is needed.
"""

import logging
import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ...skeleton import get_skeleton
from ..annotations import LARGEST
from ..array_fields import array_field
from ..dataset_error import DatasetError, Where, field_error, require, require_path
from ..image_file import open_picture
from ..projection import annotate_people, camera_intrinsics
from ..safe_pickle import load_pickle

__all__ = ["load_threedpw"]

logger = logging.getLogger(__name__)

_JOINT_SET = "smpl24"
_MM_PER_M = 1000.0
# Width and height of all images: the phone was held one way or the other.
_IMAGE_SIZES = ((1920, 1080), (1080, 1920))
# Pixels between the principal point and the middle of the image.
_MAX_OFF_CENTER = 100.0


class _Sequence(NamedTuple):
    """N frames with P people."""

    name: str
    joints: np.ndarray  # (P, N, 24, 3) m, world
    cameras: np.ndarray  # (N, 4, 4) from the world to the camera frame
    valid: np.ndarray  # (P, N) bool
    intrinsics: list[float]


def load_threedpw(root: str, split: str, *, frame_step: int = 1) -> list[dict[str, Any]]:
    """Load a split of 3DPW as dataset dicts of joint set ``smpl24``.

    A person counts in a frame where the camera is aligned to the picture (``campose_valid``) and
    2D joints were detected (``poses2d`` not all 0), the dataset's own rule; people who do not
    stay in the picture, unlabelled, and frames without people keep an empty list.  2D joints are
    the pinhole projection (the dataset gives no lens distortion) with v = 2 inside the image,
    1 outside it (occlusion is not annotated), 0 behind the camera or nearer to it than 100 mm.
    A box is the extent of the joints in front of the camera, enlarged 1.2 times about its centre,
    XYXY, and may reach outside the image.  People without any joint inside the image are left
    out.  The log counts those left out of each sequence.

    The files do not give the image's size: it is 1920x1080 or 1080x1920, whichever the
    principal point lies in the middle of.  Where the first image is there, its header must agree:
    the intrinsics do not belong to images that were resized.

    Args:
        root: the dataset's folder.
        split: folder below ``sequenceFiles``: "train", "validation" or "test".
        frame_step: only frames whose number it divides.

    Returns:
        one dict a frame, sequences by name, with ``sequence`` and ``frame``; each person has a
        ``person_id``, the index in the sequence's file.

    Raises:
        DatasetError: for missing folders, pickles that are broken or name anything but data,
            missing fields, wrong shapes, numbers of valid people that are not finite, skew, a
            principal point that fits neither size, an image of another size.
        ValueError: for a ``frame_step`` below 1.
    """
    if frame_step < 1:
        raise ValueError(f"frame_step is {frame_step}, expected 1 or more")
    folder = os.path.join(root, "sequenceFiles", split)
    require_path(folder, "the sequence files of 3DPW")
    files = sorted(name for name in os.listdir(folder) if name.endswith(".pkl"))
    if not files:
        raise DatasetError(f"{folder}: found no file *.pkl, expected 3DPW's sequences")
    records = []
    for file in files:
        path = os.path.join(folder, file)
        sequence = _read_sequence(path)
        records.extend(_sequence_records(sequence, root, path, frame_step))
    return records


def _read_sequence(path: str) -> _Sequence:
    file = Where(path)
    data = load_pickle(path)
    name = require(data, "sequence", file)
    if not isinstance(name, str) or os.path.basename(name) != name or name in ("", ".", ".."):
        raise field_error(file, "sequence", name, "the name of a folder of imageFiles")
    cameras = array_field(require(data, "cam_poses", file), "cam_poses", (None, 4, 4), file)
    frames = len(cameras)
    num_joints = get_skeleton(_JOINT_SET).num_joints
    joints = _people(data, "jointPositions", (frames, 3 * num_joints), file)
    aligned = _people(data, "campose_valid", (frames,), file) == 1
    detected = (_people(data, "poses2d", (frames, 3, 18), file) != 0).any(axis=(2, 3))
    for field, values in (("campose_valid", aligned), ("poses2d", detected)):
        if len(values) != len(joints):
            expected = f"{len(joints)} as in 'jointPositions'"
            raise field_error(file, field, f"{len(values)} people", expected)
    valid = aligned & detected
    joints = joints.reshape(len(joints), frames, num_joints, 3)
    for field, values in (("jointPositions", joints), ("cam_poses", cameras[None])):
        broken = valid & ~(np.abs(values) <= LARGEST).all(axis=(2, 3))
        for person, frame in np.argwhere(broken):
            where = Where(path, f"{name}/{frame:05d}", f"of person {person}")
            raise field_error(
                where, field, "a number that is not", f"finite numbers to {LARGEST:g}"
            )
    matrix = array_field(require(data, "cam_intrinsics", file), "cam_intrinsics", (3, 3), file)
    intrinsics = camera_intrinsics(matrix, "cam_intrinsics", file)
    return _Sequence(name, joints, cameras, valid, intrinsics)


def _people(data: Mapping[str, Any], field: str, shape: tuple[int, ...], file: Where) -> np.ndarray:
    """(P, *shape): a field that is a list over people."""
    people = require(data, field, file)
    is_list = isinstance(people, Sequence) or (isinstance(people, np.ndarray) and people.ndim > 0)
    if not is_list or isinstance(people, str | bytes):
        raise field_error(file, field, people, "a list over people")
    arrays = [
        array_field(values, field, shape, Where(file.file, annotation_id=f"of person {person}"))
        for person, values in enumerate(people)
    ]
    return np.stack(arrays) if arrays else np.zeros((0, *shape))


def _sequence_records(
    sequence: _Sequence, root: str, path: str, frame_step: int
) -> list[dict[str, Any]]:
    images = os.path.join(root, "imageFiles", sequence.name)
    first_image = os.path.join(images, "image_00000.jpg")
    width, height = _image_size(sequence.intrinsics[2:], first_image, path)
    chosen = range(0, len(sequence.cameras), frame_step)
    records = {
        frame: {
            "file_name": os.path.join(images, f"image_{frame:05d}.jpg"),
            "image_id": f"{sequence.name}/{frame:05d}",
            "height": height,
            "width": width,
            "intrinsics": list(sequence.intrinsics),
            "joint_set": _JOINT_SET,
            "sequence": sequence.name,
            "frame": frame,
            "annotations": [],
        }
        for frame in chosen
    }
    frames, person_ids = np.nonzero(sequence.valid.T[::frame_step])
    frames *= frame_step
    people = annotate_people(
        _camera_joints(sequence, frames, person_ids) * _MM_PER_M,
        np.ones((len(frames), get_skeleton(_JOINT_SET).num_joints), dtype=np.bool_),
        np.array(sequence.intrinsics),
        np.array((width, height)),
        person_ids.tolist(),
    )
    for frame, person in zip(frames.tolist(), people, strict=True):
        if person is not None:
            records[frame]["annotations"].append(person)
    logger.info(
        "%s: %d frames, %d people; left out: %d without an aligned camera or 2D joints, %d outside "
        "the image",
        path,
        len(records),
        len(people) - people.count(None),
        len(chosen) * len(sequence.valid) - len(people),
        people.count(None),
    )
    return list(records.values())


def _camera_joints(sequence: _Sequence, frames: np.ndarray, people: np.ndarray) -> np.ndarray:
    """(M, 24, 3) m in the camera frame, of M people in the frames beside them."""
    cameras = sequence.cameras[frames]
    rotation, translation = cameras[:, :3, :3], cameras[:, None, :3, 3]
    return sequence.joints[people, frames] @ rotation.transpose(0, 2, 1) + translation


def _image_size(center: Sequence[float], first_image: str, path: str) -> tuple[int, int]:
    """Width and height that belong to the principal point, checked where there is an image."""

    def off_center(size: tuple[int, int]) -> float:
        return max(abs(c - side / 2) for c, side in zip(center, size, strict=True))

    size = min(_IMAGE_SIZES, key=off_center)
    if off_center(size) > _MAX_OFF_CENTER:
        found = f"the principal point {list(center)}"
        expected = "one near the middle of an image of 1920x1080 or 1080x1920"
        raise field_error(path, "cam_intrinsics", found, expected)
    if os.path.exists(first_image):
        try:
            with open_picture(first_image) as image:
                found_size = image.size
        except (OSError, ValueError) as error:
            raise DatasetError(f"{first_image}: cannot read the image: {error}") from error
        if found_size != size:
            raise DatasetError(
                f"{first_image}: found {found_size[0]}x{found_size[1]}, expected "
                f"{size[0]}x{size[1]}, to which the intrinsics in {path} belong"
            )
    return size
