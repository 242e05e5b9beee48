"""Annotations and predictions of the sizes of MuPoTS-3D and COCO's val2017, made up."""

import os
from pathlib import Path

import numpy as np
import torch
from detectron2.structures import Boxes, Instances
from scipy.io import savemat

from hmor_d2.data.datasets.mupots_annotations import MUPOTS_SEQUENCES, read_mupots_sequence
from hmor_d2.evaluation.prediction_file import PosePredictions
from hmor_d2.skeleton import get_skeleton

__all__ = [
    "coco_predictions",
    "find_mupots",
    "make_coco",
    "mupots_predictions",
    "write_mupots",
]

_COCO = get_skeleton("coco17")


def find_mupots() -> Path | None:
    """MultiPersonTestSet under the environment variable HMOR_REAL_DATA, if it is whole there."""
    root = os.getenv("HMOR_REAL_DATA")
    folder = Path(root or "", "mupots", "MultiPersonTestSet")
    whole = root and all((folder / s / "annot.mat").exists() for s in MUPOTS_SEQUENCES)
    return folder if whole else None


def write_mupots(folder: Path, num_frames: int, num_people: int = 3) -> None:
    """Annotation files of 20 sequences of random people, everybody valid, ``num_frames`` in all."""
    joints = get_skeleton("muco17").num_joints
    frames = np.full(len(MUPOTS_SEQUENCES), num_frames // len(MUPOTS_SEQUENCES))
    frames[: num_frames % len(MUPOTS_SEQUENCES)] += 1
    for seed, (name, count) in enumerate(zip(MUPOTS_SEQUENCES, frames, strict=True)):
        rng = np.random.default_rng(seed)
        centres = rng.uniform((-800, -400, 2500), (800, 400, 5000), (count, num_people, 1, 3))
        poses = centres + rng.normal(0, 300, (count, num_people, joints, 3))
        arrays = {
            "annot2": poses[..., :2] / poses[..., 2:] * 1500 + 1000,
            "annot3": poses,
            "univ_annot3": poses,
        }
        people, labels = np.empty((2, count, num_people), dtype=object)
        occluded = (rng.random((count, num_people, 1, joints)) < 0.2).astype(np.uint8)
        valid = np.ones((1, 1), dtype=np.uint8)
        for place in np.ndindex(count, num_people):
            people[place] = {k: a[place].T for k, a in arrays.items()} | {"isValidFrame": valid}
            labels[place] = occluded[place]
        path = folder / name
        path.mkdir(parents=True)
        savemat(path / "annot.mat", {"annotations": people}, do_compression=True)
        savemat(path / "occlusion.mat", {"occlusion_labels": labels}, do_compression=True)


def mupots_predictions(folder: Path) -> PosePredictions:
    """Noisy copies of the annotated people: some are missed, some stand twice."""
    rng = np.random.default_rng(0)
    names, images, pixels, poses = [], [], [], []
    for name in MUPOTS_SEQUENCES:
        sequence = read_mupots_sequence(str(folder / name))
        frames, people = np.nonzero(sequence.valid)
        kept = np.repeat(np.arange(len(frames)), rng.choice(3, len(frames), p=(0.1, 0.7, 0.2)))
        frames, people = frames[kept], people[kept]
        images.append(len(names) + frames)
        names += [f"{name}/img_{i:06d}.jpg" for i in range(len(sequence.valid))]
        pixels.append(sequence.annot2[frames, people])
        poses.append(sequence.univ_annot3[frames, people])
    image, pixels, poses = map(np.concatenate, (images, pixels, poses))
    return PosePredictions(
        tuple(names),
        image,
        pixels + rng.normal(0, 15, pixels.shape),
        poses + rng.normal(0, 40, poses.shape) + rng.normal(0, 60, (len(poses), 1, 3)),
        rng.random(len(poses)),
    )


def make_coco(num_images: int, seed: int = 0) -> dict:
    """The content of a file of person keypoints: 0 to 6 people an image, 2.2 on average."""
    rng = np.random.default_rng(seed)
    people = np.minimum(rng.poisson(2.2, num_images), 6)
    images = [
        {"id": i, "file_name": f"{i:012d}.jpg", "height": 480, "width": 640}
        for i in range(1, num_images + 1)
    ]
    annotations = []
    for image, count in zip(images, people.tolist(), strict=True):
        corners = rng.uniform(0, (300, 200), (count, 2))
        sizes = rng.uniform(30, 280, (count, 2))
        places = rng.random((count, _COCO.num_joints, 2)) * sizes[:, None] + corners[:, None]
        flags = rng.integers(0, 3, (count, _COCO.num_joints, 1))
        keypoints = np.concatenate((places.round(), flags), axis=2) * (flags > 0)
        for box, points in zip(np.hstack((corners, sizes)), keypoints, strict=True):
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image["id"],
                    "category_id": 1,
                    "iscrowd": 0,
                    "bbox": box.tolist(),
                    "area": float(0.6 * box[2] * box[3]),
                    "num_keypoints": int((points[:, 2] > 0).sum()),
                    "keypoints": points.ravel().tolist(),
                }
            )
    categories = [{"id": 1, "name": "person"}]
    return {"images": images, "annotations": annotations, "categories": categories}


def coco_predictions(content: dict, per_image: int, joint_names: list[str]) -> list[Instances]:
    """Of each image ``per_image`` people, noisy copies of the annotated ones and others.

    Joints that COCO lacks are random; of the others, any order of joints gives the same places.
    """
    rng = np.random.default_rng(1)
    by_image: dict[int, list[dict]] = {image["id"]: [] for image in content["images"]}
    for annotation in content["annotations"]:
        by_image[annotation["image_id"]].append(annotation)
    order = [_COCO.joint_names.index(n) if n in _COCO.joint_names else -1 for n in joint_names]
    predictions = []
    for annotations in by_image.values():
        boxes = rng.uniform((0, 0, 30, 30), (300, 200, 280, 280), (per_image, 4))
        points = rng.random((per_image, _COCO.num_joints, 2)) * boxes[:, None, 2:]
        points += boxes[:, None, :2]
        for i, annotation in enumerate(annotations[:per_image]):
            boxes[i] = annotation["bbox"]
            points[i] = np.reshape(annotation["keypoints"], (-1, 3))[:, :2]
        boxes[:, 2:] += boxes[:, :2]
        boxes += rng.normal(0, 5, boxes.shape)
        points += 0.5 + rng.normal(0, 4, points.shape)
        scores = rng.random(per_image)
        instances = Instances((480, 640))
        instances.pred_boxes = Boxes(torch.tensor(boxes, dtype=torch.float32))
        instances.scores = torch.tensor(scores, dtype=torch.float32)
        instances.pred_classes = torch.zeros(per_image, dtype=torch.long)
        with_scores = np.concatenate((points, np.ones((*points.shape[:2], 1))), axis=2)
        instances.pred_keypoints = torch.tensor(with_scores[:, order], dtype=torch.float32)
        predictions.append(instances)
    return predictions
