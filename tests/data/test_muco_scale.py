"""MuCo's records where they are many: the cache, memory, and Detectron2's own tools."""

import logging
import os
import subprocess
import sys

import numpy as np
import pytest
from detectron2.data import DatasetCatalog, MetadataCatalog, get_detection_dataset_dicts
from detectron2.data import detection_utils as utils
from detectron2.data import transforms as T
from detectron2.utils.visualizer import Visualizer

from hmor_d2.data import DatasetError, json_stream, register_muco
from hmor_d2.data.build import SerializedRecords
from hmor_d2.data.datasets import load_muco_json
from tests.data.test_muco import assert_same
from tests.data.writers import make_muco_records, muco_content, write_json

ROOT = "/images/muco"


@pytest.fixture
def path(tmp_path, monkeypatch) -> str:
    """A file that is cached although it is small."""
    monkeypatch.setenv("HMOR_D2_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("hmor_d2.data.datasets.muco._WORTH_CACHING", 0)
    records = make_muco_records(0, [2, 0, 3, 1], ROOT)
    return write_json(tmp_path / "MuCo-3DHP.json", muco_content(records, ROOT))


def parse_count(monkeypatch) -> list[str]:
    """A list that gets the file at each parse."""
    from hmor_d2.data.datasets import muco

    parsed, read = [], muco.read_muco_columns
    monkeypatch.setattr(muco, "read_muco_columns", lambda file: parsed.append(file) or read(file))
    return parsed


FILTERS = [
    {},
    {"file_prefix": "augmented_set/"},
    {"min_root_distance_mm": 1200},
    {"file_prefix": "unaugmented_set/", "min_root_distance_mm": 500, "compact": True},
]


def test_all_filters_share_one_cache(path, monkeypatch, tmp_path):
    expected = [load_muco_json(path, ROOT, cache=False, **options) for options in FILTERS]
    assert not (tmp_path / "cache").exists()
    parsed = parse_count(monkeypatch)
    for options, records in zip(FILTERS, expected, strict=True):
        found = load_muco_json(path, ROOT, **options)
        assert_same(found, records)
        assert type(found[0]["image_id"]) is int and type(found[0]["height"]) is int
        assert [type(p["keypoints"]) for r in found for p in r["annotations"]] == [
            type(p["keypoints"]) for r in records for p in r["annotations"]
        ]
    assert parsed == [path] and len(list(tmp_path.glob("cache/*.npz"))) == 1


def test_records_from_the_cache_may_be_changed(path):
    for _ in range(2):
        person = load_muco_json(path, ROOT, compact=True)[0]["annotations"][0]
        person["keypoints"][0] = person["keypoints_cam"][0, 0] = 7


def test_small_files_are_not_cached(path, monkeypatch, tmp_path):
    monkeypatch.undo()
    monkeypatch.setenv("HMOR_D2_CACHE", str(tmp_path / "cache"))
    load_muco_json(path, ROOT)
    assert not (tmp_path / "cache").exists()


def test_broken_files_leave_no_cache(path, tmp_path):
    with open(path, "a") as file:
        file.write("]")
    for _ in range(2):
        with pytest.raises(DatasetError, match="broken JSON"):
            load_muco_json(path, ROOT)
    assert not [name for name in os.listdir(tmp_path / "cache") if not name.endswith(".lock")]


def test_people_are_not_read_one_by_one(tmp_path, monkeypatch):
    """Else loading all of MuCo takes minutes: the parser that reads many at once must be used."""
    records = make_muco_records(0, [3] * 300, ROOT)
    path = write_json(tmp_path / "MuCo-3DHP.json", muco_content(records, ROOT))
    calls, read = [], json_stream._Reader.value
    monkeypatch.setattr(json_stream._Reader, "value", lambda self: calls.append(1) or read(self))
    assert_same(load_muco_json(path, ROOT), records)
    assert len(calls) < 40  # of 1200 images and people


def test_a_folder_in_place_of_the_file_is_named(tmp_path):
    with pytest.raises(DatasetError, match=rf"{tmp_path.name}: found a folder"):
        load_muco_json(str(tmp_path), ROOT)


@pytest.fixture
def dataset(path):
    register_muco("muco_scale_test", path, ROOT, compact=True)
    yield "muco_scale_test"
    DatasetCatalog.remove("muco_scale_test")
    MetadataCatalog.remove("muco_scale_test")


def test_detectron2_filters_the_records(dataset):
    assert len(get_detection_dataset_dicts(dataset, filter_empty=True)) == 3
    assert len(get_detection_dataset_dicts(dataset, filter_empty=False, min_keypoints=43)) == 1


def test_detectron2_transforms_and_draws_the_people(dataset):
    record = get_detection_dataset_dicts(dataset)[0]
    before = [person["keypoints"].copy() for person in record["annotations"]]
    transforms = T.TransformList([T.ResizeTransform(2048, 2048, 1024, 1024)])
    people = [
        utils.transform_instance_annotations(dict(person), transforms, (1024, 1024))
        for person in record["annotations"]
    ]
    instances = utils.annotations_to_instances(people, (1024, 1024))
    expected = np.stack([k.reshape(-1, 3)[:, :2] / 2 for k in before])
    found = instances.gt_keypoints.tensor.numpy()
    inside = found[..., 2] > 0
    assert inside.any()
    np.testing.assert_allclose(found[inside][:, :2], expected[inside], rtol=1e-6)
    for person, keypoints in zip(record["annotations"], before, strict=True):
        np.testing.assert_array_equal(person["keypoints"], keypoints)
    blank = np.zeros((2048, 2048, 3), np.uint8)
    picture = Visualizer(blank, MetadataCatalog.get(dataset)).draw_dataset_dict(record)
    assert picture.get_image().any()


def test_serialized_records_are_the_records(path, caplog):
    records = load_muco_json(path, ROOT, compact=True)
    with caplog.at_level(logging.INFO):
        serialized = SerializedRecords(records)
    assert "4 images" in caplog.text
    assert_same(list(serialized), records)
    serialized[0]["annotations"].clear()  # a copy each time
    assert_same([serialized[0]], records[:1])
    with pytest.raises(IndexError):
        serialized[4]


# Imports are most of a small process, so the peak before loading is taken off.
MEASURE = """
import re, sys
from hmor_d2.data.build import SerializedRecords
from hmor_d2.data.datasets import load_muco_json
def peak():  # getrusage begins with the parent's
    with open("/proc/self/status") as file:
        return int(re.search(r"VmHWM:\\s+(\\d+)", file.read()).group(1)) * 1024

base = peak()
SerializedRecords(load_muco_json(sys.argv[1], "", cache=False, compact=True))
print(peak() - base)
"""


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="memory is read from /proc")
def test_memory_is_a_fraction_of_that_of_json_load(tmp_path):
    """20 000 people: 4 kB each are 4 GB for MuCo's million; json.load takes 13 kB."""
    records = make_muco_records(0, [20] * 10, ROOT)
    content = muco_content(records, ROOT)
    people = content["annotations"]
    content["annotations"] = [people[i % len(people)] | {"id": i} for i in range(20_000)]
    path = write_json(tmp_path / "many.json", content)
    command = [sys.executable, "-W", "ignore", "-c", MEASURE, path]
    taken = int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert 1e7 < taken < 20_000 * 4e3
