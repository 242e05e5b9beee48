"""MuPoTS-3D as Moon's JSON: there and back as dataset dicts, and broken files."""

import logging
import math

import numpy as np
import pytest

from hmor_d2.data.annotations import check_person
from hmor_d2.data.dataset_error import Where
from hmor_d2.data.datasets.mupots import load_mupots_json
from tests.data.bad_inputs import COCO_STYLE, assert_refused, assert_unreadable_refused
from tests.data.mupots_records import MUCO17, assert_same
from tests.data.writers import write_json
from tests.data.writers_mupots import mupots_content

ROOT = "/images/MultiPersonTestSet"


@pytest.fixture
def json_records(mupots_tree) -> list[dict]:
    """Dataset dicts as the JSON gives them: its own ids, no ids of people."""
    _, records = mupots_tree
    for index, record in enumerate(records):
        name = f"{record['sequence']}/img_{record['frame']:06d}.jpg"
        record.update(image_id=1000 + index, file_name=f"{ROOT}/{name}")
        for person in record["annotations"]:
            del person["person_id"]
    return records


@pytest.fixture
def content(json_records) -> dict:
    return mupots_content(json_records, ROOT)


def test_json_round_trip(tmp_path, json_records, content, caplog):
    with caplog.at_level(logging.WARNING):
        found = load_mupots_json(write_json(tmp_path / "a.json", content), ROOT)
    assert_same(found, json_records)
    assert not caplog.records
    for record in found:
        for person in record["annotations"]:
            assert type(person["bbox"][0]) is type(person["keypoints"][0]) is float
            check_person(person, MUCO17, Where("a.json"))


def test_invalid_people_of_the_json_are_left_out_unread(tmp_path, json_records, content):
    content["annotations"][2].update(is_valid=0, bbox=[0, 0, 0, 0], keypoints_cam=None)
    image_id = content["annotations"][2]["image_id"]
    found = load_mupots_json(write_json(tmp_path / "a.json", content), ROOT)
    number = [r["image_id"] for r in found].index(image_id)
    # The first two frames of TS5 have 2 and 1 valid people.
    assert [len(r["annotations"]) for r in json_records[: number + 1]] == [2, 1]
    del json_records[number]["annotations"][0]
    assert_same(found, json_records)


def test_universal_skeletons_in_the_json_are_noticed(tmp_path, content, caplog):
    for person in content["annotations"]:
        joints = np.array(person["keypoints_cam"])
        person["keypoints_cam"] = (joints[14] + 0.85 * (joints - joints[14])).tolist()
    with caplog.at_level(logging.WARNING):
        load_mupots_json(write_json(tmp_path / "a.json", content), ROOT)
    assert "univ_annot3" in caplog.text


# Besides what breaks every file in COCO's layout.
BROKEN_JSON = COCO_STYLE | {
    "no is_valid": (
        lambda c: c["annotations"][1].pop("is_valid"),
        ["image {owner}, annotation {annotation}", "'is_valid'"],
    ),
    "is_valid of 2": (
        lambda c: c["annotations"][1].update(is_valid=2),
        ["image {owner}, annotation {annotation}", "'is_valid'", "found 2"],
    ),
    "NaN pixel": (
        lambda c: c["annotations"][1]["keypoints_img"][0].__setitem__(1, math.nan),
        ["annotation {annotation}", "keypoints_img", "finite"],
    ),
    "infinite joint": (
        lambda c: c["annotations"][1]["keypoints_cam"][0].__setitem__(1, math.inf),
        ["annotation {annotation}", "keypoints_cam", "finite"],
    ),
    "behind the camera": (
        lambda c: c["annotations"][1]["keypoints_cam"][2].__setitem__(2, -1.0),
        ["annotation {annotation}", "keypoints_cam", "-1.0 mm", "Z > 0"],
    ),
    "joint count": (
        lambda c: c["annotations"][1]["keypoints_cam"].pop(),
        ["annotation {annotation}", "keypoints_cam", "(16, 3)", "(17, 3)"],
    ),
    "no keypoints_vis": (
        lambda c: c["annotations"][1].pop("keypoints_vis"),
        ["annotation {annotation}", "keypoints_vis"],
    ),
    "flat box": (
        lambda c: c["annotations"][1].update(bbox=[1.0, 1.0, 0.0, 5.0]),
        ["annotation {annotation}", "bbox", "positive"],
    ),
    "no intrinsic": (lambda c: c["images"][1].pop("intrinsic"), ["image {image}", "'intrinsic'"]),
    "three intrinsics": (
        lambda c: c["images"][1].update(intrinsic=[1500.0, 1024.0, 1024.0]),
        ["image {image}", "'intrinsic'", "[1500.0, 1024.0, 1024.0]"],
    ),
    "negative focal length": (
        lambda c: c["images"][1].update(intrinsic=[1500.0, -1500.0, 1024.0, 1024.0]),
        ["image {image}", "intrinsics", "-1500", "positive"],
    ),
    "other file name": (
        lambda c: c["images"][1].update(file_name="0001.jpg"),
        ["image {image}", "'file_name'", "0001.jpg", "TS1/img_000000.jpg"],
    ),
}


@pytest.mark.parametrize("name", BROKEN_JSON)
def test_broken_json_is_refused(tmp_path, content, name):
    path = tmp_path / "broken.json"
    assert_refused(content, BROKEN_JSON[name], path, lambda p: load_mupots_json(p, ROOT))


def test_unreadable_json_is_refused(tmp_path, content):
    path = tmp_path / "unreadable.json"
    assert_unreadable_refused(content, path, lambda p: load_mupots_json(p, ROOT))
