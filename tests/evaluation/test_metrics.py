"""Each metric against a slow reference that shares no code with it, and against known answers."""

import itertools
import math

import numpy as np
import pytest
from scipy.io import loadmat
from scipy.spatial.transform import Rotation

from hmor_d2.evaluation.metrics import (
    align_procrustes,
    has_rigid_shape,
    joint_distances,
    mean_or_nan,
    mpjpe,
    ordinal_accuracy,
    pa_mpjpe,
    pairs_within_groups,
    pck,
    root_errors,
)
from tests.real_data import real_data


def random_people(seed, people=12, joints=17, min_valid=4):
    """Poses around 4 m away, noisy predictions, and at least ``min_valid`` valid joints."""
    rng = np.random.default_rng(seed)
    gt = rng.normal(scale=400, size=(people, joints, 3)) + rng.normal(4000, 800, (people, 1, 3))
    pred = gt + rng.normal(scale=120, size=gt.shape) + rng.normal(scale=200, size=(people, 1, 3))
    valid = rng.random((people, joints)) < 0.7
    valid[:, :min_valid] = True
    # What is invalid must never be read.
    return pred, np.where(valid[..., None], gt, np.nan), valid


def distance(a, b):
    return math.sqrt(sum((float(x) - float(y)) ** 2 for x, y in zip(a, b, strict=True)))


def slow_mpjpe(pred, gt, valid, root=None):
    """One person at a time, one joint at a time."""
    result = []
    for p, g, v in zip(pred, gt, valid, strict=True):
        if root is not None:
            if not v[root] or v.sum() < 2:
                result.append(math.nan)
                continue
            p, g = p - p[root], g - g[root]
        errors = [distance(p[j], g[j]) for j in range(len(v)) if v[j]]
        result.append(sum(errors) / len(errors) if errors else math.nan)
    return np.array(result)


def horn_alignment(pred, gt, with_scale=True):
    """Horn's closed form with quaternions (JOSA 1987): no SVD, and never a reflection.

    Takes and returns (K, 3), all joints valid.
    """
    p, g = pred - pred.mean(0), gt - gt.mean(0)
    (xx, xy, xz), (yx, yy, yz), (zx, zy, zz) = p.T @ g
    matrix = np.array(
        [
            [xx + yy + zz, yz - zy, zx - xz, xy - yx],
            [yz - zy, xx - yy - zz, xy + yx, zx + xz],
            [zx - xz, xy + yx, -xx + yy - zz, yz + zy],
            [xy - yx, zx + xz, yz + zy, -xx - yy + zz],
        ]
    )
    w, x, y, z = np.linalg.eigh(matrix)[1][:, -1]
    turned = Rotation.from_quat([x, y, z, w]).apply(p)
    scale = (turned * g).sum() / (p**2).sum() if with_scale else 1
    return scale * turned + gt.mean(0)


@pytest.mark.parametrize("root", [None, 0, 3, 9])
@pytest.mark.parametrize("seed", range(5))
def test_mpjpe_equals_slow_reference(seed, root):
    pred, gt, valid = random_people(seed)
    valid[2] = False
    valid[3] = np.arange(17) == 3
    expected = slow_mpjpe(pred, gt, valid, root)
    if root == 9:
        assert np.isnan(expected).any() and not np.isnan(expected).all()
    np.testing.assert_allclose(mpjpe(pred, gt, valid, root), expected, rtol=1e-12)


def test_mpjpe_of_hand_computed_people():
    gt = np.array([[[0, 0, 3000], [0, -500, 3000], [100, 0, 3000.0]]])
    # Root 10 mm too deep; the second joint 30 mm right and 40 mm down, the third exact.
    pred = np.array([[[0, 0, 3010], [30, -460, 3000], [100, 0, 3000.0]]])
    valid = np.ones((1, 3), dtype=bool)
    assert mpjpe(pred, gt, valid) == pytest.approx([(10 + 50 + 0) / 3])
    relative = [0, math.sqrt(30**2 + 40**2 + 10**2), 10]
    assert mpjpe(pred, gt, valid, root_index=0) == pytest.approx([sum(relative) / 3])
    two = np.array([[True, True, False]])
    assert mpjpe(pred, gt, two, root_index=0) == pytest.approx([sum(relative[:2]) / 2])


def test_a_root_alone_has_no_relative_error():
    pred, gt, _ = random_people(0)
    valid = np.zeros(pred.shape[:2], dtype=bool)
    valid[:, 5] = True
    gt = np.nan_to_num(gt)
    assert np.isnan(mpjpe(pred, gt, valid, root_index=5)).all()
    np.testing.assert_allclose(mpjpe(pred, gt, valid), np.linalg.norm(pred - gt, axis=2)[:, 5])


@pytest.mark.parametrize("with_scale", [True, False])
@pytest.mark.parametrize("seed", range(8))
def test_alignment_equals_horns(seed, with_scale):
    pred, gt, valid = random_people(seed)
    # Half of the people mirrored: the best orthogonal matrix is then a reflection.
    pred[::2, :, 0] *= -1
    expected = [
        horn_alignment(p[v], g[v], with_scale) for p, g, v in zip(pred, gt, valid, strict=True)
    ]
    aligned = align_procrustes(pred, gt, valid, with_scale)
    np.testing.assert_allclose(aligned[valid], np.concatenate(expected), atol=1e-6)
    slow = slow_mpjpe(aligned, gt, valid)
    np.testing.assert_allclose(pa_mpjpe(pred, gt, valid, with_scale), slow, rtol=1e-10)


@pytest.mark.parametrize("mirrored", [False, True])
def test_no_similarity_is_better_than_the_alignment(mirrored):
    rng = np.random.default_rng(5)
    pred, gt, valid = random_people(5, people=6)
    pred[..., 2] *= -1 if mirrored else 1
    aligned = align_procrustes(pred, gt, valid)

    def cost(points):
        return np.nansum((points - gt) ** 2, axis=(1, 2))

    best = cost(aligned)
    for magnitude in np.geomspace(1e-3, 3, 200):
        turn = Rotation.from_rotvec(rng.normal(scale=magnitude, size=3)).as_matrix()
        center = np.where(valid[..., None], aligned, np.nan)
        center = np.nanmean(center, axis=1, keepdims=True)
        factor = math.exp(rng.normal(scale=magnitude))
        shift = rng.normal(scale=100 * magnitude, size=3)
        moved = factor * (aligned - center) @ turn + center + shift
        assert (cost(moved) >= best * (1 - 1e-12)).all()


@pytest.mark.parametrize("seed", range(4))
def test_alignment_undoes_a_similarity_but_no_mirroring(seed):
    _, gt, valid = random_people(seed)
    gt = np.nan_to_num(gt, nan=100.0)
    turn = Rotation.random(None, seed).as_matrix()
    moved = 0.4 * gt @ turn + np.array([500.0, -2000, 900])
    assert pa_mpjpe(moved, gt, valid).max() < 1e-8
    # Applied to the joints that it was not fitted on as well.
    np.testing.assert_allclose(align_procrustes(moved, gt, valid), gt, atol=1e-7)
    # Scale is kept where it is not fitted, so that the size difference is an error.
    assert pa_mpjpe(moved, gt, valid, with_scale=False).min() > 50
    mirrored = moved * np.array([-1, 1, 1])
    assert pa_mpjpe(mirrored, gt, valid).min() > 50


def test_flat_poses_align_exactly_even_when_mirrored():
    """Joints in a plane: a turn by 180 degrees about an axis in it equals the reflection."""
    gt = np.array([[[0, 0, 0], [100, 0, 0], [0, 200, 0], [70, 90, 0.0]]]) + 1000
    valid = np.ones((1, 4), dtype=bool)
    mirrored = gt * np.array([-1, 1, 1])
    assert pa_mpjpe(mirrored, gt, valid) == pytest.approx([0], abs=1e-9)


def test_alignment_where_the_shape_is_degenerate():
    along = np.arange(5.0)[:, None] * np.array([30.3, -40.7, 121.9]) + np.array([0, 0, 9000.0])
    bent = along.copy()
    bent[4] += [0, 5, 0]
    gt = np.stack([along, bent, bent, bent, along])
    valid = np.ones((5, 5), dtype=bool)
    valid[2, 2:] = False  # two joints
    valid[3, 3:] = False  # three joints on a line
    valid[4] = False
    shaped = [False, True, False, False, False]
    assert has_rigid_shape(gt, valid).tolist() == shaped
    assert has_rigid_shape(gt.astype(np.float32), valid).tolist() == shaped
    errors = pa_mpjpe(gt + 7, gt, valid)
    assert np.isnan(errors).tolist() == [not s for s in shaped]
    assert errors[1] == pytest.approx(0, abs=1e-9)


def test_a_collapsed_prediction_is_scored_not_skipped():
    """The best that one point can do is to lie in the middle of the truth."""
    _, gt, valid = random_people(1, people=3)
    pred = np.full(gt.shape, 77.0)
    middle = [g[v].mean(0) for g, v in zip(gt, valid, strict=True)]
    expected = slow_mpjpe(np.stack([np.tile(m, (17, 1)) for m in middle]), gt, valid)
    for with_scale in (True, False):
        np.testing.assert_allclose(pa_mpjpe(pred, gt, valid, with_scale), expected)
    # On a line: any turn about it is as good, so that only the sum of squares is unique.
    line = pred + np.linspace(0, 1000, 17)[:, None] * np.array([0, 0.6, 0.8])
    aligned = align_procrustes(line, gt, valid)
    for i, v in enumerate(valid):
        horn = horn_alignment(line[i, v], gt[i, v])
        squares = ((aligned[i, v] - gt[i, v]) ** 2).sum()
        assert squares == pytest.approx(((horn - gt[i, v]) ** 2).sum())


def test_root_errors():
    pred, gt, valid = random_people(3)
    distances, components = root_errors(pred, gt, valid, 9)
    for i in range(len(pred)):
        if valid[i, 9]:
            assert distances[i] == pytest.approx(distance(pred[i, 9], gt[i, 9]))
            expected = [abs(pred[i, 9, k] - gt[i, 9, k]) for k in range(3)]
            assert components[i].tolist() == pytest.approx(expected)
        else:
            assert np.isnan(distances[i]) and np.isnan(components[i]).all()
    assert 0 < valid[:, 9].sum() < len(valid)


def test_pck_equals_slow_reference():
    rng = np.random.default_rng(0)
    gt = rng.uniform(0, 500, (20, 17, 2))
    pred = gt + rng.normal(scale=30, size=gt.shape)
    valid = rng.random((20, 17)) < 0.8
    radius = rng.uniform(10, 60, 20)
    radius[[3, 4]] = np.nan, 0
    pred[4] = gt[4]
    correct, joints = pck(pred, gt, valid, radius)
    for i in range(20):
        counted = [j for j in range(17) if valid[i, j] and radius[i] > 0]
        assert joints[i] == len(counted)
        assert correct[i] == sum(distance(pred[i, j], gt[i, j]) < radius[i] for j in counted)
    assert joints[3] == joints[4] == 0 and 0 < correct.sum() < joints.sum()


@pytest.mark.parametrize("seed", range(5))
def test_pairs_and_their_order_equal_slow_reference(seed):
    rng = np.random.default_rng(seed)
    group = rng.integers(0, 6, 25)
    gt, pred = rng.integers(0, 6, (2, 25)) * 100.0
    expected = {
        frozenset(pair)
        for pair in itertools.combinations(range(25), 2)
        if len({*group[[*pair]]}) == 1
    }
    found = [frozenset(map(int, pair)) for pair in zip(*pairs_within_groups(group), strict=True)]
    assert len(found) == len(expected) and set(found) == expected
    right = total = 0
    for a, b in expected:
        if gt[a] != gt[b]:
            total += 1
            right += (pred[a] < pred[b]) if gt[a] < gt[b] else (pred[a] > pred[b])
    assert ordinal_accuracy(pred, gt, group) == (right, total)
    assert 0 < right < total < len(expected)


def test_order_of_three_people_by_hand():
    group = np.array([7, 7, 2, 7])
    gt = np.array([3000.0, 4000, 1000, 4000])
    pred = np.array([3500.0, 3400, 9999, 3500])
    # Pairs (0, 1): wrong; (0, 3): a predicted tie, wrong; (1, 3): equal in truth, not counted.
    assert ordinal_accuracy(pred, gt, group) == (0, 2)
    assert ordinal_accuracy(gt, gt, group) == (2, 2)


def test_nobody():
    poses, valid = np.zeros((0, 17, 3)), np.zeros((0, 17), dtype=bool)
    assert mpjpe(poses, poses, valid).shape == mpjpe(poses, poses, valid, 14).shape == (0,)
    assert pa_mpjpe(poses, poses, valid).shape == (0,)
    assert root_errors(poses, poses, valid, 14)[1].shape == (0, 3)
    assert ordinal_accuracy(np.zeros(0), np.zeros(0), np.zeros(0, dtype=int)) == (0, 0)
    assert math.isnan(mean_or_nan(np.array([np.nan]))) and math.isnan(mean_or_nan(np.zeros(0)))
    assert mean_or_nan(np.array([np.nan, 1, 2])) == 1.5


def test_shapes_that_do_not_agree():
    poses = np.zeros((2, 17, 3))
    with pytest.raises(ValueError, match=r"\(2, 17, 3\), \(2, 15, 3\)"):
        joint_distances(poses, poses[:, :15], np.ones((2, 17), dtype=bool))
    with pytest.raises(ValueError, match=r"valid \(N, J\)"):
        mpjpe(poses, poses, np.ones((2, 15), dtype=bool))


def test_on_the_two_ground_truths_of_mupots():
    """Its annot3 and univ_annot3 differ by a scale about the pelvis alone."""
    path = real_data("mupots/MultiPersonTestSet/TS1/annot.mat")
    cells = loadmat(path)["annotations"].ravel()[:200]
    real, universal = (np.stack([c[k][0, 0].T for c in cells]) for k in ("annot3", "univ_annot3"))
    valid = np.ones(real.shape[:2], dtype=bool)
    assert pa_mpjpe(real, universal, valid).max() < 0.01
    assert root_errors(real, universal, valid, 14)[0].max() < 0.01
    scale = np.linalg.norm(universal[:, 13] - universal[:, 14], axis=1)
    scale /= np.linalg.norm(real[:, 13] - real[:, 14], axis=1)
    reach = np.linalg.norm(real - real[:, 14:15], axis=2).mean(axis=1)
    expected = np.abs(scale - 1) * reach
    assert expected.max() > 5
    np.testing.assert_allclose(mpjpe(real, universal, valid, 14), expected, atol=0.01)
    np.testing.assert_allclose(mpjpe(real, universal, valid), expected, atol=0.01)
