"""The steps of MuPoTS-3D's evaluation on cases small enough to work out by hand."""

import math

import numpy as np
import pytest

from hmor_d2.evaluation.mupots_protocol import (
    AUC_THRESHOLDS_MM,
    JOINT_GROUPS,
    joint_errors,
    map_to_bone_lengths,
    masked_pck,
    match_identities,
    pck_and_auc,
)
from tests.evaluation.mupots_reference import identity_matching
from tests.evaluation.mupots_scenes import STANDING

BELOW_150 = np.nextafter(150, 0)
# A person's 2D joints, nowhere near (0, 0) and more than 40 px from one another.
PIXELS = np.column_stack((np.arange(17) * 100.0 + 50, np.arange(17) * 50.0 + 300))


def match(annotated, predicted):
    """Match the people of one frame."""
    annotated, predicted = np.array(annotated), np.array(predicted).reshape(-1, 17, 2)
    valid = np.ones((1, len(annotated)), dtype=bool)
    frame = np.zeros(len(predicted), dtype=np.int64)
    return match_identities(annotated[None], valid, predicted, frame)[0].tolist()


def shifted(joints, pixels=PIXELS, by=500.0):
    """A person whose ``joints`` are somewhere else."""
    moved = pixels.copy()
    moved[list(joints)] += by
    return moved


def test_matching_takes_the_first_of_equals():
    near, nearer = PIXELS + 30, PIXELS + 1
    # All 13 joints count in both: how near they are plays no role.
    assert match([PIXELS], [near, nearer]) == [0]
    assert match([PIXELS], [shifted([5], near), near, nearer]) == [1]


def test_matching_is_greedy_in_the_order_of_annotated_people():
    second = shifted(range(5, 17))  # shares joints 1 to 4 with the first
    # The first person takes the second's own prediction, having no other.
    assert match([PIXELS, second], [second]) == [0, -1]
    assert match([second, PIXELS], [second]) == [0, -1]
    # It takes the better one where there is one, and the second gets its own.
    assert match([PIXELS, second], [second, PIXELS]) == [1, 0]


def test_matching_distance_is_strict_and_by_axis():
    assert match([PIXELS], [np.add(PIXELS, (39.5, -39.5))]) == [0]  # 55.9 px away
    assert match([PIXELS], [np.add(PIXELS, (40, 0))]) == [-1]
    assert match([PIXELS], [np.add(PIXELS, (0, -40))]) == [-1]


def test_matching_reads_joints_1_to_13_alone():
    assert match([PIXELS], [shifted(range(1, 14))]) == [-1]
    for joint in range(1, 14):
        assert match([PIXELS], [shifted(set(range(1, 14)) - {joint})]) == [0]
    assert match([PIXELS], [shifted([0, 14, 15, 16]), PIXELS]) == [0]


def test_joints_at_zero_are_not_predicted():
    annotated = PIXELS - PIXELS[3]  # a joint in the corner of the image
    alone = shifted(set(range(17)) - {3}, annotated)
    alone[3] = 0
    assert match([annotated], [alone]) == [-1]
    alone[3] = 0, 0.5
    assert match([annotated], [alone]) == [0]


def test_matching_keeps_frames_and_invalid_people_apart():
    annotated = np.stack([[PIXELS, PIXELS], [PIXELS, shifted(range(17))]])
    valid = np.array([[False, True], [True, True]])
    predicted = np.stack([shifted(range(17)), PIXELS, PIXELS])
    frame = np.array([1, 1, 0])
    found = match_identities(annotated, valid, predicted, frame)
    assert found.tolist() == [[-1, 2], [1, 0]]
    nothing = match_identities(annotated, valid, predicted[:0], frame[:0])
    assert nothing.tolist() == [[-1, -1], [-1, -1]]


@pytest.mark.parametrize("seed", range(30))
def test_matching_equals_the_loops(seed):
    """Crowds of people who overlap, in several frames, the predictions of which are mixed."""
    rng = np.random.default_rng(seed)
    people, frames = 5, 4
    annotated = rng.uniform(0, 120, (frames, people, 1, 2)) + rng.uniform(0, 60, (17, 2))
    valid = rng.random((frames, people)) < 0.8
    frame = rng.integers(0, frames, 24)
    predicted = rng.uniform(0, 120, (24, 1, 2)) + rng.uniform(0, 60, (17, 2))
    predicted += rng.normal(0, 20, predicted.shape)
    predicted[rng.random((24, 17)) < 0.1] = 0
    found = match_identities(annotated, valid, predicted, frame)
    for i in range(frames):
        own = np.flatnonzero(frame == i)
        expected = identity_matching(annotated[i, valid[i]].tolist(), predicted[own].tolist())
        assert found[i, valid[i]].tolist() == [own[m - 1] if m else -1 for m in expected]
        assert (found[i, ~valid[i]] == -1).all()


def test_bone_lengths_by_hand():
    """Right arm: neck, shoulder 200, elbow 300, wrist 250 mm apart in the truth."""
    pred = STANDING.copy()
    pred[2:5] = pred[1] + np.array([[-30, 40, 0], [-30, 140, 0], [-30, 140, 70]])
    mapped = map_to_bone_lengths(pred[None], STANDING[None])[0]
    shoulder = STANDING[1] + [-120, 160, 0]  # 200 mm along (-3, 4, 0)
    np.testing.assert_allclose(mapped[2], shoulder)
    np.testing.assert_allclose(mapped[3], np.add(shoulder, (0, 300, 0)))
    np.testing.assert_allclose(mapped[4], np.add(shoulder, (0, 300, 250)))
    others = [j for j in range(17) if j not in (2, 3, 4)]
    np.testing.assert_array_equal(mapped[others], STANDING[others])


def test_bones_hang_on_the_predicted_pelvis():
    """The root keeps its place, so that the absolute error of all joints is that of the root."""
    pred = 0.4 * STANDING + [30, 0, 40]
    errors = joint_errors(pred[None], STANDING[None], relative=False)
    np.testing.assert_allclose(errors, np.full((1, 17), 50), rtol=1e-12)
    errors = joint_errors(pred[None], STANDING[None], relative=True)
    np.testing.assert_allclose(errors, np.zeros((1, 17)), atol=1e-9)


def test_a_bone_without_length_has_no_direction():
    pred = STANDING.copy()
    pred[15] = pred[14]  # spine in the pelvis: all above it hangs on it
    errors = joint_errors(pred[None], STANDING[None], relative=True)[0]
    assert np.flatnonzero(np.isnan(errors)).tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 15, 16]
    assert (errors[[8, 9, 10, 11, 12, 13, 14]] == 0).all()


def errors_of_two():
    """Two people without error but in some joints."""
    errors = np.zeros((2, 17))
    errors[0, 0], errors[1, 0] = 150, BELOW_150  # head: one wrong
    errors[0, 2], errors[0, 5], errors[1, 5] = math.nan, 1e6, math.inf  # shoulders: three wrong
    errors[:, 14:] = 1e6  # pelvis, spine, head: not scored
    return errors


def test_pck_by_hand():
    pck, _ = pck_and_auc(errors_of_two())
    expected = dict.fromkeys(JOINT_GROUPS, 100.0) | {"Head": 50, "Shou": 25}
    assert pck == pytest.approx(expected | {"Total": 100 * 24 / 28})


def test_auc_has_31_thresholds():
    assert AUC_THRESHOLDS_MM.tolist() == list(range(0, 151, 5)) and len(AUC_THRESHOLDS_MM) == 31
    _, auc = pck_and_auc(errors_of_two())
    # Without error 30 of 31 thresholds are kept, just below 150 the last alone.
    best = 100 * 30 / 31
    expected = dict.fromkeys(JOINT_GROUPS, best) | {"Head": 50 / 31, "Shou": best / 4}
    total = (50 / 31 + 2 * best / 4 + best * 11) / 14
    assert auc == pytest.approx(expected | {"Total": total})
    errors = np.full((1, 17), 100.0)
    # Exactly at a threshold is wrong: 105, 110 ... 150 remain.
    assert pck_and_auc(errors)[1]["Total"] == pytest.approx(100 * 10 / 31)


def test_joint_groups_are_14_joints():
    joints = [joint for group in JOINT_GROUPS.values() for joint in group]
    assert sorted(joints) == list(range(14))


def test_masked_pck_by_hand():
    errors = errors_of_two()
    mask = np.zeros((2, 17), dtype=bool)
    mask[:, [0, 2, 5, 14]] = True
    mask[1, 5] = False
    by_joint, total, number = masked_pck(errors, mask)
    # Exactly 150 mm counts here; NaN and 1e6 do not; the pelvis is not scored.
    expected = [100.0] * 14
    expected[2], expected[5] = 50, 0
    assert by_joint.tolist() == expected
    assert number == 5 and total == pytest.approx(100 * 3 / 5)
    just_above = np.where(errors == 150, np.nextafter(150, 151), errors)
    assert masked_pck(just_above, mask)[0][0] == 50


def test_nobody():
    nothing = np.zeros((0, 17))
    pck, auc = pck_and_auc(nothing)
    assert list(pck) == list(auc) == [*JOINT_GROUPS, "Total"]
    assert np.isnan([*pck.values(), *auc.values()]).all()
    by_joint, total, number = masked_pck(nothing, nothing > 0)
    assert by_joint.tolist() == [100] * 14 and math.isnan(total) and number == 0
    assert joint_errors(np.zeros((0, 17, 3)), np.zeros((0, 17, 3)), relative=True).shape == (0, 17)
