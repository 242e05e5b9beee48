"""Files of predictions: lengths in another unit than millimetres are noticed."""

import numpy as np
import pytest

from hmor_d2.data.dataset_error import DatasetError
from hmor_d2.evaluation.prediction_file import read_predictions_json, stack_predictions
from tests.evaluation.mupots_scenes import person
from tests.evaluation.prediction_scenes import (
    EMPTY,
    FIRST,
    LAST,
    MUCO17,
    assert_holds,
    make_predictions,
    write,
)


def make_points(number):
    """People whose joints are all in one place, but for rounding."""
    pixels, joints = np.full((17, 2), 5.0), np.full((17, 3), 3000.0)
    joints[:, 0] += np.arange(17) % 2 * 1e-5
    return [person(pixels.tolist(), joints.tolist()) for _ in range(number)]


@pytest.mark.parametrize(
    ("factor", "found"),
    [
        (1e-3, r"0\.\d+, as if in metres"),
        (0.1, r"\d\d\.?\d*, as if in centimetres"),
        (1e3, r"\d.*"),
    ],
)
def test_other_units(factor, found):
    predictions = make_predictions()
    for people in predictions.values():
        for p in people:
            p["keypoints_cam"] = np.multiply(p["keypoints_cam"], factor)
    # People in a point have no unit, and hide nobody's.
    predictions[LAST] += make_points(4)
    message = rf"first .*image {FIRST}, person 0: field 'keypoints_cam': found bones whose median "
    with pytest.raises(DatasetError, match=rf"{message}length is {found}, expected millimetres"):
        stack_predictions(predictions, MUCO17)


@pytest.mark.parametrize("factor", [0.3, 1, 5])
def test_people_of_other_sizes_are_millimetres(factor):
    """One person in a point does not make a file one in another unit, either."""
    predictions = make_predictions()
    for people in predictions.values():
        for p in people:
            p["keypoints_cam"] = np.multiply(p["keypoints_cam"], factor)
    predictions[LAST][0]["keypoints_cam"] = np.full((17, 3), 3000.0)
    assert len(stack_predictions(predictions, MUCO17)) == 3


@pytest.mark.parametrize("others", [2, 40])
def test_a_person_in_metres_among_others(others):
    predictions = make_predictions()
    predictions[EMPTY] = make_predictions()[FIRST] * (others // 2)
    metres = np.multiply(predictions[LAST][0]["keypoints_cam"], 1e-3).tolist()
    predictions[LAST].append(person(predictions[LAST][0]["keypoints"], metres))
    message = rf"image {LAST}, person 1: .*median length is 0\.\d+, as if in metres, expected mill"
    with pytest.raises(DatasetError, match=message):
        stack_predictions(predictions, MUCO17)


def test_people_in_points_alone():
    assert len(stack_predictions({FIRST: make_points(3)}, MUCO17)) == 3


def test_units_that_a_file_states(tmp_path):
    """A collapsed model's bones of 30 mm are believed where the file says what they are."""
    predictions = make_predictions()
    for people in predictions.values():
        for p in people:
            p["keypoints_cam"] = np.multiply(p["keypoints_cam"], 0.1).tolist()
    content = {"predictions": predictions}
    for units in ({}, {"units": {}}, {"units": {"keypoints": "px"}}):
        path = write(tmp_path / "of.json", content | units)
        with pytest.raises(DatasetError, match=r'as if in centimetres.*"units": {"key'):
            read_predictions_json(path, MUCO17)
    path = write(tmp_path / "of.json", content | {"units": {"keypoints_cam": "mm"}})
    assert_holds(read_predictions_json(path, MUCO17), predictions)
    for units in ({"keypoints_cam": "cm"}, "mm of course", 3):
        path = write(tmp_path / "of.json", content | {"units": units})
        with pytest.raises(DatasetError, match=r"of.json: field 'units': found .*expected {"):
            read_predictions_json(path, MUCO17)
