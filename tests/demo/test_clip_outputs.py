import json
import logging
from typing import ClassVar

import cv2
import numpy as np
import pytest

from tests.demo import program  # noqa: F401  makes the demo's scripts importable

import page_frames  # isort: skip
from cameras import Camera  # isort: skip
from clip_outputs import FramesFile, VideoFile  # isort: skip
from page_frames import PageFrames  # isort: skip
from results import People  # isort: skip

from hmor_d2.skeleton import get_skeleton


@pytest.mark.parametrize("count", [0, 1, 3])
def test_frames_make_one_json_document(tmp_path, count):
    frames = [{"index": i, "people": [{"score": 0.5}] * i} for i in range(count)]
    header = {"video": 'a "b".mp4', "intrinsics": [1.0, 2.0]}
    file = FramesFile(tmp_path / "a.json", header)
    for frame in frames:
        file.write(frame)
    file.close()
    text = (tmp_path / "a.json").read_text()
    assert json.loads(text) == {**header, "frames": frames}
    assert sum('"index"' in line for line in text.splitlines()) == count


def read_video(path):
    capture = cv2.VideoCapture(str(path))
    frames = []
    while (got := capture.read())[0]:
        frames.append(got[1])
    return frames, capture.get(cv2.CAP_PROP_FPS)


@pytest.mark.parametrize("size", [(48, 64), (47, 63)])
def test_a_video_has_its_frames_and_its_rate(tmp_path, size):
    video = VideoFile(tmp_path / "a.b_poses", 12.5)
    for i in range(9):
        video.write(np.full((*size, 3), 25 * i, np.uint8), i / 12.5)
    video.close()
    if video.path is None:
        pytest.skip("this OpenCV writes no videos")
    assert video.path.name in ("a.b_poses.mp4", "a.b_poses.avi")
    frames, fps = read_video(video.path)
    assert fps == pytest.approx(12.5)
    assert {frame.shape for frame in frames} == {(48, 64, 3)}
    assert [float(f.mean()) for f in frames] == pytest.approx([25 * i for i in range(9)], abs=5)


@pytest.mark.parametrize("count, rate", [(25, 4.0), (3, 4.0), (1, 10.0)])
def test_the_rate_of_a_recording_is_measured(tmp_path, count, rate):
    """Four frames a second; also where the recording ends before it is known."""
    video = VideoFile(tmp_path / "a", None)
    for i in range(count):
        video.write(np.full((48, 64, 3), 9 * i, np.uint8), 2.0 + i / 4)
    video.close()
    if video.path is None:
        pytest.skip("this OpenCV writes no videos")
    frames, fps = read_video(video.path)
    assert len(frames) == count and fps == pytest.approx(rate)
    assert frames[-1].mean() == pytest.approx(9 * (count - 1), abs=5)


class FakeWriter:
    """Stands in for cv2.VideoWriter: it can write the formats of ``known``."""

    known: ClassVar[list[str]] = []
    opened: ClassVar[list["FakeWriter"]] = []

    def __init__(self, path, codec, fps, size):
        self.path, self.frames = path, []
        self.works = any(codec == cv2.VideoWriter_fourcc(*name) for name in self.known)
        open(path, "w").close()
        self.opened.append(self)

    def isOpened(self):
        return self.works

    def write(self, image):
        assert self.works
        self.frames.append(image)

    def release(self):
        pass


@pytest.mark.parametrize("known, name", [(["MJPG"], "a.avi"), ([], None)])
def test_formats_are_tried_in_turn_and_none_is_no_error(tmp_path, monkeypatch, caplog, known, name):
    monkeypatch.setattr(logging.getLogger("hmor_d2"), "propagate", True)
    monkeypatch.setattr(cv2, "VideoWriter", FakeWriter)
    monkeypatch.setattr(FakeWriter, "known", known)
    monkeypatch.setattr(FakeWriter, "opened", [])
    video = VideoFile(tmp_path / "a", 10.0)
    for i in range(3):
        video.write(np.zeros((4, 6, 3), np.uint8), i / 10)
    video.close()
    assert len(FakeWriter.opened) == 2
    assert [path.name for path in tmp_path.iterdir()] == ([name] if name else [])
    assert len(FakeWriter.opened[-1].frames) == (3 if name else 0)
    assert ("no video is written" in caplog.text) == (name is None)


CAMERA = Camera((100.0, 110.0, 60.0, 40.0), "exif")


def somebody(count=1):
    rng = np.random.default_rng(count)
    return People(
        boxes=rng.uniform(0, 80, (count, 4)),
        keypoints=rng.uniform(0, 1, (count, 17, 3)) * (120, 80, 1),
        poses=rng.normal((0, 0, 4000), 300, (count, 17, 3)),
        scores=rng.uniform(0, 1, count),
        root_depth=np.full(count, 4000.0),
        ids=np.arange(count) + 5,
    )


def added(frames, count):
    for i in range(count):
        image = np.full((8, 12, 3), i % 256, np.uint8)
        frames.add(f"frame {i}", image, CAMERA, somebody(0), i / 10)
    return [int(frame.name.split()[1]) for frame in frames]


@pytest.mark.parametrize("count, every", [(10, 1), (11, 2), (45, 5)])
def test_a_page_of_known_length_gets_every_kth_frame(count, every):
    assert added(PageFrames(10, expected=count), count) == list(range(0, count, every))


@pytest.mark.parametrize("count, every", [(10, 1), (11, 2), (20, 2), (21, 4), (95, 16)])
def test_a_page_of_unknown_length_thins_out(count, every):
    assert added(PageFrames(10), count) == list(range(0, count, every))


def test_a_page_of_pictures_keeps_all():
    frames = PageFrames()
    assert added(frames, 200) == list(range(200)) and len(frames) == 200


def test_kept_pictures_shrink_with_their_camera_and_people():
    people = somebody(3)
    image = np.zeros((1920, 2881, 3), np.uint8)
    image[:, 1440:, 2] = 255
    frames = PageFrames()
    frames.add("large", image, CAMERA, people)
    frames.add("small", image[:80, 1390:1510], CAMERA, people)
    large, small = frames
    assert large.image.shape == (853, 1280, 3)
    assert large.image[400, 630, 2] < 30 and large.image[400, 650, 2] > 225
    x, y = 1280 / 2881, 853 / 1920
    assert large.intrinsics == pytest.approx((100 * x, 110 * y, 60 * x, 40 * y))
    np.testing.assert_allclose(large.boxes, people.boxes * (x, y, x, y))
    np.testing.assert_allclose(large.keypoints, people.keypoints * (x, y, 1))
    assert small.image.shape == (80, 120, 3) and small.intrinsics == CAMERA.intrinsics
    for frame in (large, small):
        assert frame.intrinsics_assumed is False
        np.testing.assert_array_equal(frame.poses, people.poses)
        np.testing.assert_array_equal(frame.scores, people.scores)
        np.testing.assert_array_equal(frame.ids, people.ids)


def test_a_page_is_written_at_the_rate_of_its_frames(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(logging.getLogger("hmor_d2"), "propagate", True)
    calls = []

    def write_page(path, frames, skeleton, **options):
        calls.append((path, [frame.name for frame in frames], skeleton.name, options))

    monkeypatch.setattr(page_frames, "write_page", write_page)
    skeleton = get_skeleton("muco17")
    PageFrames().write(tmp_path / "none.html", skeleton, "t")
    assert not calls  # nothing to show
    frames = PageFrames(10)
    added(frames, 25)  # every 4th of 10 a second
    frames.write(tmp_path / "a.html", skeleton, "t", video=True)
    path, names, joints, options = calls.pop()
    assert (path, joints) == (tmp_path / "a.html", "muco17")
    assert names == [f"frame {i}" for i in range(0, 25, 4)]
    assert options == {"title": "t", "video": True, "fps": pytest.approx(2.5)}

    monkeypatch.setattr(page_frames, "write_page", lambda *a, **k: __import__("no_such_plotly"))
    frames.write(tmp_path / "a.html", skeleton, "t", video=True)
    assert "a.html is not written" in caplog.text and "no_such_plotly" in caplog.text
