"""Human3.6M: every broken file, and arguments out of range."""

import math

import numpy as np
import pytest

from hmor_d2.data.dataset_error import DatasetError
from hmor_d2.data.datasets.human36m import load_human36m
from tests.data.bad_inputs import COCO_STYLE, assert_refused, assert_unreadable_refused
from tests.data.human36m_records import load
from tests.data.writers_human36m import (
    human36m_contents,
    human36m_path,
    make_subject,
    write_human36m,
)

PARTS = ("data", "camera", "joint_3d")

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
