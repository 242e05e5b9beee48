"""COCO: against pycocotools on files restricted by hand, and against Detectron2's evaluator."""

import json
import math

import numpy as np
import pytest
import torch
from detectron2.data import DatasetCatalog, MetadataCatalog
from detectron2.evaluation import COCOEvaluator
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from hmor_d2.data import register_coco_keypoints
from hmor_d2.evaluation.coco import COCOKeypointEvaluator
from hmor_d2.skeleton import Skeleton, get_skeleton
from tests.evaluation.coco_scenes import (
    LIMBS,
    NAMES,
    make_content,
    make_predictions,
    registering_coco,
    run,
)
from tests.evaluation.protocol_scenes import make_instances
from tests.real_data import real_data

# COCO's published sigmas, typed from COCO's site.
SIGMAS = [0.026, 0.025, 0.025, 0.035, 0.035, 0.079, 0.079, 0.072, 0.072, 0.062, 0.062, 0.107]
SIGMAS += [0.107, 0.087, 0.087, 0.089, 0.089]
MUCO17, PANOPTIC19 = get_skeleton("muco17"), get_skeleton("panoptic19")


@pytest.fixture
def register(tmp_path):
    yield from registering_coco(tmp_path)


def reference_ap(content, predictions, skeleton, joints, folder):
    """pycocotools on files that hold the joints of these indices alone."""
    annotations = []
    for a in content["annotations"]:
        kept = np.array(a["keypoints"]).reshape(17, 3)[joints]
        number = sum(v > 0 for v in kept[:, 2].tolist())
        annotations.append(a | {"keypoints": kept.ravel().tolist(), "num_keypoints": number})
    results = []
    for image_id, instances in predictions.items():
        for n in range(len(instances)):
            points = [
                instances.pred_keypoints[n, skeleton.joint_names.index(NAMES[j])].tolist()
                for j in joints
            ]
            flat = [value for x, y, score in points for value in (x - 0.5, y - 0.5, score)]
            x0, y0, x1, y1 = instances.pred_boxes.tensor[n].tolist()
            results.append(
                {
                    "image_id": image_id,
                    "category_id": 1,
                    "keypoints": flat,
                    "bbox": [x0, y0, x1 - x0, y1 - y0],
                    "score": instances.scores[n].item(),
                }
            )
    path = folder / "restricted.json"
    path.write_text(json.dumps(content | {"annotations": annotations}))
    ground_truth = COCO(str(path))
    found = {}
    for task, columns in (("bbox", slice(6)), ("keypoints", slice(5))):
        evaluation = COCOeval(ground_truth, ground_truth.loadRes(results), task)
        if task == "keypoints":
            evaluation.params.kpt_oks_sigmas = np.array([SIGMAS[j] for j in joints])
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
        found[task] = [100 * s if s > -1 else math.nan for s in evaluation.stats[columns]]
    return found


@pytest.mark.parametrize(("skeleton", "joints"), [(MUCO17, LIMBS), (PANOPTIC19, list(range(17)))])
@pytest.mark.parametrize("seed", range(2))
def test_equals_pycocotools_on_restricted_files(register, tmp_path, seed, skeleton, joints):
    content = make_content(seed)
    predictions = make_predictions(content, skeleton, seed)
    expected = reference_ap(content, predictions, skeleton, joints, tmp_path)
    assert 5 < expected["keypoints"][0] < 95 and 5 < expected["bbox"][0] < 95
    evaluator = COCOKeypointEvaluator(register(content), skeleton, output_dir=str(tmp_path))
    found = run(evaluator, predictions)
    for task, names in (
        ("bbox", ("AP", "AP50", "AP75", "APs", "APm", "APl")),
        ("keypoints", ("AP", "AP50", "AP75", "APm", "APl")),
    ):
        figures = [found[task][name] for name in names]
        assert figures == pytest.approx(expected[task], rel=1e-6, nan_ok=True)


def test_all_joints_give_detectron2s_figures(register):
    """panoptic19 has all of COCO's joints: in COCO's order they are Detectron2's own matter."""
    content = make_content(5)
    name = register(content)
    predictions = make_predictions(content, PANOPTIC19, 5)
    found = run(COCOKeypointEvaluator(name, PANOPTIC19), predictions)
    order = [PANOPTIC19.joint_names.index(n) for n in NAMES]
    for instances in predictions.values():
        instances.pred_keypoints = instances.pred_keypoints[:, order].clone()
    expected = run(COCOEvaluator(name, tasks=("bbox", "keypoints")), predictions)
    for task, figures in expected.items():
        assert dict(found[task]) == pytest.approx(dict(figures), nan_ok=True)


def test_pixels_are_shifted_to_indices_and_predictions_left_alone(register, tmp_path):
    content = make_content(1)
    predictions = make_predictions(content, MUCO17, 1)
    before = {i: p.pred_keypoints.clone() for i, p in predictions.items()}
    run(COCOKeypointEvaluator(register(content), MUCO17, output_dir=str(tmp_path)), predictions)
    for image_id, keypoints in before.items():
        assert torch.equal(predictions[image_id].pred_keypoints, keypoints)
    written = json.loads((tmp_path / "coco_instances_results.json").read_text())
    first = next(iter(predictions.values()))
    shoulder = first.pred_keypoints[0, MUCO17.index("left_shoulder")].tolist()
    expected = [shoulder[0] - 0.5, shoulder[1] - 0.5, shoulder[2]]
    assert written[0]["keypoints"][:3] == pytest.approx(expected, rel=1e-6)
    assert len(written[0]["keypoints"]) == 36 and written[0]["category_id"] == 1


def exact_predictions(content, annotations):
    """Every one of these people exactly, in muco17."""
    order = [NAMES.index(n) if n in NAMES else 0 for n in MUCO17.joint_names]
    predictions = {}
    for image in content["images"]:
        own = [a for a in annotations if a["image_id"] == image["id"]]
        points = np.array([a["keypoints"] for a in own]).reshape(-1, 17, 3)[:, order, :2] + 0.5
        instances = make_instances(np.ones((len(own), 17, 3)), np.ones(len(own)), points)
        boxes = np.array([a["bbox"] for a in own]).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        instances.pred_boxes.tensor = torch.tensor(boxes, dtype=torch.float32)
        predictions[image["id"]] = instances
    return predictions


def test_people_labelled_by_the_face_alone_are_ignored(register):
    """On 12 joints they are as people without keypoints: not missed."""
    content = make_content(2)
    for a in content["annotations"]:
        points = np.array(a["keypoints"]).reshape(17, 3)
        points[:, 2] = 2
        points[5:] *= a["id"] % 2
        number = 17 if a["id"] % 2 else 5
        a.update(keypoints=points.ravel().tolist(), num_keypoints=number, iscrowd=0)
    labelled = [a for a in content["annotations"] if a["id"] % 2]
    assert 0 < len(labelled) < len(content["annotations"])
    name, predictions = register(content), exact_predictions(content, labelled)
    found = run(COCOKeypointEvaluator(name, MUCO17), predictions)
    assert found["keypoints"]["AP"] == pytest.approx(100) and found["bbox"]["AP"] < 90
    # On all 17 joints they are people who were missed.
    columns = [MUCO17.index(n) if n in MUCO17.joint_names else 0 for n in PANOPTIC19.joint_names]
    for instances in predictions.values():
        instances.pred_keypoints = instances.pred_keypoints[:, columns]
    found = run(COCOKeypointEvaluator(name, PANOPTIC19), predictions)
    assert found["keypoints"]["AP50"] < 90


def test_log_and_files_name_the_joints(register, tmp_path, caplog):
    content = make_content(3)
    output_dir = str(tmp_path / "out")
    with caplog.at_level("INFO"):
        evaluator = COCOKeypointEvaluator(register(content), MUCO17, output_dir=output_dir)
    assert "12 of COCO's 17 joints, those that 'muco17' has: left_shoulder" in caplog.text
    found = run(evaluator, make_predictions(content, MUCO17, 3))
    written = json.loads((tmp_path / "out/coco_results.json").read_text())
    assert written["keypoint_ap_joints"] == NAMES[5:] and written["skeleton"] == "muco17"
    assert written["oks_sigmas"] == pytest.approx(SIGMAS[5:])
    assert (written["pose2d_iou_threshold"], written["pose2d_score_threshold"]) == (0.5, 0.0)
    for task in ("bbox", "keypoints", "pose2d"):
        for name, value in found[task].items():
            assert written["results"][task][name] == (None if math.isnan(value) else value)


def test_on_real_annotations():
    """The truth, shifted to continuous pixels, is found wholly."""
    path = real_data("coco", "annotations", "person_keypoints_sample.json")
    content = json.loads(path.read_text())
    name = "coco_evaluator_test_real"
    register_coco_keypoints(name, str(path), str(path.parent))
    try:
        labelled = [
            a
            for a in content["annotations"]
            if a["category_id"] == 1 and not a["iscrowd"] and any(a["keypoints"][5 * 3 + 2 :: 3])
        ]
        predictions = exact_predictions(content, labelled)
        found = run(COCOKeypointEvaluator(name, MUCO17), predictions)
    finally:
        DatasetCatalog.remove(name)
        MetadataCatalog.remove(name)
    assert len(labelled) > 5 and found["keypoints"]["AP"] == pytest.approx(100)
    people = sum(not a["iscrowd"] for a in content["annotations"])
    figures = found["pose2d"]
    assert (figures["people"], figures["matched"]) == (people, len(labelled))
    assert figures["PCK@0.2"] == 1 and figures["false_positives_per_person"] == 0
    assert 5 < figures["matched_2d"] <= len(labelled)


def test_bad_predictions(register):
    content = make_content(4)
    name = register(content)
    evaluator = COCOKeypointEvaluator(name, MUCO17)
    instances = make_predictions(content, MUCO17, 4)[10]
    where = rf"dataset '{name}', image_id 10 .*"
    for change, message in (
        (lambda i: i.remove("pred_keypoints"), "no field 'pred_keypoints'"),
        (lambda i: i.remove("pred_classes"), "no field 'pred_classes'"),
        (lambda i: i.pred_keypoints[0, 3].fill_(math.nan), "'pred_keypoints' must be finite"),
        (lambda i: i.pred_boxes.tensor[0].fill_(math.inf), "'pred_boxes' must be finite"),
    ):
        broken = make_predictions(content, MUCO17, 4)[10]
        change(broken)
        with pytest.raises(ValueError, match=where + message):
            run(evaluator, {10: broken})
    with pytest.raises(ValueError, match=where + r"must have shape \(\d, 19, 3\).*17, 3\)"):
        run(COCOKeypointEvaluator(name, PANOPTIC19), {10: instances})
    with pytest.raises(ValueError, match=r"image_id 99 .*has no image of this image_id"):
        run(evaluator, {99: instances})
    with pytest.raises(ValueError, match=r"expected output 'instances', found \['proposals'\]"):
        evaluator.process([{"image_id": 10}], [{"proposals": None}])


def test_bad_annotations_and_arguments(register):
    content = make_content(4)
    content["annotations"][1]["keypoints"] = [1.0, 2.0, 2]
    with pytest.raises(ValueError, match="annotation 101: 'keypoints' must be 51 numbers"):
        COCOKeypointEvaluator(register(content), MUCO17)
    tail = Skeleton("cat", ("tail",), parts=(), flip_pairs=(), root_index=0)
    with pytest.raises(ValueError, match="skeleton 'cat' has no joint of 'coco17'"):
        COCOKeypointEvaluator("any", tail)
    with pytest.raises(ValueError, match=r"\['tasks'\] follow from the skeleton"):
        COCOKeypointEvaluator("any", MUCO17, tasks=("bbox",))
    with pytest.raises(ValueError, match=r"iou_threshold must be in \(0, 1\], found 1.5"):
        COCOKeypointEvaluator(register(make_content(4)), MUCO17, iou_threshold=1.5)
