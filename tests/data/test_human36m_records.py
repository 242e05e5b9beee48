"""Human3.6M: round trip with either reading of the extrinsics, choices of frames, protocols."""

import logging

import numpy as np
import pytest

from hmor_d2.data.annotations import check_person
from hmor_d2.data.dataset_error import Where
from hmor_d2.data.datasets.human36m import HUMAN36M_SPLITS
from hmor_d2.skeleton import get_skeleton
from tests.data.human36m_records import assert_same, load
from tests.data.writers import write_json
from tests.data.writers_human36m import (
    human36m_contents,
    human36m_path,
    make_human36m_records,
    make_subject,
    write_human36m,
)

H36M17 = get_skeleton("h36m17")


# Cameras whose t is meant as R (X - t).
@pytest.mark.parametrize("positions", [(), (1, 2, 3, 4), (2, 3)], ids=["plus", "minus", "mixed"])
@pytest.mark.parametrize("seed", range(2))
def test_round_trip(tmp_path, positions, seed):
    subject = make_subject(seed)
    write_human36m(tmp_path, 1, human36m_contents(subject, positions))
    expected = make_human36m_records(tmp_path, subject)
    found = load(tmp_path)
    assert_same(found, expected)
    people = [record["annotations"][0] for record in found]
    flags = np.array([person["keypoints"] for person in people])[:, 2::3]
    assert set(np.unique(flags)) == {1, 2} and (flags == 2).mean() > 0.5
    for person in people:
        check_person(person, H36M17, Where("file.json"))
        assert {type(v) for v in (*person["keypoints"], *person["bbox"])} == {float}
        assert person["keypoints_cam"].dtype == np.float32
        assert person["keypoints_cam_valid"].dtype == np.bool_


def test_subjects_have_cameras_and_readings_of_their_own(tmp_path):
    subjects = [make_subject(0, 9), make_subject(1, 11, first_id=20)]
    for subject, positions in zip(subjects, ((), (1, 2, 3, 4)), strict=True):
        contents = human36m_contents(subject, positions)
        write_human36m(tmp_path, subject.number, contents)
    expected = [make_human36m_records(tmp_path, subject) for subject in subjects]
    assert_same(load(tmp_path, (9, 11)), expected[0] + expected[1])
    assert_same(load(tmp_path, (11, 9)), expected[1] + expected[0])


@pytest.mark.parametrize("step", [5, 64])
def test_frames_are_those_that_the_step_divides(tmp_path, step):
    subject = make_subject(0, frames={(2, 1): 66, (16, 2): 5})
    contents = human36m_contents(subject)
    # What is not asked for need not be whole.
    contents["joint_3d"]["2"]["1"]["63"] = []
    contents["data"]["annotations"][63]["bbox"] = None
    write_human36m(tmp_path, 1, contents)
    records = load(tmp_path, frame_step=step)
    assert_same(records, make_human36m_records(tmp_path, subject, step))
    count = len(range(0, 66, step)) + 1
    assert len(records) == 4 * count
    assert {r["frame"] for r in records} == set(range(0, 66, step))


def test_annotations_and_images_need_no_order(tmp_path):
    subject = make_subject(0)
    contents = human36m_contents(subject)
    contents["data"]["annotations"].reverse()
    write_human36m(tmp_path, 1, contents)
    expected = make_human36m_records(tmp_path, subject)
    assert_same(load(tmp_path), expected)
    contents["data"]["images"].reverse()
    write_human36m(tmp_path, 1, contents)
    assert_same(load(tmp_path), expected[::-1])


def test_absent_and_skipped_recordings(tmp_path):
    frames = {(2, 1): 2, (2, 2): 2, (12, 2): 2}
    subject = make_subject(0, 11, frames=frames, absent={(2, 2, 1)})
    write_human36m(tmp_path, 11, human36m_contents(subject))
    expected = make_human36m_records(tmp_path, subject)
    assert len(expected) == 2 * (4 + 3 + 4)
    assert_same(load(tmp_path, (11,)), expected)
    for skip, kept in (
        (["s_11_act_02_subact_02"], lambda r: (r["action"], r["subaction"]) != (2, 2)),
        (
            ["s_11_act_12_subact_02_ca_03", "s_11_act_02"],
            lambda r: r["action"] == 12 and r["camera"] != 3,
        ),
        (["s_09"], lambda r: True),
    ):
        found = load(tmp_path, (11,), skip_sequences=skip)
        assert_same(found, [record for record in expected if kept(record)])


def test_protocols_train_and_test_on_different_subjects():
    everyone = {1, 5, 6, 7, 8, 9, 11}
    for protocol in ("p1", "p2"):
        (train, train_step), (test, test_step) = (
            HUMAN36M_SPLITS[f"{protocol}_{split}"] for split in ("train", "test")
        )
        assert set(train) | set(test) == everyone and not set(train) & set(test)
        assert (train_step, test_step) == (5, 64)
    assert HUMAN36M_SPLITS["p1_test"][0] == (11,) and HUMAN36M_SPLITS["p2_test"][0] == (9, 11)


def test_a_person_outside_the_box_is_counted(tmp_path, caplog):
    subject = make_subject(0, frames={(2, 1): 3})
    contents = human36m_contents(subject, {2})
    contents["data"]["annotations"][4]["bbox"] = [0.0, 0.0, 10.0, 10.0]
    write_human36m(tmp_path, 1, contents)
    expected = make_human36m_records(tmp_path, subject)
    expected[4]["annotations"][0]["bbox"] = [0.0, 0.0, 10.0, 10.0]
    with caplog.at_level(logging.WARNING, logger="hmor_d2"):
        assert_same(load(tmp_path), expected)
    (message,) = caplog.messages
    assert "camera 2" in message and "R (X - t); 1 of 3 people" in message


def test_empty_choice_warns(tmp_path, caplog):
    write_human36m(tmp_path, 1, human36m_contents(make_subject(0)))
    with caplog.at_level(logging.WARNING, logger="hmor_d2"):
        assert load(tmp_path, skip_sequences=["s_01"]) == []
    assert "no image is left" in caplog.text
    write_json(human36m_path(tmp_path, 1, "data"), {"images": [], "annotations": []})
    assert load(tmp_path) == []
