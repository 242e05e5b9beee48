"""Generated people and predictions for the tests of the datasets' protocols."""

import copy
import itertools
from collections.abc import Callable, Iterator

import numpy as np
import torch
from detectron2.data import DatasetCatalog
from detectron2.structures import Boxes, BoxMode, Instances

from hmor_d2.skeleton import get_skeleton

HEIGHT, WIDTH, FOCAL = 540, 960, 700.0
_numbers = itertools.count()


def registering() -> Iterator[Callable[[list[dict]], str]]:
    """For a fixture: registers records under a new name; undone afterwards."""
    names = []

    def register(records: list[dict]) -> str:
        names.append(f"protocol_test_{next(_numbers)}")
        kept = copy.deepcopy(records)
        DatasetCatalog.register(names[-1], lambda: kept)
        return names[-1]

    yield register
    for name in names:
        DatasetCatalog.remove(name)


def project(poses: np.ndarray) -> np.ndarray:
    return poses[..., :2] / poses[..., 2:] * FOCAL + [WIDTH / 2, HEIGHT / 2]


def extents(pixels: np.ndarray) -> np.ndarray:
    return np.concatenate((pixels.min(axis=1) - 8, pixels.max(axis=1) + 8), axis=1)


def random_poses(rng: np.random.Generator, people: int, joints: int, spread=250.0) -> np.ndarray:
    root = rng.uniform((-1500, -300, 2500), (1500, 300, 5000), (people, 3))
    return root[:, None] + rng.normal(scale=spread, size=(people, joints, 3))


def make_record(
    image_id: object, joint_set: str, poses: np.ndarray, valid: np.ndarray, **fields: object
) -> dict:
    """A dataset dict; joints that are not valid hold what nobody should read."""
    pixels = project(poses)
    inside = ((pixels >= 0) & (pixels <= [WIDTH, HEIGHT])).all(axis=-1)
    visibility = np.where(valid, 1.0 + inside, 0.0)
    keypoints = np.concatenate((np.where(valid[..., None], pixels, -7), visibility[..., None]), -1)
    annotations = [
        {
            "bbox": box.tolist(),
            "bbox_mode": BoxMode.XYXY_ABS,
            "category_id": 0,
            "iscrowd": 0,
            "keypoints": points.ravel().tolist(),
            "keypoints_cam": np.where(known[:, None], pose, -1e5),
            "keypoints_cam_valid": known,
        }
        for box, points, pose, known in zip(extents(pixels), keypoints, poses, valid, strict=True)
    ]
    return {
        "file_name": f"images/{image_id}.jpg",
        "image_id": image_id,
        "height": HEIGHT,
        "width": WIDTH,
        "joint_set": joint_set,
        "annotations": annotations,
        **fields,
    }


def make_instances(
    poses: np.ndarray, scores: np.ndarray, pixels: np.ndarray | None = None
) -> Instances:
    """Predictions with the projections and boxes that belong to their poses."""
    pixels = project(poses) if pixels is None else pixels
    boxes = extents(pixels) if len(pixels) else np.zeros((0, 4))
    return fill_instances(boxes, scores, pixels, poses, poses[:, 0, 2], (HEIGHT, WIDTH))


def fill_instances(boxes, scores, pixels, poses, depth, size: tuple[int, int]) -> Instances:
    """What a model returns for one image, of the values that it predicts."""
    instances = Instances(size)
    confidence = np.ones((*pixels.shape[:2], 1))
    fields = {
        "pred_boxes": boxes,
        "scores": scores,
        "pred_keypoints": np.concatenate((pixels, confidence), axis=2),
        "pred_keypoints_cam": poses,
        "pred_root_depth": depth,
        "pred_classes": np.zeros(len(scores)),
    }
    for name, value in fields.items():
        value = torch.as_tensor(np.asarray(value, dtype=np.float32))
        instances.set(name, Boxes(value) if name == "pred_boxes" else value)
    instances.pred_classes = instances.pred_classes.long()
    return instances


def by_names(source: str, target: str, poses: np.ndarray) -> np.ndarray:
    """Joints of ``source`` in the order of ``target``, by name; the first where there is none."""
    names = get_skeleton(source).joint_names
    columns = [
        poses[:, names.index(n)] if n in names else poses[:, 0]
        for n in get_skeleton(target).joint_names
    ]
    return np.stack(columns, axis=1)


def run(evaluator, predictions: dict) -> dict[str, float]:
    """The figures of predictions by image id."""
    evaluator.reset()
    for image_id, instances in predictions.items():
        source = {"image_id": image_id, "file_name": f"images/{image_id}.jpg"}
        evaluator.process([source], [{"instances": instances}])
    (figures,) = evaluator.evaluate().values()
    return figures
