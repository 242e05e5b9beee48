"""CMU Panoptic: many people in a dome, seen by calibrated HD cameras.

Layout and fields are those of the dataset's toolbox (panoptic-toolbox)::

    <root>/<sequence>/calibration_<sequence>.json
    <root>/<sequence>/hdPose3d_stage1_coco19/body3DScene_%08d.json    19 joints, or, where absent,
    <root>/<sequence>/hdPose3d_stage1/body3DScene_%08d.json           the older 15
    <root>/<sequence>/hdImgs/00_16/00_16_%08d.jpg

A sequence that ``datasets/prepare_panoptic.py`` has indexed is not scanned (see
:mod:`.panoptic_index`).

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
from collections.abc import Collection, Mapping, Sequence
from numbers import Integral
from typing import Any

import numpy as np

from ..dataset_error import DatasetError, require_path
from ..projection import annotate_people
from .panoptic_calibration import HDCamera, load_calibration
from .panoptic_files import Bodies, find_poses, image_folder, list_frames, read_bodies
from .panoptic_index import read_index

__all__ = ["load_panoptic"]

logger = logging.getLogger(__name__)

_MM_PER_CM = 10.0


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
    compact: bool = False,
) -> list[dict[str, Any]]:
    """Load sequences of CMU Panoptic as dataset dicts.

    Frames are those that have both annotations and an image; frames without people keep an
    empty list.  2D joints have v = 2 inside the undistorted image, 1 outside it (occlusion is
    not annotated), 0 where unknown, behind the camera or nearer to it than 100 mm.  A box is the
    extent of the joints in front of the camera, enlarged 1.2 times about its centre, XYXY, and
    may reach outside the image.  People without any joint inside the image are left out, and
    counted in the log.  Unknown joints are zero in ``keypoints_cam``.

    Args:
        root: folder of the sequences.
        sequences: names of their folders.
        cameras: HD cameras, e.g. ``["00_16", "00_30"]``.
        frames: frame numbers to take, for all sequences or by sequence; all where None.
        frame_step: take frames whose number is a multiple of it (29.97 frames a second).
        num_frames: take at most this many frames of each sequence, spread evenly over those
            that all cameras have.  The log warns where there are fewer.
        joint_set: "panoptic19" or "panoptic15" to insist on one; where None, every sequence
            gives ``panoptic19`` if it has it, else ``panoptic15``.
        image_ext: ending of the image files.
        min_confidence: a joint is known if its confidence is greater.
        compact: ``keypoints`` as float32 arrays (3 J,) in place of lists of floats, as
            :func:`load_muco_json` has it.

    Returns:
        one dict an image, by sequence, camera and frame; besides the standard fields
        ``sequence``, ``camera``, ``frame``, and ``person_id`` in every annotation.

    Raises:
        DatasetError: for missing folders, files, fields or cameras, truncated JSON, another
            number of joints, numbers that are not finite, a camera without any image of an
            annotated frame.
        ValueError: for arguments outside their range, a sequence or camera that is named twice.
    """
    if isinstance(sequences, str) or isinstance(cameras, str):
        raise ValueError(f"expected lists, found sequences {sequences!r}, cameras {cameras!r}")
    for names in (sequences, cameras):
        if len(set(names)) < len(names):
            raise ValueError(f"expected each sequence and camera once, found {list(names)}")
    if frame_step < 1 or (num_frames is not None and num_frames < 1):
        raise ValueError(f"expected 1 or more, found {frame_step=}, {num_frames=}")
    if joint_set not in (None, "panoptic19", "panoptic15"):
        raise ValueError(f"expected 'panoptic19' or 'panoptic15', found {joint_set=}")
    if isinstance(frames, Mapping) and not set(frames).issuperset(sequences):
        raise ValueError(f"frames are given for {sorted(frames)}, expected {sorted(sequences)}")
    for numbers in frames.values() if isinstance(frames, Mapping) else [frames]:
        _check_frame_numbers(numbers)

    records = []
    for sequence in sequences:
        folder = os.path.join(root, sequence)
        require_path(folder, "the folder of a CMU Panoptic sequence")
        calibration = load_calibration(folder, sequence, cameras)
        found_set, pose_folder = find_poses(folder, joint_set)
        index = read_index(folder, found_set, cameras, image_ext)
        annotated = index.frames if index else list_frames(pose_folder, "body3DScene_", "json")
        images = index.images if index else _list_images(folder, cameras, image_ext)
        _check_images(folder, images, image_ext, annotated)
        wanted = frames.get(sequence) if isinstance(frames, Mapping) else frames
        # Where their number is limited, every camera shows the same frames.
        combine = set.union if num_frames is None else set.intersection
        candidates = annotated & combine(*images.values()) if images else set()
        chosen = _choose_frames(candidates, wanted, frame_step, num_frames, sequence)
        if index:
            bodies = index.bodies.of_frames(chosen)
        else:
            bodies = read_bodies(pose_folder, chosen, found_set)
        for name, camera in calibration.items():
            shown = [frame for frame in chosen if frame in images[name]]
            people = _view_bodies(camera, bodies, min_confidence, compact)
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


def _list_images(folder: str, cameras: Sequence[str], image_ext: str) -> dict[str, set[int]]:
    images = {}
    for camera in cameras:
        path = image_folder(folder, camera)
        require_path(path, f"the images of camera {camera}")
        images[camera] = list_frames(path, f"{camera}_", image_ext)
    return images


def _check_images(
    folder: str, images: Mapping[str, set[int]], image_ext: str, annotated: set[int]
) -> None:
    for camera, found in images.items():
        path = image_folder(folder, camera)
        if not found & annotated:
            raise DatasetError(
                f"{path}: found {len(found)} images {camera}_%08d.{image_ext}, expected images of "
                f"the {len(annotated)} annotated frames"
            )
        if found - annotated:
            logger.info("%s: %d images have no annotation", path, len(found - annotated))


def _check_frame_numbers(frames: Collection[int] | None) -> None:
    wrong = [
        frame for frame in ([] if frames is None else frames) if not isinstance(frame, Integral)
    ]
    if wrong:
        raise ValueError(f"expected whole numbers of frames, found {wrong[:3]}")


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
    if num_frames is not None and len(chosen) < num_frames:
        logger.warning("%s: found %d frames, expected %d", sequence, len(chosen), num_frames)
    if num_frames is not None and len(chosen) > num_frames:
        places = np.linspace(0, len(chosen) - 1, num_frames).round().astype(int)
        chosen = [chosen[place] for place in places]
    if not chosen:
        logger.warning("%s: no frame is left", sequence)
    return chosen


def _view_bodies(
    camera: HDCamera, bodies: Bodies, min_confidence: float, compact: bool
) -> list[dict[str, Any] | None]:
    """Annotations of all bodies in one camera; None for a body without a joint in its image."""
    known = bodies.joints[..., 3] > min_confidence
    joints = bodies.joints[..., :3] @ camera.rotation.T + camera.translation
    size = np.array((camera.width, camera.height))
    intrinsics = np.array(camera.intrinsics)
    ids = bodies.person_ids.tolist()
    return annotate_people(joints * _MM_PER_CM, known, intrinsics, size, ids, compact=compact)
