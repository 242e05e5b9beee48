"""Human3.6M against a literal transcription of 3DMPPE's evaluation, and by hand."""

import json
import math

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from hmor_d2.data.dataset_error import DatasetError
from hmor_d2.evaluation.human36m import ACTIONS, Human36MEvaluator, protocol_errors
from hmor_d2.skeleton import get_skeleton
from tests.evaluation.protocol_scenes import (
    by_names,
    make_instances,
    make_record,
    random_poses,
    run,
)

H36M17 = get_skeleton("h36m17")
L_SHOULDER, R_SHOULDER = 11, 14


def add_thorax(joints):
    return np.vstack((joints, (joints[L_SHOULDER] + joints[R_SHOULDER]) * 0.5))


def rotation_between(pred, gt):
    """scipy's, which is never a reflection; both centred."""
    return Rotation.align_vectors(gt - gt.mean(axis=0), pred - pred.mean(axis=0))[0]


def slow_p1(pred, gt):
    """Of one person: 18 joints are aligned, 17 averaged."""
    pred, gt = add_thorax(pred), add_thorax(gt)
    pred, gt = pred - pred[0], gt - gt[0]
    moved = rotation_between(pred, gt).apply(pred - pred.mean(axis=0)) + gt.mean(axis=0)
    return np.mean([np.linalg.norm(moved[j] - gt[j]) for j in range(17)])


def slow_p1_scaled(pred, gt):
    p, g = pred - pred.mean(axis=0), gt - gt.mean(axis=0)
    turned = rotation_between(p, g).apply(p)
    scale = (turned * g).sum() / (p**2).sum()
    return np.mean([np.linalg.norm(scale * a - b) for a, b in zip(turned, g, strict=True)])


def slow_p2(pred, gt):
    return np.mean([np.linalg.norm(pred[j] - pred[0] - gt[j] + gt[0]) for j in range(17)])


@pytest.mark.parametrize("seed", range(4))
def test_errors_equal_transcription(seed):
    rng = np.random.default_rng(seed)
    gt = random_poses(rng, 12, 17)
    turns = np.stack([Rotation.random(None, seed * 100 + i).as_matrix() for i in range(12)])
    pred = gt @ turns * rng.uniform(0.8, 1.2, (12, 1, 1)) + rng.normal(scale=90, size=gt.shape)
    # Where the best orthogonal matrix is a reflection, the best rotation is another.
    pred[::3, :, 2] *= -1
    p1, scaled, p2 = protocol_errors(pred, gt, np.ones((12, 17), dtype=bool))
    for found, slow in ((p1, slow_p1), (scaled, slow_p1_scaled), (p2, slow_p2)):
        expected = [slow(p, g) for p, g in zip(pred, gt, strict=True)]
        np.testing.assert_allclose(found, expected, rtol=1e-6)
    # The thorax takes part in the alignment: without it the figure is another.
    without = [
        np.linalg.norm(
            rotation_between(p, g).apply(p - p.mean(axis=0)) - g + g.mean(axis=0), axis=1
        ).mean()
        for p, g in zip(pred, gt, strict=True)
    ]
    assert np.abs(p1 - without).max() > 1e-2


def test_alignment_by_hand():
    """A turned and moved pose costs nothing in P1, a larger one only without scale."""
    rng = np.random.default_rng(3)
    gt = random_poses(rng, 1, 17)
    valid = np.ones((1, 17), dtype=bool)
    turn = Rotation.from_euler("xyz", [40, -20, 100], degrees=True).as_matrix()
    p1, scaled, p2 = protocol_errors(gt @ turn + 500, gt, valid)
    assert max(p1[0], scaled[0]) < 1e-8 and p2[0] > 100
    p1, scaled, p2 = protocol_errors(1.1 * gt, gt, valid)
    middle = add_thorax(gt[0]).mean(axis=0)
    expected = 0.1 * np.linalg.norm(gt[0] - middle, axis=1).mean()
    assert p1[0] == pytest.approx(expected) and scaled[0] < 1e-8
    assert p2[0] == pytest.approx(0.1 * np.linalg.norm(gt[0] - gt[0, 0], axis=1).mean())
    assert protocol_errors(gt[:0], gt[:0], valid[:0])[0].shape == (0,)


def make_scene(seed, model="muco17"):
    """Images of two subjects and several actions; some with two predictions, one with none."""
    rng = np.random.default_rng(seed)
    records, predictions = [], {}
    for image_id in range(24):
        poses = rng.normal(scale=250, size=(1, 17, 3)) + np.array([0, 0, 4000])
        fields = {
            "subject": (9, 11)[image_id % 2],
            "action": (2, 3, 10, 16)[image_id // 6],
            "subaction": 1,
            "camera": 1,
            "frame": 64 * image_id,
        }
        valid = np.ones((1, 17), dtype=bool)
        records.append(make_record(image_id, "h36m17", poses, valid, **fields))
        number = (1, 2, 3, 0)[image_id % 4] if image_id < 12 else 1
        pred = np.repeat(by_names("h36m17", model, poses), number, axis=0)
        pred = pred + rng.normal(scale=70, size=pred.shape)
        pred += rng.normal(scale=100, size=(number, 1, 3))
        predictions[image_id] = make_instances(pred, rng.random(number))
    del predictions[6]
    return records, predictions


def slow_evaluation(records, predictions, model="muco17"):
    order = [get_skeleton(model).index(name) for name in H36M17.joint_names]
    errors = {kind: [] for kind in ("P1", "P1_scaled", "P2")}
    roots, by_action = [], {}
    for record in records:
        instances = predictions.get(record["image_id"])
        if instances is None or not len(instances):
            continue
        best = int(instances.scores.argmax())
        pred = instances.pred_keypoints_cam[best].double().numpy()[order]
        gt = record["annotations"][0]["keypoints_cam"]
        name = ACTIONS[record["action"] - 2]
        kinds = {"P2": slow_p2}
        if record["subject"] == 11:
            kinds |= {"P1": slow_p1, "P1_scaled": slow_p1_scaled}
        for kind, error in kinds.items():
            errors[kind].append(error(pred, gt))
            by_action.setdefault((kind, name), []).append(errors[kind][-1])
        roots.append(np.linalg.norm(pred[0] - gt[0]))
    figures = {kind: np.mean(values) for kind, values in errors.items()}
    for kind in errors:
        means = {n: np.mean(v) for (k, n), v in by_action.items() if k == kind}
        figures[f"{kind}_actions"] = np.mean(list(means.values()))
        figures |= {f"{kind}_{n}": means.get(n, math.nan) for n in ACTIONS}
    rate = len(roots) / len(records)
    counts = {"detection_rate": rate, "people": len(records), "matched": len(roots)}
    return figures | counts | {"MRPE": np.mean(roots)}


@pytest.mark.parametrize("model", ["muco17", "h36m17"])
@pytest.mark.parametrize("seed", range(2))
def test_equals_slow_reference(register, seed, model):
    records, predictions = make_scene(seed, model)
    expected = slow_evaluation(records, predictions, model)
    assert expected["matched"] < expected["people"]
    found = run(Human36MEvaluator(register(records), get_skeleton(model)), predictions)
    assert found == pytest.approx(expected, rel=1e-5, nan_ok=True)
    assert math.isnan(found["P2_Eating"]) and found["P2_Smoking"] != found["P2_WalkTogether"]
    # Means of images and of actions differ where actions have different numbers of images.
    assert found["P2"] != found["P2_actions"]


def test_figures_by_hand(register, caplog, tmp_path):
    gt = np.random.default_rng(0).normal(scale=200, size=(1, 17, 3)) + np.array([0, 0, 3000])
    valid = np.ones((1, 17), dtype=bool)
    records = [
        make_record(i, "h36m17", gt, valid, subject=s, action=a)
        for i, (s, a) in enumerate(((9, 2), (11, 2), (11, 16), (11, 16)))
    ]
    wrong = gt + 1000.0
    wrong[0, 3, 1] += 500
    right, shifted = gt + np.array([3.0, 0, 4]), gt.copy()
    shifted[0, 13, 0] += 34
    # The surest prediction counts, whether it is good or not.
    predictions = {
        0: make_instances(shifted, [0.9]),
        1: make_instances(np.concatenate((wrong, right)), [0.2, 0.6]),
        2: make_instances(np.concatenate((shifted, right)), [0.3, 0.1]),
    }
    evaluator = Human36MEvaluator(register(records), H36M17, output_dir=str(tmp_path))
    with caplog.at_level("INFO"):
        found = run(evaluator, predictions)
    assert found["P2_Directions"] == pytest.approx((34 / 17 + 0) / 2, abs=1e-4)
    assert found["P2_WalkTogether"] == pytest.approx(34 / 17, abs=1e-4)
    assert found["P2"] == pytest.approx((2 + 0 + 2) / 3, abs=1e-4)
    assert found["P2_actions"] == pytest.approx(1.5, abs=1e-4)
    # Subject 9 is not in P1.
    assert found["P1_Directions"] == pytest.approx(0, abs=1e-3)
    assert 0 < found["P1_WalkTogether"] == pytest.approx(2 * found["P1"], abs=1e-2)
    assert found["MRPE"] == pytest.approx(5 / 3, abs=1e-3)
    assert (found["people"], found["matched"], found["detection_rate"]) == (4, 3, 0.75)
    for text in ("3 of 4 images with a prediction", "subjects [9, 11]", "those of [11]"):
        assert text in caplog.text
    written = json.loads((tmp_path / "pose_results.json").read_text())
    assert written["human36m"]["P2"] == found["P2"] and written["p1_subjects"] == [11]
    assert written["human36m"]["P2_Eating"] is None


def test_p1_without_its_subjects(register):
    records, predictions = make_scene(0)
    evaluator = Human36MEvaluator(register(records), get_skeleton("muco17"), p1_subjects=[5])
    found = run(evaluator, predictions)
    assert math.isnan(found["P1"]) and math.isnan(found["P1_scaled_Smoking"])
    assert found["P2"] > 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r: r[2].update(action=17), "image_id 2.*'action': found 17, expected .* 2 to 16"),
        (lambda r: r[2].update(action="Eating"), "image_id 2.*'action': found Eating"),
        (lambda r: r[2].pop("action"), "image_id 2.*'action'"),
        (lambda r: r[2].pop("subject"), "image_id 2.*'subject'"),
        (lambda r: r[2]["annotations"].extend(r[3]["annotations"]), "image_id 2.*2 annotated peo"),
    ],
)
def test_bad_annotations(register, change, message):
    records, _ = make_scene(0)
    change(records)
    with pytest.raises(DatasetError, match=message):
        run(Human36MEvaluator(register(records), H36M17), {})
