"""Files of a CMU Panoptic sequence: which frames there are, and the bodies in them.

For the layout see :mod:`.panoptic`.
"""

import os
import re
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from ..annotations import stack_field
from ..dataset_error import DatasetError, Where, field_error, require
from ..json_file import load_json
from ..record_fields import require_list

__all__ = ["POSES", "Bodies", "find_poses", "image_folder", "list_frames", "read_bodies"]

# Joint set, its folder, its field and number of joints, the preferred one first.
POSES = (
    ("panoptic19", "hdPose3d_stage1_coco19", "joints19", 19),
    ("panoptic15", "hdPose3d_stage1", "joints15", 15),
)

_POSE_FILE = re.compile(r"body3DScene_\d{8}\.json")


@dataclass(frozen=True)
class Bodies:
    """The B bodies of some frames of a sequence, one after another.

    Attributes:
        frames: (B,) frame number of each.
        person_ids: (B,) the same person has one number in all frames.
        joints: (B, J, 4) world X, Y, Z in cm, and confidence.
    """

    frames: np.ndarray
    person_ids: np.ndarray
    joints: np.ndarray

    def of_frames(self, frames: Collection[int]) -> "Bodies":
        """Those in the given frames, in the order they are in."""
        chosen = np.isin(self.frames, np.fromiter(frames, dtype=np.int64))
        return Bodies(self.frames[chosen], self.person_ids[chosen], self.joints[chosen])


def find_poses(folder: str, joint_set: str | None) -> tuple[str, str]:
    """Joint set and folder of a sequence's 3D poses.

    Args:
        folder: of the sequence.
        joint_set: to insist on one; None for the best that there is.

    Raises:
        DatasetError: where there is none.
    """
    candidates = [poses for poses in POSES if joint_set in (None, poses[0])]
    for name, pose_folder, *_ in candidates:
        path = os.path.join(folder, pose_folder)
        if os.path.isdir(path) and _has_poses(path):
            return name, path
    expected = " or ".join(pose_folder for _, pose_folder, *_ in candidates)
    raise DatasetError(
        f"{folder}: found no 3D poses, expected a folder {expected} with body3DScene_%08d.json"
    )


def _has_poses(path: str) -> bool:
    """Whether there is any; a download that was stopped may leave the folder empty."""
    with os.scandir(path) as entries:
        return any(_POSE_FILE.fullmatch(entry.name) for entry in entries)


def image_folder(folder: str, camera: str) -> str:
    """Where a sequence has the images of a camera."""
    return os.path.join(folder, "hdImgs", camera)


def list_frames(path: str, prefix: str, ext: str) -> set[int]:
    """Frame numbers of the files ``<prefix>%08d.<ext>``, read from the folder's listing alone."""
    pattern = re.compile(rf"{re.escape(prefix)}(\d{{8}})\.{re.escape(ext)}")
    with os.scandir(path) as entries:
        matches = (pattern.fullmatch(entry.name) for entry in entries)
        return {int(match.group(1)) for match in matches if match}


def read_bodies(
    pose_folder: str,
    frames: Sequence[int],
    joint_set: str,
    progress: Callable[[Iterable], Iterable] | None = None,
) -> Bodies:
    """Read ``body3DScene_%08d.json`` of the frames, in their order.

    Args:
        pose_folder, joint_set: as :func:`find_poses` gives them.
        progress: wraps the frames.

    Raises:
        DatasetError: for missing files or fields, truncated JSON, another number of joints,
            numbers that are not finite, ids that are no whole numbers or occur twice in a frame.
    """
    field, num_joints = next((f, j) for name, _, f, j in POSES if name == joint_set)
    bodies, owners = [], []
    for frame in progress(frames) if progress else frames:
        path = os.path.join(pose_folder, f"body3DScene_{frame:08d}.json")
        ids = set()
        for body in require_list(load_json(path), "bodies", Where(path)):
            identity = require(body, "id", Where(path))
            if type(identity) is not int or identity >= 1 << 63:
                raise field_error(Where(path), "id", identity, "a whole number")
            # The toolbox marks outliers of the older format by a negative id.
            if identity < 0:
                continue
            if identity in ids:
                raise field_error(Where(path), "id", f"{identity} twice", "each body once")
            ids.add(identity)
            bodies.append(body)
            owners.append((frame, path))

    def where(i: int) -> Where:
        return Where(owners[i][1], annotation_id=f"of body {bodies[i]['id']}")

    return Bodies(
        frames=np.array([frame for frame, _ in owners], dtype=np.int64),
        person_ids=np.array([body["id"] for body in bodies], dtype=np.int64),
        joints=stack_field(bodies, field, (4 * num_joints,), where).reshape(-1, num_joints, 4),
    )
