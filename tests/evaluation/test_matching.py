"""Greedy matching against a slow reference, and boxes against Detectron2's own."""

import numpy as np
import pytest
import torch
from detectron2.structures import Boxes, pairwise_iou

from hmor_d2.evaluation.matching import (
    box_intersections,
    box_iou,
    clip_boxes,
    covered_by_crowd,
    match_boxes,
    match_greedily,
)


def random_boxes(rng, number, span=100, least=0):
    low = rng.uniform(0, span, (number, 2))
    return np.concatenate((low, low + rng.uniform(least, span, (number, 2))), axis=1)


def slow_iou(a, b):
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)


def slow_match(boxes, scores, gt_boxes, threshold):
    """Straight from the words: by descending score, the free person of highest IoU."""
    matches, taken = [-1] * len(boxes), set()
    for i in sorted(range(len(boxes)), key=lambda i: -scores[i]):
        best, best_iou = -1, threshold
        for g in range(len(gt_boxes)):
            iou = slow_iou(boxes[i], gt_boxes[g])
            if g not in taken and (iou > best_iou or (best < 0 and iou >= best_iou)):
                best, best_iou = g, iou
        matches[i] = best
        taken |= {best} - {-1}
    return matches


@pytest.mark.parametrize("threshold", [0.05, 0.3, 0.5])
@pytest.mark.parametrize("seed", range(20))
def test_matching_equals_slow_reference(seed, threshold):
    rng = np.random.default_rng(seed)
    gt_boxes = random_boxes(rng, 6, least=30)
    near = gt_boxes[rng.integers(0, 6, 15)] + rng.normal(scale=12, size=(15, 4))
    boxes = np.concatenate((near, random_boxes(rng, 5)))
    scores = rng.random(20)
    expected = slow_match(boxes, scores, gt_boxes, threshold)
    assert max(expected) >= 0 and min(expected) == -1
    assert match_boxes(boxes, scores, gt_boxes, threshold).tolist() == expected


@pytest.mark.parametrize("ties", [False, True])
def test_matching_does_not_depend_on_the_order_of_predictions(ties):
    rng = np.random.default_rng(3)
    gt_boxes = random_boxes(rng, 5, least=30)
    boxes = gt_boxes[rng.integers(0, 5, 30)] + rng.normal(scale=10, size=(30, 4))
    scores = rng.integers(0, 3, 30) / 2 if ties else rng.random(30)
    matches = match_boxes(boxes, scores, gt_boxes, 0.3)
    assert (matches >= 0).sum() > 2
    for _ in range(20):
        order = rng.permutation(30)
        shuffled = match_boxes(boxes[order], scores[order], gt_boxes, 0.3)
        assert shuffled.tolist() == matches[order].tolist()


def test_matching_by_hand():
    gt_boxes = np.array([[0, 0, 10, 10], [0, 4, 10, 14.0]])
    boxes = np.array([[0, 3, 10, 13], [0, 4, 10, 14], [0, 0, 10, 10], [50, 50, 60, 60.0]])
    # The first, of the best score, takes person 1 (9/11); the second then has only person 0
    # (6/14, under the threshold); the third takes person 0.
    assert match_boxes(boxes, np.array([0.9, 0.8, 0.7, 0.6]), gt_boxes, 0.5).tolist() == [
        1,
        -1,
        0,
        -1,
    ]
    # With the scores reversed everybody gets what fits best.
    assert match_boxes(boxes, np.array([0.6, 0.7, 0.8, 0.9]), gt_boxes, 0.5).tolist() == [
        -1,
        1,
        0,
        -1,
    ]
    # At a threshold of 6/14 the second, now allowed to, takes person 0 before the third.
    assert match_boxes(boxes, np.array([0.9, 0.8, 0.7, 0.6]), gt_boxes, 6 / 14).tolist() == [
        1,
        0,
        -1,
        -1,
    ]


def test_matching_by_another_affinity():
    """As protocols that take the nearest pose within a limit: affinity = -distance."""
    distances = np.array([[300.0, 100], [50, 40], [600, 700]])
    matches = match_greedily(-distances, np.array([1, 0, 2]), -500)
    assert matches.tolist() == [0, 1, -1]


def test_threshold_is_reached_by_equality():
    gt_boxes, box = np.array([[0, 0, 10, 10.0]]), np.array([[0, 0, 10, 5.0]])
    assert match_boxes(box, np.ones(1), gt_boxes, 0.5).tolist() == [0]
    assert match_boxes(box, np.ones(1), gt_boxes, np.nextafter(0.5, 1)).tolist() == [-1]


def test_iou_equals_detectron2():
    rng = np.random.default_rng(0)
    a, b = random_boxes(rng, 30), random_boxes(rng, 20)
    a[4, 2:] = a[4, :2]  # empty
    expected = pairwise_iou(Boxes(torch.from_numpy(a)), Boxes(torch.from_numpy(b)))
    np.testing.assert_allclose(box_iou(a, b), expected.numpy(), atol=1e-6)
    assert (box_iou(a[4:5], a[4:5]) == 0).all()


def test_clipping():
    boxes = np.array([[-50, -20, 30, 500], [10, 10, 20, 20], [700, 5, 900, 50.0]])
    clipped = clip_boxes(boxes, (480, 640))
    assert clipped.tolist() == [[0, 0, 30, 480], [10, 10, 20, 20], [640, 5, 640, 50]]


def test_covered_by_crowd():
    crowd = np.array([[0, 0, 100, 100], [200, 0, 300, 100.0]])
    boxes = np.array(
        [[10, 10, 20, 20], [90, 0, 110, 10], [91, 0, 111, 10], [100, 0, 200, 100], [5, 5, 5, 9.0]]
    )
    assert covered_by_crowd(boxes, crowd, 0.5).tolist() == [True, True, False, False, False]
    # Two crowds that together cover a box are still two.
    assert not covered_by_crowd(np.array([[60, 0, 240, 50.0]]), crowd, 0.3).any()
    assert not covered_by_crowd(boxes, np.zeros((0, 4)), 0.5).any()


@pytest.mark.parametrize(("predictions", "people"), [(0, 0), (0, 3), (3, 0)])
def test_nobody(predictions, people):
    rng = np.random.default_rng(0)
    boxes, gt_boxes = random_boxes(rng, predictions), random_boxes(rng, people)
    assert box_intersections(boxes, gt_boxes).shape == (predictions, people)
    matches = match_boxes(boxes, rng.random(predictions), gt_boxes, 0.5)
    assert matches.tolist() == [-1] * predictions
