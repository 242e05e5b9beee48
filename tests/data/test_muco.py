"""MuCo-3DHP: round trip, PoseNet's person filter, every broken file; check_person on its people."""

import copy
import functools
import math

import numpy as np
import pytest
from detectron2.structures import BoxMode

from hmor_d2.data.annotations import check_person
from hmor_d2.data.dataset_error import DatasetError, Where
from hmor_d2.data.datasets import load_muco_json
from hmor_d2.data.json_stream import stream_json_arrays
from hmor_d2.skeleton import get_skeleton
from tests.data.bad_inputs import COCO_STYLE, assert_refused, assert_unreadable_refused
from tests.data.same_images import people_of_same_images
from tests.data.writers import make_muco_records, muco_content, write_json

MUCO21 = get_skeleton("muco21")
ROOT = "/images/muco"


def assert_same(found: list[dict], expected: list[dict]) -> None:
    """Equal dataset dicts; half a pixel is added and taken away, keypoints are float32."""
    for mine, theirs in people_of_same_images(found, expected):
        assert len(mine) == len(theirs)
        for p, q in zip(mine, theirs, strict=True):
            assert p.keys() == q.keys()
            for field in p:
                rtol = 2**-24 if field == "keypoints" else 0
                np.testing.assert_allclose(p[field], q[field], rtol, atol=1e-9, err_msg=field)


@pytest.fixture
def content() -> dict:
    return muco_content(make_muco_records(0, [2, 0, 3], ROOT), ROOT)


@pytest.mark.parametrize("seed", range(3))
def test_round_trip(tmp_path, seed):
    records = make_muco_records(seed, [1, 4, 0, 2], ROOT)
    path = write_json(tmp_path / "MuCo-3DHP.json", muco_content(records, ROOT))
    assert_same(load_muco_json(path, ROOT), records)


def test_types_are_those_of_detectron2(tmp_path, content):
    path = write_json(tmp_path / "a.json", content)
    record = load_muco_json(path, ROOT)[0]
    person = record["annotations"][0]
    assert {type(v) for v in (*record["intrinsics"], *person["keypoints"], *person["bbox"])} == {
        float
    }
    assert person["keypoints_cam"].dtype == np.float32
    assert person["keypoints_cam_valid"].dtype == np.bool_
    assert isinstance(person["keypoints"], list) and person["bbox_mode"] == BoxMode.XYWH_ABS


def test_compact_keypoints_are_the_same_numbers(tmp_path, content):
    path = write_json(tmp_path / "a.json", content)
    found, expected = load_muco_json(path, ROOT, compact=True), load_muco_json(path, ROOT)
    for person in (person for record in found for person in record["annotations"]):
        assert person["keypoints"].shape == (63,) and person["keypoints"].dtype == np.float32
        person["keypoints"] = person["keypoints"].tolist()
    assert_same(found, expected)


def test_nobody_writes_into_what_all_people_share(tmp_path, content):
    path = write_json(tmp_path / "a.json", content)
    person = load_muco_json(path, ROOT, compact=True)[0]["annotations"][0]
    with pytest.raises(ValueError, match="read-only"):
        person["keypoints_cam_valid"][0] = False
    person["keypoints_cam"][0] = person["keypoints"][0] = 0  # these are the person's own


def test_two_d_joints_are_the_projection_of_the_three_d_joints(tmp_path, content):
    for record in load_muco_json(write_json(tmp_path / "a.json", content), ROOT):
        fx, fy, cx, cy = record["intrinsics"]
        for person in record["annotations"]:
            x, y, z = person["keypoints_cam"].astype(np.float64).T
            pixels = np.reshape(person["keypoints"], (-1, 3))[:, :2]
            np.testing.assert_allclose(
                pixels, np.stack((fx * x / z + cx, fy * y / z + cy), axis=1), rtol=1e-7
            )


def test_annotations_need_no_order(tmp_path, content):
    expected = load_muco_json(write_json(tmp_path / "a.json", content), ROOT)
    content["annotations"] = [content["annotations"][i] for i in (2, 0, 3, 1, 4)]
    assert_same(load_muco_json(write_json(tmp_path / "b.json", content), ROOT), expected)
    people_first = {"info": {"year": 2018}, "annotations": content["annotations"], **content}
    assert_same(load_muco_json(write_json(tmp_path / "c.json", people_first), ROOT), expected)


def test_ids_may_be_texts(tmp_path, content):
    expected = load_muco_json(write_json(tmp_path / "a.json", content), ROOT)
    for record in (*expected, *content["images"]):
        key = "id" if "id" in record else "image_id"
        record[key] = f"\u00e9{record[key]}"
    for person in content["annotations"]:
        person["image_id"] = f"\u00e9{person['image_id']}"
    assert_same(load_muco_json(write_json(tmp_path / "b.json", content), ROOT), expected)


def test_a_file_without_images_gives_nothing(tmp_path):
    path = write_json(tmp_path / "a.json", {"images": [], "annotations": []})
    assert load_muco_json(path, ROOT, min_root_distance_mm=500) == []


def test_batches_do_not_change_the_result(tmp_path, content, monkeypatch):
    path = write_json(tmp_path / "a.json", content)
    expected = load_muco_json(path, ROOT)
    small = functools.partial(stream_json_arrays, batch_size=2, chunk_size=100)
    monkeypatch.setattr("hmor_d2.data.datasets.muco_columns.stream_json_arrays", small)
    assert_same(load_muco_json(path, ROOT), expected)


def test_file_prefix_keeps_one_set(tmp_path):
    records = make_muco_records(1, [1, 2, 3, 4], ROOT)
    path = write_json(tmp_path / "a.json", muco_content(records, ROOT))
    assert_same(load_muco_json(path, ROOT, file_prefix="augmented_set/"), records[1::2])


def posenet_selection(people: list[dict], limit: float) -> list[int]:
    """3DMPPE PoseNet's choice, person by person: XY and 3D distance of roots, nearest always."""
    roots = [person["keypoints_cam"][MUCO21.root_index].astype(float) for person in people]
    nearest = min(range(len(roots)), key=lambda i: roots[i][2])
    kept = []
    for i, a in enumerate(roots):
        others = [b for j, b in enumerate(roots) if j != i]
        apart = all(
            math.hypot(a[0] - b[0], a[1] - b[1]) >= limit and math.dist(a, b) >= limit
            for b in others
        )
        if i == nearest or apart:
            kept.append(i)
    return kept


@pytest.mark.parametrize("limit", [500, 1200])
@pytest.mark.parametrize("seed", range(3))
def test_distance_filter_is_that_of_posenet(tmp_path, seed, limit):
    records = make_muco_records(seed, [1, 2, 3, 4, 4, 4], ROOT)
    path = write_json(tmp_path / "a.json", muco_content(records, ROOT))
    for record in records:
        people = record["annotations"]
        record["annotations"] = [people[i] for i in posenet_selection(people, limit)]
    found = load_muco_json(path, ROOT, min_root_distance_mm=limit)
    assert_same(found, records)
    assert 6 <= sum(len(r["annotations"]) for r in found) < (18 if limit > 1000 else 19)


def set_joint(content, joint, axis, value):
    content["annotations"][3]["keypoints_cam"][joint][axis] = value


BROKEN = COCO_STYLE | {
    "behind the camera": (lambda c: set_joint(c, 4, 2, -3.0), ["image 2", "annotation 3", "Z > 0"]),
    "in the camera plane": (lambda c: set_joint(c, 4, 2, 0.0), ["annotation 3", "keypoints_cam"]),
    "NaN joint": (lambda c: set_joint(c, 4, 0, math.nan), ["annotation 3", "finite"]),
    "infinite joint": (lambda c: set_joint(c, 4, 1, math.inf), ["annotation 3", "finite"]),
    "joint count": (
        lambda c: c["annotations"][1]["keypoints_cam"].pop(),
        ["image 0", "annotation 1", "(20, 3)", "(21, 3)"],
    ),
    "joint count everywhere": (
        lambda c: [a["keypoints_img"].pop() for a in c["annotations"]],
        ["annotation 0", "keypoints_img", "(20, 2)"],
    ),
    "no z": (
        lambda c: c["annotations"][2]["keypoints_cam"][5].pop(),
        ["annotation 2", "keypoints_cam"],
    ),
    "visibility count": (
        lambda c: c["annotations"][2]["keypoints_vis"].append(1),
        ["annotation 2", "keypoints_vis", "(22,)"],
    ),
    "flat box": (
        lambda c: c["annotations"][2].update(bbox=[3.0, 4.0, 10.0, 0.0]),
        ["annotation 2", "bbox", "[3.0, 4.0, 10.0, 0.0]", "positive"],
    ),
    "no keypoints_vis": (
        lambda c: c["annotations"][4].pop("keypoints_vis"),
        ["image 2", "annotation 4", "keypoints_vis"],
    ),
    "joint beyond float32": (
        lambda c: set_joint(c, 4, 0, 1e39),
        ["image 2", "annotation 3", "keypoints_cam", "1e+15"],
    ),
    "joints moved to a neighbour": (
        lambda c: c["annotations"][1]["keypoints_img"].append(
            c["annotations"][0]["keypoints_img"].pop()
        ),
        ["annotation 0", "keypoints_img", "(20, 2)"],
    ),
    "numbers moved to a neighbour": (
        lambda c: c["annotations"][1]["keypoints_img"][3].append(
            c["annotations"][1]["keypoints_img"][2].pop()
        ),
        ["annotation 1", "keypoints_img", "shape (21, 2)"],
    ),
    "images in an object": (lambda c: c.update(images={"a": 1}), ["'images'", "an array"]),
    "people in text": (lambda c: c["annotations"].append("me"), ["annotations[5]", "found me"]),
    "no focal length": (lambda c: c["images"][1].pop("f"), ["image 1", "'f'"]),
    "negative focal length": (
        lambda c: c["images"][1].update(f=[1500.0, -1500.0]),
        ["image 1", "intrinsics", "-1500", "positive"],
    ),
    "one focal length": (lambda c: c["images"][1].update(f=1500.0), ["image 1", "f, c", "1500"]),
    "focal lengths in a text": (
        lambda c: c["images"][1].update(f="15"),
        ["image 1", "f, c", "two numbers"],
    ),
    "focal lengths of texts": (
        lambda c: c["images"][1].update(f=["1500", "1500"]),
        ["image 1", "f, c", "two numbers"],
    ),
    "three centres": (lambda c: c["images"][1].update(c=[1, 2, 3]), ["image 1", "f, c"]),
    "NaN centre": (lambda c: c["images"][1].update(c=[math.nan, 2]), ["image 1", "finite"]),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_files_are_refused(tmp_path, content, name):
    path = tmp_path / "broken.json"
    assert_refused(content, BROKEN[name], path, lambda file: load_muco_json(file, ROOT))


def test_unreadable_files_are_refused(tmp_path, content):
    path = tmp_path / "unreadable.json"
    assert_unreadable_refused(content, path, lambda file: load_muco_json(file, ROOT))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"bbox": [0.0, 0.0, 5.0, 0.0]}, "bbox"),
        ({"bbox": [0.0, 0.0, math.nan, 5.0]}, "bbox"),
        ({"bbox": [0.0, 0.0, 5.0]}, "bbox"),
        ({"bbox": [9.0, 9.0, 5.0, 20.0], "bbox_mode": BoxMode.XYXY_ABS}, "bbox"),
        ({"bbox_mode": BoxMode.XYWHA_ABS}, "bbox"),
        ({"keypoints": [1.0] * 51}, "51 numbers, expected 63 for 'muco21'"),
        ({"keypoints": [math.inf, 1.0, 2.0] * 21}, "finite"),
        ({"keypoints": [None, 1.0, 2.0] * 21}, "finite"),
        ({"keypoints": [1.0, 1.0, 0.9] * 21}, "visibility"),
        ({"keypoints": np.float32([1.0, np.nan, 2.0] * 21)}, "'keypoints': .*finite"),
        ({"keypoints": np.float32([1.0, 1.0, 3.0] * 21)}, "visibility"),
        ({"keypoints_cam": np.ones((17, 3), np.float32)}, r"\(17, 3\), expected \(21, 3\)"),
        ({"keypoints_cam": np.full((21, 3), np.nan, np.float32)}, "keypoints_cam.*finite"),
        ({"keypoints_cam": [[None, 1.0, 2.0]] * 21}, "keypoints_cam.*finite"),
        ({"keypoints_cam_valid": np.ones(17, bool)}, "keypoints_cam_valid"),
    ],
)
def test_check_person_refuses(change, expected):
    person = make_muco_records(0, [1], ROOT)[0]["annotations"][0] | change
    with pytest.raises(DatasetError, match=expected) as error:
        check_person(person, MUCO21, Where("file.json", 3, 7))
    assert str(error.value).startswith("file.json, image 3, annotation 7: field '")


@pytest.mark.parametrize("field", ["bbox", "bbox_mode"])
def test_check_person_needs_a_box(field):
    person = make_muco_records(0, [1], ROOT)[0]["annotations"][0]
    del person[field]
    with pytest.raises(DatasetError, match=field):
        check_person(person, MUCO21, Where("file.json"))


@pytest.mark.parametrize("compact", [False, True])
def test_check_person_accepts_loaded_and_two_d_people(tmp_path, content, compact):
    path = write_json(tmp_path / "a.json", content)
    for record in load_muco_json(path, ROOT, compact=compact):
        for person in record["annotations"]:
            before = copy.deepcopy(person)
            check_person(person, MUCO21, Where("a.json"))
            np.testing.assert_equal(person, before)
            two_d = {k: v for k, v in person.items() if not k.startswith("keypoints_cam")}
            check_person(two_d, MUCO21, Where("a.json"))
            del two_d["keypoints"]
            check_person(two_d, MUCO21, Where("a.json"))
