"""MuPoTS-3D as dataset dicts: both packagings there and back, broken JSON, the real test set."""

import importlib.util
import json
import logging
import math
import os
from pathlib import Path

import numpy as np
import pytest
from detectron2.structures import BoxMode

from hmor_d2.data.annotations import check_person
from hmor_d2.data.dataset_error import DatasetError, Where
from hmor_d2.data.datasets.mupots import load_mupots, load_mupots_json, mupots_boxes
from hmor_d2.data.datasets.mupots_annotations import MUPOTS_SEQUENCES
from hmor_d2.skeleton import get_skeleton
from tests.data.bad_inputs import COCO_STYLE, assert_refused, assert_unreadable_refused
from tests.data.writers import write_json
from tests.data.writers_mupots import (
    INTRINSICS,
    make_mupots_arrays,
    mupots_content,
    write_mupots_sequence,
)
from tests.real_data import real_data

MUCO17 = get_skeleton("muco17")
HIPS_AND_SPINE = [MUCO17.index(name) for name in ("right_hip", "left_hip", "spine")]
OTHERS = [j for j in range(17) if j not in HIPS_AND_SPINE]
ROOT = "/images/MultiPersonTestSet"


def assert_same(found: list[dict], expected: list[dict], ignored: frozenset = frozenset()) -> None:
    """Equal dataset dicts; coordinates to 1e-9 px, as half a pixel is added and taken away."""
    assert len(found) == len(expected)
    for a, b in zip(found, expected, strict=True):
        assert a.keys() - ignored == b.keys() - ignored
        np.testing.assert_allclose(a["intrinsics"], b["intrinsics"], rtol=0, atol=1e-9)
        for field in a.keys() - {"intrinsics", "annotations"} - ignored:
            assert a[field] == b[field], field
        assert len(a["annotations"]) == len(b["annotations"])
        for p, q in zip(a["annotations"], b["annotations"], strict=True):
            assert p.keys() - ignored == q.keys() - ignored
            for field in p.keys() - ignored:
                np.testing.assert_allclose(p[field], q[field], rtol=0, atol=1e-9, err_msg=field)


def keypoints_of(record: dict) -> np.ndarray:
    return np.reshape([p["keypoints"] for p in record["annotations"]], (-1, 17, 3))


def reprojection_errors(record: dict) -> np.ndarray:
    """(N, 17) pixels between the 2D joints and the pinhole projection of the 3D joints."""
    fx, fy, cx, cy = record["intrinsics"]
    joints = np.reshape([p["keypoints_cam"] for p in record["annotations"]], (-1, 17, 3))
    x, y, z = np.moveaxis(joints.astype(np.float64), -1, 0)
    pixels = np.stack((fx * x / z + cx, fy * y / z + cy), axis=-1)
    return np.linalg.norm(pixels - keypoints_of(record)[..., :2], axis=-1)


# The test set as distributed


def expected_records(root: str, name: str, arrays: dict, size: tuple[int, int]) -> list[dict]:
    """Dataset dicts of a sequence, person by person; the box by its corners."""
    fx, fy, cx, cy = INTRINSICS
    records = []
    for i, valid in enumerate(arrays["valid"]):
        people = []
        for p in np.flatnonzero(valid):
            points = arrays["annot2"][i, p] + 0.5
            counted = np.delete(points, MUCO17.index("spine"), axis=0)
            (x0, y0), (x1, y1) = counted.min(axis=0), counted.max(axis=0)
            flags = [1.0 if hidden else 2.0 for hidden in arrays["occluded"][i, p]]
            people.append(
                {
                    "bbox": [
                        x0 - 0.1 * (x1 - x0),
                        y0 - 0.1 * (y1 - y0),
                        1.2 * (x1 - x0),
                        1.2 * (y1 - y0),
                    ],
                    "bbox_mode": BoxMode.XYWH_ABS,
                    "category_id": 0,
                    "iscrowd": 0,
                    "keypoints": [v for j in range(17) for v in (*points[j], flags[j])],
                    "keypoints_cam": arrays["annot3"][i, p].astype(np.float32),
                    "keypoints_cam_valid": np.ones(17, bool),
                    "person_id": p,
                }
            )
        records.append(
            {
                "file_name": f"{root}/{name}/img_{i:06d}.jpg",
                "image_id": f"{name}/img_{i:06d}",
                "width": size[0],
                "height": size[1],
                "intrinsics": [fx, fy, cx + 0.5, cy + 0.5],
                "joint_set": "muco17",
                "sequence": name,
                "frame": i,
                "annotations": people,
            }
        )
    return records


@pytest.fixture
def tree(tmp_path) -> tuple[str, list[dict]]:
    """A test set of three sequences, some people of them invalid, and its dataset dicts."""
    root, records = tmp_path / "MultiPersonTestSet", []
    for seed, (name, size) in enumerate(
        [("TS5", (2048, 2048)), ("TS6", (1920, 1080)), ("TS20", (1920, 1080))]
    ):
        arrays = make_mupots_arrays(seed, 6, 2 + seed % 2)
        arrays["valid"][1, 0] = False
        arrays["valid"][4] = False
        write_mupots_sequence(root / name, arrays)
        records += expected_records(str(root), name, arrays, size)
    return str(root), records


TREE = ["TS5", "TS6", "TS20"]


def test_raw_round_trip(tree):
    root, expected = tree
    found = load_mupots(root, sequences=TREE)
    for a, b in zip(found, expected, strict=True):
        # The camera is fitted to rounded joints.
        np.testing.assert_allclose(a["intrinsics"], b["intrinsics"], rtol=0, atol=0.02)
        b["intrinsics"] = a["intrinsics"]
    assert_same(found, expected)
    assert_same(load_mupots(root, sequences=["TS20"]), expected[12:])


def test_types_are_those_of_detectron2(tree):
    root, _ = tree
    for record in load_mupots(root, sequences=TREE):
        assert type(record["frame"]) is int
        for person in record["annotations"]:
            numbers = (*record["intrinsics"], *person["keypoints"], *person["bbox"])
            assert {type(value) for value in numbers} == {float}
            assert type(person["person_id"]) is int
            assert person["keypoints_cam"].dtype == np.float32
            assert person["keypoints_cam_valid"].dtype == np.bool_
            check_person(person, MUCO17, Where("annot.mat"))


def test_every_sequence_is_asked_for_by_default(tree):
    root, _ = tree
    with pytest.raises(DatasetError, match=r"TS1/annot\.mat: found nothing"):
        load_mupots(root)


@pytest.mark.parametrize("sequences", ["TS5", ["TS5", "TS21"]])
def test_unknown_sequences_are_refused(tree, sequences):
    with pytest.raises(ValueError, match="expected a list of TS1"):
        load_mupots(tree[0], sequences=sequences)


def test_people_without_extent_are_refused(tmp_path):
    arrays = make_mupots_arrays(0, 9, 2)
    arrays["annot2"][7, 1] = 5.0
    write_mupots_sequence(tmp_path / "TS2", arrays)
    with pytest.raises(DatasetError, match=r"TS2/annot\.mat, frame 7, person 1: field 'annot2'"):
        load_mupots(str(tmp_path), sequences=["TS2"])


# Moon's JSON


@pytest.fixture
def json_records(tree) -> list[dict]:
    """Dataset dicts as the JSON gives them: its own ids, no ids of people."""
    _, records = tree
    for index, record in enumerate(records):
        name = f"{record['sequence']}/img_{record['frame']:06d}.jpg"
        record.update(image_id=1000 + index, file_name=f"{ROOT}/{name}")
        for person in record["annotations"]:
            del person["person_id"]
    return records


@pytest.fixture
def content(json_records) -> dict:
    return mupots_content(json_records, ROOT)


def test_a_broken_spine_does_not_widen_the_box():
    rng = np.random.default_rng(0)
    points = rng.uniform(500, 700, (1, 17, 2))
    others = np.delete(points[0], MUCO17.index("spine"), axis=0)
    points[0, MUCO17.index("spine")] = (1500, 20)
    (box,) = mupots_boxes(points)
    middle = (others.max(axis=0) + others.min(axis=0)) / 2
    np.testing.assert_allclose(box[2:], 1.2 * (others.max(axis=0) - others.min(axis=0)))
    np.testing.assert_allclose(box[:2] + box[2:] / 2, middle)


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


# datasets/prepare_mupots.py


@pytest.fixture(scope="module")
def prepare():
    path = Path(__file__).parents[2] / "datasets" / "prepare_mupots.py"
    spec = importlib.util.spec_from_file_location("prepare_mupots", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.main


def test_prepared_json_gives_the_records_of_the_raw_set(tree, tmp_path, prepare, capsys):
    root, _ = tree
    output = tmp_path / "new" / "MuPoTS-3D.json"
    arguments = ["--root", root, "--output", str(output), "--sequences", *TREE]
    prepare(arguments)
    assert "18 images, 32 of 42 people valid" in capsys.readouterr().out
    found = load_mupots_json(str(output), root)
    assert [record["image_id"] for record in found] == list(range(18))
    ignored = frozenset(("image_id", "person_id"))
    assert_same(found, load_mupots(root, sequences=TREE), ignored)

    written = output.read_bytes()
    prepare(arguments)
    assert output.read_bytes() == written
    assert [path.name for path in output.parent.iterdir()] == ["MuPoTS-3D.json"]


def test_a_failing_preparation_leaves_the_old_file(tree, tmp_path, prepare):
    output = tmp_path / "MuPoTS-3D.json"
    output.write_text("old")
    with pytest.raises(SystemExit, match=r"TS7/annot\.mat: found nothing"):
        prepare(["--root", tree[0], "--output", str(output), "--sequences", "TS5", "TS7"])
    assert output.read_text() == "old"


def test_an_interrupted_write_leaves_the_old_file(tree, tmp_path, prepare, monkeypatch):
    output = tmp_path / "MuPoTS-3D.json"
    output.write_text("old")

    def disk_is_full(descriptor):
        raise OSError("No space left on device")

    monkeypatch.setattr(os, "fsync", disk_is_full)
    with pytest.raises(OSError, match="No space"):
        prepare(["--root", tree[0], "--output", str(output), "--sequences", "TS5"])
    assert output.read_bytes() == b"old"
    assert not list(tmp_path.glob(f"{output.name}.*"))


# The real test set's annotations


@pytest.fixture(scope="module")
def real_records() -> list[dict]:
    return load_mupots(str(real_data("mupots", "MultiPersonTestSet")))


def test_real_counts(real_records):
    assert len(real_records) == 8370
    assert sum(len(record["annotations"]) for record in real_records) == 20760
    statistics = json.loads(real_data("mupots", "derived_intrinsics_and_stats.json").read_text())
    for name, expected in zip(MUPOTS_SEQUENCES, statistics, strict=True):
        records = [record for record in real_records if record["sequence"] == name]
        assert name == f"TS{expected['ts']}"
        assert [record["frame"] for record in records] == list(range(expected["frames"]))
        people = [person for record in records for person in record["annotations"]]
        assert len(people) == expected["valid"]
        assert {p["person_id"] for p in people} == set(range(expected["persons"]))
        flags = np.concatenate([keypoints_of(record)[..., 2].ravel() for record in records])
        assert set(flags) == {1.0, 2.0}
        # The file gives three digits.
        assert np.mean(flags == 1) == pytest.approx(expected["occ"], abs=0.002)


def test_real_joints_reproject(real_records):
    errors = np.concatenate([reprojection_errors(record) for record in real_records])[:, OTHERS]
    assert errors.shape == (20760, 14)
    assert np.median(errors, axis=0).max() < 0.005
    assert np.percentile(errors, 99.9) < 0.1


def test_real_intrinsics(real_records):
    statistics = json.loads(real_data("mupots", "derived_intrinsics_and_stats.json").read_text())
    firsts = {r["sequence"]: r for r in real_records if r["frame"] == 0}
    for expected in statistics:
        fx, fy, cx, cy = firsts[f"TS{expected['ts']}"]["intrinsics"]
        found = [fx, fy, cx - 0.5, cy - 0.5]
        np.testing.assert_allclose(found, expected["robust_fx_fy_cx_cy"], rtol=0, atol=0.05)


def test_real_people_are_right_and_seen(real_records):
    for record in real_records:
        for person in record["annotations"]:
            check_person(person, MUCO17, Where("annot.mat", record["image_id"]))
        points, size = keypoints_of(record)[..., :2], (record["width"], record["height"])
        assert ((points > 0) & (points < size)).all(axis=-1).any(axis=-1).all()


def test_real_annotations_are_prepared(tmp_path, prepare, real_records):
    root, output = real_data("mupots", "MultiPersonTestSet"), tmp_path / "MuPoTS-3D.json"
    prepare(["--root", str(root), "--output", str(output), "--sequences", "TS12", "TS18"])
    expected = [record for record in real_records if record["sequence"] in ("TS12", "TS18")]
    found = load_mupots_json(str(output), str(root))
    assert_same(found, expected, frozenset(("image_id", "person_id")))
