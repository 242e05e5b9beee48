"""MuPoTS-3D's real annotations: counts, reprojection, cameras, people, and the prepared JSON."""

import json

import numpy as np
import pytest

from hmor_d2.data.annotations import check_person
from hmor_d2.data.dataset_error import Where
from hmor_d2.data.datasets.mupots import load_mupots, load_mupots_json
from hmor_d2.data.datasets.mupots_annotations import MUPOTS_SEQUENCES
from tests.data.mupots_records import MUCO17, assert_same, keypoints_of
from tests.real_data import real_data

HIPS_AND_SPINE = [MUCO17.index(name) for name in ("right_hip", "left_hip", "spine")]
OTHERS = [j for j in range(17) if j not in HIPS_AND_SPINE]


def reprojection_errors(record: dict) -> np.ndarray:
    """(N, 17) pixels between the 2D joints and the pinhole projection of the 3D joints."""
    fx, fy, cx, cy = record["intrinsics"]
    joints = np.reshape([p["keypoints_cam"] for p in record["annotations"]], (-1, 17, 3))
    x, y, z = np.moveaxis(joints.astype(np.float64), -1, 0)
    pixels = np.stack((fx * x / z + cx, fy * y / z + cy), axis=-1)
    return np.linalg.norm(pixels - keypoints_of(record)[..., :2], axis=-1)


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


def test_real_annotations_are_prepared(tmp_path, prepare_mupots, real_records):
    root, output = real_data("mupots", "MultiPersonTestSet"), tmp_path / "MuPoTS-3D.json"
    prepare_mupots(["--root", str(root), "--output", str(output), "--sequences", "TS12", "TS18"])
    expected = [record for record in real_records if record["sequence"] in ("TS12", "TS18")]
    found = load_mupots_json(str(output), str(root))
    assert_same(found, expected, frozenset(("image_id", "person_id")))
