"""How large scenes come out: between people, and as a whole."""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from hmor_d2.evaluation.scene_scale import common_scale, pair_depth_slope


def test_the_slope_is_the_scale_whatever_stands_where():
    rng = np.random.default_rng(0)
    truth, group = rng.uniform(2000, 8000, 40), rng.integers(0, 9, 40)
    assert pair_depth_slope(truth, truth, group) == pytest.approx(1)
    moved = 0.7 * truth + 300 * group  # every image in another place
    assert pair_depth_slope(moved, truth, group) == pytest.approx(0.7)
    assert pair_depth_slope(-truth, truth, group) == pytest.approx(-1)


def test_noise_does_not_change_the_slope():
    rng = np.random.default_rng(0)
    truth, group = rng.uniform(2000, 8000, 20_000), np.arange(20_000) // 4
    noisy = 0.9 * truth + rng.normal(0, 500, len(truth))
    assert pair_depth_slope(noisy, truth, group) == pytest.approx(0.9, abs=0.01)


@pytest.mark.parametrize("group", [[0, 1, 2], [0, 0, 1]])
def test_without_pairs_there_is_no_slope(group):
    assert np.isnan(pair_depth_slope(np.arange(3.0), np.full(3, 2.0), np.array(group)))


def test_the_common_scale_is_the_best_factor():
    rng = np.random.default_rng(0)
    gt = rng.normal((0, 0, 4000), 1000, (6, 5, 3))
    valid = rng.random((6, 5)) < 0.7
    pred = 0.8 * gt + rng.normal(0, 100, gt.shape)
    gt[~valid] = np.nan
    best = minimize_scalar(lambda s: np.nansum((s * pred - gt) ** 2)).x
    assert common_scale(pred, gt, valid) == pytest.approx(best, rel=1e-6)
    assert common_scale(gt / 0.8, gt, valid) == pytest.approx(0.8)
    assert np.isnan(common_scale(pred, gt, np.zeros_like(valid)))
