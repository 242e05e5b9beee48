"""Who was found on COCO, and PCK: the evaluator against a slow reference."""

import math

import numpy as np
import pytest
import torch

from hmor_d2.evaluation.coco import COCOKeypointEvaluator
from hmor_d2.skeleton import get_skeleton
from tests.evaluation.coco_scenes import (
    LIMBS,
    NAMES,
    make_content,
    make_predictions,
    registering_coco,
    run,
)
from tests.evaluation.protocol_scenes import HEIGHT, WIDTH

MUCO17, PANOPTIC19 = get_skeleton("muco17"), get_skeleton("panoptic19")


@pytest.fixture
def register(tmp_path):
    yield from registering_coco(tmp_path)


def slow_pose2d(content, predictions, skeleton, joints, score_threshold):
    """One prediction and one joint at a time; COCO's boxes in continuous pixels, joints not."""

    def clipped(box):
        x0, y0, x1, y1 = box
        return max(x0, 0), max(y0, 0), min(x1, WIDTH), min(y1, HEIGHT)

    def shared(a, b):
        sides = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
        return max(sides[0], 0) * max(sides[1], 0)

    def area(a):
        return (a[2] - a[0]) * (a[3] - a[1])

    people = matched = matched_2d = wrong = right = counted = 0
    for image_id, instances in predictions.items():
        own = [a for a in content["annotations"] if a["image_id"] == image_id]
        boxes = []
        for a in own:
            x, y, w, h = a["bbox"]
            boxes.append(clipped((x, y, x + w, y + h)))
        free = [i for i, a in enumerate(own) if not a["iscrowd"]]
        people += len(free)
        for n in torch.argsort(instances.scores, descending=True).tolist():
            if instances.scores[n] < score_threshold:
                continue
            box = clipped(instances.pred_boxes.tensor[n].tolist())
            ious = {}
            for i in free:
                both = shared(box, boxes[i])
                ious[i] = both / (area(box) + area(boxes[i]) - both)
            best = max(ious, key=ious.get, default=None)
            if best is None or ious[best] < 0.5:
                crowds = [b for a, b in zip(own, boxes, strict=True) if a["iscrowd"]]
                wrong += not any(shared(box, c) >= 0.5 * area(box) for c in crowds)
                continue
            free.remove(best)
            matched += 1
            points = np.array(own[best]["keypoints"]).reshape(17, 3)
            for shoulder, hip in ((5, 12), (6, 11)):
                if points[shoulder, 2] and points[hip, 2]:
                    limit = 0.2 * math.dist(points[shoulder, :2], points[hip, :2])
                    matched_2d += 1
                    break
            else:
                continue
            for j in joints:
                if points[j, 2]:
                    k = skeleton.joint_names.index(NAMES[j])
                    at = instances.pred_keypoints[n, k, :2].double().numpy() - 0.5
                    counted += 1
                    right += math.dist(at, points[j, :2]) < limit
    return {
        "PCK@0.2": right / counted,
        "detection_rate": matched / people,
        "false_positives_per_person": wrong / people,
        "false_positives_per_image": wrong / len(predictions),
        "people": people,
        "matched": matched,
        "matched_2d": matched_2d,
        "joints_2d": counted,
    }


@pytest.mark.parametrize(("skeleton", "joints"), [(MUCO17, LIMBS), (PANOPTIC19, list(range(17)))])
@pytest.mark.parametrize(("seed", "threshold"), [(0, 0.0), (1, 0.4), (3, 0.2)])
def test_people_found_equal_a_slow_reference(register, caplog, seed, threshold, skeleton, joints):
    content = make_content(seed, num_images=30)
    predictions = make_predictions(content, skeleton, seed, noise=20.0)
    generator = torch.Generator().manual_seed(seed)
    for instances in predictions.values():
        xy = instances.pred_keypoints[..., :2]
        xy += 30 * torch.randn(xy.shape, generator=generator)
    expected = slow_pose2d(content, predictions, skeleton, joints, threshold)
    assert 0 < expected["matched_2d"] < expected["matched"] < expected["people"]
    assert 0.1 < expected["PCK@0.2"] < 0.9 and expected["false_positives_per_person"] > 0
    name = register(content)
    evaluator = COCOKeypointEvaluator(name, skeleton, score_threshold=threshold)
    with caplog.at_level("INFO"):
        found = run(evaluator, predictions)
    assert found["pose2d"] == pytest.approx(expected, rel=1e-6)
    shown = f"of {len(joints)} joints: {', '.join(NAMES[j] for j in joints)}."
    assert shown in caplog.text and f"(at least {threshold})" in caplog.text
    # The APs take all predictions, whatever their score.
    everything = run(COCOKeypointEvaluator(name, skeleton), predictions)
    for task in ("bbox", "keypoints"):
        assert dict(found[task]) == pytest.approx(dict(everything[task]), nan_ok=True)


def test_images_never_processed_and_images_asked_for(register):
    content = make_content(6)
    predictions = make_predictions(content, MUCO17, 6, noise=0.0)
    name, ids = register(content), list(predictions)

    def figures(processed, img_ids=None):
        evaluator = COCOKeypointEvaluator(name, MUCO17)
        evaluator.reset()
        for i in processed:
            evaluator.process([{"image_id": i}], [{"instances": predictions[i]}])
        return evaluator.evaluate(img_ids)["pose2d"]

    whole, part, asked = figures(ids), figures(ids[:3]), figures(ids, ids[:3])
    assert part["people"] == whole["people"] > asked["people"] > 0
    assert part["matched"] == asked["matched"] < whole["matched"]
    assert part["detection_rate"] < asked["detection_rate"]
    # An image that a padding sampler gives twice counts once.
    assert figures([*ids, ids[0]], ids[:3]) == asked
