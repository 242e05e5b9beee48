"""An index of a CMU Panoptic sequence: one file instead of tens of thousands.

``datasets/prepare_panoptic.py`` writes ``<sequence>/hmor_index_<joint set>.npz`` (numpy's format,
no pickles), from which a sequence loads without listing its images and opening a JSON file a
frame.  Arrays:

==================  =========  =================================================================
version             ()         1
image_ext           ()         ending of the images
frames              (F,)       frames that have a body3DScene file
body_frames         (B,)       frame of each body, in increasing order
person_ids          (B,)
joints              (B, J, 4)  world X, Y, Z in cm, and confidence; float64, as in the files
cameras             (C,)       names of the cameras
images_<camera>     (I,)       frames that have an image of the camera
stamps              (C + 1,)   when the folder of the poses, and of each camera, last changed, ns
==================  =========  =================================================================

An index is stale, and is not used, when a file has come to or gone from one of these folders
since.  A file that was rewritten in place goes unnoticed: run the script with ``--rebuild`` then.
"""

import logging
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from ...atomic_file import write_atomically
from ...stored_zip import require_unpacked
from ..annotations import LARGEST
from ..dataset_error import DatasetError, require_path
from .panoptic_files import POSES, Bodies, find_poses, image_folder, list_frames, read_bodies

__all__ = ["SequenceIndex", "index_path", "read_index", "write_index"]

logger = logging.getLogger(__name__)

_VERSION = 1


@dataclass(frozen=True)
class SequenceIndex:
    """What an index holds.

    Attributes:
        frames: that have annotations.
        images: by camera, the frames that have an image.
        bodies: of all ``frames``.
    """

    frames: set[int]
    images: dict[str, set[int]]
    bodies: Bodies


def index_path(folder: str, joint_set: str) -> str:
    """The index of a sequence's folder."""
    return os.path.join(folder, f"hmor_index_{joint_set}.npz")


def write_index(
    folder: str,
    joint_set: str,
    cameras: Sequence[str],
    image_ext: str = "jpg",
    progress: Callable[[Iterable], Iterable] | None = None,
) -> str:
    """Write the index of a sequence; a reader sees a whole file or the former one.

    Args:
        folder: of the sequence.
        joint_set: "panoptic19" or "panoptic15".
        cameras: whose images to list.
        image_ext: ending of the image files.
        progress: wraps the frames while their files are read.

    Returns:
        the index's path.

    Raises:
        DatasetError: for missing folders and broken files.
    """
    _, pose_folder = find_poses(folder, joint_set)
    for camera in cameras:
        require_path(image_folder(folder, camera), f"the images of camera {camera}")
    # Before listing: what changes meanwhile makes the index stale.
    stamps = _stamps(folder, joint_set, cameras)
    frames = sorted(list_frames(pose_folder, "body3DScene_", "json"))
    bodies = read_bodies(pose_folder, frames, joint_set, progress)
    images = {
        f"images_{camera}": np.array(
            sorted(list_frames(image_folder(folder, camera), f"{camera}_", image_ext)), np.int64
        )
        for camera in cameras
    }
    path = index_path(folder, joint_set)
    write_atomically(
        path,
        lambda file: np.savez(
            file,
            version=_VERSION,
            image_ext=image_ext,
            frames=np.array(frames, np.int64),
            body_frames=bodies.frames,
            person_ids=bodies.person_ids,
            joints=bodies.joints,
            cameras=np.array(cameras, dtype=np.str_),
            stamps=stamps,
            **images,
        ),
    )
    return path


def read_index(
    folder: str, joint_set: str, cameras: Sequence[str], image_ext: str = "jpg"
) -> SequenceIndex | None:
    """Read the index of a sequence, if it has one that is up to date for these cameras.

    Returns:
        None where there is none, or it is stale or lacks a camera (logged): the folders must be
        scanned then.

    Raises:
        DatasetError: for a file that is not an index.
    """
    path = index_path(folder, joint_set)
    if not os.path.exists(path):
        return None
    num_joints = next(j for name, _, _, j in POSES if name == joint_set)
    try:
        require_unpacked(path)
        with np.load(path, allow_pickle=False) as content:
            reason = _why_unusable(content, folder, joint_set, cameras, image_ext)
            if reason is not None:
                logger.warning("%s is not used: %s; run prepare_panoptic.py", path, reason)
                return None
            frames = _whole_numbers(content, "frames")
            body_frames = _whole_numbers(content, "body_frames")
            person_ids = _whole_numbers(content, "person_ids")
            bodies = Bodies(body_frames, person_ids, content["joints"])
            images = {
                camera: set(_whole_numbers(content, f"images_{camera}").tolist())
                for camera in cameras
            }
        count = len(bodies.frames)
        if bodies.joints.dtype != np.float64:
            raise ValueError(f"joints of {bodies.joints.dtype}")
        if bodies.joints.shape != (count, num_joints, 4) or bodies.person_ids.shape != (count,):
            raise ValueError(f"joints of shape {bodies.joints.shape} for {count} bodies")
        if not (np.isin(bodies.frames, frames).all() and (abs(bodies.joints) <= LARGEST).all()):
            raise ValueError("bodies of unknown frames, or joints that are not finite")
        index = SequenceIndex(set(frames.tolist()), images, bodies)
    except Exception as error:  # a broken zip file or array fails in a dozen ways
        raise DatasetError(
            f"{path}: found {error!r}, expected an index of a sequence; delete it, or run "
            "prepare_panoptic.py --rebuild"
        ) from error
    return index


def _whole_numbers(content: np.lib.npyio.NpzFile, name: str) -> np.ndarray:
    values = content[name]
    if values.ndim != 1 or values.dtype != np.int64:
        raise ValueError(f"{name} of shape {values.shape} of {values.dtype}")
    return values


def _stamps(folder: str, joint_set: str, cameras: Iterable[str]) -> np.ndarray:
    """Times of the last change of the folders; -1 for one that is not there."""
    _, pose_folder = find_poses(folder, joint_set)
    paths = [pose_folder, *(image_folder(folder, camera) for camera in cameras)]
    times = [os.stat(path).st_mtime_ns if os.path.isdir(path) else -1 for path in paths]
    return np.array(times, dtype=np.int64)


def _why_unusable(
    content: np.lib.npyio.NpzFile,
    folder: str,
    joint_set: str,
    cameras: Sequence[str],
    image_ext: str,
) -> str | None:
    if int(content["version"]) != _VERSION:
        return f"it has version {int(content['version'])}, expected {_VERSION}"
    indexed = content["cameras"].tolist()
    absent = sorted(set(cameras) - set(indexed))
    if absent:
        return f"it lacks the cameras {absent}"
    if str(content["image_ext"]) != image_ext:
        return f"it lists .{content['image_ext']} images, expected .{image_ext}"
    used = [0, *(1 + indexed.index(camera) for camera in cameras)]
    if not np.array_equal(content["stamps"][used], _stamps(folder, joint_set, cameras)):
        return "files were added or removed since"
    return None
