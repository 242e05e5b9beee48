"""CMU Panoptic: which frames, and which of the folders of poses, are taken."""

import logging

import pytest

from hmor_d2.data.dataset_error import DatasetError
from tests.data.panoptic_sequences import CAMERAS, NAMES, load, make_body
from tests.data.writers import write_panoptic


def test_a_number_of_frames_is_chosen_from_those_of_all_cameras(tmp_path, caplog):
    frames = {f: {0: make_body(f)} for f in range(8)}
    images = {"00_16": [0, 1, 2, 3, 4], "00_30": [2, 3, 4, 5, 6]}
    write_panoptic(tmp_path, "seq", CAMERAS, frames, images=images)
    with caplog.at_level(logging.WARNING, logger="hmor_d2"):
        records = load(tmp_path, cameras=NAMES, num_frames=2)
    assert [(r["camera"], r["frame"]) for r in records] == [(n, f) for n in NAMES for f in (2, 4)]
    assert not caplog.text
    with caplog.at_level(logging.WARNING, logger="hmor_d2"):
        assert len(load(tmp_path, cameras=NAMES, num_frames=4)) == 6
    assert "seq: found 3 frames, expected 4" in caplog.text


def test_an_empty_folder_of_poses_is_passed_over(tmp_path):
    frames = {0: {0: make_body(0, 15)}}
    folder = write_panoptic(tmp_path, "seq", CAMERAS, frames, pose_folder="hdPose3d_stage1")
    (folder / "hdPose3d_stage1_coco19").mkdir()
    assert [record["joint_set"] for record in load(tmp_path)] == ["panoptic15"]
    with pytest.raises(DatasetError, match=r"hdPose3d_stage1_coco19 with body3DScene"):
        load(tmp_path, joint_set="panoptic19")


def test_frames_need_an_image_and_an_annotation(tmp_path, caplog):
    frames = {f: {0: make_body(f)} for f in range(6)}
    images = {"00_16": [2, 3, 4, 9], "00_30": [3, 4, 5]}
    write_panoptic(tmp_path, "seq", CAMERAS, frames, images=images)
    (tmp_path / "seq/hdImgs/00_16/notes_00000001.jpg").touch()
    with caplog.at_level(logging.INFO, logger="hmor_d2"):
        records = load(tmp_path, cameras=NAMES)
    found = [(r["camera"], r["frame"]) for r in records]
    assert found == [(n, f) for n, fs in (("00_16", (2, 3, 4)), ("00_30", (3, 4, 5))) for f in fs]
    assert "1 images have no annotation" in caplog.text
    assert "3 images taken, 1 of the chosen frames have none" in caplog.text


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ({}, list(range(10, 31))),
        ({"frames": range(12, 15)}, [12, 13, 14]),
        ({"frames": {"seq": [29, 11], "other": [3]}}, [11, 29]),
        ({"frame_step": 7}, [14, 21, 28]),
        ({"num_frames": 5}, [10, 15, 20, 25, 30]),
        ({"num_frames": 1}, [10]),
        ({"num_frames": 100}, list(range(10, 31))),
        ({"frame_step": 5, "frames": range(20), "num_frames": 1}, [10]),
    ],
)
def test_choice_of_frames(tmp_path, choice, expected):
    body = make_body(0)
    write_panoptic(tmp_path, "seq", CAMERAS, {f: {0: body} for f in range(10, 31)})
    assert [record["frame"] for record in load(tmp_path, **choice)] == expected


def test_missing_frames_that_were_asked_for_are_counted(tmp_path, caplog):
    write_panoptic(tmp_path, "seq", CAMERAS, {f: {0: make_body(0)} for f in range(4)})
    with caplog.at_level(logging.WARNING, logger="hmor_d2"):
        assert len(load(tmp_path, frames=[1, 3, 50])) == 2
    assert "1 of 3 frames asked for" in caplog.text


def test_older_sequences_have_15_joints(tmp_path):
    frames = {0: {0: make_body(0, 15)}}
    write_panoptic(tmp_path, "old", CAMERAS, frames, pose_folder="hdPose3d_stage1")
    write_panoptic(tmp_path, "new", CAMERAS, {0: {0: make_body(0)}})
    write_panoptic(tmp_path, "new", CAMERAS, frames, pose_folder="hdPose3d_stage1")
    both = load(tmp_path, ("old", "new"))
    assert [record["joint_set"] for record in both] == ["panoptic15", "panoptic19"]
    assert [len(r["annotations"][0]["keypoints"]) for r in both] == [45, 57]
    insisting = load(tmp_path, ("old", "new"), joint_set="panoptic15")
    assert [record["joint_set"] for record in insisting] == ["panoptic15", "panoptic15"]
    with pytest.raises(DatasetError, match=r"old.*hdPose3d_stage1_coco19"):
        load(tmp_path, ("old",), joint_set="panoptic19")
