import math

import numpy as np
import pytest

from tests.demo import program  # noqa: F401  makes the demo's scripts importable

from one_euro import OneEuro, OneEuroFilter, PoseSmoother  # isort: skip


class LowPass:
    """Algorithm 3 of Casiez et al., literally."""

    def __init__(self):
        self.first, self.hatxprev = True, None

    def filter(self, x, alpha):
        if self.first:
            self.first = False
            self.hatxprev = x
        hatx = alpha * x + (1 - alpha) * self.hatxprev
        self.hatxprev = hatx
        return hatx


class PaperFilter:
    """Algorithms 1 and 2 of Casiez et al. for one number, literally."""

    def __init__(self, mincutoff, beta, dcutoff):
        self.mincutoff, self.beta, self.dcutoff = mincutoff, beta, dcutoff
        self.first, self.xfilt, self.dxfilt = True, LowPass(), LowPass()

    @staticmethod
    def alpha(rate, cutoff):
        tau = 1.0 / (2 * math.pi * cutoff)
        te = 1.0 / rate
        return 1.0 / (1.0 + tau / te)

    def filter(self, x, rate):
        if self.first:
            self.first = False
            dx = 0
        else:
            dx = (x - self.xfilt.hatxprev) * rate
        edx = self.dxfilt.filter(dx, self.alpha(rate, self.dcutoff))
        cutoff = self.mincutoff + self.beta * abs(edx)
        return self.xfilt.filter(x, self.alpha(rate, cutoff))


def test_all_coordinates_follow_the_paper_at_changing_rates():
    rng = np.random.default_rng(0)
    steps = rng.uniform(0.005, 0.4, 60)
    values = rng.normal(0, 300, (60, 5, 3)).cumsum(axis=0)
    unit = 1000.0
    parameters = OneEuro(min_cutoff_hz=0.7, beta=1.3, derivative_cutoff_hz=1.9)
    slow = [PaperFilter(0.7, 1.3 / unit, 1.9) for _ in range(15)]
    fast = OneEuroFilter(parameters)
    for x, time_s, step in zip(values, steps.cumsum(), steps, strict=True):
        expected = [f.filter(v, 1 / step) for f, v in zip(slow, x.ravel().tolist(), strict=True)]
        np.testing.assert_allclose(fast(x, time_s, unit).ravel(), expected, rtol=1e-9)


def test_jitter_at_rest_shrinks_and_motion_lags_little():
    rng = np.random.default_rng(1)
    times = np.arange(1, 301) / 30
    noise = rng.normal(0, 20, (300, 17, 3))
    at_rest, moving = OneEuroFilter(OneEuro()), OneEuroFilter(OneEuro())
    still = np.stack([at_rest(x, t, 1000.0) for x, t in zip(noise, times, strict=True)])[60:]
    assert still.std(axis=0).max() < 0.6 * 20
    walk = np.stack([moving(np.full((2, 3), 1400 * t), t, 1000.0) for t in times])
    lag = 1400 * times[-1] - walk[-1]
    assert (lag > 0).all() and lag.max() < 40  # 29 ms of 1.4 m/s; a plain 1 Hz filter lags 223


def test_time_must_advance():
    smooth = OneEuroFilter(OneEuro())
    smooth(np.zeros(3), 1.0)
    for time_s in (1.0, 0.5, math.nan):
        with pytest.raises(ValueError, match="expected a positive one"):
            smooth(np.zeros(3), time_s)


def people(rng, count, frames):
    """Random walks of count people, about 4 m away: (F, N, J, 3) keypoints and poses."""
    poses = rng.normal(0, 30, (frames, count, 6, 3)).cumsum(axis=0) + np.array([0, 0, 4000])
    keypoints = rng.normal(0, 4, (frames, count, 6, 3)).cumsum(axis=0) + 200
    return keypoints, poses


def test_people_are_filtered_one_by_one_whatever_their_order():
    rng = np.random.default_rng(2)
    keypoints, poses = people(rng, 3, 20)
    ids = np.array([4, 9, 2])
    together = PoseSmoother(OneEuro())
    alone = {person: PoseSmoother(OneEuro()) for person in ids.tolist()}
    for f in range(20):
        order = rng.permutation(3)
        found = together(ids[order], keypoints[f, order], poses[f, order], f / 10, 800.0)
        for place, i in enumerate(order):
            one = slice(i, i + 1)
            args = ids[one], keypoints[f, one], poses[f, one], f / 10, 800.0
            for result, expected in zip(found, alone[int(ids[i])](*args), strict=True):
                np.testing.assert_array_equal(result[place], expected[0])
        np.testing.assert_array_equal(found[0][..., 2], keypoints[f, order][..., 2])
    assert np.abs(found[1] - poses[-1, order]).max() > 1  # it did smooth


def test_smoothing_does_not_depend_on_the_size_of_the_picture():
    keypoints, poses = people(np.random.default_rng(3), 2, 15)
    small, large = PoseSmoother(OneEuro()), PoseSmoother(OneEuro())
    for f in range(15):
        one, _ = small(np.array([1, 2]), keypoints[f], poses[f], f / 25, 500.0)
        scaled = keypoints[f] * (3, 3, 1)
        other, _ = large(np.array([1, 2]), scaled, poses[f], f / 25, 1500.0)
        np.testing.assert_allclose(other[..., :2], 3 * one[..., :2], rtol=1e-12)


def test_forgotten_people_start_anew_and_inputs_are_left_alone():
    keypoints, poses = people(np.random.default_rng(4), 2, 2)
    smooth = PoseSmoother(OneEuro())
    ids = np.array([1, 2])
    smooth(ids, keypoints[0], poses[0], 0.0, 800.0)
    smooth.forget_all_but(np.array([2]))
    before = poses[1].copy()
    _, found = smooth(ids, keypoints[1], poses[1], 0.1, 800.0)
    np.testing.assert_array_equal(poses[1], before)
    np.testing.assert_array_equal(found[0], poses[1, 0])
    assert not np.allclose(found[1], poses[1, 1])
