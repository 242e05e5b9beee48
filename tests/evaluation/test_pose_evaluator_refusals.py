"""Predictions, annotations and arguments that the pose evaluator refuses, each with its place."""

import math

import numpy as np
import pytest

from hmor_d2.evaluation.pose_evaluator import Pose3DEvaluator
from hmor_d2.skeleton import get_skeleton
from tests.evaluation.pose_scenes import HEIGHT, MUCO17, WIDTH, make_records, noisy_predictions, run


def with_nan(field, index):
    def change(instances):
        value = instances.get(field)
        getattr(value, "tensor", value)[index] = math.nan

    return change


def shortened(instances):
    instances.pred_keypoints_cam = instances.pred_keypoints_cam[:, :15]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (shortened, r"'pred_keypoints_cam' must have shape \(\d+, 17, 3\).*found \(\d+, 15, 3\)"),
        (
            with_nan("pred_keypoints_cam", (1, 3, 2)),
            r"'pred_keypoints_cam'.* nan at index \(1, 3, 2\)",
        ),
        (with_nan("pred_boxes", (0, 1)), r"'pred_boxes' must be finite"),
        (with_nan("scores", 1), r"'scores' must be finite"),
        (with_nan("pred_root_depth", 1), r"'pred_root_depth' must be finite"),
        (
            lambda i: i.remove("pred_root_depth"),
            r"no field 'pred_root_depth', found \['pred_boxes'",
        ),
    ],
)
def test_bad_predictions(register, change, message):
    records = make_records(2)
    name, predictions = register(records), noisy_predictions(records, 2)
    change(predictions[3])
    with pytest.raises(
        ValueError, match=rf"dataset '{name}', image_id 3 \(images/3.jpg\).*{message}"
    ):
        run(name, predictions)


def test_predictions_of_another_dataset(register):
    records = make_records(2)
    name, predictions = register(records), noisy_predictions(records, 2)
    with pytest.raises(ValueError, match=rf"'{name}' has no image of image_id \['a.jpg'\]"):
        run(name, {**predictions, "a.jpg": predictions[0]})
    predictions[4]._image_size = (WIDTH, HEIGHT)
    with pytest.raises(
        ValueError, match=r"image_id 4 .*\(640, 480\), the dataset says \(480, 640\)"
    ):
        run(name, predictions)
    evaluator = Pose3DEvaluator(name, MUCO17)
    with pytest.raises(ValueError, match=r"image_id 0 .*'instances', found \['proposals'\]"):
        evaluator.process([records[0]], [{"proposals": None}])


def first_person(records):
    return records[3]["annotations"][0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r: first_person(r).update(bbox=[0, 0, 5]), "annotation 0: field 'bbox'"),
        (lambda r: first_person(r).update(bbox=[0, 0, math.inf, 5]), "annotation 0: field 'bbox'"),
        (lambda r: first_person(r).pop("bbox_mode"), "annotation 0: field 'bbox_mode'"),
        (lambda r: first_person(r)["keypoints"].pop(), "'keypoints': found 62 numbers.* 63"),
        (lambda r: first_person(r).update(keypoints=["x"] * 63), "field 'keypoints'"),
        (
            lambda r: first_person(r).update(keypoints_cam=np.zeros((17, 3))),
            r"'keypoints_cam': found shape \(17, 3\), expected \(21, 3\)",
        ),
        (
            lambda r: first_person(r).update(keypoints_cam=np.full((21, 3), np.nan)),
            "'keypoints_cam': found .*nan.*, expected finite",
        ),
        (lambda r: r[3].update(joint_set="smpl99"), "'joint_set': found unknown skeleton 'smpl99'"),
        (lambda r: r[3].pop("height"), "field 'height'"),
        (lambda r: r.append(r[3]), "field 'image_id': found it a second time"),
    ],
)
def test_bad_annotations(register, change, message):
    records = make_records(2)
    first_person(records)["iscrowd"] = 0
    predictions = noisy_predictions(records, 2)
    change(records)
    name = register(records)
    with pytest.raises(
        ValueError, match=rf"dataset '{name}', image_id 3 \(images/3.jpg\).*{message}"
    ):
        run(name, predictions)


def test_dataset_without_3d(register):
    records = make_records(2)
    predictions = noisy_predictions(records, 2)
    for record in records:
        for a in record["annotations"]:
            a.pop("keypoints_cam", None)
    name = register(records)
    with pytest.raises(
        ValueError, match=rf"dataset '{name}': no 'pelvis' is valid in 'keypoints_cam'"
    ):
        run(name, predictions)


def test_bad_arguments():
    with pytest.raises(ValueError, match="skeleton 'coco17' has no root joint"):
        Pose3DEvaluator("any", get_skeleton("coco17"))
    with pytest.raises(ValueError, match=r"iou_threshold must be in \(0, 1\], found 0"):
        Pose3DEvaluator("any", MUCO17, iou_threshold=0)
