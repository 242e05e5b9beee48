"""Order of joints against a count of one pair after another."""

import itertools

import numpy as np
import pytest

from hmor_d2.evaluation.depth_order import joint_order_accuracy


@pytest.mark.parametrize("seed", range(4))
def test_equals_slow_reference(seed):
    rng = np.random.default_rng(seed)
    group = rng.integers(0, 4, 9) * 3
    gt, pred = rng.integers(0, 12, (2, 9, 5, 3)) * 50.0
    valid = rng.random((9, 5)) < 0.7
    gt[~valid], pred[~valid] = np.nan, 1e9
    right = ordered = ties = 0
    joints = [(i, j) for i, j in itertools.product(range(9), range(5)) if valid[i, j]]
    for a, b in itertools.combinations(joints, 2):
        if group[a[0]] == group[b[0]] and gt[a][2] != gt[b][2]:
            ordered += 1
            ties += pred[a][2] == pred[b][2]
            right += pred[a][2] < pred[b][2] if gt[a][2] < gt[b][2] else pred[a][2] > pred[b][2]
    assert joint_order_accuracy(pred, gt, valid, group) == (right, ordered)
    assert ties > 0 and 0 < right < ordered - ties


def test_two_people_by_hand():
    """Person b's hand reaches before person a: across people the order is wrong, within right."""
    gt = np.zeros((2, 2, 3))
    gt[..., 2] = [[3000, 3100], [3500, 2900]]
    pred = gt.copy()
    pred[1, 1, 2] = 3050
    valid, group = np.ones((2, 2), dtype=bool), np.zeros(2, dtype=int)
    # Of 6 pairs, (a0, b1) is wrong now; (a1, b1) still is right.
    assert joint_order_accuracy(pred, gt, valid, group) == (5, 6)
    # Apart, in two images, only the pair within each person is left.
    assert joint_order_accuracy(pred, gt, valid, np.array([1, 0])) == (2, 2)
    assert joint_order_accuracy(gt, gt, valid, group) == (6, 6)


def test_nobody():
    nobody = np.zeros((0, 17, 3))
    valid = np.zeros((0, 17), dtype=bool)
    assert joint_order_accuracy(nobody, nobody, valid, np.zeros(0, dtype=int)) == (0, 0)
