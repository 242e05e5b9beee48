"""tools/check_dataset.py on generated figures: what passes, and what fails which rows."""

import json
import shutil

import pytest
from detectron2.data import DatasetCatalog, MetadataCatalog

from hmor_d2.data.checks import PUBLISHED_COUNTS, PublishedCounts
from tests.check_dataset.corruptions import (
    CORRUPTIONS,
    cut_image,
    forget_the_pixel_shift,
    of_images,
    shrink_image,
)
from tests.check_dataset.reports import LENGTHS, READABLE, muco_entry, row, rows_by
from tests.data.writers import write_json


def test_generated_muco_passes(check, toy, capsys):
    code, report = check(muco_entry(toy), "--images", "all")
    assert code == 0 and report["ok"], rows_by(report, "FAIL")
    assert rows_by(report, "skip") == {"distorted and back by OpenCV, worst"}
    assert LENGTHS | {"reprojection, median", "images present"} <= rows_by(report, "ok")
    assert row(report, "images present")["value"] == "12 of 12"
    assert row(report, "images readable, size as annotated")["value"] == "12 of 12"
    people = len(json.loads((toy / "train.json").read_text())["annotations"])
    for name in ("people", "people with 2D joints", "people with 3D joints"):
        assert row(report, name)["value"] == str(people)
    left_wrist = report["reprojection"]["left_wrist"]
    assert left_wrist["count"] == people and left_wrist["worst_px"] < 0.01
    table = capsys.readouterr().out
    for text in ("reprojection, median", "<= 0.1 px", "left_wrist", "ok"):
        assert text in table


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_corrupt_annotations_fail_their_rows(check, copy_of_toy, name):
    change, expected = CORRUPTIONS[name]
    path = copy_of_toy / "train.json"
    content = json.loads(path.read_text())
    change(content)
    write_json(path, content)
    code, report = check(muco_entry(copy_of_toy), "--images", "all")
    assert code == 1 and not report["ok"]
    assert rows_by(report, "FAIL") == expected


@pytest.mark.parametrize("corrupt", [cut_image, shrink_image])
def test_corrupt_images_are_found_and_named(check, copy_of_toy, corrupt):
    corrupt(copy_of_toy)
    code, report = check(muco_entry(copy_of_toy), "--images", "all", "--workers", "3")
    assert code == 1 and rows_by(report, "FAIL") == {READABLE}
    assert row(report, READABLE)["value"].startswith("11 of 12, e.g. ")
    assert str(copy_of_toy / "images") in row(report, READABLE)["value"]


def test_a_sample_of_the_images_is_read(check, copy_of_toy):
    code, report = check(muco_entry(copy_of_toy), "--images", "5")
    assert code == 0 and row(report, READABLE)["value"] == "5 of 5"


def test_annotations_only(check, copy_of_toy):
    shutil.rmtree(copy_of_toy / "images")
    code, report = check(muco_entry(copy_of_toy))
    assert code == 1 and row(report, "images present")["value"].startswith("0 of 12, missing e.g.")
    code, report = check(muco_entry(copy_of_toy), "--annotations-only")
    assert code == 0
    assert {"images present", "images readable"} <= rows_by(report, "skip")


def test_limits_are_options(check, copy_of_toy):
    path = copy_of_toy / "train.json"
    content = json.loads(path.read_text())
    of_images(forget_the_pixel_shift)(content)
    write_json(path, content)
    limits = ["--max-median-px", "0.8", "--max-worst-px", "0.6"]
    assert check(muco_entry(copy_of_toy), *limits)[0] == 1
    limits[-1] = "0.8"
    assert check(muco_entry(copy_of_toy), *limits)[0] == 0


def test_counts_are_compared_with_the_published_ones(check, toy, monkeypatch):
    people = len(json.loads((toy / "train.json").read_text())["annotations"])
    name = "check_published"
    right = PublishedCounts("a test", images=12, people=people, people_2d=people, people_3d=people)
    try:
        monkeypatch.setitem(PUBLISHED_COUNTS, name, right)
        assert check(muco_entry(toy), name=name)[0] == 0
        monkeypatch.setitem(PUBLISHED_COUNTS, name, PublishedCounts("a test", images=13))
        code, report = check(muco_entry(toy), name=name)
    finally:
        DatasetCatalog.remove(name)
        MetadataCatalog.remove(name)
    assert code == 1 and rows_by(report, "FAIL") == {"images"}
    assert row(report, "images")["limit"] == "13, published"
