"""Human3.6M: round trip with either reading of the extrinsics, protocols, every broken file."""

import logging
import math

import numpy as np
import pytest

from hmor_d2.data.annotations import check_person
from hmor_d2.data.dataset_error import DatasetError, Where
from hmor_d2.data.datasets.human36m import HUMAN36M_SPLITS, load_human36m
from hmor_d2.skeleton import get_skeleton
from tests.data.bad_inputs import COCO_STYLE, assert_refused, assert_unreadable_refused
from tests.data.writers import write_json
from tests.data.writers_human36m import (
    human36m_contents,
    human36m_path,
    make_human36m_records,
    make_subject,
    write_human36m,
)

H36M17 = get_skeleton("h36m17")
PARTS = ("data", "camera", "joint_3d")


def assert_same(found: list[dict], expected: list[dict]) -> None:
    """Equal dataset dicts; pixels to 1e-6, millimetres to 1e-2 (float32 of some metres)."""
    assert len(found) == len(expected)
    for a, b in zip(found, expected, strict=True):
        assert a.keys() == b.keys()
        np.testing.assert_allclose(a["intrinsics"], b["intrinsics"], rtol=0, atol=1e-9)
        for field in a.keys() - {"intrinsics", "annotations"}:
            assert a[field] == b[field], field
        ((p,), (q,)) = a["annotations"], b["annotations"]
        assert p.keys() == q.keys()
        np.testing.assert_allclose(p["keypoints_cam"], q["keypoints_cam"], rtol=0, atol=1e-2)
        np.testing.assert_allclose(p["keypoints"], q["keypoints"], rtol=0, atol=1e-6)
        for field in p.keys() - {"keypoints_cam", "keypoints"}:
            np.testing.assert_array_equal(p[field], q[field], err_msg=field)


def load(root, subjects=(1,), frame_step=1, **kwargs) -> list[dict]:
    return load_human36m(str(root), subjects, frame_step=frame_step, **kwargs)


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


# Which file is broken, how, and what the message must say besides the file.
BROKEN = {
    "no camera": ("camera", lambda c: c.pop("3"), ["'3'", "['1', '2', '4']"]),
    "no cameras": ("camera", lambda c: c.clear(), ["'1'", "fields []"]),
    "no t": ("camera", lambda c: c["3"].pop("t"), ["camera 3", "'t'"]),
    "NaN in R": ("camera", lambda c: c["3"]["R"][1].__setitem__(0, math.nan), ["'R'", "finite"]),
    "R of 2 rows": ("camera", lambda c: c["3"]["R"].pop(), ["camera 3", "'R'", "(2, 3)"]),
    "R that scales": (
        "camera",
        lambda c: c["3"].update(R=(2 * np.array(c["3"]["R"])).tolist()),
        ["camera 3", "'R'", "a rotation"],
    ),
    "R that mirrors": (
        "camera",
        lambda c: c["3"].update(R=(-np.array(c["3"]["R"])).tolist()),
        ["camera 3", "'R'", "a rotation"],
    ),
    "one focal length": ("camera", lambda c: c["3"].update(f=1145.0), ["camera 3", "'f'", "()"]),
    "negative focal length": (
        "camera",
        lambda c: c["3"].update(f=[1145.0, -1145.0]),
        ["camera 3", "intrinsics", "-1145", "positive"],
    ),
    "t that fits neither way": (
        "camera",
        lambda c: c["3"].update(t=(-np.array(c["3"]["t"])).tolist()),
        ["camera 3", "R, t", "0 with R X + t, 0 with R (X - t), of 5 people", "their box"],
    ),
    "t in metres": (
        "camera",
        lambda c: c["3"].update(t=(np.array(c["3"]["t"]) / 1000).tolist()),
        ["camera 3", "R, t", "of 5 people"],
    ),
    "no frame": (
        "joint_3d",
        lambda c: c["3"]["2"].pop("1"),
        ["action 3, subaction 2, frame 1", "nothing", "image 13"],
    ),
    "no subaction": (
        "joint_3d",
        lambda c: c["3"].pop("2"),
        ["action 3, subaction 2, frame 0", "nothing", "image 12"],
    ),
    "no action": ("joint_3d", lambda c: c.pop("3"), ["action 3, subaction 2, frame 0", "nothing"]),
    "a list of actions": ("joint_3d", lambda c: c.update({"3": [1]}), ["action 3, subaction 2"]),
    "joint count": (
        "joint_3d",
        lambda c: c["2"]["1"]["2"].pop(),
        ["action 2, subaction 1, frame 2", "(16, 3)", "(17, 3)"],
    ),
    "joint count everywhere": (
        "joint_3d",
        lambda c: [
            pose.append([0.0] * 3) for s in c.values() for f in s.values() for pose in f.values()
        ],
        ["action 2, subaction 1, frame 0", "(18, 3)", "(17, 3)"],
    ),
    "no z": ("joint_3d", lambda c: c["2"]["1"]["1"][4].pop(), ["subaction 1, frame 1", "(17, 3)"]),
    "NaN joint": (
        "joint_3d",
        lambda c: c["2"]["1"]["1"][4].__setitem__(0, math.nan),
        ["action 2, subaction 1, frame 1", "finite"],
    ),
    "behind the camera": (
        "joint_3d",
        lambda c: c["2"]["1"]["1"].__setitem__(4, [9e4, 1e4, 0.0]),
        ["action 2, subaction 1, frame 1", "camera 1", "in front of"],
    ),
    "visibility count": (
        "data",
        lambda c: c["annotations"][2]["keypoints_vis"].append(1),
        ["image 2, annotation 502", "keypoints_vis", "(18,)"],
    ),
    "no visibility": (
        "data",
        lambda c: c["annotations"][2].pop("keypoints_vis"),
        ["image 2, annotation 502", "keypoints_vis"],
    ),
    "flat box": (
        "data",
        lambda c: c["annotations"][2].update(bbox=[1.0, 2.0, 3.0, 0.0]),
        ["image 2, annotation 502", "bbox", "[1.0, 2.0, 3.0, 0.0]", "positive"],
    ),
    "no person": ("data", lambda c: c["annotations"].pop(2), ["image 2", "none", "one person"]),
    "two people": (
        "data",
        lambda c: c["annotations"].append(c["annotations"][2] | {"id": 9}),
        ["image 2", "several", "one person"],
    ),
    "another subject": (
        "data",
        lambda c: c["images"][2].update(subject=5),
        ["image 2", "subject", "found 5", "expected 1"],
    ),
    "no frame_idx": ("data", lambda c: c["images"][2].pop("frame_idx"), ["image 2", "frame_idx"]),
    "half a frame": ("data", lambda c: c["images"][2].update(frame_idx=0.5), ["image 2", "0.5"]),
    "negative action": ("data", lambda c: c["images"][2].update(action_idx=-2), ["image 2", "-2"]),
    "no index": ("data", lambda c: c["images"][2].update(cam_idx=None), ["image 2", "cam_idx"]),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_files_are_refused(tmp_path, name):
    part, break_content, expected = BROKEN[name]
    contents = human36m_contents(make_subject(0))
    break_content(contents[part])
    write_human36m(tmp_path, 1, contents)
    with pytest.raises(DatasetError) as error:
        load(tmp_path)
    for text in (str(human36m_path(tmp_path, 1, part)), *expected):
        assert text in str(error.value)


@pytest.mark.parametrize("name", COCO_STYLE)
def test_broken_data_files_are_refused(tmp_path, name):
    contents = human36m_contents(make_subject(0, first_id=40))
    write_human36m(tmp_path, 1, contents)
    path = human36m_path(tmp_path, 1, "data")
    assert_refused(contents["data"], COCO_STYLE[name], path, lambda _: load(tmp_path))


@pytest.mark.parametrize("part", PARTS)
def test_unreadable_files_are_refused(tmp_path, part):
    contents = human36m_contents(make_subject(0))
    write_human36m(tmp_path, 1, contents)
    path = human36m_path(tmp_path, 1, part)
    assert_unreadable_refused(contents[part], path, lambda _: load(tmp_path))


def test_ids_are_unique_over_subjects(tmp_path):
    for number in (5, 6):
        write_human36m(tmp_path, number, human36m_contents(make_subject(number, number, 30)))
    with pytest.raises(DatasetError, match=r"subject6_data\.json, image 30.*subject 5") as error:
        load(tmp_path, (5, 6))
    assert "unique" in str(error.value)


def test_empty_choice_warns(tmp_path, caplog):
    write_human36m(tmp_path, 1, human36m_contents(make_subject(0)))
    with caplog.at_level(logging.WARNING, logger="hmor_d2"):
        assert load(tmp_path, skip_sequences=["s_01"]) == []
    assert "no image is left" in caplog.text
    write_json(human36m_path(tmp_path, 1, "data"), {"images": [], "annotations": []})
    assert load(tmp_path) == []


@pytest.mark.parametrize(
    ("subjects", "arguments"),
    [
        ((1,), {"frame_step": 0}),
        ((1, 5, 1), {}),
        ((1,), {"skip_sequences": "s_01_act_02"}),
        ((1,), {"skip_sequences": ["s_1_act_2"]}),
        ((1,), {"skip_sequences": ["s_01_act_02_subact_01_ca_01/"]}),
    ],
)
def test_arguments_out_of_range(tmp_path, subjects, arguments):
    write_human36m(tmp_path, 1, human36m_contents(make_subject(0)))
    with pytest.raises(ValueError, match="expected"):
        load_human36m(str(tmp_path), subjects, **arguments)
