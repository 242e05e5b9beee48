"""CMU Panoptic: broken sequences and wrong arguments are refused, each with its place."""

import json
from pathlib import Path

import numpy as np
import pytest

from hmor_d2.data.dataset_error import DatasetError
from hmor_d2.data.datasets import load_panoptic
from tests.data.panoptic_sequences import CAMERAS, load, make_body
from tests.data.writers import write_json, write_panoptic


def edit(path: Path, change) -> None:
    content = json.loads(path.read_text())
    change(content)
    write_json(path, content)


def edit_calibration(change):
    return lambda f: edit(f / "calibration_seq.json", lambda c: change(c["cameras"][0]))


def edit_body(change):
    path = "hdPose3d_stage1_coco19/body3DScene_00000005.json"
    return lambda f: edit(f / path, lambda c: change(c["bodies"][0]))


BROKEN = {
    "no calibration": (
        lambda f: (f / "calibration_seq.json").unlink(),
        ["calibration_seq.json", "DETECTRON2_DATASETS"],
    ),
    "no cameras": (
        lambda f: edit(f / "calibration_seq.json", lambda c: c.pop("cameras")),
        ["calibration_seq.json", "'cameras'"],
    ),
    "no such camera": (
        edit_calibration(lambda c: c.update(name="00_17")),
        ["calibration_seq.json", "00_16", "00_17"],
    ),
    "VGA camera": (edit_calibration(lambda c: c.update(type="vga")), ["camera 00_16", "'hd'"]),
    "no K": (edit_calibration(lambda c: c.pop("K")), ["camera 00_16", "'K'"]),
    "flat K": (edit_calibration(lambda c: c.update(K=[1] * 9)), ["'K'", "(9,)", "(3, 3)"]),
    "skew": (edit_calibration(lambda c: c["K"][0].__setitem__(1, 2.0)), ["'K'", "skew"]),
    "negative focal length": (
        edit_calibration(lambda c: c["K"][1].__setitem__(1, -1394.0)),
        ["camera 00_16", "intrinsics", "-1394"],
    ),
    "four distortions": (edit_calibration(lambda c: c["distCoef"].pop()), ["distCoef", "(4,)"]),
    "NaN rotation": (
        edit_calibration(lambda c: c["R"][1].__setitem__(0, float("nan"))),
        ["camera 00_16", "'R'", "finite"],
    ),
    "no size": (edit_calibration(lambda c: c.pop("resolution")), ["resolution"]),
    "fractional size": (
        edit_calibration(lambda c: c.update(resolution=[1920.5, 1080])),
        ["width", "1920.5"],
    ),
    "no poses": (
        lambda f: (f / "hdPose3d_stage1_coco19").rename(f / "poses"),
        ["hdPose3d_stage1_coco19 or hdPose3d_stage1"],
    ),
    "no images": (
        lambda f: (f / "hdImgs/00_16").rename(f / "hdImgs/pictures"),
        ["hdImgs/00_16", "DETECTRON2_DATASETS"],
    ),
    "images of other frames": (
        lambda f: [p.rename(p.with_name("00_16_00000099.jpg")) for p in f.glob("*/00_16/*")],
        ["found 1 images 00_16_%08d.jpg", "1 annotated"],
    ),
    "truncated": (
        lambda f: next(f.glob("*coco19/*")).write_text('{"version": 0.7, "bodies": ['),
        ["body3DScene_00000005.json", "broken JSON"],
    ),
    "no bodies": (
        lambda f: edit(next(f.glob("*coco19/*")), lambda c: c.pop("bodies")),
        ["body3DScene_00000005.json", "'bodies'"],
    ),
    "no id": (edit_body(lambda b: b.pop("id")), ["body3DScene_00000005.json", "'id'"]),
    "bodies of nothing": (
        lambda f: edit(next(f.glob("*coco19/*")), lambda c: c.update(bodies=None)),
        ["body3DScene_00000005.json", "'bodies'", "None", "a list"],
    ),
    "id of text": (edit_body(lambda b: b.update(id="6")), ["00000005.json", "'id'", "whole"]),
    "id of no number": (edit_body(lambda b: b.update(id=None)), ["00000005.json", "'id'", "None"]),
    "huge id": (edit_body(lambda b: b.update(id=10**30)), ["00000005.json", "'id'", "whole"]),
    "body twice": (
        lambda f: edit(next(f.glob("*coco19/*")), lambda c: c["bodies"].append(c["bodies"][0])),
        ["body3DScene_00000005.json", "'id'", "6 twice"],
    ),
    "joints of text": (
        edit_body(lambda b: b.update(joints19=["1"] * 76)),
        ["body3DScene_00000005.json", "body 6", "numbers"],
    ),
    "cameras of nothing": (
        lambda f: edit(f / "calibration_seq.json", lambda c: c.update(cameras=None)),
        ["calibration_seq.json", "'cameras'", "None", "a list"],
    ),
    "name in a list": (edit_calibration(lambda c: c.update(name=["00_16"])), ["'name'", "00_16"]),
    "scaled rotation": (
        edit_calibration(lambda c: c.update(R=(10 * np.eye(3)).tolist())),
        ["camera 00_16", "'R'", "a rotation"],
    ),
    "mirror": (
        edit_calibration(lambda c: c.update(R=np.diag([1.0, 1, -1]).tolist())),
        ["camera 00_16", "'R'", "a rotation"],
    ),
    "no joints19": (
        edit_body(lambda b: b.update(joints15=b.pop("joints19"))),
        ["body3DScene_00000005.json", "body 6", "'joints19'", "joints15"],
    ),
    "joint count": (
        edit_body(lambda b: b["joints19"].pop()),
        ["body3DScene_00000005.json", "body 6", "(75,)", "(76,)"],
    ),
    "NaN joint": (
        edit_body(lambda b: b["joints19"].__setitem__(0, float("nan"))),
        ["body3DScene_00000005.json", "body 6", "finite"],
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_sequences_are_refused(tmp_path, name):
    break_sequence, expected = BROKEN[name]
    break_sequence(write_panoptic(tmp_path, "seq", CAMERAS[:1], {5: {6: make_body(0)}}))
    with pytest.raises(DatasetError) as error:
        load(tmp_path)
    for part in (str(tmp_path / "seq"), *expected):
        assert part in str(error.value)


def test_missing_sequence_is_named(tmp_path):
    with pytest.raises(DatasetError, match=r"absent.*DETECTRON2_DATASETS"):
        load(tmp_path, ("absent",))


@pytest.mark.parametrize(
    "arguments",
    [
        {"sequences": "seq", "cameras": ["00_16"]},
        {"sequences": ["seq"], "cameras": "00_16"},
        {"sequences": ["seq"], "cameras": ["00_16"], "frame_step": 0},
        {"sequences": ["seq"], "cameras": ["00_16"], "num_frames": 0},
        {"sequences": ["seq"], "cameras": ["00_16"], "joint_set": "muco21"},
        {"sequences": ["seq"], "cameras": ["00_16"], "frames": {"other": [1]}},
        {"sequences": ["seq"], "cameras": ["00_16"], "frames": ["0"]},
        {"sequences": ["seq"], "cameras": ["00_16"], "frames": {"seq": [0.5]}},
        {"sequences": ["seq", "seq"], "cameras": ["00_16"]},
        {"sequences": ["seq"], "cameras": ["00_16", "00_16"]},
    ],
)
def test_arguments_out_of_range(tmp_path, arguments):
    write_panoptic(tmp_path, "seq", CAMERAS, {0: {0: make_body(0)}})
    with pytest.raises(ValueError, match="expected"):
        load_panoptic(str(tmp_path), **arguments)
