"""3DPW against a literal reference of the challenge's figures, and by hand."""

import itertools
import json
import math

import numpy as np
import pytest
from scipy import integrate
from scipy.spatial.transform import Rotation

from hmor_d2.data.dataset_error import DatasetError
from hmor_d2.evaluation.threedpw import ThreeDPWEvaluator, limb_pck_and_auc, set_errors
from hmor_d2.skeleton import get_skeleton
from tests.evaluation.protocol_scenes import (
    HEIGHT,
    WIDTH,
    by_names,
    make_instances,
    make_record,
    random_poses,
    run,
)

SMPL24, MUCO17 = get_skeleton("smpl24"), get_skeleton("muco17")
# As numbered by SMPL, from the challenge's code and the dataset's description.
LIMBS = [1, 2, 4, 5, 7, 8, 16, 17, 18, 19, 20, 21]
LSP14 = [*LIMBS, 12, 15]


def slow_pa(pred, gt):
    """scipy's rotation, which is never a reflection, and the best scale for it."""
    p, g = pred - pred.mean(axis=0), gt - gt.mean(axis=0)
    turned = Rotation.align_vectors(g, p)[0].apply(p)
    scale = (turned * g).sum() / (p**2).sum()
    return np.linalg.norm(scale * turned - g, axis=1).mean()


def slow_challenge(errors):
    """PCK and AUC as compute_pck and compute_auc of the challenge; errors (N, 12), all valid."""

    def pck(threshold):
        return np.mean(np.mean(errors <= threshold, axis=1))

    thresholds = np.arange(0.0, 200.0)
    curve = [pck(t) for t in thresholds]
    x = thresholds / thresholds.max()
    # The curve is linear between the thresholds: integrate piece by piece, exactly.
    pieces = [
        integrate.quad(lambda v: np.interp(v, x, curve), a, b)[0] for a, b in itertools.pairwise(x)
    ]
    return pck(50.0), sum(pieces)


def random_people(seed, people=10):
    rng = np.random.default_rng(seed)
    gt = random_poses(rng, people, 24)
    pred = gt + rng.normal(scale=60, size=gt.shape) + rng.normal(scale=90, size=(people, 1, 3))
    return pred, gt, rng


@pytest.mark.parametrize("seed", range(3))
def test_errors_equal_slow_reference(seed):
    pred, gt, rng = random_people(seed)
    # Mirrored people must not be turned back by a reflection.
    pred[::3, :, 0] *= -1
    valid = rng.random((10, 24)) < 0.85
    valid[:, 0] = True
    gt[~valid] = np.nan
    for joints in (list(range(24)), LSP14):
        members = np.isin(np.arange(24), joints)
        relative, aligned, absolute = set_errors(pred, gt, valid, members)
        for i in range(10):
            known = [j for j in joints if valid[i, j]]
            p, g = pred[i, known], gt[i, known]
            errors = [np.linalg.norm(a - b) for a, b in zip(p, g, strict=True)]
            assert absolute[i] == pytest.approx(np.mean(errors))
            p, g = p - pred[i, 0], g - gt[i, 0]
            errors = [np.linalg.norm(a - b) for a, b in zip(p, g, strict=True)]
            assert relative[i] == pytest.approx(np.mean(errors))
            assert aligned[i] == pytest.approx(slow_pa(p, g), rel=1e-6)


@pytest.mark.parametrize("seed", range(2))
def test_pck_and_auc_equal_the_challenges(seed):
    pred, gt, _ = random_people(seed, people=6)
    pred[1] = gt[1]
    pred[2, LIMBS] = gt[2, LIMBS] + 400
    # Errors at the thresholds themselves count as correct.
    pred[3] = gt[3] = np.round(gt[3])
    pred[3, 4, 0] += 50
    pred[3, 5, 1] += 199
    pred[3, 7, 2] += 200
    valid = np.ones((6, 24), dtype=bool)
    pck, auc = limb_pck_and_auc(pred, gt, valid)
    relative = (pred - pred[:, :1]) - (gt - gt[:, :1])
    errors = np.linalg.norm(relative, axis=-1)[:, LIMBS]
    expected = slow_challenge(errors)
    assert (pck.mean(), auc.mean()) == pytest.approx(expected, rel=1e-6)
    assert pck[1] == auc[1] == 1 and pck[2] == auc[2] == 0
    assert pck[3] == pytest.approx(10 / 12)
    assert auc[3] == pytest.approx((9 + 149.5 / 199 + 0.5 / 199) / 12)
    valid[0, LIMBS] = False
    pck, auc = limb_pck_and_auc(pred, gt, valid)
    assert math.isnan(pck[0]) and math.isnan(auc[0]) and not np.isnan(pck[1:]).any()


def make_scene(seed, model, num_images=20):
    rng = np.random.default_rng(seed)
    records, predictions = [], {}
    for image_id in range(num_images):
        people = int(rng.integers(1, 3))
        poses = random_poses(rng, people, 24)
        valid = np.ones((people, 24), dtype=bool)
        fields = {"sequence": "downtown_arguing_00", "frame": image_id}
        records.append(make_record(image_id, "smpl24", poses, valid, **fields))
        if image_id == 3:
            continue
        sources = rng.integers(0, people, people)
        pred = by_names("smpl24", model.name, poses)[sources]
        pred = pred + rng.normal(scale=20, size=pred.shape)
        pred += rng.normal(scale=60, size=(people, 1, 3))
        # Bystanders, whom nobody annotated.
        pred = np.concatenate((pred, random_poses(rng, 1, model.num_joints)))
        predictions[image_id] = make_instances(pred, rng.random(people + 1))
    return records, predictions


def overlap(a, b):
    a, b = (
        [min(max(float(v), 0), limit) for v, limit in zip(box, (WIDTH, HEIGHT) * 2, strict=True)]
        for box in (a, b)
    )
    shared = max(0, min(a[2], b[2]) - max(a[0], b[0])) * max(0, min(a[3], b[3]) - max(a[1], b[1]))
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)]
    return shared / (sum(areas) - shared) if shared else 0


def slow_evaluation(records, predictions, model, threshold):
    rows = {}
    people = matched = 0
    names = [n for n in SMPL24.joint_names if n in model.joint_names]
    source = [SMPL24.index(n) for n in names]
    target = [model.index(n) for n in names]
    for record in records:
        annotated = [
            a
            for a in record["annotations"]
            if min(a["bbox"][2:]) > 0 and a["bbox"][0] < WIDTH and a["bbox"][1] < HEIGHT
        ]
        people += len(annotated)
        instances, taken = predictions.get(record["image_id"]), set()
        if instances is None:
            continue
        for n in instances.scores.argsort(descending=True).tolist():
            box = instances.pred_boxes.tensor[n]
            ious = [-1 if i in taken else overlap(box, a["bbox"]) for i, a in enumerate(annotated)]
            if not ious or max(ious) < threshold:
                continue
            taken.add(ious.index(max(ious)))
            gt = annotated[ious.index(max(ious))]["keypoints_cam"]
            pred = np.full((24, 3), np.nan)
            pred[source] = instances.pred_keypoints_cam[n, target].double().numpy()
            matched += 1
            rows.setdefault("MRPE", []).append(np.linalg.norm(pred[0] - gt[0]))
            for name, joints in (("smpl24", range(24)), ("lsp14", LSP14)):
                joints = [j for j in joints if j in source]
                p, g = pred[joints], gt[joints]
                relative = np.linalg.norm(p - pred[0] - g + gt[0], axis=1)
                rows.setdefault(f"MPJPE_{name}", []).append(relative.mean())
                rows.setdefault(f"PA_MPJPE_{name}", []).append(slow_pa(p, g))
                absolute = np.linalg.norm(p - g, axis=1).mean()
                rows.setdefault(f"ABS_MPJPE_{name}", []).append(absolute)
            limbs = pred[LIMBS] - pred[0] - gt[LIMBS] + gt[0]
            rows.setdefault("limbs", []).append(np.linalg.norm(limbs, axis=1))
    limbs = np.array(rows.pop("limbs"))
    figures = {name: np.mean(values) for name, values in rows.items()}
    figures |= dict(zip(("PCK_50mm", "AUC_200mm"), slow_challenge(limbs), strict=True))
    return figures | {
        "joints_smpl24": len(names),
        "joints_lsp14": sum(j in source for j in LSP14),
        "detection_rate": matched / people,
        "people": people,
        "matched": matched,
    }


@pytest.mark.parametrize("threshold", [0.5, 0.7])
@pytest.mark.parametrize("model", [SMPL24, MUCO17], ids=lambda s: s.name)
def test_equals_slow_reference(register, model, threshold):
    records, predictions = make_scene(0, model)
    expected = slow_evaluation(records, predictions, model, threshold)
    assert 0 < expected["matched"] < expected["people"] and 0 < expected["PCK_50mm"] < 1
    evaluator = ThreeDPWEvaluator(register(records), model, iou_threshold=threshold)
    assert run(evaluator, predictions) == pytest.approx(expected, rel=1e-5)


def hand_made():
    rng = np.random.default_rng(0)
    poses = rng.normal(scale=200, size=(2, 24, 3)) + np.array([0, 0, 3000])
    poses[:, :, 0] += [[-700], [700]]
    records = [make_record("a/0", "smpl24", poses, np.ones((2, 24), dtype=bool))]
    return records, poses


def test_figures_by_hand(register, caplog):
    records, poses = hand_made()
    pred = poses[:1] + np.array([30, 0, -40])
    pred[0, 20, 1] += 60  # left wrist
    pred[0, 3, 1] += 24  # spine1, of smpl24 alone
    predictions = {"a/0": make_instances(pred, [0.9])}
    with caplog.at_level("INFO"):
        found = run(ThreeDPWEvaluator(register(records), SMPL24), predictions)
    assert found["MPJPE_smpl24"] == pytest.approx((60 + 24) / 24, abs=1e-3)
    assert found["MPJPE_lsp14"] == pytest.approx(60 / 14, abs=1e-3)
    wrist, spine = math.hypot(30, 60, 40), math.hypot(30, 24, 40)
    absolute = (22 * 50 + wrist + spine) / 24
    assert found["ABS_MPJPE_smpl24"] == pytest.approx(absolute, abs=1e-3)
    assert found["ABS_MPJPE_lsp14"] == pytest.approx((13 * 50 + wrist) / 14, abs=1e-3)
    assert found["PA_MPJPE_smpl24"] == pytest.approx(slow_pa(pred[0], poses[0]), rel=1e-4)
    assert found["PCK_50mm"] == pytest.approx(11 / 12)
    assert found["MRPE"] == pytest.approx(50, abs=1e-3)
    assert (found["people"], found["matched"], found["detection_rate"]) == (2, 1, 0.5)
    assert "1 of 2 people found" in caplog.text and "24 of 24" in caplog.text


def test_a_model_with_mucos_joints_is_compared_on_those_it_shares(register, caplog, tmp_path):
    records, poses = hand_made()
    pred = by_names("smpl24", "muco17", poses)
    evaluator = ThreeDPWEvaluator(register(records), MUCO17, output_dir=str(tmp_path))
    with caplog.at_level("INFO"):
        found = run(evaluator, {"a/0": make_instances(pred, [0.9, 0.8])})
    assert found["joints_smpl24"] == 13 and found["joints_lsp14"] == 12
    assert found["ABS_MPJPE_smpl24"] == pytest.approx(0, abs=1e-3)
    assert found["PCK_50mm"] == found["detection_rate"] == 1
    # Not 1: rounding makes no error exactly 0, and 0 is a threshold.
    assert found["AUC_200mm"] == pytest.approx(1, abs=3e-3)
    assert "13 joints compared with 'smpl24': pelvis, left_hip" in caplog.text
    assert "smpl_neck" not in caplog.text.split("13 joints compared")[1].splitlines()[0]
    written = json.loads((tmp_path / "pose_results.json").read_text())
    assert written["3dpw"] == found and written["iou_threshold"] == 0.5


def test_nobody_found(register):
    records, _ = hand_made()
    found = run(ThreeDPWEvaluator(register(records), SMPL24), {})
    assert found["detection_rate"] == found["matched"] == 0 and found["joints_smpl24"] == 24
    for name in ("MPJPE_smpl24", "PA_MPJPE_lsp14", "ABS_MPJPE_lsp14", "PCK_50mm", "MRPE"):
        assert math.isnan(found[name])


def test_bad_input(register):
    records, poses = hand_made()
    evaluator = ThreeDPWEvaluator(register(records), SMPL24)
    with pytest.raises(ValueError, match=r"image_id 'a/0'.*'scores' must be finite"):
        run(evaluator, {"a/0": make_instances(poses, [0.9, math.nan])})
    with pytest.raises(ValueError, match=r"has no image of image_id \['b'\]"):
        run(evaluator, {"b": make_instances(poses, [0.9, 0.8])})
    records[0]["annotations"][1]["keypoints_cam"] = np.zeros((23, 3))
    with pytest.raises(DatasetError, match=r"image_id 'a/0'.*annotation 1.*\(23, 3\)"):
        run(ThreeDPWEvaluator(register(records), SMPL24), {})
    with pytest.raises(ValueError, match=r"iou_threshold must be in \(0, 1\], found 2"):
        ThreeDPWEvaluator("any", SMPL24, iou_threshold=2)
