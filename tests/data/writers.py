"""Small writers of the dataset formats, written from their descriptions and not from the loaders.

They take dataset dicts (continuous pixels, mm) or world coordinates, and undo the shift by half a
pixel, so that a loader must give back what went in.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from detectron2.structures import BoxMode

MUCO_JOINTS = 21
COCO_JOINTS = 17
HALF_PIXEL = 0.5


def make_person(rng: np.random.Generator, intrinsics: Sequence[float], num_joints: int) -> dict:
    """A random person, float32-exact, whose 2D joints are the projection of the 3D joints."""
    fx, fy, cx, cy = intrinsics
    center = rng.uniform((-1500, -500, 2500), (1500, 500, 6000))
    joints = (center + rng.normal(0, 300, (num_joints, 3))).astype(np.float32)
    joints64 = joints.astype(np.float64)
    pixels = joints64[:, :2] / joints64[:, 2:] * (fx, fy) + (cx, cy)
    flags = rng.integers(1, 3, (num_joints, 1))
    low, high = pixels.min(axis=0), pixels.max(axis=0)
    return {
        "bbox": [*low.tolist(), *(high - low).tolist()],
        "bbox_mode": BoxMode.XYWH_ABS,
        "category_id": 0,
        "iscrowd": 0,
        "keypoints": np.hstack((pixels, flags)).ravel().tolist(),
        "keypoints_cam": joints,
        "keypoints_cam_valid": np.ones(num_joints, bool),
    }


def make_muco_records(seed: int, people_per_image: Sequence[int], image_root: str) -> list[dict]:
    """Dataset dicts of random people, as ``load_muco_json`` should return them."""
    rng = np.random.default_rng(seed)
    records = []
    for index, count in enumerate(people_per_image):
        intrinsics = [*rng.uniform(1400, 1600, 2).tolist(), *rng.uniform(1000, 1048, 2).tolist()]
        folder = "augmented_set" if index % 2 else "unaugmented_set"
        records.append(
            {
                "file_name": f"{image_root}/{folder}/1/{index}.jpg",
                "image_id": index,
                "height": 2048,
                "width": 2048,
                "joint_set": "muco21",
                "intrinsics": intrinsics,
                "annotations": [make_person(rng, intrinsics, MUCO_JOINTS) for _ in range(count)],
            }
        )
    return records


def muco_content(records: Sequence[Mapping], image_root: str) -> dict:
    """The content of MuCo-3DHP.json for dataset dicts."""
    images, annotations = [], []
    for record in records:
        fx, fy, cx, cy = record["intrinsics"]
        images.append(
            {
                "id": record["image_id"],
                "file_name": str(Path(record["file_name"]).relative_to(image_root)),
                "width": record["width"],
                "height": record["height"],
                "f": [fx, fy],
                "c": [cx - HALF_PIXEL, cy - HALF_PIXEL],
            }
        )
        for person in record["annotations"]:
            keypoints = np.reshape(person["keypoints"], (-1, 3))
            annotations.append(
                {
                    "id": len(annotations),
                    "image_id": record["image_id"],
                    "bbox": person["bbox"],
                    "keypoints_img": (keypoints[:, :2] - HALF_PIXEL).tolist(),
                    "keypoints_cam": person["keypoints_cam"].tolist(),
                    "keypoints_vis": (keypoints[:, 2] == 2).tolist(),
                }
            )
    return {"images": images, "annotations": annotations}


def coco_content(records: Sequence[Mapping]) -> dict:
    """The content of a COCO person_keypoints file for 2D dataset dicts."""
    images, annotations = [], []
    for record in records:
        size = {"height": record["height"], "width": record["width"]}
        name = Path(record["file_name"]).name
        images.append({"id": record["image_id"], "file_name": name, **size})
        for person in record["annotations"]:
            keypoints = np.reshape(person["keypoints"], (-1, 3)).copy()
            labelled = keypoints[:, 2] > 0
            if labelled.any():
                keypoints[:, :2] -= HALF_PIXEL
            annotations.append(
                {
                    "id": 100 + len(annotations),
                    "image_id": record["image_id"],
                    "category_id": 1,
                    "iscrowd": person["iscrowd"],
                    "bbox": person["bbox"],
                    "area": person["bbox"][2] * person["bbox"][3],
                    "num_keypoints": int(labelled.sum()),
                    "keypoints": keypoints.ravel().tolist(),
                }
            )
    return {
        "images": images,
        "annotations": annotations,
        "categories": [{"id": 1, "name": "person", "supercategory": "person"}],
    }


def write_json(path: Path, content: object) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return str(path)


def panoptic_camera(name: str, rotation: np.ndarray, translation_cm: Sequence[float]) -> dict:
    """An entry of a Panoptic calibration with the lens of a real one."""
    return {
        "name": name,
        "type": "hd",
        "resolution": [1920, 1080],
        "panel": 0,
        "node": int(name[-2:]),
        "K": [[1397.21, 0, 950.563], [0, 1394.06, 565.694], [0, 0, 1]],
        "distCoef": [-0.286076, 0.179787, -0.00024877, 0.000216189, -0.0458576],
        "R": np.asarray(rotation).tolist(),
        "t": [[value] for value in translation_cm],
    }


def write_panoptic(
    root: Path,
    sequence: str,
    cameras: Sequence[Mapping],
    frames: Mapping[int, Mapping[int, np.ndarray]],
    *,
    pose_folder: str = "hdPose3d_stage1_coco19",
    images: Mapping[str, Sequence[int]] | None = None,
) -> Path:
    """Write a sequence.

    Args:
        frames: of each frame number, the bodies by id, each (J, 4): world X, Y, Z in cm, score.
        images: frames of which each camera has an (empty) image; all where None.

    Returns:
        the folder of the sequence.
    """
    folder = root / sequence
    write_json(
        folder / f"calibration_{sequence}.json",
        {"calibDataSource": "test", "cameras": [dict(camera) for camera in cameras]},
    )
    (folder / pose_folder).mkdir(exist_ok=True)
    for frame, bodies in frames.items():
        content = {
            "version": 0.7,
            "univTime": frame / 29.97,
            "fpsType": "hd_29_97",
            "bodies": [
                {"id": body, f"joints{len(joints)}": np.asarray(joints).ravel().tolist()}
                for body, joints in bodies.items()
            ],
        }
        write_json(folder / pose_folder / f"body3DScene_{frame:08d}.json", content)
    for camera in cameras:
        name = camera["name"]
        (folder / "hdImgs" / name).mkdir(parents=True, exist_ok=True)
        for frame in frames if images is None else images[name]:
            (folder / "hdImgs" / name / f"{name}_{frame:08d}.jpg").touch()
    return folder
