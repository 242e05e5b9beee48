"""Files of predictions: what is written is read again."""

import json

import numpy as np

from hmor_d2.evaluation.prediction_file import (
    read_predictions_json,
    read_predictions_mat,
    stack_predictions,
    write_predictions_json,
)
from tests.evaluation.prediction_scenes import (
    FIRST,
    LAST,
    MUCO17,
    assert_holds,
    make_predictions,
    write,
    write_mat,
)


def test_json(tmp_path):
    predictions = make_predictions()
    for header in ({}, {"joint_set": "muco17", "method": "mine"}):
        path = write(tmp_path / "predictions.json", header | {"predictions": predictions})
        stacked = read_predictions_json(path, MUCO17)
        assert_holds(stacked, predictions)
        assert stacked.place(1) == f"{path}, image {FIRST}, person 1"
        assert stacked.place(2) == f"{path}, image {LAST}, person 0"


def test_what_is_written_is_read(tmp_path):
    predictions = make_predictions()
    path = str(tmp_path / "written.json")
    stacked = stack_predictions(predictions, MUCO17)
    write_predictions_json(path, stacked, MUCO17, {"dataset": "any"})
    assert_holds(read_predictions_json(path, MUCO17), predictions)
    with open(path) as file:
        content = json.load(file)
    assert content["dataset"] == "any" and content["joint_names"] == list(MUCO17.joint_names)
    write_predictions_json(path, stack_predictions({}, MUCO17), MUCO17, {})
    assert len(read_predictions_json(path, MUCO17)) == 0


def test_mat(tmp_path):
    predictions = make_predictions()
    stacked = read_predictions_mat(*write_mat(tmp_path, predictions), MUCO17)
    assert_holds(stacked, predictions, scores=False)


def test_arrays_of_any_precision():
    predictions = make_predictions()
    expected = stack_predictions(predictions, MUCO17)
    first, second = predictions[FIRST]
    first["keypoints"] = [np.array(joint) for joint in first["keypoints"]]
    first["score"] = np.float64(first["score"])
    second["keypoints_cam"] = np.array(second["keypoints_cam"]).astype(np.float32)
    predictions[LAST][0]["keypoints_cam"] = np.round(predictions[LAST][0]["keypoints_cam"]).astype(
        np.int16
    )
    found = stack_predictions(predictions, MUCO17)
    assert found.keypoints.tolist() == expected.keypoints.tolist()
    assert found.scores.tolist() == expected.scores.tolist()
    np.testing.assert_allclose(found.keypoints_cam, expected.keypoints_cam, atol=0.5)


def test_of_an_image_twice_the_last_counts(tmp_path):
    path = tmp_path / "twice.json"
    first, second = (json.dumps(make_predictions()[name]) for name in (FIRST, LAST))
    path.write_text(f'{{"predictions": {{"{LAST}": {first}, "{LAST}": {second}}}}}')
    stacked = read_predictions_json(str(path), MUCO17)
    assert stacked.names == (LAST,) and len(stacked) == 1
