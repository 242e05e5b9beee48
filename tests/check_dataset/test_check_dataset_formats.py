"""tools/check_dataset.py on datasets of each format, generated and real."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from hmor_d2.data.checks import PUBLISHED_COUNTS
from hmor_d2.data.datasets.mupots import load_mupots
from tests.check_dataset.reports import READABLE, row, rows_by
from tests.data.bodies import standing_person
from tests.data.mpi_inf_3dhp import load_mpi_inf_3dhp
from tests.data.writers import coco_content, panoptic_camera, write_json, write_panoptic
from tests.real_data import real_data


def make_coco(folder: Path) -> dict:
    rng = np.random.default_rng(0)
    records = []
    for index in range(3):
        points = rng.uniform((20, 20), (180, 130), (2, 17, 2))
        flags = rng.integers(0, 3, (2, 17, 1))
        flags[:, 0] = 2
        points = np.where(flags > 0, points, 0)
        people = [
            {"bbox": [10.0, 10.0, 180.0, 130.0], "iscrowd": 0,
             "keypoints": np.hstack((p, f)).ravel().tolist()}
            for p, f in zip(points, flags, strict=True)
        ]  # fmt: skip
        name = f"{index:012d}.jpg"
        records.append({"file_name": name, "image_id": index, "height": 150, "width": 200,
                        "annotations": people})  # fmt: skip
        cv2.imwrite(str(folder / name), np.zeros((150, 200, 3), np.uint8))
    json_file = write_json(folder / "annotations/x.json", coco_content(records))
    return {"format": "coco", "json_file": json_file, "image_root": str(folder)}


def test_2d_data_skip_what_needs_3d(check, tmp_path):
    entry = make_coco(tmp_path)
    code, report = check(entry)
    assert code == 0
    assert rows_by(report, "skip") == {
        "field of view", "focal lengths fx / fy", "principal point off the middle",
        "2D joints against 3D joints", "lengths and distances of bodies",
    }  # fmt: skip
    assert row(report, "people with 3D joints")["value"] == "0"
    assert report["reprojection"] == {}


def test_panoptic_with_its_lens(check, tmp_path):
    camera = panoptic_camera("00_16", np.eye(3), (0.0, 100.0, 300.0))
    bodies = {0: standing_person(-90, 0, 0.4), 1: standing_person(60, 100, 2.0)}
    write_panoptic(tmp_path, "seq", [camera], {3: bodies, 4: {}})
    entry = {"format": "panoptic", "root": str(tmp_path), "sequences": ["seq"],
             "cameras": ["00_16"]}  # fmt: skip
    code, report = check(entry, "--annotations-only")
    assert code == 0, rows_by(report, "FAIL")
    assert "distorted and back by OpenCV, worst" in rows_by(report, "ok")
    # The images are empty files.
    code, report = check(entry)
    assert code == 1 and rows_by(report, "FAIL") == {READABLE}


def test_real_panoptic_images(check):
    """The 3D poses are pseudo ground truth; a few centimetres off, yet human."""
    entry = {"format": "panoptic", "root": str(real_data("panoptic")),
             "sequences": ["demo_haggling"], "cameras": ["00_03", "00_12", "00_23"]}  # fmt: skip
    code, report = check(entry, "--images", "all")
    assert code == 0, rows_by(report, "FAIL")
    assert row(report, READABLE)["value"] == "15 of 15"
    assert row(report, "people with 3D joints")["value"] == "44"
    assert max(found["median_px"] for found in report["reprojection"].values()) < 1e-3


@pytest.mark.parametrize("sequence", ["160906_band1", "160906_band2"])
def test_real_panoptic_poses(check, tmp_path, sequence):
    """Official 3D in all 31 HD cameras: exact against its projection through the lens."""
    folder = real_data("panoptic", sequence)
    content = json.loads((folder / f"calibration_{sequence}.json").read_text())
    cameras = [camera for camera in content["cameras"] if camera["type"] == "hd"]
    poses = folder / "hdPose3d_stage1_coco19"
    frames = [int(path.stem[-8:]) for path in poses.glob("*.json")]
    names = [camera["name"] for camera in cameras]
    target = write_panoptic(tmp_path, sequence, cameras, {}, images=dict.fromkeys(names, frames))
    (target / "hdPose3d_stage1_coco19").rmdir()
    (target / "hdPose3d_stage1_coco19").symlink_to(poses)
    entry = {"format": "panoptic", "root": str(tmp_path), "sequences": [sequence],
             "cameras": names}  # fmt: skip
    code, report = check(entry, "--annotations-only")
    assert code == 0, rows_by(report, "FAIL")
    assert row(report, "images")["value"] == str(31 * len(frames))
    assert "distorted and back by OpenCV, worst" in rows_by(report, "ok")
    assert max(found["median_px"] for found in report["reprojection"].values()) < 1e-3


def test_real_mupots(tool, registered, tmp_path):
    root = real_data("mupots", "MultiPersonTestSet")
    name = registered("check_real_mupots", lambda: load_mupots(str(root)), "muco17")
    report = tmp_path / "report.json"
    code = tool.main([name, "--annotations-only", "--output", str(report)])
    report = json.loads(report.read_text())
    assert code == 0, rows_by(report, "FAIL")
    published = PUBLISHED_COUNTS["mupots_test"]
    assert row(report, "images")["value"] == str(published.images)
    assert row(report, "people with 3D joints")["value"] == str(published.people_3d)
    loose = {"right_hip", "left_hip", "spine"}
    for joint, found in report["reprojection"].items():
        assert found["count"] == published.people_3d
        assert found["median_px"] < (3 if joint in loose else 0.1), joint
    assert {f"reprojection of {joint}" for joint in loose} <= rows_by(report, "-")


def test_real_coco(check):
    folder = real_data("coco")
    json_file = str(folder / "annotations/person_keypoints_sample.json")
    entry = {"format": "coco", "json_file": json_file, "image_root": str(folder / "images")}
    code, report = check(entry, "--images", "all")
    assert code == 0, rows_by(report, "FAIL")
    assert row(report, READABLE)["value"] == "4 of 4"
    assert row(report, "people with 2D joints")["value"] == "12"


def test_real_mpi_inf_3dhp(tool, registered, tmp_path):
    """Real 2048x2048 images of MuCo's source, with joints annotated in 2D and in 3D."""
    records = load_mpi_inf_3dhp(real_data("mpi_inf_3dhp"))
    name = registered("check_real_mpi_inf_3dhp", lambda: records, "muco17")
    report = tmp_path / "report.json"
    code = tool.main([name, "--images", "all", "--output", str(report)])
    report = json.loads(report.read_text())
    assert code == 0, rows_by(report, "FAIL")
    assert row(report, READABLE)["value"] == "4 of 4"
    for joint, found in report["reprojection"].items():
        assert 2 <= found["count"] <= 4
        limit = 3 if joint in ("right_hip", "left_hip", "spine") else 0.2
        assert found["worst_px"] < limit, joint
