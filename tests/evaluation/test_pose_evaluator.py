"""The evaluator against a slow reference, on generated scenes, in one process and in two."""

import copy
import itertools
import json
import logging
import math

import numpy as np
import pytest
import torch
from detectron2.data import DatasetCatalog
from detectron2.engine import launch
from detectron2.evaluation import inference_on_dataset
from detectron2.structures import Boxes, BoxMode, Instances
from scipy.spatial.transform import Rotation

from hmor_d2.data.datasets import load_panoptic
from hmor_d2.evaluation.pose_evaluator import Pose3DEvaluator
from hmor_d2.skeleton import get_skeleton
from tests.evaluation.protocol_scenes import registering
from tests.launching import needs_launch_on_cpu
from tests.real_data import real_data

HEIGHT, WIDTH, FOCAL = 480, 640, 600.0
MUCO17 = get_skeleton("muco17")
FIELDS = ("pred_boxes", "scores", "pred_keypoints", "pred_keypoints_cam", "pred_root_depth")


def project(poses):
    return poses[..., :2] / poses[..., 2:] * FOCAL + [WIDTH / 2, HEIGHT / 2]


def bounding_boxes(pixels):
    return np.concatenate((pixels.min(axis=1) - 8, pixels.max(axis=1) + 8), axis=1)


def make_records(seed, num_images=12, joint_set="muco21"):
    """People who stand about, some partly or wholly outside the image, some joints unknown."""
    rng = np.random.default_rng(seed)
    joints = get_skeleton(joint_set).num_joints
    records = []
    for image_id in range(num_images):
        people = 0 if image_id == 1 else int(rng.integers(2, 7))
        root = np.array([rng.uniform(-1400, 1400, people), rng.uniform(-300, 300, people)])
        root = np.concatenate((root, rng.uniform(2500, 5000, (1, people)))).T
        poses = root[:, None] + rng.normal(scale=220, size=(people, joints, 3))
        if image_id == 2:
            poses[0] = poses[0] - poses[0].mean(axis=0) + [9000, 0, 3000]
        pixels = project(poses)
        annotations = []
        for box, pose, points in zip(bounding_boxes(pixels), poses, pixels, strict=True):
            visible = rng.integers(0, 3, joints).astype(float)
            visible[1], visible[14] = 2, 2 * (rng.random() < 0.8)
            valid = rng.random(joints) < 0.8
            valid[14] = rng.random() < 0.85
            annotation = {
                "bbox": [*box[:2], *(box[2:] - box[:2])],
                "bbox_mode": BoxMode.XYWH_ABS,
                "category_id": 0,
                "iscrowd": int(rng.random() < 0.1),
                "keypoints": np.column_stack((points, visible)).ravel().tolist(),
                "keypoints_cam": np.where(valid[:, None], pose, -1e6).astype(np.float32),
                "keypoints_cam_valid": valid,
            }
            if rng.random() < 0.1:
                del annotation["keypoints_cam"], annotation["keypoints_cam_valid"]
            annotations.append(annotation)
        records.append(
            {
                "file_name": f"images/{image_id}.jpg",
                "image_id": image_id,
                "height": HEIGHT,
                "width": WIDTH,
                "joint_set": joint_set,
                "annotations": annotations,
            }
        )
    return records


def make_instances(boxes, scores, pixels, poses, depth=None, size=(HEIGHT, WIDTH)):
    instances = Instances(size)
    confidence = np.ones((*pixels.shape[:2], 1))
    depth = poses[:, MUCO17.root_index, 2] if depth is None else depth
    pixels = np.concatenate((pixels, confidence), axis=2)
    values = (boxes, scores, pixels, poses, depth)
    for name, value in zip(FIELDS, values, strict=True):
        value = torch.as_tensor(np.asarray(value), dtype=torch.float32)
        instances.set(name, Boxes(value) if name == "pred_boxes" else value)
    return instances


def noisy_predictions(records, seed):
    """Several noisy predictions a person, and some of nobody; joints as MuCo's first 17."""
    rng = np.random.default_rng(seed)
    predictions = {}
    for record in records:
        people = record["annotations"]
        sources = rng.integers(0, len(people), 2 * len(people)) if people else []
        poses = [rng.normal([0, 0, 3000], 200, (2, 17, 3))]
        boxes = [rng.uniform([0, 0, 200, 200], [200, 200, 400, 400], (2, 4))]
        for i in sources:
            x, y, w, h = people[i]["bbox"]
            pose = people[i].get("keypoints_cam", np.zeros((21, 3)))[:17]
            pose = np.where(pose[:, 2:] > 0, pose, [0, 0, 3000])
            poses.append((pose + rng.normal(scale=100, size=(17, 3)))[None])
            boxes.append(np.array([[x, y, x + w, y + h]]) + rng.normal(scale=12, size=4))
        poses, boxes = np.concatenate(poses), np.concatenate(boxes)
        pixels = project(poses) + rng.normal(scale=6, size=(len(poses), 17, 2))
        depth = poses[:, 14, 2] + rng.normal(scale=500, size=len(poses))
        scores = rng.random(len(poses))
        predictions[record["image_id"]] = make_instances(boxes, scores, pixels, poses, depth)
    return predictions


def perfect_predictions(records):
    """Every annotated person exactly; for tests whose joints are all known."""
    predictions = {}
    for record in records:
        people = record["annotations"]
        boxes = np.array([a["bbox"] for a in people]).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        poses = np.array([a["keypoints_cam"][:17] for a in people]).reshape(-1, 17, 3)
        pixels = np.array([a["keypoints"][: 17 * 3] for a in people]).reshape(-1, 17, 3)
        scores = np.linspace(0.9, 0.5, len(people))
        predictions[record["image_id"]] = make_instances(boxes, scores, pixels[..., :2], poses)
    return predictions


def know_everything(records):
    for record in records:
        for a in record["annotations"]:
            a["iscrowd"] = 0
            pixels = np.array(a["keypoints"]).reshape(-1, 3)
            pixels[:, 2] = 2
            a["keypoints"] = pixels.ravel().tolist()
            # Depths are free: the boxes and pixels stay as they are.
            depth = np.random.default_rng(0).uniform(2500, 5000, len(pixels))
            a["keypoints_cam"] = np.column_stack((pixels[:, :2], depth)).astype(np.float32)
            a["keypoints_cam_valid"] = np.ones(len(pixels), dtype=bool)
            a["keypoints_cam"][14, 2] += a["bbox"][0]
    return records


@pytest.fixture
def register():
    """Registers records under a name and returns the name; undone afterwards."""
    yield from registering()


def run(name, predictions, **options):
    evaluator = Pose3DEvaluator(name, MUCO17, **options)
    evaluator.reset()
    for image_id, instances in predictions.items():
        source = {"image_id": image_id, "file_name": f"images/{image_id}.jpg"}
        evaluator.process([source], [{"instances": instances}])
    return evaluator.evaluate()["pose3d"]


def overlap(a, b, over_union=True):
    width = max(0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0, min(a[3], b[3]) - max(a[1], b[1]))
    area = (a[2] - a[0]) * (a[3] - a[1])
    whole = area + (b[2] - b[0]) * (b[3] - b[1]) - width * height if over_union else area
    return width * height / whole if whole > 0 else 0


def clipped(box):
    x0, x1 = (min(max(float(box[k]), 0), WIDTH) for k in (0, 2))
    y0, y1 = (min(max(float(box[k]), 0), HEIGHT) for k in (1, 3))
    return x0, y0, x1, y1


def slow_procrustes(pred, gt):
    """Mean distance after scipy's rotation and the best scale for it."""
    p, g = pred - pred.mean(axis=0), gt - gt.mean(axis=0)
    turned = Rotation.align_vectors(g, p)[0].apply(p)
    turned *= (turned * g).sum() / (p**2).sum()
    return np.linalg.norm(turned - g, axis=1).mean()


def slow_evaluation(records, predictions, iou_threshold, score_threshold):
    """One person and one joint at a time, from the words of the docstring."""
    rows = {k: [] for k in ("MPJPE", "PA_MPJPE", "ABS_MPJPE", "MRPE", "x", "y", "z", "PCK", "ORD")}
    rows |= {"ORD_joint": [], "PCK3D_abs": []}
    all_pairs = all_joints = 0
    people = people_3d = matched = matched_2d = matched_3d = wrong = 0
    for record in records:
        annotated, crowd = [], []
        for a in record["annotations"]:
            x, y, w, h = a["bbox"]
            box = clipped((x, y, x + w, y + h))
            if box[2] > box[0] and box[3] > box[1]:
                (crowd if a["iscrowd"] else annotated).append((box, a))
        people += len(annotated)
        with_3d = [a for _, a in annotated if a.get("keypoints_cam_valid", [0] * 21)[14]]
        people_3d += len(with_3d)
        all_joints += sum(int(sum(a["keypoints_cam_valid"][:17])) for a in with_3d)
        roots = [a["keypoints_cam"][14, 2] for a in with_3d]
        all_pairs += sum(a != b for a, b in itertools.combinations(roots, 2))
        pred = predictions.get(record["image_id"])
        taken, depths, joint_depths = set(), [], []
        order = [] if pred is None else torch.argsort(pred.scores, descending=True).tolist()
        for i in order:
            if pred.scores[i] < score_threshold:
                continue
            box = clipped(pred.pred_boxes.tensor[i])
            ious = [(overlap(box, b), -g) for g, (b, _) in enumerate(annotated) if g not in taken]
            if not ious or max(ious)[0] < iou_threshold:
                wrong += not any(overlap(box, c, False) >= iou_threshold for c, _ in crowd)
                continue
            person = -max(ious)[1]
            taken.add(person)
            matched += 1
            a = annotated[person][1]
            pixels = np.array(a["keypoints"]).reshape(-1, 3)
            # Left shoulder to right hip, else right shoulder to left hip.
            torso = [
                np.linalg.norm(pixels[s, :2] - pixels[h, :2])
                for s, h in ((5, 8), (2, 11))
                if pixels[s, 2] > 0 and pixels[h, 2] > 0
            ]
            matched_2d += bool(torso)
            for j in range(17):
                if pixels[j, 2] > 0 and torso:
                    off = np.linalg.norm(pred.pred_keypoints[i, j, :2].numpy() - pixels[j, :2])
                    rows["PCK"].append(off < 0.2 * torso[0])
            if "keypoints_cam" not in a or not a["keypoints_cam_valid"][14]:
                continue
            matched_3d += 1
            known = [j for j in range(17) if a["keypoints_cam_valid"][j]]
            gt = a["keypoints_cam"].astype(float)
            pose = pred.pred_keypoints_cam[i].double().numpy()
            absolute = [np.linalg.norm(pose[j] - gt[j]) for j in known]
            relative = [np.linalg.norm(pose[j] - pose[14] - gt[j] + gt[14]) for j in known]
            rows["PCK3D_abs"] += [d < 150 for d in absolute]
            joint_depths += [(pose[j, 2], gt[j, 2]) for j in known]
            rows["ABS_MPJPE"].append(np.mean(absolute))
            rows["MPJPE"].append(np.mean(relative))
            rows["PA_MPJPE"].append(slow_procrustes(pose[known], gt[known]))
            rows["MRPE"].append(np.linalg.norm(pose[14] - gt[14]))
            for k, axis in enumerate("xyz"):
                rows[axis].append(abs(pose[14, k] - gt[14, k]))
            depths.append((float(pred.pred_root_depth[i]), gt[14, 2]))
        for n, (p1, g1) in enumerate(depths):
            rows["ORD"] += [(p1 - p2) * (g1 - g2) > 0 for p2, g2 in depths[:n] if g1 != g2]
        for n, (p1, g1) in enumerate(joint_depths):
            earlier = [(p, g) for p, g in joint_depths[:n] if g != g1]
            rows["ORD_joint"] += [p1 < p if g1 < g else p1 > p for p, g in earlier]
    mean = {name: np.mean(values) for name, values in rows.items()}
    return {
        **{k: mean[k] for k in ("MPJPE", "PA_MPJPE", "ABS_MPJPE", "MRPE", "ORD")},
        **{f"MRPE_{axis}": mean[axis] for axis in "xyz"},
        **{k: mean[k] for k in ("ORD_joint", "PCK3D_abs")},
        "ORD_all": sum(rows["ORD"]) / all_pairs,
        "PCK3D_abs_all": sum(rows["PCK3D_abs"]) / all_joints,
        "PCK@0.2": mean["PCK"],
        "detection_rate": matched / people,
        "detection_rate_3d": matched_3d / people_3d,
        "false_positives_per_person": wrong / people,
        "false_positives_per_image": wrong / len(records),
        "people": people,
        "people_3d": people_3d,
        "matched": matched,
        "matched_2d": matched_2d,
        "matched_3d": matched_3d,
    }


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
    for name in ("ABS_MPJPE", "MPJPE", "MRPE", "MRPE_x", "MRPE_y", "MRPE_z"):
        assert found[name] == 0
    assert found["PA_MPJPE"] == pytest.approx(0, abs=1e-6)
    shares = ("detection_rate", "detection_rate_3d", "PCK@0.2", "PCK3D_abs", "PCK3D_abs_all")
    for name in (*shares, "ORD", "ORD_all", "ORD_joint"):
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


@pytest.mark.parametrize("joint_set", ["panoptic15", "coco17"])
def test_other_joint_sets_are_mapped_by_name(register, joint_set):
    """A prediction that is right in the joints that both sets have is right."""
    source = get_skeleton(joint_set)
    records = make_records(3, num_images=3, joint_set="muco17")
    records = know_everything(records)
    predictions = perfect_predictions(records)
    mapping = MUCO17.mapping_to(source)
    for record in records:
        record["joint_set"] = joint_set
        for i, a in enumerate(record["annotations"]):
            pixels = np.array(a["keypoints"]).reshape(17, 3)
            points, flags = mapping.apply(pixels[:, :2], pixels[:, 2])
            a["keypoints"] = np.column_stack((points, flags)).ravel().tolist()
            pose, valid = mapping.apply(a["keypoints_cam"], a["keypoints_cam_valid"])
            a["keypoints_cam"], a["keypoints_cam_valid"] = pose.astype(np.float32), valid
            # What the set lacks must not count, and a pelvis between the hips is the root.
            back, known = source.mapping_to(MUCO17).apply(pose, valid)
            assert known[14] and not known[15] and not known[16]
            prediction = predictions[record["image_id"]]
            prediction.pred_keypoints_cam[i] = torch.from_numpy(
                np.where(known[:, None], back, -1e4)
            )
    found = run(register(records), predictions)
    assert found["people_3d"] == found["matched_3d"] > 3
    assert found["ABS_MPJPE"] == pytest.approx(0, abs=1e-3)


def test_on_real_panoptic_annotations(register):
    """A prediction moved by a known step: the figures follow, whatever the dataset's joints."""
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
        assert all(a["bbox_mode"] == BoxMode.XYXY_ABS for a in people)
        predictions[record["image_id"]] = make_instances(
            np.array([a["bbox"] for a in people]),
            np.linspace(0.5, 0.9, len(people)),
            pixels,
            poses + np.array([30, 0, -40]),
            size=(record["height"], record["width"]),
        )
    found = run(register(records), predictions)
    assert found["people"] == 44  # of 45, one has no joint inside the picture
    assert found["detection_rate"] == found["detection_rate_3d"] == found["PCK@0.2"] == 1
    assert found["ORD"] == 1 and found["false_positives_per_person"] == 0
    assert found["matched_2d"] > 40
    assert found["ABS_MPJPE"] == pytest.approx(50, abs=1e-2)
    components = [found[f"MRPE_{axis}"] for axis in "xyz"]
    assert [found["MRPE"], *components] == pytest.approx([50, 30, 0, 40], abs=1e-2)
    assert max(found["MPJPE"], found["PA_MPJPE"]) < 1e-2


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


def test_missing_and_repeated_images(register, caplog):
    records = make_records(6)
    name, predictions = register(records), noisy_predictions(records, 6)
    del predictions[5], predictions[7]
    expected = slow_evaluation(records, predictions, 0.5, 0.0)
    evaluator = Pose3DEvaluator(name, MUCO17)
    with caplog.at_level(logging.INFO):
        for image_id, prediction in predictions.items():
            evaluator.process([records[image_id]], [{"instances": prediction}])
        for image_id in (0, 3, 4):
            evaluator.process([records[image_id]], [{"instances": predictions[image_id][:0]}])
        found = evaluator.evaluate()["pose3d"]
    assert found == pytest.approx(expected, rel=1e-6)
    assert "2 of 12 images" in caplog.text and "[5, 7]" in caplog.text
    assert "3 images were predicted more than once" in caplog.text
    assert "IoU >= 0.5" in caplog.text and "detection_rate" in caplog.text
    assert f"17 joints: {', '.join(MUCO17.joint_names)}" in caplog.text


def test_no_predictions_at_all(register, tmp_path):
    records = make_records(6)
    found = run(register(records), {}, output_dir=str(tmp_path))
    assert found["detection_rate"] == found["matched"] == found["false_positives_per_image"] == 0
    for name in ("MPJPE", "PA_MPJPE", "ABS_MPJPE", "MRPE", "MRPE_z", "ORD", "PCK@0.2"):
        assert math.isnan(found[name])
    written = json.loads((tmp_path / "pose_results.json").read_text())
    assert written["pose3d"]["MPJPE"] is None and written["pose3d"]["detection_rate"] == 0


def test_files(register, tmp_path):
    records = make_records(2)
    name, predictions = register(records), noisy_predictions(records, 2)
    found = run(name, predictions, output_dir=str(tmp_path / "new"), score_threshold=0.3)
    assert sorted(p.name for p in (tmp_path / "new").iterdir()) == [
        "pose_predictions.json",
        "pose_results.json",
    ]
    results = json.loads((tmp_path / "new/pose_results.json").read_text())
    assert results["pose3d"] == found and results["score_threshold"] == 0.3
    written = json.loads((tmp_path / "new/pose_predictions.json").read_text())
    assert written["joint_names"] == list(MUCO17.joint_names)
    assert written["units"]["keypoints_cam"].startswith("mm") and "Y down" in written["frame"]
    assert [image["image_id"] for image in written["predictions"]] == list(predictions)
    for image in written["predictions"]:
        prediction = predictions[image["image_id"]]
        assert image["file_name"] == f"images/{image['image_id']}.jpg"
        # Those under the score threshold are written as well.
        assert len(image["people"]) == len(prediction)
        keys = ("bbox", "score", "keypoints", "keypoints_cam", "root_depth")
        for field, key in zip(FIELDS, keys, strict=True):
            value = prediction.get(field)
            value = getattr(value, "tensor", value).double().numpy()
            read = np.array([person[key] for person in image["people"]]).reshape(value.shape)
            np.testing.assert_allclose(read, value, atol=1e-6)


def test_a_failed_write_leaves_the_old_file(register, tmp_path, monkeypatch):
    records = make_records(2)
    name, predictions = register(records), noisy_predictions(records, 2)
    run(name, predictions, output_dir=str(tmp_path))
    before = (tmp_path / "pose_predictions.json").read_text()

    def fail(*_, **__):
        raise OSError("disk full")

    monkeypatch.setattr(json, "dumps", fail)
    with pytest.raises(OSError, match="disk full"):
        run(name, predictions, output_dir=str(tmp_path))
    assert (tmp_path / "pose_predictions.json").read_text() == before
    assert len(list(tmp_path.iterdir())) == 2


def test_reset_forgets(register):
    records = make_records(2)
    name, predictions = register(records), noisy_predictions(records, 2)
    evaluator = Pose3DEvaluator(name, MUCO17)
    evaluator.process([{"image_id": 0}], [{"instances": predictions[0]}])
    evaluator.reset()
    assert evaluator.evaluate()["pose3d"]["matched"] == 0


def test_as_detectron2_calls_it(register):
    records = make_records(7)
    predictions = noisy_predictions(records, 7)

    def model(inputs):
        return [{"instances": predictions[x["image_id"]]} for x in inputs]

    loader = [records[:3], records[3:]]
    name = register(records)
    results = inference_on_dataset(model, loader, [Pose3DEvaluator(name, MUCO17)])
    assert results["pose3d"] == run(name, predictions)


def evaluate_share(output_dir):
    """A process's work: its share of the images, padded as DistributedSampler pads."""
    from detectron2.utils import comm

    records = make_records(8, num_images=7)
    DatasetCatalog.register("shared_by_processes", lambda: records)
    predictions = noisy_predictions(records, 8)
    evaluator = Pose3DEvaluator("shared_by_processes", MUCO17, output_dir=output_dir)
    for image_id in [0, 1, 2, 3, 4, 5, 6, 0][comm.get_rank() :: comm.get_world_size()]:
        evaluator.process([records[image_id]], [{"instances": predictions[image_id]}])
    results = evaluator.evaluate()
    assert bool(results) == comm.is_main_process()


@needs_launch_on_cpu
def test_two_processes_give_the_same_figures(tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    launch(evaluate_share, 2, dist_url="auto", args=(str(tmp_path / "two"),))
    try:
        evaluate_share(str(tmp_path / "one"))
    finally:
        DatasetCatalog.remove("shared_by_processes")
    one, two = (
        json.loads((tmp_path / n / "pose_results.json").read_text()) for n in ("one", "two")
    )
    assert one == two and one["pose3d"]["matched"] > 3
    one, two = (
        json.loads((tmp_path / n / "pose_predictions.json").read_text()) for n in ("one", "two")
    )
    by_id = {image["image_id"]: image for image in two.pop("predictions")}
    assert {image["image_id"]: image for image in one.pop("predictions")} == by_id
    assert sorted(by_id) == list(range(7)) and one == two


def test_not_distributed_asks_no_other_process(register, monkeypatch):
    from detectron2.utils import comm

    records = make_records(2)
    name, predictions = register(records), noisy_predictions(records, 2)
    expected = run(name, predictions)
    monkeypatch.setattr(comm, "gather", None)
    monkeypatch.setattr(comm, "synchronize", None)
    assert run(name, predictions, distributed=False) == expected


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
