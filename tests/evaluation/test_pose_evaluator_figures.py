"""The pose evaluator's figures against a slow reference and by hand, and who is matched."""

import copy
import math

import numpy as np
import pytest
import torch

from tests.evaluation.pose_reference import clipped, slow_evaluation
from tests.evaluation.pose_scenes import (
    WIDTH,
    know_everything,
    make_records,
    noisy_predictions,
    perfect_predictions,
    run,
)


@pytest.mark.parametrize(("iou", "score"), [(0.5, 0.0), (0.3, 0.4), (0.6, 0.2)])
@pytest.mark.parametrize("seed", [0, 1, 4])
def test_equals_slow_reference(register, seed, iou, score):
    records = make_records(seed)
    predictions = noisy_predictions(records, seed)
    expected = slow_evaluation(records, predictions, iou, score)
    # The scene is worth its name: misses, false positives, people without 3D, wrong orders.
    assert expected["matched_3d"] < expected["matched"] < expected["people"]
    assert 0 < expected["matched_2d"] < expected["matched"] and 0 < expected["PCK@0.2"] < 1
    assert expected["false_positives_per_image"] > 0 and 0 < expected["ORD"] < 1
    assert 0 < expected["ORD_all"] < expected["ORD"] and 0 < expected["ORD_joint"] < 1
    assert 0 < expected["PCK3D_abs_all"] < expected["PCK3D_abs"] < 1
    found = run(register(records), predictions, iou_threshold=iou, score_threshold=score)
    assert found.keys() == expected.keys()
    assert all(type(value) is float for value in found.values())
    assert found == pytest.approx(expected, rel=1e-6)


def test_perfect_predictions(register):
    records = know_everything(make_records(4))
    # Validity that is not given is validity of all.
    del records[0]["annotations"][0]["keypoints_cam_valid"]
    found = run(register(records), perfect_predictions(records))
    for name in ("ABS_MPJPE", "MPJPE", "MRPE", "MRPE_x", "MRPE_y", "MRPE_z", "BIAS_z"):
        assert found[name] == 0
    assert found["PA_MPJPE"] == pytest.approx(0, abs=1e-6)
    shares = ("detection_rate", "detection_rate_3d", "PCK@0.2", "PCK3D_abs", "PCK3D_abs_all")
    for name in (*shares, "SCALE", "PAIR_SLOPE", "ORD", "ORD_all", "ORD_joint"):
        assert found[name] == 1
    # The person outside the image is predicted, but annotated in a place that nobody sees.
    outside = sum(
        clipped(np.add(a["bbox"], [0, 0, *a["bbox"][:2]]))[0] == WIDTH
        for r in records
        for a in r["annotations"]
    )
    assert outside == 1
    assert found["people"] == sum(len(r["annotations"]) for r in records) - outside
    assert found["people_3d"] == found["matched_3d"] == found["matched_2d"] == found["people"]
    assert found["false_positives_per_image"] == outside / len(records)
    assert found["false_positives_per_person"] == outside / found["people"]


def test_figures_by_hand(register):
    """Two people; one found, 30 mm too far left and 40 mm too deep, one elbow 60 mm off."""
    records = know_everything(make_records(0, num_images=1))
    a, b = (copy.deepcopy(records[0]["annotations"][0]) for _ in range(2))
    b["bbox"] = [0.0, 0.0, 20.0, 20.0]
    records[0]["annotations"] = [a, b]
    found_people = perfect_predictions(records)[0][:1]
    found_people.pred_keypoints_cam += torch.tensor([-30.0, 0, 40])
    found_people.pred_keypoints_cam[0, 3, 1] += 60
    found = run(register(records), {0: found_people})
    assert found["MPJPE"] == pytest.approx(60 / 17, rel=1e-5)
    with_elbow = math.sqrt(30**2 + 40**2 + 60**2)
    assert found["ABS_MPJPE"] == pytest.approx((16 * 50 + with_elbow) / 17, rel=1e-5)
    components = [found[f"MRPE_{axis}"] for axis in "xyz"]
    assert [found["MRPE"], *components] == pytest.approx([50, 30, 0, 40], abs=1e-3)
    assert found["detection_rate"] == 0.5 and found["matched"] == 1 and found["people"] == 2
    assert found["false_positives_per_image"] == 0
    # One person makes no pair.
    assert math.isnan(found["ORD"])


def test_order_of_predictions_changes_nothing(register):
    records = make_records(6)
    name, predictions = register(records), noisy_predictions(records, 6)
    expected = run(name, predictions)
    rng = np.random.default_rng(0)
    for _ in range(3):
        shuffled = {i: predictions[i] for i in rng.permutation(len(predictions)).tolist()}
        shuffled = {i: p[torch.from_numpy(rng.permutation(len(p)))] for i, p in shuffled.items()}
        assert run(name, shuffled) == expected


def test_3d_errors_do_not_move_the_matching(register):
    records = make_records(6)
    name, predictions = register(records), noisy_predictions(records, 6)
    expected = run(name, predictions)
    for prediction in predictions.values():
        prediction.pred_keypoints_cam = torch.rand_like(prediction.pred_keypoints_cam) * 9000
    found = run(name, predictions)
    assert found["MPJPE"] > 5 * expected["MPJPE"]
    for key in ("matched", "detection_rate", "false_positives_per_image", "PCK@0.2"):
        assert found[key] == expected[key]


def test_predictions_in_a_crowd_are_no_false_positives(register):
    records = know_everything(make_records(0, num_images=1))
    predictions = perfect_predictions(records)
    name = register(records)
    for a in records[0]["annotations"][1:]:
        a["iscrowd"] = 1
    crowded = register(records)
    before, after = run(name, predictions), run(crowded, predictions)
    assert before["matched"] == before["people"] == len(predictions[0]) > 2
    assert after["matched"] == after["people"] == 1
    assert after["false_positives_per_image"] == after["false_positives_per_person"] == 0
