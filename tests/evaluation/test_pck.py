"""Who was found, and PCK: cases worked out by hand, and real annotations as predictions."""

import math

import numpy as np
import pytest
from detectron2.structures import BoxMode

from hmor_d2.data.datasets import load_coco_keypoints
from hmor_d2.evaluation.pck import FoundPeople, match_people, torso_diagonals, torso_pck
from hmor_d2.evaluation.people import annotated_people
from hmor_d2.skeleton import get_skeleton
from tests.real_data import real_data

SIZE = (100, 200)  # height, width
NONE = np.zeros((0, 4))
TORSO = ("left_shoulder", "right_shoulder", "left_hip", "right_hip", "nose")
COCO17, MUCO17 = get_skeleton("coco17"), get_skeleton("muco17")


def boxes(*rows):
    return np.array(rows, dtype=float).reshape(-1, 4)


# Matching ----------------------------------------------------------------------------------


def test_the_better_score_chooses_and_one_person_is_found_once():
    people = boxes([0, 0, 10, 10], [20, 0, 30, 10])
    # IoU with the first person: 1, 0.8, 0.6; nobody looks at the second.
    predicted = boxes([0, 0, 10, 10], [0, 0, 8, 10], [0, 0, 6, 10])
    match, wrong = match_people(predicted, np.array([0.2, 0.9, 0.5]), people, NONE, SIZE, 0.5)
    assert match.tolist() == [-1, 0, -1] and wrong.tolist() == [True, False, True]


def test_the_threshold_is_met_by_an_equal_overlap():
    predicted, people = boxes([0, 0, 10, 10]), boxes([0, 0, 10, 5])
    for threshold, person in ((0.5, 0), (0.51, -1)):
        match, _ = match_people(predicted, np.ones(1), people, NONE, SIZE, threshold)
        assert match.tolist() == [person]


def test_all_boxes_end_with_the_image():
    """Outside they differ by far: of 100 px of width one sees 10 px."""
    predicted, people = boxes([190, 0, 210, 100]), boxes([190, 0, 290, 130])
    match, wrong = match_people(predicted, np.ones(1), people, NONE, SIZE, 0.95)
    assert match.tolist() == [0] and not wrong.any()
    # The crowd reaches over less than half of the prediction, but over what is in the image.
    match, wrong = match_people(predicted, np.ones(1), NONE, boxes([180, 0, 200, 100]), SIZE, 0.95)
    assert match.tolist() == [-1] and not wrong.any()


def test_crowds_take_predictions_but_are_no_people():
    crowd = boxes([0, 0, 100, 100])
    people = boxes([10, 10, 30, 60])
    predicted = boxes([10, 10, 30, 60], [40, 10, 60, 60], [90, 10, 112, 60], [150, 0, 180, 90])
    scores = np.array([0.9, 0.8, 0.7, 0.6])
    match, wrong = match_people(predicted, scores, people, crowd, SIZE, 0.5)
    assert match.tolist() == [0, -1, -1, -1]
    # In the crowd; 10 of 22 px of width in it; far from it.
    assert wrong.tolist() == [False, False, True, True]


def test_nobody_on_either_side():
    match, wrong = match_people(NONE, np.zeros(0), boxes([0, 0, 9, 9]), NONE, SIZE, 0.5)
    assert match.shape == wrong.shape == (0,)
    match, wrong = match_people(boxes([0, 0, 9, 9]), np.ones(1), NONE, NONE, SIZE, 0.5)
    assert match.tolist() == [-1] and wrong.tolist() == [True]


# Joints ------------------------------------------------------------------------------------

# Left shoulder to right hip: (30, 40), 50 px; right shoulder to left hip: (-5, 12), 13 px.
PERSON = np.array([[0.0, 0.0], [5, 28], [0, 40], [30, 40], [7, -9]])


def test_torso_is_the_usual_diagonal_or_else_the_other():
    known = np.array([[1, 1, 1, 1, 1], [1, 0, 0, 1, 0], [0, 1, 1, 1, 1], [1, 1, 1, 0, 1]], bool)
    lengths = torso_diagonals(np.tile(PERSON, (4, 1, 1)), known, TORSO)
    np.testing.assert_allclose(lengths, [50, 50, 13, 13])


def test_torso_of_people_and_joint_sets_without_it():
    known = np.array([[1, 1, 0, 0, 1], [0, 0, 0, 0, 0]], bool)
    pixels = np.where(known[..., None], PERSON, np.nan)
    assert np.isnan(torso_diagonals(pixels, known, TORSO)).all()
    hips = ("left_hip", "right_hip", "a", "b", "c")
    assert np.isnan(torso_diagonals(pixels, np.ones((2, 5), bool), hips)).all()
    one = (*TORSO[:1], "a", "b", *TORSO[3:])
    np.testing.assert_allclose(torso_diagonals(PERSON[None], np.ones((1, 5), bool), one), [50])


def test_pck_by_hand():
    """A torso of 50 px makes a radius of 10 px, which itself is too far."""
    offsets = np.array([[6.0, 8.0], [6.0, 7.99], [0, -9.9], [10.1, 0], [0, 0]])
    known = np.array([1, 1, 1, 1, 0], bool)
    correct, counted = torso_pck((PERSON + offsets)[None], PERSON[None], known[None], TORSO)
    assert correct.tolist() == [2] and counted.tolist() == [4]
    # With the other diagonal of 13 px the radius is 2.6 px.
    offsets = np.array([[2.5, 0.0], [2.7, 0], [0, 0], [0, 2.5], [99, 0]])
    known = np.array([0, 1, 1, 1, 1], bool)
    correct, counted = torso_pck((PERSON + offsets)[None], PERSON[None], known[None], TORSO)
    assert correct.tolist() == [2] and counted.tolist() == [4]


# Images together ---------------------------------------------------------------------------


def test_figures_by_hand():
    """Two images: of five people three are found, one of them without joints; two false alarms."""
    found = FoundPeople(TORSO, 0.5)
    people = boxes([0, 0, 40, 50], [100, 0, 140, 50], [150, 0, 190, 50])
    known = np.array([[1, 0, 0, 1, 1], [0, 0, 0, 0, 0], [1, 0, 0, 1, 1]], bool)
    predicted = boxes([101, 0, 141, 50], [0, 0, 40, 50], [60, 60, 90, 90])
    pixels = np.tile(PERSON, (3, 1, 1))
    pred_pixels = pixels + np.array([[[50.0, 0]], [[0.0, 9]], [[0.0, 0]]])
    match = found.add(
        predicted, np.array([0.9, 0.8, 0.7]), pred_pixels, people, pixels, known, NONE, SIZE
    )
    assert match.tolist() == [1, 0, -1]
    assert found.figures() == {
        "PCK@0.2": 1.0,
        "detection_rate": 2 / 3,
        "false_positives_per_person": 1 / 3,
        "false_positives_per_image": 1.0,
        "people": 3,
        "matched": 2,
        "matched_2d": 1,
        "joints_2d": 3,
    }
    # The next image's person is 12 px off in two of four joints, of 50 px of torso.
    offsets = np.array([[12.0, 0], [0, 12], [0, 0], [0, 0], [0, 0]])
    found.add(
        boxes([0, 0, 40, 50], [0, 0, 40, 50]),
        np.array([0.4, 0.3]),
        np.stack((PERSON + offsets, PERSON)),
        boxes([0, 0, 40, 50], [60, 0, 99, 50]),
        np.tile(PERSON, (2, 1, 1)),
        np.array([[1, 1, 0, 1, 1], [0, 0, 0, 0, 0]], bool),
        NONE,
        SIZE,
    )
    figures = found.figures()
    assert figures["PCK@0.2"] == pytest.approx((3 + 2) / (3 + 4))
    assert figures["detection_rate"] == 3 / 5
    assert figures["matched_2d"] == 2 and figures["joints_2d"] == 7
    assert figures["false_positives_per_person"] == 2 / 5
    assert figures["false_positives_per_image"] == 1
    assert found.compared_joints == ("left_shoulder", "right_shoulder", "right_hip", "nose")
    assert "4 joints: left_shoulder, right_shoulder, right_hip, nose." in found.describe_joints()


def test_nobody_makes_no_shares():
    found = FoundPeople(TORSO, 0.5)
    assert all(math.isnan(v) for k, v in found.figures().items() if "matched" not in k and v != 0)
    empty = np.zeros((0, 5, 2))
    found.add(NONE, np.zeros(0), empty, NONE, empty, np.zeros((0, 5), bool), NONE, SIZE)
    figures = found.figures()
    assert figures["people"] == figures["matched"] == figures["false_positives_per_image"] == 0
    for name in ("PCK@0.2", "detection_rate", "false_positives_per_person"):
        assert math.isnan(figures[name])
    for threshold in (0, 1.2):
        with pytest.raises(ValueError, match=rf"in \(0, 1\], found {threshold}"):
            FoundPeople(TORSO, threshold)


@pytest.mark.parametrize(
    ("skeleton", "joints"), [(COCO17, COCO17.joint_names), (MUCO17, COCO17.joint_names[5:])]
)
@pytest.mark.parametrize(("step", "correct"), [(0.0, 1), (0.199, 1), (0.201, 0)])
def test_real_photographs(skeleton, joints, step, correct):
    """The truth, moved by a share of the torso: all right below a fifth, all wrong above."""
    path = real_data("coco", "annotations", "person_keypoints_sample.json")
    records = load_coco_keypoints(str(path), str(path.parent))
    found = FoundPeople(skeleton.joint_names, 0.5)
    crowds = 0
    for record in records:
        people, crowd, _ = annotated_people(record, skeleton, "test")
        crowds += len(crowd)
        known = people["visibility"] > 0
        torso = np.nan_to_num(torso_diagonals(people["pixels"], known, skeleton.joint_names))
        # Crowds are predicted as well.
        predicted = np.concatenate((people["boxes"], crowd))
        pixels = people["pixels"] + step * torso[:, None, None] * [0.6, -0.8]
        pixels = np.concatenate((pixels, np.zeros((len(crowd), skeleton.num_joints, 2))))
        found.add(
            predicted,
            np.linspace(0.9, 0.5, len(predicted)),
            pixels,
            people["boxes"],
            people["pixels"],
            known,
            crowd,
            (record["height"], record["width"]),
        )
    figures = found.figures()
    annotated = [a for r in records for a in r["annotations"] if not a["iscrowd"]]
    assert all(a["bbox_mode"] == BoxMode.XYWH_ABS for a in annotated)
    flags = np.array([a["keypoints"] for a in annotated]).reshape(-1, 17, 3)[..., 2] > 0
    torso = (flags[:, 5] & flags[:, 12]) | (flags[:, 6] & flags[:, 11])
    assert figures["people"] == figures["matched"] == len(annotated) > 10
    assert figures["matched_2d"] == torso.sum() and 0 < torso.sum() < len(annotated)
    assert figures["detection_rate"] == 1 and figures["false_positives_per_person"] == 0
    assert figures["PCK@0.2"] == correct
    assert set(joints) <= set(found.compared_joints)
