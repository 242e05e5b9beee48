"""Files of predictions: what is written is read again, and what is wrong is named."""

import json
import math

import numpy as np
import pytest
from scipy.io import savemat

from hmor_d2.data.dataset_error import DatasetError
from hmor_d2.evaluation.prediction_file import (
    read_predictions_json,
    read_predictions_mat,
    stack_predictions,
    write_predictions_json,
)
from hmor_d2.skeleton import get_skeleton
from tests.evaluation.mupots_scenes import STANDING, person

MUCO17 = get_skeleton("muco17")
FIRST, EMPTY, LAST = (f"TS2/img_00000{i}.jpg" for i in (4, 0, 1))


def make_predictions():
    """Two people, nobody, one person; lists as JSON gives them."""
    rng = np.random.default_rng(0)

    def someone():
        pixels = rng.uniform(0, 1900, (17, 2)).round(6)
        poses = (STANDING + rng.normal((0, 0, 4000), 50, (17, 3))).round(6)
        return person(pixels.tolist(), poses.tolist(), float(rng.random().__round__(6)))

    return {FIRST: [someone(), someone()], EMPTY: [], LAST: [someone()]}


def assert_holds(stacked, predictions, scores=True):
    people = [p for image in predictions.values() for p in image]
    assert stacked.names == tuple(predictions) and len(stacked) == 3
    assert stacked.image.tolist() == [0, 0, 2]
    assert stacked.keypoints.tolist() == [p["keypoints"] for p in people]
    assert stacked.keypoints_cam.tolist() == [p["keypoints_cam"] for p in people]
    assert stacked.scores.tolist() == [p["score"] if scores else 1 for p in people]


def write(path, content):
    path.write_text(json.dumps(content))
    return str(path)


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


def write_mat(folder, predictions, change=lambda pixels, poses: None):
    """As 3DMPPE's test script does; it writes no image without people."""
    variables = ({}, {})
    for image, people in predictions.items():
        for field, part in zip(("keypoints", "keypoints_cam"), variables, strict=True):
            name = image.replace("/", "_").removesuffix(".jpg")
            part[name] = np.array([p[field] for p in people])
    change(*variables)
    paths = [str(folder / f"preds_{d}d_kpt_mupots.mat") for d in (2, 3)]
    for path, part in zip(paths, variables, strict=True):
        savemat(path, part)
    return paths


def test_mat(tmp_path):
    predictions = make_predictions()
    stacked = read_predictions_mat(*write_mat(tmp_path, predictions), MUCO17)
    assert_holds(stacked, predictions, scores=False)


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


def make_points(number):
    """People whose joints are all in one place, but for rounding."""
    pixels, joints = np.full((17, 2), 5.0), np.full((17, 3), 3000.0)
    joints[:, 0] += np.arange(17) % 2 * 1e-5
    return [person(pixels.tolist(), joints.tolist()) for _ in range(number)]


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
