"""COCO keypoints: round trip, agreement with Detectron2's loader on real data, broken files."""

import logging
import math

import numpy as np
import pytest
from detectron2.data.datasets import load_coco_json
from detectron2.structures import BoxMode

from hmor_d2.data.annotations import check_person
from hmor_d2.data.dataset_error import DatasetError, Where
from hmor_d2.data.datasets import load_coco_keypoints
from hmor_d2.skeleton import get_skeleton
from tests.data.bad_inputs import COCO_STYLE, assert_refused, assert_unreadable_refused
from tests.data.writers import COCO_JOINTS, coco_content, write_json
from tests.real_data import real_data

COCO17 = get_skeleton("coco17")
ROOT = "/images/train2017"


def make_records(seed: int) -> list[dict]:
    """Three images of 3, 0 and 2 people; the last two without keypoints, the very last a crowd."""
    rng = np.random.default_rng(seed)
    records = []
    for image_id, count in ((17, 3), (4, 0), (90, 2)):
        people = []
        for i in range(count):
            flags = rng.integers(0, 3, (COCO_JOINTS, 1)) if image_id == 17 else np.zeros((17, 1))
            keypoints = np.hstack((rng.integers(0, 400, (COCO_JOINTS, 2)) + 0.5, flags))
            people.append(
                {
                    "bbox": [*rng.uniform(0, 50, 2).tolist(), *rng.uniform(9, 400, 2).tolist()],
                    "bbox_mode": BoxMode.XYWH_ABS,
                    "category_id": 0,
                    "iscrowd": int(image_id == 90 and i == 1),
                    "keypoints": (keypoints * (1 if flags.any() else 0)).ravel().tolist(),
                }
            )
        records.append(
            {
                "file_name": f"{ROOT}/{image_id:012d}.jpg",
                "image_id": image_id,
                "height": 427,
                "width": 640,
                "joint_set": "coco17",
                "annotations": people,
            }
        )
    return records


@pytest.fixture
def content() -> dict:
    return coco_content(make_records(0))


def without_zero_flags(records: list[dict]) -> list[dict]:
    """Sets joints of v = 0 to zero: their coordinates mean nothing."""
    for record in records:
        for person in record["annotations"]:
            keypoints = np.reshape(person["keypoints"], (-1, 3))
            person["keypoints"] = (keypoints * (keypoints[:, 2:] > 0)).ravel().tolist()
    return records


@pytest.mark.parametrize("seed", range(3))
def test_round_trip(tmp_path, seed):
    records = make_records(seed)
    path = write_json(tmp_path / "a.json", coco_content(records))
    assert without_zero_flags(load_coco_keypoints(path, ROOT)) == without_zero_flags(records)


def test_people_without_keypoints_and_crowds_keep_their_box(tmp_path, content):
    del content["annotations"][3]["keypoints"]
    content["annotations"][4]["keypoints"] = []
    records = load_coco_keypoints(write_json(tmp_path / "a.json", content), ROOT)
    single, crowd = records[2]["annotations"]
    assert (single["iscrowd"], crowd["iscrowd"]) == (0, 1)
    assert single["keypoints"] == crowd["keypoints"] == [0.0] * 51
    assert min(single["bbox"][2:]) > 0


@pytest.mark.parametrize(("given", "expected"), [(True, 1), (False, 0), (1.0, 1), (None, 0)])
def test_crowds_may_be_told_as_truth_values_or_not_at_all(tmp_path, content, given, expected):
    content["annotations"][0]["iscrowd"] = given
    if given is None:
        del content["annotations"][0]["iscrowd"]
    records = load_coco_keypoints(write_json(tmp_path / "a.json", content), ROOT)
    crowd = records[0]["annotations"][0]["iscrowd"]
    assert type(crowd) is int and crowd == expected


def test_a_folder_in_place_of_the_file_is_named(tmp_path):
    with pytest.raises(DatasetError, match=rf"{tmp_path.name}: found a folder.*JSON file"):
        load_coco_keypoints(str(tmp_path), ROOT)


def test_only_people_are_kept(tmp_path, content):
    content["categories"].append({"id": 18, "name": "dog"})
    content["annotations"][1]["category_id"] = 18
    content["annotations"][1]["keypoints"] = [1.0, 2.0, 2.0]
    path = write_json(tmp_path / "a.json", content)
    assert [len(r["annotations"]) for r in load_coco_keypoints(path, ROOT)] == [2, 0, 2]


def test_person_category_may_have_another_id(tmp_path, content):
    content["categories"][0]["id"] = 7
    for annotation in content["annotations"]:
        annotation["category_id"] = 7
    path = write_json(tmp_path / "a.json", content)
    records = load_coco_keypoints(path, ROOT, person_category_id=7)
    assert {p["category_id"] for r in records for p in r["annotations"]} == {0}
    assert sum(len(r["annotations"]) for r in records) == 5
    with pytest.raises(DatasetError, match=r"categories.*\[7\].*people's, 1"):
        load_coco_keypoints(path, ROOT)


def test_boxes_of_no_size_are_skipped_and_counted(tmp_path, content, caplog):
    # As annotation 2206849 of COCO 2017 train.
    content["annotations"][0]["bbox"] = [9.98, 188.56, 5.54, 0.0]
    path = write_json(tmp_path / "a.json", content)
    with caplog.at_level(logging.WARNING, logger="hmor_d2"):
        records = load_coco_keypoints(path, ROOT)
    assert [len(r["annotations"]) for r in records] == [2, 0, 2]
    assert "skipped 1 people" in caplog.text


BROKEN = COCO_STYLE | {
    "no categories": (lambda c: c.pop("categories"), ["'categories'"]),
    "null categories": (lambda c: c.update(categories=None), ["'categories'", "None", "a list"]),
    "category id in a list": (
        lambda c: c["categories"][0].update(id=[1]),
        ["'id'", "[1]"],
    ),
    "categories without people": (
        lambda c: c.update(categories=[{"id": 3}, {"id": "x"}]),
        ["categories", "[3, 'x']"],
    ),
    "no category": (
        lambda c: c["annotations"][1].pop("category_id"),
        ["image 17", "annotation 101", "category_id"],
    ),
    "joint count": (
        lambda c: c["annotations"][1]["keypoints"].extend([1, 1, 2]),
        ["annotation 101", "keypoints", "(54,)", "(51,)"],
    ),
    "NaN joint": (
        lambda c: c["annotations"][2]["keypoints"].__setitem__(3, math.nan),
        ["annotation 102", "keypoints", "finite"],
    ),
    "visibility": (
        lambda c: c["annotations"][2]["keypoints"].__setitem__(5, 3),
        ["annotation 102", "keypoints", "visibility"],
    ),
    "crowd in a text": (
        lambda c: c["annotations"][1].update(iscrowd="x"),
        ["image 17", "annotation 101", "iscrowd", "found x", "0 or 1"],
    ),
    "crowd of two": (
        lambda c: c["annotations"][1].update(iscrowd=2),
        ["annotation 101", "iscrowd", "found 2"],
    ),
    "crowd in a list": (
        lambda c: c["annotations"][1].update(iscrowd=[1]),
        ["annotation 101", "iscrowd", "found [1]"],
    ),
    "null crowd": (
        lambda c: c["annotations"][1].update(iscrowd=None),
        ["annotation 101", "iscrowd", "found None"],
    ),
    "other joints": (
        lambda c: c["categories"][0].update(keypoints=["nose"] * 17),
        ["categories", "nose"],
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_files_are_refused(tmp_path, content, name):
    path = tmp_path / "broken.json"
    assert_refused(content, BROKEN[name], path, lambda file: load_coco_keypoints(file, ROOT))


def test_unreadable_files_are_refused(tmp_path, content):
    path = tmp_path / "unreadable.json"
    assert_unreadable_refused(content, path, lambda file: load_coco_keypoints(file, ROOT))


def test_broken_mask_is_named_only_where_masks_are_kept(tmp_path, content):
    content["annotations"][1]["segmentation"] = {"size": [2, 2]}
    path = write_json(tmp_path / "a.json", content)
    assert len(load_coco_keypoints(path, ROOT)) == 3
    with pytest.raises(DatasetError, match=r"annotation 101.*counts"):
        load_coco_keypoints(path, ROOT, keep_segmentation=True)
    for mask, field in (([5], "segmentation"), ({"size": "22", "counts": [4]}, "size")):
        content["annotations"][1]["segmentation"] = mask
        path = write_json(tmp_path / "a.json", content)
        with pytest.raises(DatasetError, match=rf"annotation 101.*{field}"):
            load_coco_keypoints(path, ROOT, keep_segmentation=True)


@pytest.fixture
def sample() -> tuple[str, str]:
    folder = real_data("coco")
    return str(folder / "annotations/person_keypoints_sample.json"), str(folder / "images")


def test_real_sample(sample):
    records = load_coco_keypoints(*sample)
    people = [person for record in records for person in record["annotations"]]
    keypoints = np.array([person["keypoints"] for person in people]).reshape(-1, 17, 3)
    assert (len(records), len(people)) == (4, 14)
    assert (keypoints[..., 2] > 0).any(axis=1).sum() == 12
    for person in people:
        check_person(person, COCO17, Where(sample[0]))
    # Nearly all labelled joints lie in their box or next to it.
    boxes = np.array([person["bbox"] for person in people])
    low, high = boxes[:, None, :2], boxes[:, None, :2] + boxes[:, None, 2:]
    near = ((keypoints[..., :2] > low - 5) & (keypoints[..., :2] < high + 5)).all(axis=-1)
    assert near[keypoints[..., 2] > 0].mean() > 0.95


@pytest.mark.parametrize("keep_segmentation", [False, True])
def test_agrees_with_the_loader_of_detectron2(sample, keep_segmentation):
    expected = load_coco_json(*sample)
    for record in expected:
        record["joint_set"] = "coco17"
        for person in record["annotations"]:
            person["category_id"] -= 1
            if not keep_segmentation:
                person.pop("segmentation")
    found = load_coco_keypoints(*sample, keep_segmentation=keep_segmentation)
    assert sorted(found, key=lambda record: record["image_id"]) == expected


def test_run_length_masks_are_those_of_detectron2(tmp_path, content):
    content["annotations"][4]["segmentation"] = {"size": [4, 5], "counts": [3, 8, 9]}
    content["annotations"][2]["segmentation"] = [[0, 0, 4, 0]]  # two points: no polygon
    path = write_json(tmp_path / "a.json", content)
    expected = {record["image_id"]: record["annotations"] for record in load_coco_json(path, ROOT)}
    for record in load_coco_keypoints(path, ROOT, keep_segmentation=True):
        masks = [person.get("segmentation") for person in record["annotations"]]
        assert masks == [p.get("segmentation") for p in expected[record["image_id"]]]
