"""The official evaluation of MuPoTS-3D where the answer is known, and what it refuses."""

import logging
import math
import re

import numpy as np
import pytest

from hmor_d2.data.dataset_error import DatasetError
from hmor_d2.evaluation.mupots import MUPOTS_FIGURES, evaluate_mupots
from hmor_d2.evaluation.mupots_protocol import JOINT_GROUPS
from tests.evaluation.mupots_scenes import (
    STANDING,
    perfect_predictions,
    person,
    standing_people,
    write_sequences,
)


@pytest.fixture
def two_people(tmp_path):
    """Three frames of two people, the second of whom is not annotated in the last frame."""
    roots = [[(-1000, 0, 4000), (1000, 0, 4800)]] * 3
    arrays = standing_people(roots)
    arrays["valid"][2, 1] = False
    arrays["occluded"][:, 0, [4, 14]] = True
    folder = write_sequences(tmp_path, {"TS1": arrays})
    valid = (arrays["annot2"], arrays["annot3"], arrays["valid"])
    return folder, perfect_predictions("TS1", *valid)


def evaluate_one(folder, predictions):
    return evaluate_mupots(folder, predictions, ["TS1"])


def evaluate_pushed_away(folder, predictions, distance_mm):
    """Everybody predicted farther from the camera."""
    for people in predictions.values():
        for p in people:
            p["keypoints_cam"] = p["keypoints_cam"] + [0, 0, distance_mm]
    return evaluate_one(folder, predictions)


def test_exactly_150_mm_is_wrong_but_not_among_visible_joints(two_people):
    found = evaluate_pushed_away(*two_people, 150)
    assert found["3DPCK_abs"] == found["AUC_abs"] == 0
    assert found["visible"]["3DPCK_abs"] == found["occluded"]["3DPCK_abs"] == 100
    assert found["3DPCK_rel"] == 100 and found["AUC_rel"] == pytest.approx(100 * 30 / 31)
    assert [found["MRPE"], found["MRPE_z"]] == [150, 150]
    # Of the 5 people's 14 joints only the wrist of the first person is occluded and scored.
    assert found["occluded"]["joints"] == 3 and found["visible"]["joints"] == 67


def test_auc_by_hand(two_people):
    found = evaluate_pushed_away(*two_people, 140)
    # Under 145 and 150 alone, of the 31 thresholds.
    assert found["3DPCK_abs"] == 100 and found["AUC_abs"] == pytest.approx(100 * 2 / 31)


def test_size_does_not_count_but_depth_does(two_people):
    folder, predictions = two_people
    for people in predictions.values():
        for p in people:
            root = p["keypoints_cam"][14]
            p["keypoints_cam"] = root + 3 * (p["keypoints_cam"] - root)
    found = evaluate_one(folder, predictions)
    for name in MUPOTS_FIGURES:
        assert found[name] == pytest.approx(100 if "PCK" in name else 100 * 30 / 31)


def test_missed_people_and_missing_frames(two_people, caplog):
    folder, predictions = two_people
    # The second person of frame 0 is missed, and frame 1 with its two people is missing.
    predictions["TS1/img_000000.jpg"].pop(1)
    del predictions["TS1/img_000001.jpg"]
    with caplog.at_level(logging.WARNING):
        found = evaluate_one(folder, predictions)
    assert "1 of 3 images have no prediction" in caplog.text
    assert found["people"] == 5 and found["unmatched"] == 3
    assert found["3DPCK_rel"] == found["3DPCK_abs"] == pytest.approx(100 * 2 / 5)
    assert found["AUC_rel"] == pytest.approx(100 * 2 / 5 * 30 / 31)
    assert found["3DPCK_rel_matched"] == 100
    assert found["occluded"]["3DPCK_rel"] == pytest.approx(100 * 2 / 3)
    assert found["occluded"]["joints"] == 3 and found["occluded"]["joints_matched"] == 2
    # A missed person counts as at 100 m.  Frame 0: it is behind, as it should be; frame 1: both
    # at the same depth, and truly 800 mm apart.
    assert found["PCOD"] == 50 and math.isnan(found["PCOD_matched"])


def test_superfluous_predictions_cost_ap_alone(two_people):
    folder, predictions = two_people
    perfect = evaluate_one(folder, predictions)
    for people in predictions.values():
        people.append(person(np.full((17, 2), 5.0), STANDING + np.array([0, 0, 9000]), score=2.0))
    found = evaluate_one(folder, predictions)
    assert {k: found[k] for k in MUPOTS_FIGURES} == {k: perfect[k] for k in MUPOTS_FIGURES}
    # Three false positives first, then precision 1/4, 2/5 ... 5/8, a fifth of recall each.
    assert perfect["AP_root_25"] == pytest.approx(80)
    steps = [1 / 4, 2 / 5, 3 / 6, 4 / 7, 5 / 8]
    assert found["AP_root_25"] == pytest.approx(100 * sum(steps) / 5)


def test_nobody_is_matched(two_people, caplog):
    folder, predictions = two_people
    for people in predictions.values():
        for p in people:
            p["keypoints"] = p["keypoints"] / 1920  # of unit size
    with caplog.at_level(logging.WARNING):
        found = evaluate_one(folder, predictions)
    assert "Nobody is matched in TS1: figures of matched people are NaN." in caplog.text
    assert "other sequences" not in caplog.text and "pixels of the original" in caplog.text
    assert found["unmatched"] == 5 and found["3DPCK_rel"] == found["AUC_abs"] == 0
    for name in ("3DPCK_rel_matched", "AUC_abs_matched", "MRPE", "MRPE_z", "PCOD_matched"):
        assert math.isnan(found[name])
    assert math.isnan(found["visible"]["3DPCK_rel_matched"])
    # Roots are where they should be, and need no match in the image.
    assert found["AP_root_25"] == pytest.approx(80)


def test_no_predictions_at_all(two_people):
    folder, _ = two_people
    found = evaluate_one(folder, {})
    assert found["unmatched"] == found["people"] == 5
    assert found["3DPCK_rel"] == found["AP_root_25"] == 0


def test_bones_without_length_are_wrong_from_there_on(two_people):
    folder, predictions = two_people
    for people in predictions.values():
        for p in people:
            p["keypoints_cam"] = p["keypoints_cam"].copy()
            p["keypoints_cam"][9] = p["keypoints_cam"][8]  # right knee in the hip
    found = evaluate_one(folder, predictions)
    groups = found["per_joint_group"]["3DPCK_rel"]
    assert groups == dict.fromkeys(JOINT_GROUPS, 100) | {"Knee": 50, "Ankle": 50}
    assert found["3DPCK_rel"] == pytest.approx(100 * 12 / 14)
    visible = found["per_sequence"]["visible"]["per_joint"]["3DPCK_rel"]
    # The right wrist of the second person is visible.
    assert visible.tolist() == [[100.0] * 9 + [0, 0] + [100] * 3]


def test_means_are_over_sequences_not_people(tmp_path, caplog):
    """One sequence of 4 people all found, one of 1 person missed: half, not 4/5."""
    many = standing_people([[(-1000, 0, 4000), (1000, 0, 4000)]] * 2)
    one = standing_people([[(0, 0, 4000)]])
    folder = write_sequences(tmp_path, {"TS3": many, "TS9": one})
    predictions = perfect_predictions("TS3", many["annot2"], many["annot3"], many["valid"])
    with caplog.at_level(logging.WARNING):
        found = evaluate_mupots(folder, predictions, ["TS3", "TS9"])
    assert "in TS9: means of matched people are over the other sequences." in caplog.text
    assert found["3DPCK_rel"] == 50 and found["per_sequence"]["3DPCK_rel"].tolist() == [100, 0]
    assert found["visible"]["3DPCK_rel"] == 50
    # Of TS9 nobody is matched, which leaves it out of these.
    assert found["3DPCK_rel_matched"] == 100
    assert np.isnan(found["per_sequence"]["3DPCK_rel_matched"]).tolist() == [False, True]


def test_other_sequences_are_left_out(two_people, tmp_path, caplog):
    folder, predictions = two_people
    expected = evaluate_one(folder, predictions)
    (tmp_path / "TS2").mkdir()
    predictions["TS2/img_000999.jpg"] = predictions["TS1/img_000000.jpg"]
    # One of the test set's, of which no folder is needed.
    predictions["TS20/img_000999.jpg"] = predictions["TS1/img_000000.jpg"]
    (tmp_path / "mine").mkdir()
    predictions["mine/img_000000.jpg"] = predictions["TS1/img_000000.jpg"]
    with caplog.at_level(logging.INFO):
        assert str(evaluate_one(folder, predictions)) == str(expected)
    assert "3 images of other sequences are left out" in caplog.text


@pytest.mark.parametrize(
    ("image", "message"),
    [
        ("TS1/img_000003.jpg", "'frame': found 000003, expected one of the 3 frames of TS1"),
        ("TS21/img_000000.jpg", "'sequence': found TS21, expected a sequence of MuPoTS-3D, or"),
        ("TS1_img_000000", "'image': found TS1_img_000000, expected 'TS1/img_000000.jpg'"),
        ("TS1/img_0.jpg", "'image': found TS1/img_0.jpg, expected"),
        ("/data/mupots/TS1/img_000000.jpg", "'image': found /data/mupots/TS1/img_000000.jpg,"),
        ("./TS1/img_000000.jpg", "'image': found ./TS1/img_000000.jpg, expected 'TS1/img_"),
        ("../X/TS1/img_000000.jpg", "'image': found ../X/TS1/img_000000.jpg, expected 'TS1"),
        ("./img_000000.jpg", "'image': found ./img_000000.jpg, expected 'TS1/img_"),
        ("../img_000000.jpg", "'image': found ../img_000000.jpg, expected 'TS1/img_"),
        ("TS1/img_00000\u0663.jpg", "'image': found TS1/img_"),
        (7, "'image': found 7, expected 'TS1/img_000000.jpg'"),
    ],
)
def test_images_that_the_dataset_does_not_have(two_people, image, message):
    folder, predictions = two_people
    predictions[image] = []
    message = re.escape(f"predictions, image {image}: field {message}")
    with pytest.raises(DatasetError, match=message):
        evaluate_one(folder, predictions)


def test_sequences_that_are_not_there(two_people, tmp_path):
    folder, predictions = two_people
    with pytest.raises(DatasetError, match=r"no folder TS2, TS3.*TS20, expected .* 20 sequences"):
        evaluate_mupots(folder, predictions)
    with pytest.raises(DatasetError, match="no folder TS1,"):
        evaluate_mupots(tmp_path / "nothing", predictions)
    for sequences in ([], ["TS1", "TS1"]):
        with pytest.raises(ValueError, match="expected names, each once"):
            evaluate_mupots(folder, predictions, sequences)
