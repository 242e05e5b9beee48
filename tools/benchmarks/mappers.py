"""Time of HMORDatasetMapper beside Detectron2's DatasetMapper, on the same images and people."""

import os
import statistics
import time

import cv2
import numpy as np
import torch
from detectron2.config import get_cfg
from detectron2.data import DatasetMapper
from detectron2.data import detection_utils as utils
from detectron2.structures import BoxMode

from hmor_d2.data import HMORDatasetMapper
from hmor_d2.skeleton import get_skeleton

# Height, width: of COCO and of MuCo.
SIZES = ((480, 640), (2048, 2048))
_IMAGES = 8
_PEOPLE = 3
_SKELETON = get_skeleton("muco21")


def compare_mappers(folder: str, size: tuple[int, int], rounds: int) -> tuple[float, float]:
    """Median seconds an image of both mappers.

    Detectron2's gets what COCO's loader gives: keypoints in lists, no 3D.  Both augment as a
    training config with Detectron2's defaults says, with the same random numbers.

    Args:
        folder: for the JPEGs.
        size: height and width of the images.
        rounds: times that each of 8 images is mapped by both, one after the other.

    Returns:
        (ours, Detectron2's).
    """
    rng = np.random.default_rng(0)
    ours = [_make_record(rng, os.path.join(folder, f"{i}.jpg"), size) for i in range(_IMAGES)]
    plain = [_without_3d(record) for record in ours]
    augmentations = utils.build_augmentation(get_cfg(), is_train=True)
    mappers = (
        HMORDatasetMapper(
            True,
            augmentations=augmentations,
            image_format="BGR",
            skeleton=_SKELETON,
            default_joint_set="coco17",
        ),
        DatasetMapper(
            True,
            augmentations=augmentations,
            image_format="BGR",
            use_keypoint=True,
            keypoint_hflip_indices=_SKELETON.flip_indices,
        ),
    )
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as in a worker
    times = ([], [])
    for step in range(-1, rounds):
        for i, pair in enumerate(zip(ours, plain, strict=True)):
            for which in (0, 1) if step % 2 else (1, 0):
                np.random.seed(step * _IMAGES + i + _IMAGES)
                start = time.perf_counter()
                mapped = mappers[which](pair[which])
                seconds = time.perf_counter() - start
                if len(mapped["instances"]) != _PEOPLE:
                    raise RuntimeError("a mapper lost people: they do different work")
                if step >= 0:  # the first round warms up
                    times[which].append(seconds)
    torch.set_num_threads(threads)
    return statistics.median(times[0]), statistics.median(times[1])


def _make_record(rng: np.random.Generator, path: str, size: tuple[int, int]) -> dict:
    """A dict as load_muco_json(compact=True) gives it, of smooth noise that is written here."""
    height, width = size
    noise = rng.integers(0, 256, (height // 8, width // 8, 3), dtype=np.uint8)
    picture = cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)
    cv2.imwrite(path, picture)
    focal = 0.73 * max(size)
    intrinsics = (focal, focal, width / 2, height / 2)
    valid = np.ones(_SKELETON.num_joints, dtype=bool)
    people = []
    for _ in range(_PEOPLE):
        joints = rng.uniform((-800, -400, 3000), (800, 400, 5000))
        joints = joints + rng.uniform(-300, 300, (_SKELETON.num_joints, 3))
        pixels = joints[:, :2] / joints[:, 2:] * focal + (width / 2, height / 2)
        low, high = pixels.min(axis=0), pixels.max(axis=0)
        visible = np.full((len(joints), 1), 2.0)
        people.append(
            {
                "bbox": [*low.tolist(), *(high - low).tolist()],
                "bbox_mode": BoxMode.XYWH_ABS,
                "category_id": 0,
                "iscrowd": 0,
                "keypoints": np.hstack((pixels, visible)).ravel().astype(np.float32),
                "keypoints_cam": joints.astype(np.float32),
                "keypoints_cam_valid": valid,
            }
        )
    return {
        "file_name": path,
        "image_id": 0,
        "height": height,
        "width": width,
        "joint_set": _SKELETON.name,
        "intrinsics": intrinsics,
        "annotations": people,
    }


def _without_3d(record: dict) -> dict:
    """The dict that COCO's loader would give."""
    people = [
        {key: value for key, value in person.items() if not key.startswith("keypoints_cam")}
        for person in record["annotations"]
    ]
    for person in people:
        person["keypoints"] = person["keypoints"].tolist()
    plain = {k: v for k, v in record.items() if k not in ("joint_set", "intrinsics")}
    return plain | {"annotations": people}
