"""CMU Panoptic: the figures against literal transcriptions, by hand and on real annotations."""

import math

import numpy as np
import pytest

from hmor_d2.data.dataset_error import DatasetError
from hmor_d2.evaluation.panoptic import PANOPTIC_RULES, PanopticEvaluator
from hmor_d2.skeleton import get_skeleton
from tests.evaluation.panoptic_reference import slow_evaluation
from tests.evaluation.panoptic_scenes import MUCO17, hand_made, make_scene, real_scene
from tests.evaluation.protocol_scenes import by_names, make_instances, run


@pytest.mark.parametrize("rule", PANOPTIC_RULES)
@pytest.mark.parametrize("seed", range(3))
def test_equals_slow_reference(register, rule, seed):
    records, predictions = make_scene(seed)
    expected = slow_evaluation(records, predictions, rule)
    assert 0 < expected["detection_rate"] < 1
    found = run(PanopticEvaluator(register(records), MUCO17, matching=rule), predictions)
    assert {name: found[name] for name in expected} == pytest.approx(expected, rel=1e-6)
    # No sequence is of this activity: it says so, and the mean is of the others.
    assert math.isnan(found["MPJPE_ultimatum"]) and math.isnan(found["detection_rate_ultimatum"])


def test_figures_by_hand(register):
    records, poses = hand_made()
    panoptic15 = get_skeleton("panoptic15")
    first, second = poses[:1] + np.array([30, 0, 40]), poses[1:].copy()
    first[0, 5, 1] += 60
    second[0, 7, 2] += 30
    predictions = {0: make_instances(first, [0.9]), 1: make_instances(second, [0.9])}
    name = register(records)
    found = run(PanopticEvaluator(name, panoptic15), predictions)
    assert found["MPJPE_haggling"] == pytest.approx(60 / 15, abs=1e-4)
    assert found["MPJPE_pizza"] == pytest.approx(30 / 15, abs=1e-4)
    assert found["MPJPE_activities"] == found["MPJPE_people"] == pytest.approx(3, abs=1e-4)
    components = [found[key] for key in ("MRPE_haggling", "MRPE_pizza", "MRPE", "MRPE_x", "MRPE_z")]
    assert components == pytest.approx([50, 0, 25, 15, 20], abs=1e-3)
    assert found["detection_rate"] == 1 and found["people"] == found["matched"] == 2

    del predictions[1]
    found = run(PanopticEvaluator(name, panoptic15), predictions)
    assert found["detection_rate"] == 0.5 and found["detection_rate_pizza"] == 0
    assert found["MPJPE_people"] == pytest.approx(4, abs=1e-4)
    # The mean of activities does not drop the one in which nobody was found.
    assert math.isnan(found["MPJPE_activities"]) and math.isnan(found["MPJPE_pizza"])
    found = run(PanopticEvaluator(name, panoptic15, matching="romp"), predictions)
    assert found["MPJPE_pizza"] == 150
    assert found["MPJPE_activities"] == pytest.approx((4 + 150) / 2, abs=1e-3)
    assert found["MRPE"] == pytest.approx(50, abs=1e-3)


@pytest.mark.parametrize(
    ("annotated", "model", "head"),
    [
        ("panoptic15", "muco17", "head_top"),
        ("panoptic19", "muco17", None),
        ("panoptic19", "panoptic19", "nose"),
        ("panoptic15", "panoptic19", None),
    ],
)
def test_joint_1_is_compared_only_under_its_own_name(register, caplog, annotated, model, head):
    records, poses = hand_made(annotated)
    pred = by_names(annotated, model, poses)
    if head:
        pred[0, get_skeleton(model).index(head), 0] += 45
    predictions = {i: make_instances(pred[i : i + 1], [0.9]) for i in range(2)}
    evaluator = PanopticEvaluator(register(records), get_skeleton(model))
    with caplog.at_level("INFO"):
        found = run(evaluator, predictions)
    assert found["matched"] == 2
    assert found["MPJPE_haggling"] == pytest.approx(3 if head else 0, abs=1e-4)
    assert found["MPJPE_pizza"] == pytest.approx(0, abs=1e-4)
    number = 15 if head else 14
    assert f"{number} joints compared with '{annotated}'" in caplog.text
    assert ("head_top" in caplog.text) == (head == "head_top")
    assert ("nose" in caplog.text) == (head == "nose")


@pytest.mark.parametrize("rule", PANOPTIC_RULES)
def test_on_real_annotations(register, rule):
    """A prediction moved by a known step, in the joints of another set."""
    records, people = real_scene()
    predictions = {}
    for record, (poses, pixels) in zip(records, people, strict=True):
        scores = np.linspace(0.5, 0.9, len(poses))
        instances = make_instances(poses + np.array([30, 0, -40]), scores, pixels)
        instances._image_size = (record["height"], record["width"])
        predictions[record["image_id"]] = instances
    found = run(PanopticEvaluator(register(records), MUCO17, matching=rule), predictions)
    assert found["detection_rate"] == 1 and 30 < found["people"] <= 45
    assert found["MPJPE_haggling"] == found["MPJPE_activities"] == pytest.approx(0, abs=1e-2)
    assert found["MRPE"] == pytest.approx(50, abs=1e-2)


def test_other_activities(register):
    records, poses = hand_made()
    for record in records:
        record["sequence"] = "160906_band1"
    predictions = {i: make_instances(poses[i : i + 1], [0.9]) for i in range(2)}
    name = register(records)
    panoptic15 = get_skeleton("panoptic15")
    found = run(PanopticEvaluator(name, panoptic15, activities=["band"]), predictions)
    assert found["MPJPE_band"] == pytest.approx(0, abs=1e-4) and "MPJPE_pizza" not in found
    with pytest.raises(DatasetError, match=r"image_id 0.*'sequence': found 160906_band1, .*mafia"):
        run(PanopticEvaluator(name, panoptic15), predictions)
