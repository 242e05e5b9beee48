"""CMU Panoptic: many people in a dome, seen by calibrated HD cameras.

Layout and fields are those of the dataset's toolbox (panoptic-toolbox)::

    <root>/<sequence>/calibration_<sequence>.json
    <root>/<sequence>/hdPose3d_stage1_coco19/body3DScene_%08d.json    19 joints, or, where absent,
    <root>/<sequence>/hdPose3d_stage1/body3DScene_%08d.json           the older 15
    <root>/<sequence>/hdImgs/00_16/00_16_%08d.jpg

**Lens distortion.**  Records describe the *undistorted* image: keypoints are the plain pinhole
projection of ``keypoints_cam``, boxes follow from them, and ``distortion`` lets the mapper
undistort the picture with the same intrinsics.  The other way, to keep the picture and distort
the keypoints, would break the back-projection of eq. 4, which is exact for a pinhole camera
alone.  With these lenses (k1 about -0.28) it would be off by 14 to 27 pixels at the middle of the
upper and lower border and by 85 to 190 in the corners: there, 16 to 41 cm at a depth of 3 m.  The
price is a rim of the original picture that falls outside the undistorted one.
"""

import logging
import os
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from detectron2.structures import BoxMode

from ...skeleton import get_skeleton
from ..annotations import DatasetError, Where, load_json, require, require_path, stack_field
from .panoptic_calibration import HDCamera, load_calibration

__all__ = ["load_panoptic"]

logger = logging.getLogger(__name__)

# Joint set, its folder and its field, the preferred one first.
_POSES = (
    ("panoptic19", "hdPose3d_stage1_coco19", "joints19"),
    ("panoptic15", "hdPose3d_stage1", "joints15"),
)
_MM_PER_CM = 10.0
_BOX_ENLARGEMENT = 1.2


@dataclass(frozen=True)
class _Bodies:
    """The B bodies of a sequence's chosen frames, one after another."""

    frames: np.ndarray  # (B,)
    person_ids: list[int]
    joints: np.ndarray  # (B, J, 4): world X, Y, Z in cm, confidence


def load_panoptic(
    root: str,
    sequences: Sequence[str],
    cameras: Sequence[str],
    *,
    frames: Collection[int] | Mapping[str, Collection[int]] | None = None,
    frame_step: int = 1,
    num_frames: int | None = None,
    joint_set: str | None = None,
    image_ext: str = "jpg",
    min_confidence: float = 0.1,
) -> list[dict[str, Any]]:
    """Load sequences of CMU Panoptic as dataset dicts.

    Frames are those that have both annotations and an image; frames without people keep an
    empty list.  2D joints have v = 2 inside the undistorted image, 1 outside it (occlusion is
    not annotated), 0 where unknown or behind the camera.  A box is the extent of the joints in
    front of the camera, enlarged 1.2 times about its centre, XYXY, and may reach outside the
    image.  People of whom no box meets the image are left out, and counted in the log.  Unknown
    joints are zero in ``keypoints_cam``.

    Args:
        root: folder of the sequences.
        sequences: names of their folders.
        cameras: HD cameras, e.g. ``["00_16", "00_30"]``.
        frames: frame numbers to take, for all sequences or by sequence; all where None.
        frame_step: take frames whose number is a multiple of it (29.97 frames a second).
        num_frames: take at most this many frames of each sequence, spread evenly.
        joint_set: "panoptic19" or "panoptic15" to insist on one; where None, every sequence
            gives ``panoptic19`` if it has it, else ``panoptic15``.
        image_ext: ending of the image files.
        min_confidence: a joint is known if its confidence is greater.

    Returns:
        one dict an image, by sequence, camera and frame; besides the standard fields
        ``sequence``, ``camera``, ``frame``, and ``person_id`` in every annotation.

    Raises:
        DatasetError: for missing folders, files, fields or cameras, truncated JSON, another
            number of joints, numbers that are not finite, a camera without any image of an
            annotated frame.
        ValueError: for arguments outside their range.
    """
    if isinstance(sequences, str) or isinstance(cameras, str):
        raise ValueError(f"expected lists, found sequences {sequences!r}, cameras {cameras!r}")
    if frame_step < 1 or (num_frames is not None and num_frames < 1):
        raise ValueError(f"expected 1 or more, found {frame_step=}, {num_frames=}")
    if joint_set not in (None, *(name for name, _, _ in _POSES)):
        raise ValueError(f"expected 'panoptic19' or 'panoptic15', found {joint_set=}")
    if isinstance(frames, Mapping) and not set(frames).issuperset(sequences):
        raise ValueError(f"frames are given for {sorted(frames)}, expected {sorted(sequences)}")

    records = []
    for sequence in sequences:
        folder = os.path.join(root, sequence)
        require_path(folder, "the folder of a CMU Panoptic sequence")
        calibration = load_calibration(folder, sequence, cameras)
        found_set, pose_folder, field = _find_poses(folder, joint_set)
        annotated = _list_frames(pose_folder, "body3DScene_", "json")
        images = {name: _list_images(folder, name, image_ext, annotated) for name in calibration}
        wanted = frames.get(sequence) if isinstance(frames, Mapping) else frames
        candidates = annotated & set().union(*images.values())
        chosen = _choose_frames(candidates, wanted, frame_step, num_frames, sequence)
        bodies = _read_bodies(pose_folder, chosen, field, get_skeleton(found_set).num_joints)
        for name, camera in calibration.items():
            shown = [frame for frame in chosen if frame in images[name]]
            people = _view_people(camera, bodies, min_confidence)
            logger.info(
                "%s, camera %s: %d images taken, %d of the chosen frames have none, %d of %d "
                "people are outside the image",
                sequence,
                name,
                len(shown),
                len(chosen) - len(shown),
                people.count(None),
                len(people),
            )
            by_frame: dict[int, list[dict[str, Any]]] = {frame: [] for frame in chosen}
            for frame, person in zip(bodies.frames.tolist(), people, strict=True):
                if person is not None:
                    by_frame[frame].append(person)
            for frame in shown:
                file_name = f"{name}_{frame:08d}.{image_ext}"
                records.append(
                    {
                        "file_name": os.path.join(folder, "hdImgs", name, file_name),
                        "image_id": f"{sequence}/{name}/{frame:08d}",
                        "height": camera.height,
                        "width": camera.width,
                        "intrinsics": list(camera.intrinsics),
                        "distortion": list(camera.distortion),
                        "joint_set": found_set,
                        "sequence": sequence,
                        "camera": name,
                        "frame": frame,
                        "annotations": by_frame[frame],
                    }
                )
    return records


def _find_poses(folder: str, joint_set: str | None) -> tuple[str, str, str]:
    """Joint set, folder and field of a sequence's annotations."""
    candidates = [poses for poses in _POSES if joint_set in (None, poses[0])]
    for name, pose_folder, field in candidates:
        path = os.path.join(folder, pose_folder)
        if os.path.isdir(path):
            return name, path, field
    expected = " or ".join(pose_folder for _, pose_folder, _ in candidates)
    raise DatasetError(f"{folder}: found no 3D poses, expected a folder {expected}")


def _list_images(folder: str, camera: str, image_ext: str, annotated: set[int]) -> set[int]:
    path = os.path.join(folder, "hdImgs", camera)
    require_path(path, f"the images of camera {camera}")
    images = _list_frames(path, f"{camera}_", image_ext)
    if not images & annotated:
        raise DatasetError(
            f"{path}: found {len(images)} images {camera}_%08d.{image_ext}, expected images of "
            f"the {len(annotated)} annotated frames"
        )
    if images - annotated:
        logger.info("%s: %d images have no annotation", path, len(images - annotated))
    return images


def _list_frames(path: str, prefix: str, ext: str) -> set[int]:
    """Frame numbers of the files ``<prefix>%08d.<ext>``, read from the folder's listing alone."""
    pattern = re.compile(rf"{re.escape(prefix)}(\d{{8}})\.{re.escape(ext)}")
    with os.scandir(path) as entries:
        matches = (pattern.fullmatch(entry.name) for entry in entries)
        return {int(match.group(1)) for match in matches if match}


def _choose_frames(
    candidates: set[int],
    wanted: Collection[int] | None,
    frame_step: int,
    num_frames: int | None,
    sequence: str,
) -> list[int]:
    if wanted is not None:
        wanted = set(wanted)
        if wanted - candidates:
            logger.warning(
                "%s: %d of %d frames asked for have no annotation or no image",
                sequence,
                len(wanted - candidates),
                len(wanted),
            )
        candidates = candidates & wanted
    chosen = sorted(frame for frame in candidates if frame % frame_step == 0)
    if num_frames is not None and len(chosen) > num_frames:
        places = np.linspace(0, len(chosen) - 1, num_frames).round().astype(int)
        chosen = [chosen[place] for place in places]
    if not chosen:
        logger.warning("%s: no frame is left", sequence)
    return chosen


def _read_bodies(folder: str, frames: Sequence[int], field: str, num_joints: int) -> _Bodies:
    bodies, owners = [], []
    for frame in frames:
        path = os.path.join(folder, f"body3DScene_{frame:08d}.json")
        for body in require(load_json(path), "bodies", Where(path)):
            # The toolbox marks outliers of the older format by a negative id.
            if require(body, "id", Where(path)) >= 0:
                bodies.append(body)
                owners.append((frame, path))

    def where(i: int) -> Where:
        return Where(owners[i][1], annotation_id=f"of body {bodies[i]['id']}")

    return _Bodies(
        frames=np.array([frame for frame, _ in owners], dtype=np.int64),
        person_ids=[body["id"] for body in bodies],
        joints=stack_field(bodies, field, (4 * num_joints,), where).reshape(-1, num_joints, 4),
    )


def _view_people(
    camera: HDCamera, bodies: _Bodies, min_confidence: float
) -> list[dict[str, Any] | None]:
    """Annotations of all bodies in one camera; None for a body whose box misses the image."""
    known = bodies.joints[..., 3] > min_confidence
    joints = bodies.joints[..., :3] @ camera.rotation.T + camera.translation
    joints = np.where(known[..., None], joints * _MM_PER_CM, 0.0)
    in_front = known & (joints[..., 2] > 0)
    depth = np.where(in_front, joints[..., 2], 1.0)[..., None]
    focal, center = np.array(camera.intrinsics).reshape(2, 2)
    pixels = np.where(in_front[..., None], joints[..., :2] / depth * focal + center, 0.0)
    size = np.array((camera.width, camera.height), dtype=np.float64)
    inside = ((pixels >= 0) & (pixels <= size)).all(axis=-1)
    visibility = np.where(in_front, np.where(inside, 2.0, 1.0), 0.0)
    keypoints = np.concatenate((pixels, visibility[..., None]), axis=-1)

    people: list[dict[str, Any] | None] = [None] * len(bodies.person_ids)
    candidates = np.flatnonzero(in_front.any(axis=1))
    counted = in_front[candidates, :, None]
    low = pixels[candidates].min(axis=1, initial=np.inf, where=counted)
    high = pixels[candidates].max(axis=1, initial=-np.inf, where=counted)
    middle, half = (low + high) / 2, (high - low) / 2 * _BOX_ENLARGEMENT
    low, high = middle - half, middle + half
    meets_image = ((high > low) & (high > 0) & (low < size)).all(axis=1)
    boxes = np.concatenate((low, high), axis=1)[meets_image]
    rows = candidates[meets_image]
    flat = keypoints[rows].reshape(len(rows), -1).tolist()
    joints = joints.astype(np.float32)
    for row, box, person_keypoints in zip(rows.tolist(), boxes.tolist(), flat, strict=True):
        people[row] = {
            "bbox": box,
            "bbox_mode": BoxMode.XYXY_ABS,
            "category_id": 0,
            "iscrowd": 0,
            "keypoints": person_keypoints,
            "keypoints_cam": joints[row],
            "keypoints_cam_valid": known[row],
            "person_id": bodies.person_ids[row],
        }
    return people
