"""AP of roots and order of depths: by hand, and AP against RootNet's loops."""

import math

import numpy as np
import pytest

from hmor_d2.evaluation.root_ap import ordinal_depth_pairs, root_average_precision
from tests.evaluation.mupots_reference import root_average_precision as slow_average_precision

ROOTS = np.array([[0, 0, 3000], [1000, 0, 3000], [0, 0, 5000.0]])


def average_precision(offsets, scores, people):
    """Predictions at ``offsets`` mm in Z from ``people``, all in one image."""
    roots = ROOTS[people] + np.array(offsets, dtype=np.float64)[:, None] * [0, 0, 1]
    image = np.zeros(len(roots), dtype=np.int64)
    return root_average_precision(roots, np.array(scores), image, ROOTS, np.zeros(3, dtype=int))


def test_average_precision_by_hand():
    # The first prediction's step of recall is dropped: two thirds at best.
    assert average_precision([0, 0, 0], [0.9, 0.8, 0.7], [0, 1, 2]) == pytest.approx(200 / 3)
    # Right, wrong (250 mm is not less), right: precision 2/3 at the step that counts.
    assert average_precision([249.9, 250, 0], [0.9, 0.8, 0.7], [0, 1, 2]) == pytest.approx(200 / 9)
    # A second one of the same person is wrong, and takes nobody else.
    assert average_precision([0, 10, 0], [0.9, 0.8, 0.7], [0, 0, 2]) == pytest.approx(200 / 9)
    # The order is that of scores, not of the list.
    assert average_precision([999, 0, 0], [0.1, 0.8, 0.7], [0, 1, 2]) == pytest.approx(100 / 3)
    assert average_precision([999, 0, 0], [0.9, 0.8, 0.7], [0, 1, 2]) == pytest.approx(
        100 * (1 / 2 + 2 / 3) / 3
    )
    # Equal scores: as given.
    assert average_precision([999, 0, 0], [0.5] * 3, [0, 1, 2]) > average_precision(
        [0, 0, 999], [0.5] * 3, [1, 2, 0]
    )


def test_average_precision_looks_at_the_nearest_person_alone():
    """A prediction near to two people, the nearer of whom is taken, is wrong."""
    gt_roots = np.array([[0, 0, 3000], [100, 0, 3000.0]])
    roots = np.array([[0, 0, 3000], [40, 0, 3000.0]])
    zeros = np.zeros(2, dtype=int)
    assert root_average_precision(roots, np.array([0.9, 0.8]), zeros, gt_roots, zeros) == 0
    roots[1, 0] = 60
    assert root_average_precision(roots, np.array([0.9, 0.8]), zeros, gt_roots, zeros) == 50
    # Just between them: the first.
    roots[1, 0] = 50
    assert root_average_precision(roots, np.array([0.9, 0.8]), zeros, gt_roots, zeros) == 0


def test_images_without_people_are_left_out():
    scores, image = np.array([0.9, 0.8, 0.7, 0.6]), np.array([7, 0, 0, 0])
    roots = np.concatenate((ROOTS[:1], ROOTS))
    found = root_average_precision(roots, scores, image, ROOTS, np.zeros(3, dtype=int))
    assert found == pytest.approx(200 / 3)


def test_average_precision_of_nobody():
    nobody, nowhere = np.zeros((0, 3)), np.zeros(0, dtype=int)
    assert math.isnan(root_average_precision(ROOTS, np.ones(3), nowhere, nobody, nowhere))
    zeros = np.zeros(3, dtype=int)
    assert root_average_precision(nobody, np.ones(0), nowhere, ROOTS, zeros) == 0


@pytest.mark.parametrize("seed", range(20))
def test_average_precision_equals_rootnets_loops(seed):
    rng = np.random.default_rng(seed)
    gt_image = np.sort(rng.integers(0, 12, 40))
    gt_roots = rng.uniform((-600, -200, 2500), (600, 200, 3500), (40, 3))
    source = rng.integers(0, 40, 90)
    roots = gt_roots[source] + rng.normal(0, 140, (90, 3))
    image = np.where(rng.random(90) < 0.2, rng.integers(0, 14, 90), gt_image[source])
    order = np.argsort(image, kind="stable")
    roots, image = roots[order], image[order]
    scores = rng.integers(0, 20, 90) / 20  # with ties
    images = [
        (
            [(scores[i], roots[i].tolist()) for i in np.flatnonzero(image == number)],
            gt_roots[gt_image == number].tolist(),
        )
        for number in range(14)
    ]
    expected = slow_average_precision(images)
    assert 10 < expected < 90
    shuffled = rng.permutation(40)  # people of an image need not be adjacent
    found = root_average_precision(roots, scores, image, gt_roots[shuffled], gt_image[shuffled])
    assert found == pytest.approx(expected)


def test_depth_order_by_hand():
    gt = np.array([3000.0, 4000, 4200, 3000])
    image = np.array([5, 5, 5, 2])
    # Right order of all three pairs; the person alone in its image makes none.
    assert ordinal_depth_pairs(np.array([2000.0, 2100, 2200, 0]), gt, image) == (3, 3)
    # The last two are exchanged by 299 mm, and 200 mm apart in truth: alike in both.
    assert ordinal_depth_pairs(np.array([2000.0, 2400, 2101, 0]), gt, image) == (3, 3)
    # By 300 mm, they are not.
    assert ordinal_depth_pairs(np.array([2000.0, 2400, 2100, 0]), gt, image) == (2, 3)
    # The first two, 1 m apart in truth, exchanged by 1 mm; the first and the third are right.
    assert ordinal_depth_pairs(np.array([2000.0, 1999, 2200, 0]), gt, image) == (2, 3)
    # A tie of the prediction is wrong where the truth is far from one.
    assert ordinal_depth_pairs(np.array([2000.0, 2000, 2200, 0]), gt, image) == (2, 3)
    # 300 mm apart in truth is too far to be alike; 299 mm is not.
    two = np.zeros(2, dtype=int)
    assert ordinal_depth_pairs(np.array([2001.0, 2000]), np.array([3000.0, 3300]), two) == (0, 1)
    assert ordinal_depth_pairs(np.array([2001.0, 2000]), np.array([3000.0, 3299]), two) == (1, 1)
    # In the right order but beyond 300 mm: right.
    assert ordinal_depth_pairs(np.array([2000.0, 3000, 9000, 0]), gt, image) == (3, 3)
    assert ordinal_depth_pairs(np.zeros(0), np.zeros(0), np.zeros(0, dtype=int)) == (0, 0)
