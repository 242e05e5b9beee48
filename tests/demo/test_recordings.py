"""The whole program on videos and a webcam."""

import json
import signal

import cv2
import numpy as np
import pytest

from tests.demo import program  # noqa: F401  makes the demo's scripts importable

import capture  # isort: skip
import demo  # isort: skip


def run(config_file, *arguments):
    return demo.main(["--config-file", *map(str, (config_file, *arguments))])


@pytest.fixture
def video(tmp_path):
    """Seven frames of noise that moves to the right, five a second."""
    path = tmp_path / "walk.avi"
    noise = np.random.default_rng(0).integers(0, 256, (97, 131, 3), dtype=np.uint8)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 5, (130, 96))
    if not writer.isOpened():
        pytest.skip("this OpenCV writes no videos")
    for i in range(7):
        writer.write(np.roll(noise, 3 * i, axis=1)[:96, :130].copy())
    writer.release()
    return path


def test_a_video_gets_a_video_one_json_and_a_page(config_file, video, tmp_path, messages):
    output = tmp_path / "out"
    assert cv2.imwrite(str(tmp_path / "same.png"), np.zeros((80, 100, 3), np.uint8))
    options = ["--stride", "2", "--max-frames", "3", "--batch-size", "2", "--beta", "0.5"]
    options += ["--score-threshold", "0"]
    inputs = [video, tmp_path / "same.png"]
    assert run(config_file, "--input", *inputs, "--output", output, *options) == 0
    written = {path.name for path in output.iterdir()}
    assert {"walk.json", "walk.html", "index.html", "same.json", "same_overlay.png"} <= written
    result = json.loads((output / "walk.json").read_text())
    assert result["video"] == str(video)
    assert (result["height"], result["width"]) == (96, 130)
    assert (result["fps"], result["stride"], result["smoothing"]["beta"]) == (2.5, 2, 0.5)
    assert [frame["index"] for frame in result["frames"]] == [0, 2, 4]
    assert [frame["time_s"] for frame in result["frames"]] == pytest.approx([0, 0.4, 0.8])
    for frame in result["frames"]:
        ids = [person["id"] for person in frame["people"]]
        assert ids and len(set(ids)) == len(ids) and min(ids) >= 1
    assert f"{video}: " in messages.text and "different people in 3 frames" in messages.text
    drawn = [path for path in output.iterdir() if path.stem == "walk_poses"]
    if drawn:
        capture = cv2.VideoCapture(str(drawn[0]))
        assert capture.get(cv2.CAP_PROP_FRAME_COUNT) == 3
        assert capture.get(cv2.CAP_PROP_FPS) == pytest.approx(2.5)


class Webcam:
    """Stands in for cv2.VideoCapture: noise for ever; Ctrl-C is pressed before frame 4."""

    def __init__(self, number):
        self.number, self.frames = number, 0

    def isOpened(self):
        return self.number == 1

    def set(self, *_):
        return False

    def get(self, _):
        return 0.0

    def grab(self):
        if self.frames == 4:
            signal.raise_signal(signal.SIGINT)
        self.frames += 1
        return True

    def retrieve(self):
        noise = np.random.default_rng(self.frames).integers(0, 256, (96, 128, 3), dtype=np.uint8)
        return True, noise

    def release(self):
        pass


@pytest.mark.parametrize("options, count", [([], 4), (["--max-frames", "2"], 2)])
def test_a_webcam_records_until_ctrl_c_or_long_enough(
    config_file, tmp_path, monkeypatch, options, count
):
    monkeypatch.setattr(capture.cv2, "VideoCapture", Webcam)
    output = tmp_path / "out"
    assert run(config_file, "--webcam", 1, "--output", output, *options, "--no-smoothing") == 0
    result = json.loads((output / "webcam.json").read_text())
    assert (result["video"], result["smoothing"], result["fps"]) == ("webcam 1", None, None)
    assert [frame["index"] for frame in result["frames"]] == list(range(count))
    assert (output / "webcam.html").exists()


def test_ctrl_c_in_a_video_keeps_what_is_done_and_ends(config_file, tmp_path, monkeypatch):
    monkeypatch.setattr(Webcam, "isOpened", lambda self: True)
    monkeypatch.setattr(capture.cv2, "VideoCapture", Webcam)
    inputs = [tmp_path / "a.mp4", tmp_path / "b.mp4"]
    for path in inputs:
        path.touch()
    assert run(config_file, "--input", *inputs, "--output", tmp_path / "out") == 130
    # The first batch is of four frames; Ctrl-C comes while the second is gathered.
    assert len(json.loads((tmp_path / "out" / "a.json").read_text())["frames"]) == 4
    assert not (tmp_path / "out" / "b.json").exists()


def test_a_webcam_that_is_not_there_needs_no_model(tmp_path, monkeypatch, messages):
    monkeypatch.setattr(capture.cv2, "VideoCapture", Webcam)
    assert run(tmp_path / "no.yaml", "--webcam", "--output", tmp_path / "out") == 1
    assert "webcam 0: there is none" in messages.text
    assert not (tmp_path / "out").exists()
