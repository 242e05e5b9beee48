"""Names of files are text in everything that the demo writes."""

import json
import re

import cv2
import numpy as np
import pytest

from tests.demo import program  # noqa: F401  makes the demo's scripts importable
from tests.visualization.page_people import CAMERA, SKELETON, make_frame

from cameras import Camera  # isort: skip
from clip_outputs import FramesFile  # isort: skip
from page_frames import PageFrames  # isort: skip
from results import People, describe_camera  # isort: skip
from sources import find_inputs, output_names  # isort: skip

pytest.importorskip("plotly")

# As files may be called: no slash.
NAMES = (
    "<img src=x onerror=alert(1)>.jpg",
    "--><script>alert(1)<!--.jpg",
    "{{plotly}}{{data}}.jpg",
    "'\"`${alert(1)}.jpg",
    "a\nb\t\x1b[31m.jpg",
    "\u2028\u202egnp.jpg",
    "&lt;b&gt;.jpg",
    "%s%n{0}.jpg",
)


def page_and_data(path) -> tuple[str, dict]:
    """The page without its data and the longest script, plotly's; the data."""
    text = path.read_text("utf-8")
    found = re.search(r'<script type="application/json" id="page-data">(.*?)</script>', text, re.S)
    shell = text.replace(found.group(1), "", 1)
    longest = max(re.findall(r"<script[^>]*>(.*?)</script>", shell, re.S), key=len)
    return shell.replace(longest, "", 1), json.loads(found.group(1))


def write(path, names, title) -> tuple[str, dict]:
    frames = PageFrames()
    made = make_frame()
    people = People(made.boxes, made.keypoints, made.poses, made.scores, made.poses[:, 14, 2])
    for name in names:
        frames.add(name, made.image, Camera(CAMERA, "given"), people)
    frames.write(path, SKELETON, title)
    return page_and_data(path)


def test_pages_hold_names_as_text(tmp_path):
    plain, _ = write(tmp_path / "plain.html", ["a.jpg"] * len(NAMES), "Title")
    for title in NAMES:
        shell, data = write(tmp_path / "page.html", NAMES, title)
        assert [frame["name"] for frame in data["frames"]] == list(NAMES)
        assert data["title"] == title
        for mark in ("<script", "</script", "<img", "<!--", "-->"):
            assert shell.count(mark) == plain.count(mark)


def test_names_in_end_tags_stay_inside_the_data(tmp_path):
    """No file has such a name, but write_page takes any."""
    name = '</script><script>alert("1")</script>'
    shell, data = write(tmp_path / "page.html", [name], name)
    plain, _ = write(tmp_path / "plain.html", ["a.jpg"], "Title")
    assert data["frames"][0]["name"] == name
    assert shell.count("<script") == plain.count("<script")


def test_files_of_such_names_are_found_and_described(tmp_path):
    for name in NAMES:
        assert cv2.imwrite(str(tmp_path / name), np.zeros((6, 8, 3), np.uint8))
    pictures, videos, empty = find_inputs([str(tmp_path)])
    assert sorted(path.name for path in pictures) == sorted(NAMES) and not videos and not empty
    names = output_names(pictures)
    assert len(set(names)) == len(NAMES) and not any("/" in name for name in names)
    for path in pictures:
        header = describe_camera("video", path, (6, 8), Camera(CAMERA, "given"), SKELETON)
        file = FramesFile(tmp_path / "frames.json", header)
        file.write({"index": 0, "people": []})
        file.close()
        written = json.loads((tmp_path / "frames.json").read_text("utf-8"))
        assert written["video"] == str(path) and len(written["frames"]) == 1
