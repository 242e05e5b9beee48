"""Files of predictions: what is wrong in them is named."""

import json
import math

import numpy as np
import pytest

from hmor_d2.data.dataset_error import DatasetError
from hmor_d2.evaluation.prediction_file import (
    read_predictions_json,
    read_predictions_mat,
    stack_predictions,
)
from tests.evaluation.prediction_scenes import (
    FIRST,
    LAST,
    MUCO17,
    make_predictions,
    write,
    write_mat,
)

FIRST_MAT, EMPTY_MAT = "TS2_img_000004", "TS2_img_000000"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda a, b: b.pop(FIRST_MAT),
            r"3d_kpt_mupots.mat: field 'TS2_img_000004': found no such",
        ),
        (
            lambda a, b: a.pop(FIRST_MAT),
            r"2d_kpt_mupots.mat: field 'TS2_img_000004': found no such",
        ),
        (
            lambda a, b: b.update({FIRST_MAT: b[FIRST_MAT][:1]}),
            r"3d_kpt.*'TS2_img_000004': found 1 people, expected 2 as in",
        ),
        (
            lambda a, b: b.update({EMPTY_MAT: b[FIRST_MAT]}),
            r"3d_kpt.*'TS2_img_000000': found 2 people, expected 0 as in",
        ),
        (
            lambda a, b: a.update({FIRST_MAT: a[FIRST_MAT][:, :14]}),
            r"2d_kpt.*'TS2_img_000004': found shape \(2, 14, 2\), expected \(people, 17, 2\)",
        ),
        (
            lambda a, b: b.update({FIRST_MAT: b[FIRST_MAT][0]}),
            r"3d_kpt.*'TS2_img_000004': found shape \(17, 3\), expected \(people, 17, 3\)",
        ),
        (
            lambda a, b: [part.update(preds=part.pop(FIRST_MAT)) for part in (a, b)],
            r"'preds': .*expected names like TS1_img_000000",
        ),
        (
            lambda a, b: b[FIRST_MAT].__setitem__((1, 3, 2), math.nan),
            r"image TS2/img_000004.jpg, person 1: field 'keypoints_cam': found .*expected finite",
        ),
        (
            lambda a, b: a.update({FIRST_MAT: np.array(["x", "y"])}),
            "2d_kpt.*'TS2_img_000004'",
        ),
    ],
)
def test_bad_mat(tmp_path, change, message):
    paths = write_mat(tmp_path, make_predictions(), change)
    with pytest.raises(DatasetError, match=message):
        read_predictions_mat(*paths, MUCO17)


def test_files_that_cannot_be_read(tmp_path):
    text = tmp_path / "text.mat"
    text.write_text("{}")
    with pytest.raises(DatasetError, match=r"text.mat: found a file that cannot be read"):
        read_predictions_mat(str(text), str(text), MUCO17)
    nothing = str(tmp_path / "nothing")
    for read in (
        lambda: read_predictions_mat(nothing, nothing, MUCO17),
        lambda: read_predictions_json(nothing, MUCO17),
    ):
        with pytest.raises(FileNotFoundError, match="nothing: found no such file"):
            read()
    whole = json.dumps({"predictions": make_predictions()})
    cut = tmp_path / "cut.json"
    cut.write_text(whole[:-30])
    with pytest.raises(DatasetError, match=r"cut.json: found broken JSON"):
        read_predictions_json(str(cut), MUCO17)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (make_predictions(), "field 'predictions': found fields .*TS2/img"),
        ([], r"field 'predictions': found \[\]"),
        ({"predictions": []}, r"field 'predictions': found \[\], expected an object"),
        (
            {"predictions": {}, "joint_set": "coco17"},
            "field 'joint_set': found 'coco17', expected 'muco17'|"
            "field 'joint_set': found coco17, expected 'muco17'",
        ),
    ],
)
def test_bad_content(tmp_path, content, message):
    path = write(tmp_path / "bad.json", content)
    with pytest.raises(DatasetError, match=f"bad.json: {message}"):
        read_predictions_json(path, MUCO17)


def set_joint(field, value):
    return lambda p: p[field][5].__setitem__(1, value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p: p.pop("keypoints"), r"'keypoints': found fields \['keypoints_cam', 'score'\]"),
        (lambda p: p.pop("keypoints_cam"), "'keypoints_cam': found fields"),
        (lambda p: p.pop("score"), "'score': found fields"),
        (lambda p: p.update(keypoints=[]), r"'keypoints': found shape \(0,\)"),
        (lambda p: p["keypoints"].pop(), r"'keypoints': found shape \(16, 2\).* \(17, 2\)"),
        (lambda p: p["keypoints_cam"][5].pop(), r"'keypoints_cam': .*expected numbers of shape"),
        (
            lambda p: p.update(keypoints=np.zeros((17, 3)).tolist()),
            r"'keypoints': found shape \(17, 3\), expected shape \(17, 2\)",
        ),
        (set_joint("keypoints", math.nan), "'keypoints': .*expected finite numbers"),
        (set_joint("keypoints_cam", math.inf), "'keypoints_cam': .*expected finite numbers"),
        (set_joint("keypoints_cam", None), "'keypoints_cam': .*expected finite numbers"),
        (set_joint("keypoints_cam", "x"), "'keypoints_cam': .*expected numbers"),
        (set_joint("keypoints_cam", 10**400), "'keypoints_cam': .*expected numbers"),
        (set_joint("keypoints", "12.5"), "'keypoints': .*expected numbers"),
        (
            lambda p: p.update(keypoints=[[str(x), str(y)] for x, y in p["keypoints"]]),
            "'keypoints': .*expected numbers",
        ),
        (set_joint("keypoints_cam", True), "'keypoints_cam': .*expected real numbers, not true"),
        (lambda p: p.update(score="0.9"), "'score': found '?0.9'?, expected numbers"),
        (lambda p: p.update(score=True), "'score': found True, expected real numbers, not true"),
        (lambda p: p.update(score=10**400), "'score': found 10.*, expected numbers of shape"),
        (lambda p: p.update(score=math.nan), "'score': found nan"),
        (lambda p: p.update(score=[0.5]), "'score': found shape"),
        (
            lambda p: p.update(keypoints=np.zeros((17, 2)).tolist()),
            r"'keypoints': found no joint: all are \(0, 0\), which means not predicted",
        ),
    ],
)
def test_bad_people(tmp_path, change, message):
    predictions = make_predictions()
    change(predictions[FIRST][1])
    path = write(tmp_path / "bad.json", {"predictions": predictions})
    with pytest.raises(DatasetError, match=rf"bad.json, image {FIRST}, person 1: field {message}"):
        read_predictions_json(path, MUCO17)


@pytest.mark.parametrize("people", [{"keypoints": []}, "text", 3, None])
def test_people_that_are_no_list(people):
    with pytest.raises(DatasetError, match=f"predictions: field '{LAST}': .*a list of people"):
        stack_predictions(make_predictions() | {LAST: people}, MUCO17)


@pytest.mark.parametrize("someone", [None, 3, "text", [1, 2]])
def test_people_that_are_no_objects(someone):
    predictions = make_predictions() | {LAST: [someone]}
    with pytest.raises(DatasetError, match=f"image {LAST}, person 0: .*an object with this field"):
        stack_predictions(predictions, MUCO17)


@pytest.mark.parametrize("dtype", [bool, "U4", complex, object])
def test_arrays_of_what_is_no_real_number(dtype):
    predictions = make_predictions()
    pixels = np.asarray(predictions[LAST][0]["keypoints"]).round().astype(dtype)
    predictions[LAST][0]["keypoints"] = pixels
    message = f"image {LAST}, person 0: field 'keypoints': found .*expected (real )?numbers"
    with pytest.raises(DatasetError, match=f"(?s){message}"):
        stack_predictions(predictions, MUCO17)
