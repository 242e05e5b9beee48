"""Generated COCO files and predictions for the tests of the COCO evaluator."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from detectron2.data import DatasetCatalog, MetadataCatalog

from hmor_d2.data import register_coco_keypoints
from tests.evaluation.protocol_scenes import HEIGHT, WIDTH, make_instances

# COCO's order, typed from COCO's site, and which of them muco17 has.
NAMES = [
    *("nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder"),
    *("right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist", "left_hip"),
    *("right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle"),
]
LIMBS = list(range(5, 17))


def make_content(seed, num_images=8):
    """A COCO file: people, some labelled by the face alone or not at all, and a crowd."""
    rng = np.random.default_rng(seed)
    images, annotations = [], []
    for image_id in range(10, 10 + num_images):
        name = f"{image_id}.jpg"
        images.append({"id": image_id, "file_name": name, "height": HEIGHT, "width": WIDTH})
        for _ in range(int(rng.integers(1, 4))):
            x, y = rng.uniform(0, 500, 2)
            w, h = rng.uniform(60, 300, 2)
            points = rng.uniform((x, y), (x + w, y + h), (17, 2)).round(2)
            flags = rng.integers(0, 3, (17, 1))
            if rng.random() < 0.2:
                flags[5:] = 0
            annotations.append(
                {
                    "id": 100 + len(annotations),
                    "image_id": image_id,
                    "category_id": 1,
                    "iscrowd": int(rng.random() < 0.05),
                    "bbox": [x, y, w, h],
                    "area": 0.6 * w * h,
                    "num_keypoints": int((flags > 0).sum()),
                    "keypoints": (np.hstack((points, flags)) * (flags > 0)).ravel().tolist(),
                }
            )
    categories = [{"id": 1, "name": "person"}]
    return {"images": images, "annotations": annotations, "categories": categories}


def make_predictions(content, skeleton, seed, noise=12.0):
    """Noisy people in the skeleton's joints, continuous pixels."""
    rng = np.random.default_rng(seed)
    predictions = {}
    for image in content["images"]:
        own = [a for a in content["annotations"] if a["image_id"] == image["id"]]
        boxes, joints = [], []
        for a in [own[i] for i in rng.integers(0, len(own), len(own) + 1)]:
            x, y, w, h = np.array(a["bbox"]) + rng.normal(scale=noise, size=4)
            boxes.append((x, y, x + w, y + h))
            points = np.array(a["keypoints"]).reshape(17, 3)[:, :2]
            points = points + 0.5 + rng.normal(scale=noise / 3, size=(17, 2))
            absent = rng.uniform(0, 500, (len(skeleton.joint_names), 2))
            joints.append(
                [
                    points[NAMES.index(n)] if n in NAMES else p
                    for n, p in zip(skeleton.joint_names, absent, strict=True)
                ]
            )
        poses = np.ones((len(boxes), skeleton.num_joints, 3))
        instances = make_instances(poses, rng.random(len(boxes)), np.array(joints))
        instances.pred_boxes.tensor = torch.tensor(np.array(boxes), dtype=torch.float32)
        predictions[image["id"]] = instances
    return predictions


def registering_coco(folder: Path) -> Iterator[Callable[[dict], str]]:
    """For a fixture: registers a COCO file under a new name; undone afterwards."""
    names = []

    def register_content(content):
        names.append(f"coco_evaluator_test_{folder.name}_{len(names)}")
        path = folder / f"{len(names)}.json"
        path.write_text(json.dumps(content))
        register_coco_keypoints(names[-1], str(path), str(folder))
        return names[-1]

    yield register_content
    for name in names:
        DatasetCatalog.remove(name)
        MetadataCatalog.remove(name)


def run(evaluator, predictions):
    evaluator.reset()
    for image_id, instances in predictions.items():
        source = {"image_id": image_id, "file_name": f"{image_id}.jpg"}
        evaluator.process([source], [{"instances": instances}])
    return evaluator.evaluate()
