import base64
import dataclasses
import json
import re
import subprocess
import sys

import cv2
import numpy as np
import pytest

from hmor_d2.skeleton import get_skeleton
from hmor_d2.visualization import PageFrame, write_page
from hmor_d2.visualization.overlay import limb_colour
from hmor_d2.visualization.page_images import jpeg_base64

pytest.importorskip("plotly")

from plotly.offline import get_plotlyjs

from tests.visualization.page_people import CAMERA, SKELETON, make_frame, standing

EVIL = '</script><script>alert("1")</script><!--<img src=x onerror=alert(1)> & {{plotly}}'


def page_of(tmp_path, frames, skeleton=SKELETON, **options):
    """The page without plotly.js and its data: (HTML, size in bytes, data)."""
    path = tmp_path / "page.html"
    write_page(path, frames, skeleton, **{"title": "Test", **options})
    text = path.read_text("utf-8")
    size = path.stat().st_size - len(get_plotlyjs().encode())
    shell = text.replace(get_plotlyjs(), "", 1)
    pattern = r'<script type="application/json" id="page-data">(.*?)</script>'
    data = re.search(pattern, shell, re.DOTALL).group(1)
    return shell.replace(data, "", 1), size, json.loads(data)


def decode(text):
    return cv2.imdecode(np.frombuffer(base64.b64decode(text), np.uint8), cv2.IMREAD_COLOR)


def test_numbers_are_those_given_to_the_rounding(tmp_path):
    frames = [make_frame("a.jpg", people=2), make_frame("b.jpg", people=3)]
    *_, data = page_of(tmp_path, frames)
    assert [entry["name"] for entry in data["frames"]] == ["a.jpg", "b.jpg"]
    assert data["joint_names"] == list(SKELETON.joint_names)
    for frame, entry in zip(frames, data["frames"], strict=True):
        people = entry["people"]
        assert len(people) == len(frame.scores) and not entry["assumed"]
        assert entry["intrinsics"] == pytest.approx(CAMERA, abs=0.005)
        assert [entry["height"], entry["width"]] == list(frame.image.shape[:2])
        for i, person in enumerate(people):
            found = np.array(person["keypoints"])
            np.testing.assert_allclose(found[:, :2], frame.keypoints[i, :, :2], atol=0.0501)
            np.testing.assert_allclose(found[:, 2], frame.keypoints[i, :, 2], atol=0.000501)
            np.testing.assert_allclose(person["pose"], frame.poses[i] / 1000, atol=0.000501)
            np.testing.assert_allclose(person["box"], frame.boxes[i], atol=0.0501)
            root = frame.poses[i, SKELETON.root_index] / 1000
            np.testing.assert_allclose(person["root"], root, atol=0.000501)
            assert person["score"] == pytest.approx(frame.scores[i], abs=5.01e-5)
            assert person["label"] == str(i + 1)


def test_unknown_joints_and_people_are_null_and_not_nan(tmp_path):
    frame = make_frame(people=2)
    frame.keypoints[0, 3, 2] = 0
    frame.keypoints[0, 4, 0] = np.nan
    frame.poses[0, 5] = np.nan
    frame.poses[1] = np.nan
    *_, data = page_of(tmp_path, [frame])
    first, second = data["frames"][0]["people"]
    assert [j for j, point in enumerate(first["keypoints"]) if point is None] == [3, 4]
    assert [j for j, point in enumerate(first["pose"]) if point is None] == [5]
    assert second["pose"] == [None] * 17 and second["root"] is None and second["height"] is None


def test_the_picture_is_stored_once_in_a_smaller_size(tmp_path):
    y, x = np.mgrid[:1200, :1600]
    image = np.stack([x / 1600, y / 1200, 1 - x / 1600], axis=-1)
    frame = dataclasses.replace(make_frame(), image=(255 * image).astype(np.uint8))
    *_, data = page_of(tmp_path, [frame])
    entry = data["frames"][0]
    assert (entry["width"], entry["height"]) == (1600, 1200) and "thumbnail" not in entry
    stored = decode(entry["image"])
    assert stored.shape == (960, 1280, 3)
    expected = cv2.resize(frame.image, (1280, 960), interpolation=cv2.INTER_AREA)
    assert np.abs(stored.astype(float) - expected).mean() < 2


def test_twenty_large_detailed_pictures_take_less_than_ten_megabytes(tmp_path):
    rough = np.random.default_rng(0).integers(0, 256, (1500, 2000, 3), dtype=np.uint8)
    frame = dataclasses.replace(make_frame(), image=cv2.GaussianBlur(rough, (0, 0), 1.2))
    _, size, data = page_of(tmp_path, [frame] * 20)
    assert 2e6 < size < 10e6
    assert decode(data["frames"][0]["thumbnail"]).shape[0] == 96


def test_the_smallest_size_is_taken_where_none_fits_and_none_is_enlarged():
    noise = np.random.default_rng(0).integers(0, 256, (700, 900, 3), dtype=np.uint8)
    assert max(decode(jpeg_base64(noise, 1, video=False)).shape) == 480
    assert decode(jpeg_base64(noise[:90, :70], 10**9, video=True)).shape == (90, 70, 3)


def test_nothing_is_loaded_from_elsewhere(tmp_path):
    shell, *_ = page_of(tmp_path, [make_frame()])
    links = set(re.findall(r"https?://[^\s\"'`)]+", shell))
    assert links == {"http://www.w3.org/2000/svg"}  # a namespace, not an address
    loads = re.findall(r"(?:src|href)\s*=\s*[\"'`]([^\"'`]*)", shell)
    assert loads and all(load.startswith("data:") for load in loads)
    assert not re.search(r"@import|url\(|fetch\(|XMLHttpRequest|import\(", shell)
    assert "default-src 'none'; img-src data: blob:;" in shell


def test_names_and_titles_are_text_and_never_markup(tmp_path):
    frame = make_frame(EVIL)
    shell, _, data = page_of(tmp_path, [frame], title=EVIL)
    plain, *_ = page_of(tmp_path, [make_frame("a.jpg")], title="Test")
    for mark in ("<script", "</script", "<img", "<!--"):
        assert shell.count(mark) == plain.count(mark)
    assert data["title"] == data["frames"][0]["name"] == EVIL
    assert "&lt;/script&gt;" in shell
    # A name in an encoding that is not UTF-8, as Python reads it from a folder.
    *_, data = page_of(tmp_path, [make_frame("caf\udce9.jpg")], title="caf\udce9")
    assert data["frames"][0]["name"] == "caf\udce9.jpg"


def test_a_video_keeps_colours_by_identity_and_one_ground(tmp_path):
    first = dataclasses.replace(make_frame(people=2), ids=np.array([7, 3]))
    second = dataclasses.replace(make_frame(people=2, depth=4500), ids=np.array([3, 12]))
    *_, data = page_of(tmp_path, [first, second, first], video=True, fps=25)
    assert data["video"] and data["fps"] == 25 and len(data["frames"]) == 3
    labels = [[person["label"] for person in frame["people"]] for frame in data["frames"]]
    assert labels == [["7", "3"], ["3", "12"], ["7", "3"]]
    for frame in data["frames"]:
        assert frame["ground"] == data["frames"][0]["ground"] and "thumbnail" not in frame
        for person in frame["people"]:
            assert str(person["colour"]) == person["label"]
    for identity in (3, 7, 12):
        colours = [limb_colour(identity, side) for side in ("", "left_", "right_")]
        expected = ["#" + bytes(colour).hex() for colour in colours]
        assert data["colours"][str(identity)] == expected


def test_a_frame_without_people(tmp_path):
    shell, _, data = page_of(tmp_path, [make_frame(people=0)])
    assert data["frames"][0]["people"] == [] and data["frames"][0]["ground"]["people"] == 0
    assert "No people found in this picture" in shell


@pytest.mark.parametrize("name", ["panoptic19", "coco17", "smpl24", "muco21"])
def test_other_skeletons(tmp_path, name):
    skeleton = get_skeleton(name)
    pose = standing(skeleton)[None] + [0, 0, 4000]
    keypoints = np.ones((1, skeleton.num_joints, 3))
    boxes, scores = np.zeros((1, 4)), np.ones(1)
    frame = PageFrame(
        "a", np.zeros((9, 9, 3), np.uint8), CAMERA, True, boxes, keypoints, pose, scores
    )
    *_, data = page_of(tmp_path, [frame], skeleton)
    person = data["frames"][0]["people"][0]
    assert len(person["pose"]) == skeleton.num_joints and data["frames"][0]["assumed"]
    assert person["root"][2] == pytest.approx(4, abs=0.05)
    assert (person["height"] is None) == (name != "muco21")


@pytest.mark.parametrize(
    ("field", "value", "found"),
    [
        ("boxes", np.zeros((2, 3)), r"shape \(2, 3\), expected \(2, 4\)"),
        ("keypoints", np.zeros((2, 17, 2)), r"shape \(2, 17, 2\), expected \(2, 17, 3\)"),
        ("poses", np.zeros((2, 21, 3)), r"shape \(2, 21, 3\), expected \(2, 17, 3\)"),
        ("ids", np.zeros(3), r"shape \(3,\), expected \(2,\)"),
        ("image", np.zeros((9, 9, 3)), r"float64 of shape \(9, 9, 3\)"),
        ("image", np.zeros((9, 9), np.uint8), r"uint8 of shape \(9, 9\)"),
        ("intrinsics", (500.0, 0.0, 9.0, 9.0), "fx, fy > 0"),
        ("intrinsics", (500.0, 500.0, 9.0), "fx, fy > 0"),
    ],
)
def test_a_wrong_field_is_named(tmp_path, field, value, found):
    frame = dataclasses.replace(make_frame("bad.jpg", people=2), **{field: value})
    with pytest.raises(ValueError, match=rf"bad\.jpg: {field}: .*{found}"):
        page_of(tmp_path, [make_frame(), frame])


def test_wrong_arguments_are_refused(tmp_path):
    with pytest.raises(ValueError, match="found no frames"):
        page_of(tmp_path, [])
    with pytest.raises(ValueError, match="fps: found 0"):
        page_of(tmp_path, [make_frame()], video=True, fps=0)


def test_plotly_is_needed_for_writing_alone(tmp_path, monkeypatch):
    code = "import sys, hmor_d2.visualization.page; sys.exit('plotly' in sys.modules)"
    assert subprocess.run([sys.executable, "-W", "ignore", "-c", code]).returncode == 0
    monkeypatch.setitem(sys.modules, "plotly.offline", None)
    with pytest.raises(ImportError, match="pip install plotly"):
        write_page(tmp_path / "page.html", [make_frame()], SKELETON, title="")
