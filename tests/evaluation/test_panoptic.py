"""CMU Panoptic: the four published evaluations against literal transcriptions, and by hand."""

import json
import math

import numpy as np
import pytest

from hmor_d2.data.dataset_error import DatasetError
from hmor_d2.data.datasets import load_panoptic
from hmor_d2.evaluation.panoptic import PANOPTIC_RULES, PanopticEvaluator
from hmor_d2.evaluation.pose_matching import (
    match_by_keypoints,
    match_by_pixel,
    match_by_position,
    match_by_shape,
)
from hmor_d2.evaluation.protocol import ImagePeople
from hmor_d2.skeleton import get_skeleton
from tests.evaluation.protocol_scenes import (
    HEIGHT,
    WIDTH,
    by_names,
    make_instances,
    make_record,
    project,
    random_poses,
    registering,
    run,
)
from tests.real_data import real_data

SEQUENCES = ("160422_haggling1", "160422_mafia2", "160906_pizza1")
ROOT = 2
MUCO17 = get_skeleton("muco17")


@pytest.fixture
def register():
    yield from registering()


def norm(vector):
    return math.sqrt(sum(float(x) ** 2 for x in vector))


# Transcriptions, one person and one joint at a time; lists of people, {person: prediction}.


def slow_crmh(pred, gt, valid, root):
    rooted = [p for p in range(len(gt)) if valid[p][root]]
    joints = [j for j in range(pred.shape[1]) if all(valid[p][j] for p in rooted)]
    matches = {}
    for p in rooted:
        best = math.inf
        for n in range(len(pred)):
            total = sum(
                norm(pred[n][j] - pred[n][root] - gt[p][j] + gt[p][root]) ** 2 for j in joints
            )
            if math.sqrt(total) < best:
                best, matches[p] = math.sqrt(total), n
    return matches


def slow_hmor(pred, scores, gt, valid, limit):
    items = []
    for n in range(len(pred)):
        distances = []
        for p in range(len(gt)):
            known = [j for j in range(pred.shape[1]) if valid[p][j]]
            total = sum(norm(pred[n][j] - gt[p][j]) for j in known)
            distances.append(total / len(known) if known else math.inf)
        if distances:
            items.append((scores[n], min(distances), distances.index(min(distances)), n))
    items.sort(key=lambda item: item[0], reverse=True)
    matches = {}
    for _, distance, p, n in items:
        if distance < limit and p not in matches:
            matches[p] = n
    return matches


def slow_smap(pred, gt, known, limit):
    table = [[norm(a - b) if k else 2**15 for b in pred] for a, k in zip(gt, known, strict=True)]
    matches = {}
    while len(pred) and len(gt) and min(map(min, table)) < limit:
        least = min(map(min, table))
        for p in range(len(gt)):
            for n in range(len(pred)):
                if table[p][n] == least:
                    table[p][n] = 2**15
                    if p not in matches and n not in matches.values():
                        matches[p] = n
    return matches


def slow_romp(pred, gt, known, threshold):
    """match_2d_greedy, with its early end."""
    people = [p for p in range(len(gt)) if any(known[p])]

    def box(points):
        return (*np.min(points, axis=0), *np.max(points, axis=0))

    def iou(a, b):
        w = max(0, min(a[2], b[2]) - max(a[0], b[0]) + 1)
        h = max(0, min(a[3], b[3]) - max(a[1], b[1]) + 1)
        area_a = (a[2] - a[0] + 1) * (a[3] - a[1] + 1)
        area_b = (b[2] - b[0] + 1) * (b[3] - b[1] + 1)
        return w * h / (area_a + area_b - w * h)

    pairs = []
    for n in range(len(pred)):
        for p in people:
            mask = np.array(known[p])
            overlap = iou(box(pred[n][mask]), box(gt[p][mask]))
            pairs.append([np.linalg.norm(pred[n][mask] - gt[p][mask]), n, p, overlap])
    matches, false_positives = {}, 0
    while len(matches) < len(people) and len(matches) + false_positives < len(pred):
        pair = min(pairs, key=lambda entry: entry[0])
        _, n, p, overlap = pair
        pair[0] = math.inf
        if p not in matches and n not in matches.values() and overlap >= threshold:
            matches[p] = n
        elif overlap < threshold:
            false_positives += 1
    return matches


def as_dict(matches):
    return {p: int(n) for p, n in enumerate(matches) if n >= 0}


def random_image(seed):
    """People, some joints unknown; predictions near some of them and near nobody."""
    rng = np.random.default_rng(seed)
    people, joints = int(rng.integers(1, 6)), 15
    gt = random_poses(rng, people, joints)
    valid = rng.random((people, joints)) < 0.85
    valid[:, ROOT] = rng.random(people) < 0.9
    sources = rng.integers(0, people, int(rng.integers(1, 7)))
    pred = gt[sources] + rng.normal(scale=150, size=(len(sources), joints, 3))
    pred += rng.normal(scale=200, size=(len(sources), 1, 3))
    pred = np.concatenate((pred, random_poses(rng, 1, joints)))
    scores = rng.random(len(pred))
    return pred, scores, np.where(valid[..., None], gt, np.nan), valid


@pytest.mark.parametrize("seed", range(40))
def test_matching_equals_transcriptions(seed):
    pred, scores, gt, valid = random_image(seed)
    found = match_by_shape(pred, gt, valid, ROOT)
    assert as_dict(found) == slow_crmh(pred, gt, valid, ROOT)
    found = match_by_position(pred, scores, gt, valid, 500.0)
    assert as_dict(found) == slow_hmor(pred, scores, gt, valid, 500.0)
    pixels, gt_pixels = project(pred), project(gt)
    found = match_by_pixel(pixels[:, ROOT], gt_pixels[:, ROOT], valid[:, ROOT], 60.0)
    assert as_dict(found) == slow_smap(pixels[:, ROOT], gt_pixels[:, ROOT], valid[:, ROOT], 60.0)
    for threshold in (0.05, 0.4):
        found = match_by_keypoints(pixels, gt_pixels, valid, threshold)
        assert as_dict(found) == slow_romp(pixels, gt_pixels, valid, threshold)


def test_the_transcriptions_disagree_with_each_other():
    """Or the test above would say nothing: reuse, misses and the early end all occur."""
    reused = missed = early = 0
    for seed in range(40):
        pred, scores, gt, valid = random_image(seed)
        shape = slow_crmh(pred, gt, valid, ROOT)
        reused += len(set(shape.values())) < len(shape)
        missed += 0 < len(slow_hmor(pred, scores, gt, valid, 500.0)) < len(gt)
        pixels, gt_pixels = project(pred), project(gt)
        strict = slow_romp(pixels, gt_pixels, valid, 0.4)
        early += 0 < len(strict) < len(gt)
    assert min(reused, missed, early) > 5


def test_matching_with_nobody():
    none, one = np.zeros((0, 15, 3)), np.ones((1, 15, 3))
    valid, no_valid = np.ones((1, 15), dtype=bool), np.zeros((0, 15), dtype=bool)
    for pred, gt, known in ((none, one, valid), (one, none, no_valid), (none, none, no_valid)):
        expected = [-1] * len(gt)
        scores = np.zeros(len(pred))
        assert match_by_shape(pred, gt, known, ROOT).tolist() == expected
        assert match_by_position(pred, scores, gt, known, 500.0).tolist() == expected
        pixels = pred[:, ROOT, :2], gt[:, ROOT, :2]
        assert match_by_pixel(*pixels, known[:, ROOT], 30.0).tolist() == expected
        assert match_by_keypoints(pred[..., :2], gt[..., :2], known, 0.05).tolist() == expected


def test_position_by_hand():
    """The surest takes the person; one whose nearest is taken does not get the second nearest."""
    gt = np.zeros((2, 15, 3))
    gt[1, :, 0] = 400
    pred = np.zeros((3, 15, 3))
    pred[:, :, 0] = np.array([[100], [150], [900]])
    valid = np.ones((2, 15), dtype=bool)
    assert match_by_position(pred, np.array([0.5, 0.6, 0.9]), gt, valid, 500.0).tolist() == [1, -1]
    pred[2, :, 0] = 899
    assert match_by_position(pred, np.array([0.5, 0.6, 0.9]), gt, valid, 500.0).tolist() == [1, 2]


def make_scene(seed, num_images=18):
    rng = np.random.default_rng(seed)
    records, predictions = [], {}
    for image_id in range(num_images):
        joint_set = ("panoptic19", "panoptic15")[image_id % 2]
        joints = get_skeleton(joint_set).num_joints
        people = 0 if image_id == 1 else int(rng.integers(1, 5))
        poses = random_poses(rng, people, joints)
        valid = rng.random((people, joints)) < 0.9
        valid[:, ROOT] = rng.random(people) < 0.9
        sequence = SEQUENCES[image_id % 3]
        records.append(make_record(image_id, joint_set, poses, valid, sequence=sequence))
        if image_id == 4:
            continue
        sources = rng.integers(0, people, people + 1) if people else np.zeros(0, dtype=int)
        # Joints that the model lacks are far away, those that only it has are made up.
        pred = by_names(joint_set, "muco17", poses)[sources]
        pred = pred + rng.normal(scale=80, size=pred.shape)
        pred += rng.normal(scale=150, size=(len(pred), 1, 3))
        pred = np.concatenate((pred, random_poses(rng, 1, 17)))
        predictions[image_id] = make_instances(pred, rng.random(len(pred)))
    return records, predictions


def slow_evaluation(records, predictions, rule):
    """From the words of the class and the rules."""
    muco = get_skeleton("muco17").joint_names
    errors, roots, found_by = {}, [], {}
    for record in records:
        source = get_skeleton(record["joint_set"]).joint_names
        names = [n for n in get_skeleton("panoptic15").joint_names if n in source]
        annotated = []
        for a in record["annotations"]:
            x0, y0, x1, y1 = a["bbox"]
            if x1 > 0 and y1 > 0 and x0 < WIDTH and y0 < HEIGHT:
                annotated.append(a)
        index = [source.index(n) for n in names]
        gt = np.array([a["keypoints_cam"] for a in annotated]).reshape(-1, len(source), 3)[:, index]
        valid = np.array([a["keypoints_cam_valid"] for a in annotated]).reshape(-1, len(source))
        valid = valid[:, index]
        points = np.array([a["keypoints"] for a in annotated]).reshape(-1, len(source), 3)[:, index]
        root = names.index("pelvis")
        instances = predictions.get(record["image_id"])
        columns = [muco.index(n) for n in names]
        if instances is None:
            pred, pixels, scores = np.zeros((0, len(names), 3)), np.zeros((0, len(names), 2)), []
        else:
            pred = instances.pred_keypoints_cam.double().numpy()[:, columns]
            pixels = instances.pred_keypoints.double().numpy()[:, columns, :2]
            scores = instances.scores.double().numpy()
        known = points[..., 2] > 0
        counted = [p for p in range(len(gt)) if valid[p, root] and valid[p].sum() > 1]
        if rule == "crmh":
            matches = slow_crmh(pred, gt, valid, root)
        elif rule == "hmor":
            matches = slow_hmor(pred, scores, gt, valid, 500)
        elif rule == "smap":
            # The input shows 960x540 at 832 / 960.
            limit = 30 * WIDTH / 832
            matches = slow_smap(pixels[:, root], points[:, root, :2], known[:, root], limit)
            counted = [p for p in counted if points[p, root, 2] == 2]
        else:
            # load_gts keeps nobody else, so that they take no prediction.
            in_image = (points[..., 2] == 2).sum(axis=1) > 5
            matches = slow_romp(pixels, points[..., :2], known & in_image[:, None], 0.05)
            counted = [p for p in counted if in_image[p]]
        activity = next(a for a in ("haggling", "mafia", "pizza") if a in record["sequence"])
        for p in counted:
            found_by.setdefault(activity, []).append(p in matches)
            if p not in matches:
                errors.setdefault(activity, []).extend([150.0] if rule == "romp" else [])
                continue
            n = matches[p]
            joints = [j for j in range(len(names)) if valid[p, j]]
            offset = pred[n, root] - gt[p, root]
            total = sum(norm(pred[n, j] - gt[p, j] - offset) for j in joints)
            number = len(names) if rule in ("crmh", "romp") else len(joints)
            errors.setdefault(activity, []).append(total / number)
            roots.append(np.abs(offset))
    every = [e for values in errors.values() for e in values]
    found = [f for values in found_by.values() for f in values]
    figures = {f"MPJPE_{a}": np.mean(values) for a, values in errors.items()}
    figures |= {f"detection_rate_{a}": np.mean(values) for a, values in found_by.items()}
    figures |= dict(zip(("MRPE_x", "MRPE_y", "MRPE_z"), np.mean(roots, axis=0), strict=True))
    return figures | {
        "MPJPE_activities": np.mean([np.mean(values) for values in errors.values()]),
        "MPJPE_people": np.mean(every),
        "MRPE": np.mean([norm(r) for r in roots]),
        "detection_rate": np.mean(found),
        "people": len(found),
        "matched": sum(found),
    }


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


@pytest.mark.parametrize(("in_image", "found"), [(5, 1), (6, 0)])
def test_romp_leaves_people_out_before_it_matches(in_image, found):
    """A person nearer to the only prediction takes it from another with 6 joints in the image."""
    rng = np.random.default_rng(0)
    joints = len(get_skeleton("panoptic15").joint_names) + 1
    pred = rng.uniform(200, 600, (1, joints, 2))
    pixels = np.concatenate((pred + 15, pred + 1))
    visibility = np.full((2, joints), 2.0)
    visibility[1, in_image:] = 0
    people = ImagePeople(
        poses=np.zeros((2, joints, 3)),
        valid=np.ones((2, joints), dtype=bool),
        pixels=pixels,
        visibility=visibility,
        boxes=np.zeros((2, 4)),
        pred_poses=np.zeros((1, joints, 3)),
        pred_pixels=pred,
        pred_boxes=np.zeros((1, 4)),
        scores=np.ones(1),
        compared=np.arange(joints) < 15,
        image_size=(HEIGHT, WIDTH),
    )
    rule = PANOPTIC_RULES["romp"]
    assert rule.match(people).tolist() == ([0, -1] if found else [-1, 0])
    assert rule.counts(people).tolist() == [True, not found]


def hand_made(joint_set="panoptic15"):
    """One person in haggling, one in pizza, the second farther to the right."""
    joints = get_skeleton(joint_set).num_joints
    rng = np.random.default_rng(0)
    poses = rng.normal(scale=200, size=(2, joints, 3)) + np.array([0, 0, 3000])
    poses[1, :, 0] += 300
    valid = np.ones((1, joints), dtype=bool)
    records = [
        make_record(0, joint_set, poses[:1], valid, sequence="160422_haggling1"),
        make_record(1, joint_set, poses[1:], valid, sequence="160906_pizza1"),
    ]
    return records, poses


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
    folder = str(real_data("panoptic"))
    records = load_panoptic(folder, ["demo_haggling"], ["00_03", "00_12", "00_23"])
    mapping = get_skeleton("panoptic19").mapping_to(MUCO17)
    predictions = {}
    for record in records:
        people = record["annotations"]
        poses = np.array([a["keypoints_cam"] for a in people], dtype=np.float64)
        poses, _ = mapping.apply(poses, np.array([a["keypoints_cam_valid"] for a in people]))
        pixels = np.array([a["keypoints"] for a in people]).reshape(len(people), 19, 3)
        pixels, _ = mapping.apply(pixels[..., :2], pixels[..., 2])
        scores = np.linspace(0.5, 0.9, len(people))
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


def test_files_and_log(register, tmp_path, caplog):
    records, poses = hand_made()
    predictions = {0: make_instances(poses[:1], [0.9])}
    options = {"matching": "smap", "output_dir": str(tmp_path)}
    evaluator = PanopticEvaluator(register(records), get_skeleton("panoptic15"), **options)
    with caplog.at_level("INFO"):
        found = run(evaluator, predictions)
    written = json.loads((tmp_path / "pose_results.json").read_text())
    assert written["matching"] == "smap" and written["panoptic"]["MPJPE_pizza"] is None
    assert written["panoptic"]["MPJPE_haggling"] == found["MPJPE_haggling"]
    images = json.loads((tmp_path / "pose_predictions.json").read_text())["predictions"]
    assert [image["image_id"] for image in images] == [0]
    for text in ("1 of 2 people found", "30 pixels at 832x512", "detection_rate", "pizza"):
        assert text in caplog.text


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r: r[1].pop("sequence"), "image_id 1.*'sequence'"),
        (lambda r: r[1].pop("joint_set"), "image_id 1.*'joint_set'"),
        (lambda r: r[1].update(joint_set="mpi15"), "image_id 1.*unknown skeleton 'mpi15'"),
        (lambda r: r[0]["annotations"][0].update(keypoints_cam=np.zeros((19, 3))), r"\(19, 3\)"),
        (
            lambda r: [a.pop("keypoints_cam") for x in r for a in x["annotations"]],
            "nobody to evaluate in its 2 images.*'keypoints_cam' with a valid 'pelvis'",
        ),
        (lambda r: r.clear(), "nobody to evaluate in its 0 images"),
    ],
)
def test_bad_annotations(register, change, message):
    records, _ = hand_made()
    change(records)
    evaluator = PanopticEvaluator(register(records), get_skeleton("panoptic15"))
    with pytest.raises(ValueError, match=message):
        run(evaluator, {})


def test_predictions_are_kept_whatever_the_annotations(register, tmp_path):
    records, poses = hand_made()
    del records[1]["sequence"]
    evaluator = PanopticEvaluator(
        register(records), get_skeleton("panoptic15"), output_dir=str(tmp_path)
    )
    with pytest.raises(DatasetError, match="'sequence'"):
        run(evaluator, {0: make_instances(poses[:1], [0.9])})
    written = json.loads((tmp_path / "pose_predictions.json").read_text())
    assert len(written["predictions"][0]["people"]) == 1
    assert not (tmp_path / "pose_results.json").exists()


def test_bad_predictions(register):
    records, poses = hand_made()
    name = register(records)
    evaluator = PanopticEvaluator(name, get_skeleton("panoptic15"))
    with pytest.raises(ValueError, match=f"'{name}' has no image of image_id \\[7\\]"):
        run(evaluator, {7: make_instances(poses[:1], [0.9])})
    poses[0, 3, 1] = np.nan
    with pytest.raises(ValueError, match=r"image_id 0.*must be finite"):
        run(evaluator, {0: make_instances(poses[:1], [0.9])})
    with pytest.raises(ValueError, match=r"'pred_keypoints' must have shape \(1, 15, 3\)"):
        run(evaluator, {0: make_instances(poses[1:, :13], [0.9])})


def test_bad_arguments():
    panoptic15 = get_skeleton("panoptic15")
    with pytest.raises(ValueError, match=r"matching must be one of \['hmor'.*found 'hungarian'"):
        PanopticEvaluator("any", panoptic15, matching="hungarian")
    with pytest.raises(ValueError, match="activities must be a list of names, found 'pizza'"):
        PanopticEvaluator("any", panoptic15, activities="pizza")
    with pytest.raises(ValueError, match="'coco17' has no root joint"):
        PanopticEvaluator("any", get_skeleton("coco17"))
