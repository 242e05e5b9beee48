"""Human3.6M, one person before four calibrated cameras, as packaged by Moon et al. for 3DMPPE.

Of each subject n the package has three files::

    <root>/annotations/Human36M_subject<n>_data.json        COCO's layout: images, one person each
    <root>/annotations/Human36M_subject<n>_camera.json      by camera: R, t (mm), f, c (pixels)
    <root>/annotations/Human36M_subject<n>_joint_3d.json    by action, subaction, frame: world, mm
    <root>/images/s_01_act_02_subact_01_ca_01/s_01_act_02_subact_01_ca_01_000001.jpg
"""

import logging
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from ...skeleton import get_skeleton
from ..annotations import stack_field
from ..dataset_error import Where, field_error
from ..json_file import collector_paused, load_json
from ..projection import project_joints
from .coco import image_record, read_coco_style_json
from .human36m_camera import read_camera, to_camera_frame
from .posed_people import check_boxes, posed_annotations

__all__ = ["HUMAN36M_SPLITS", "load_human36m"]

logger = logging.getLogger(__name__)

# Subjects and frame step of the two protocols, after 3DMPPE PoseNet's Human36M.py.
HUMAN36M_SPLITS: dict[str, tuple[tuple[int, ...], int]] = {
    "p1_train": ((1, 5, 6, 7, 8, 9), 5),
    "p1_test": ((11,), 64),
    "p2_train": ((1, 5, 6, 7, 8), 5),
    "p2_test": ((9, 11), 64),
}
_JOINT_SET = "h36m17"
_INDICES = ("action_idx", "subaction_idx", "cam_idx", "frame_idx")
_RECORD_FIELDS = ("action", "subaction", "camera", "frame")
_RECORDING = re.compile(r"s_\d\d(_act_\d\d(_subact_\d\d(_ca_\d\d)?)?)?")


def load_human36m(
    root: str,
    subjects: Sequence[int],
    *,
    frame_step: int = 5,
    skip_sequences: Sequence[str] = (),
) -> list[dict[str, Any]]:
    """Load subjects of Human3.6M as dataset dicts of joint set ``h36m17``.

    Joints go from the world to each camera's frame, R and t read the way that brings people into
    their boxes (``human36m_camera.py``).  2D joints are their projection in continuous pixels, all
    labelled: v is 1 outside the image and where the file's ``keypoints_vis`` is zero, else 2.
    Boxes are the file's, XYWH, and may reach outside the image.  Single people outside their box
    are kept, and counted in the log.

    Args:
        root: folder of ``annotations`` and ``images``.
        subjects: of 1, 5, 6, 7, 8, 9 and 11; :data:`HUMAN36M_SPLITS` has the protocols' lists.
        frame_step: take frames whose index, which starts at 0, is a multiple of it.  Of videos of
            50 frames a second the protocols take every 5th for training, every 64th for testing.
        skip_sequences: recordings to leave out, by the beginning of their folder's name:
            "s_11_act_02_subact_02" is all four cameras of one.

    Returns:
        one dict an image, by subject and then in the file's order; besides the standard fields
        ``subject``, ``action`` (2 to 16), ``subaction`` (1, 2), ``camera`` (1 to 4), ``frame``.

    Raises:
        DatasetError: for missing or truncated files, missing fields, cameras or frames, ids that
            occur twice (in all subjects), an image without its one person, indices that are not
            whole numbers, another number of joints, numbers that are not finite, an R that is
            no rotation, a camera whose R and t bring people into their boxes neither way, joints
            that are not in front of the camera, boxes of no size, focal lengths that are not
            positive.
        ValueError: for arguments outside their range.
    """
    if isinstance(skip_sequences, str) or not all(map(_RECORDING.fullmatch, skip_sequences)):
        expected = "a list of names such as 's_11_act_02_subact_02'"
        raise ValueError(f"expected {expected}, found {skip_sequences=}")
    if frame_step < 1 or len(set(subjects)) < len(subjects):
        raise ValueError(f"expected a step of 1 or more, subjects once: {frame_step=}, {subjects=}")
    records: list[dict[str, Any]] = []
    owners: dict[Any, int] = {}
    for subject in subjects:
        with collector_paused():
            loaded = _load_subject(root, subject, frame_step, tuple(skip_sequences))
        for record in loaded:
            owner = owners.setdefault(record["image_id"], subject)
            if owner != subject:
                where = Where(_path(root, subject, "data"), record["image_id"])
                raise field_error(where, "id", f"that of an image of subject {owner}", "unique ids")
        records.extend(loaded)
    return records


@dataclass(frozen=True)
class _Selection:
    """The N chosen images of a subject, their people, and (N, 4) ``_INDICES``."""

    file: str
    images: list[Mapping[str, Any]]
    people: list[Mapping[str, Any]]
    indices: np.ndarray

    def where(self, i: int) -> Where:
        return Where(self.file, self.images[i]["id"], self.people[i]["id"])

    def where_pose(self, joint_file: str, i: int) -> Where:
        action, subaction, _, frame = self.indices[i].tolist()
        place = f"{joint_file}, action {action}, subaction {subaction}, frame {frame}"
        return Where(place, self.images[i]["id"])


def _path(root: str, subject: int, part: str) -> str:
    return os.path.join(root, "annotations", f"Human36M_subject{subject}_{part}.json")


def _load_subject(
    root: str, subject: int, frame_step: int, skip: tuple[str, ...]
) -> list[dict[str, Any]]:
    chosen = _select(_path(root, subject, "data"), subject, frame_step, skip)
    if not chosen.images:
        logger.warning("%s: no image is left", chosen.file)
        return []
    image_root = os.path.join(root, "images")
    records = [image_record(im, image_root, chosen.file, _JOINT_SET) for im in chosen.images]
    num_joints = get_skeleton(_JOINT_SET).num_joints
    boxes = stack_field(chosen.people, "bbox", (4,), chosen.where)
    check_boxes(chosen.people, boxes, chosen.where)
    visible = stack_field(chosen.people, "keypoints_vis", (num_joints,), chosen.where) != 0
    joint_file, camera_file = _path(root, subject, "joint_3d"), _path(root, subject, "camera")
    joints = _read_world_joints(joint_file, chosen, num_joints)
    cameras = load_json(camera_file)
    intrinsics = np.empty((len(records), 4))
    for index in np.unique(chosen.indices[:, 2]).tolist():
        rows = np.flatnonzero(chosen.indices[:, 2] == index)
        camera = read_camera(cameras, index, camera_file)
        joints[rows] = to_camera_frame(camera, joints[rows], boxes[rows])
        for i in rows[(joints[rows, :, 2] <= 0).any(axis=1)]:
            found = f"a depth of {joints[i, :, 2].min()} mm in camera {index}"
            expected = "joints in front of it, Z > 0"
            raise field_error(chosen.where_pose(joint_file, i), "joints", found, expected)
        intrinsics[rows] = camera.intrinsics
    sizes = np.array([(record["width"], record["height"]) for record in records])
    keypoints = project_joints(joints, np.ones_like(visible), intrinsics, sizes)
    keypoints[..., 2] = np.where(visible, keypoints[..., 2], np.minimum(keypoints[..., 2], 1.0))

    places = chosen.indices.tolist()
    people = posed_annotations(boxes, keypoints, joints)
    for record, camera, place, person in zip(
        records, intrinsics.tolist(), places, people, strict=True
    ):
        record |= {"intrinsics": camera, "subject": subject}
        record |= zip(_RECORD_FIELDS, place, strict=True)
        record["annotations"] = [person]
    return records


def _select(file: str, subject: int, frame_step: int, skip: tuple[str, ...]) -> _Selection:
    """Reads a subject's ``data`` file and keeps what is asked for; the rest is freed."""
    data = read_coco_style_json(file)
    images = data["images"]

    def where(i: int) -> Where:
        return Where(file, images[i]["id"])

    columns = []
    for field in ("subject", *_INDICES):
        values = stack_field(images, field, (), where)
        for i in np.flatnonzero((values < 0) | (values >= 2**31) | (values % 1 != 0)):
            raise field_error(where(i), field, images[i][field], "a whole number, 0 or more")
        columns.append(values.astype(np.int64))
    for i in np.flatnonzero(columns[0] != subject):
        raise field_error(where(i), "subject", images[i]["subject"], f"{subject}")
    indices = np.stack(columns[1:], axis=1)
    keep = indices[:, 3] % frame_step == 0
    if skip:
        recordings, members = np.unique(indices[:, :3], axis=0, return_inverse=True)
        name = f"s_{subject:02d}_act_{{:02d}}_subact_{{:02d}}_ca_{{:02d}}"
        skipped = [name.format(*recording).startswith(skip) for recording in recordings.tolist()]
        keep &= ~np.array(skipped, dtype=bool)[members.ravel()]
    chosen = [images[i] for i in np.flatnonzero(keep)]
    logger.info("%s: %d of %d images taken", file, len(chosen), len(images))

    people: dict[Any, Mapping[str, Any] | None] = {image["id"]: None for image in chosen}
    for person in data["annotations"]:
        image_id = person["image_id"]
        if people.get(image_id) is not None:
            raise field_error(Where(file, image_id), "annotations", "several", "one person")
        if image_id in people:
            people[image_id] = person
    for image_id, person in people.items():
        if person is None:
            raise field_error(Where(file, image_id), "annotations", "none", "one person")
    return _Selection(file, chosen, list(people.values()), indices[keep])


def _read_world_joints(file: str, chosen: _Selection, num_joints: int) -> np.ndarray:
    """(N, J, 3) world joints in mm."""
    content = load_json(file)
    poses = []
    for i, (action, subaction, _, frame) in enumerate(chosen.indices.tolist()):
        try:
            poses.append({"joints": content[str(action)][str(subaction)][str(frame)]})
        except (KeyError, TypeError):
            where, expected = chosen.where_pose(file, i), "the world joints of this frame"
            raise field_error(where, "joints", "nothing", expected) from None
    return stack_field(poses, "joints", (num_joints, 3), partial(chosen.where_pose, file))
