import logging

import cv2
import numpy as np
import pytest

from tests.demo import program  # noqa: F401  makes the demo's scripts importable

import capture  # isort: skip
from sources import SourceError  # isort: skip


@pytest.fixture
def warnings(caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger("hmor_d2"), "propagate", True)
    caplog.set_level("WARNING", "hmor_d2")
    return caplog


def write_video(path, count=10, fps=20, size=(64, 48)):
    """Frame i is grey of brightness 20 i + 10; lossless enough to tell them apart."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), fps, size)
    if not writer.isOpened():
        pytest.skip("this OpenCV writes no videos")
    for i in range(count):
        writer.write(np.full((size[1], size[0], 3), 20 * i + 10, np.uint8))
    writer.release()
    return path


class FakeCapture:
    """Stands in for cv2.VideoCapture: gives pictures, and what it is told of rates and times."""

    def __init__(self, images=(), opened=True, times_ms=None, **properties):
        self.images, self.opened, self.times_ms = list(images), opened, times_ms
        self.properties = {getattr(cv2, f"CAP_PROP_{k}"): v for k, v in properties.items()}
        self.at, self.released = -1, False

    def isOpened(self):
        return self.opened

    def get(self, prop):
        if prop == cv2.CAP_PROP_POS_MSEC and self.times_ms:
            return self.times_ms[self.at]
        return self.properties.get(prop, 0.0)

    def set(self, prop, value):
        return False

    def grab(self):
        self.at += 1
        return self.at < len(self.images)

    def retrieve(self):
        return True, self.images[self.at]

    def release(self):
        self.released = True


def fake_video(monkeypatch, tmp_path, *args, stride=1, max_frames=None, **kwargs):
    fake = FakeCapture(*args, **kwargs)
    monkeypatch.setattr(cv2, "VideoCapture", lambda _: fake)
    path = tmp_path / "fake.mp4"
    path.touch()
    return capture.VideoClip(path, stride, max_frames)


def picture(*size):
    return np.zeros((*size, 3), np.uint8)


@pytest.mark.parametrize(
    "stride, max_frames, indices",
    [
        (1, None, list(range(10))),
        (3, None, [0, 3, 6, 9]),
        (4, None, [0, 4, 8]),
        (2, 3, [0, 2, 4]),
        (4, 50, [0, 4, 8]),
    ],
)
def test_every_nth_frame_of_a_video(tmp_path, warnings, stride, max_frames, indices):
    path = write_video(tmp_path / "a.avi")
    clip = capture.VideoClip(path, stride, max_frames)
    assert (clip.name, clip.length, clip.fps) == (str(path), len(indices), 20 / stride)
    frames = list(clip)
    clip.close()
    assert [frame.index for frame in frames] == indices
    assert [frame.time_s for frame in frames] == pytest.approx([i / 20 for i in indices])
    brightness = [float(frame.image.mean()) for frame in frames]
    assert brightness == pytest.approx([20 * i + 10 for i in indices], abs=4)
    assert not warnings.text


def test_videos_that_cannot_be_used_are_named(tmp_path, monkeypatch):
    broken = tmp_path / "broken.mp4"
    broken.write_text("not a video")
    with pytest.raises(SourceError, match=r"broken\.mp4: cannot be opened as a video"):
        capture.VideoClip(broken)
    with pytest.raises(SourceError, match=r"gone\.mp4: does not exist"):
        capture.VideoClip(tmp_path / "gone.mp4")
    clip = fake_video(monkeypatch, tmp_path, FPS=25.0)
    assert clip.length is None
    with pytest.raises(SourceError, match=r"fake\.mp4: no frame can be read"):
        list(clip)


def test_a_video_that_ends_too_soon_gives_what_it_has(monkeypatch, tmp_path, warnings):
    clip = fake_video(monkeypatch, tmp_path, [picture(4, 6)] * 5, FPS=25.0, FRAME_COUNT=40)
    assert clip.length == 40 and len(list(clip)) == 5
    assert "fake.mp4: 5 of 40 frames can be read" in warnings.text


def test_frames_of_another_size_end_a_video(monkeypatch, tmp_path, warnings):
    images = [picture(4, 6), picture(4, 6), picture(8, 6)]
    clip = fake_video(monkeypatch, tmp_path, images, FPS=25.0)
    assert len(list(clip)) == 2
    assert "frame 2 is of another size" in warnings.text


@pytest.mark.parametrize("rate", [0.0, -1.0, float("nan"), 90000.0])
def test_a_rate_that_is_not_told_is_assumed(monkeypatch, tmp_path, warnings, rate):
    clip = fake_video(monkeypatch, tmp_path, [picture(4, 6)] * 3, FPS=rate)
    assert clip.fps == 30.0
    assert [frame.time_s for frame in clip] == pytest.approx([0, 1 / 30, 2 / 30])
    assert "tells no frame rate" in warnings.text


@pytest.mark.parametrize(
    "told_ms, expected",
    [
        ([0, 50, 210, 230], [0, 0.05, 0.21, 0.23]),  # a varying rate
        ([0, 0, 0, 0], [0, 0.1, 0.2, 0.3]),
        ([0, 150, 150, 140], [0, 0.15, 0.25, 0.35]),
        ([0, float("nan"), 150, 400], [0, 0.1, 0.15, 0.4]),
    ],
)
def test_times_are_those_of_the_file_where_they_advance(monkeypatch, tmp_path, told_ms, expected):
    images = [picture(4, 6)] * 4
    clip = fake_video(monkeypatch, tmp_path, images, times_ms=told_ms, FPS=10.0)
    assert [frame.time_s for frame in clip] == pytest.approx(expected)
    clip = fake_video(monkeypatch, tmp_path, images, times_ms=told_ms, stride=3, FPS=10.0)
    assert [frame.time_s for frame in clip] == pytest.approx(expected[::3])


def test_a_webcam_counts_time_from_its_first_frame(monkeypatch, warnings):
    fake = FakeCapture([picture(4, 6)] * 5, FPS=30.0)
    monkeypatch.setattr(cv2, "VideoCapture", lambda _: fake)
    clock = iter([7.0, 7.25, 8.0, 9.0, 9.5])
    monkeypatch.setattr(capture.time, "monotonic", lambda: next(clock))
    clip = capture.WebcamClip(2, stride=2)
    assert (clip.name, clip.fps, clip.length) == ("webcam 2", None, None)
    assert [(f.index, f.time_s) for f in clip] == [(0, 0.0), (2, 1.0), (4, 2.5)]
    assert "webcam 2: gives no more pictures after 5" in warnings.text
    clip.close()
    assert fake.released


def test_webcams_that_are_not_there_are_named(monkeypatch):
    monkeypatch.setattr(cv2, "VideoCapture", lambda _: FakeCapture(opened=False))
    with pytest.raises(SourceError, match="webcam 3: there is none"):
        capture.WebcamClip(3)
    monkeypatch.setattr(cv2, "VideoCapture", lambda _: FakeCapture())
    with pytest.raises(SourceError, match="webcam 0: gives no pictures"):
        list(capture.WebcamClip(0))
    clip = capture.WebcamClip(0, max_frames=7)
    assert clip.length == 7
