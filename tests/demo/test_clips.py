import json
import signal

import cv2
import numpy as np
import pytest
import torch
from detectron2.structures import Boxes, Instances

from tests.demo import program  # noqa: F401  makes the demo's scripts importable

import clips  # isort: skip
from cameras import CameraChoice  # isort: skip
from capture import Clip  # isort: skip
from one_euro import OneEuro  # isort: skip
from sources import SourceError  # isort: skip
from tracker import Tracker  # isort: skip

from hmor_d2.skeleton import get_skeleton
from hmor_d2.structures import PinholeCameras

SIZE = (96, 128)
FPS = 10.0


class Recording:
    """A capture of ``count`` black frames; runs ``event`` before frame ``event_at``."""

    def __init__(self, count, event=None, event_at=-1):
        self.left, self.count, self.event, self.event_at = count, count, event, event_at

    def grab(self):
        if self.count - self.left == self.event_at:
            self.event()
        self.left -= 1
        return self.left >= 0

    def retrieve(self):
        return True, np.zeros((*SIZE, 3), np.uint8)

    def release(self):
        self.left = -1


class RecordingClip(Clip):
    def __init__(self, *args, **kwargs):
        super().__init__("recording", Recording(*args, **kwargs))
        self.fps = FPS

    def _time_s(self, index):
        return index / FPS


class TwoWalkers:
    """Stands in for PosePredictor: two people pass each other, with noise, the second hidden
    from frame 12 to 15, and a third detection of a low score."""

    default_fov_deg = 55.0
    skeleton = get_skeleton("muco17")

    def __init__(self):
        self.frame, self.batches, self.rng = 0, [], np.random.default_rng(0)

    def __call__(self, images, intrinsics):
        self.batches.append(len(images))
        return [self.people(intrinsics[0]) for _ in images]

    def people(self, intrinsics):
        shift = 40.0 * self.frame - 500
        roots = np.array([[shift, 0, 3000], [-shift, 0, 4500], [900, 0, 6000]])
        limbs = np.random.default_rng(1).uniform(-700, 700, (1, 17, 3)) * (0.4, 1, 0.2)
        poses = roots[:, None] + limbs + self.rng.normal(0, 25, (3, 17, 3))
        shown = [0, 2] if 12 <= self.frame < 16 else [1, 0, 2] if self.frame % 2 else [0, 1, 2]
        self.frame += 1
        poses = torch.from_numpy(poses[shown])
        camera = PinholeCameras(torch.tensor([intrinsics], dtype=torch.float64))
        pixels = camera.project(poses[None])[0]
        low, high = pixels.amin(dim=1), pixels.amax(dim=1)
        people = Instances(SIZE)
        people.pred_boxes = Boxes(torch.cat((low, high), dim=1))
        people.scores = torch.tensor([0.9, 0.8, 0.7])[: len(shown)]
        people.scores[-1] = 0.1
        people.pred_keypoints = torch.cat((pixels, torch.ones(len(shown), 17, 1)), dim=-1)
        people.pred_keypoints_cam = poses
        people.pred_root_depth = poses[:, 14, 2] + 7.0
        return people


def process(clip, stem, predictor=None, **options):
    options = {"smoothing": OneEuro(), "batch_size": 4, "tracker": Tracker()} | options
    predictor = predictor or TwoWalkers()
    camera = CameraChoice(predictor.default_fov_deg)
    return clips.process_clip(clip, stem, predictor, camera, score_threshold=0.5, **options)


def read(stem):
    return json.loads(stem.with_name(stem.name + ".json").read_text())


def test_people_keep_their_numbers_in_all_files(tmp_path):
    predictor = TwoWalkers()
    summary = process(RecordingClip(26), tmp_path / "a.b", predictor)
    assert (summary.frames, summary.people, summary.interrupted) == (26, 2, False)
    assert predictor.batches == [4] * 6 + [2]
    result = read(tmp_path / "a.b")
    assert (result["video"], result["fps"], result["stride"]) == ("recording", FPS, 1)
    assert (result["height"], result["width"]) == SIZE
    assert result["intrinsics_source"] == "assumed" and result["units"] == "mm"
    assert result["smoothing"]["min_cutoff_hz"] == OneEuro().min_cutoff_hz
    assert [frame["index"] for frame in result["frames"]] == list(range(26))
    assert [frame["time_s"] for frame in result["frames"]] == pytest.approx(np.arange(26) / FPS)
    for f, frame in enumerate(result["frames"]):
        depths = {person["id"]: person["root_depth"] for person in frame["people"]}
        assert sorted(depths) == ([1] if 12 <= f < 16 else [1, 2])
        assert depths[1] == pytest.approx(3000, abs=400)
        assert depths.get(2, 4500) == pytest.approx(4500, abs=400)
    page = (tmp_path / "a.b.html").read_text()
    assert "frame 25, 2.50 s" in page
    capture = cv2.VideoCapture(str(tmp_path / "a.b_poses.mp4"))
    if capture.isOpened():
        assert capture.get(cv2.CAP_PROP_FRAME_COUNT) == 26
        assert capture.read()[1].max() > 100  # drawn upon


def joints(result, person, field):
    people = [p for frame in result["frames"] for p in frame["people"] if p["id"] == person]
    return np.array([p[field] for p in people]), np.array([p["root_depth"] for p in people])


def test_smoothing_takes_noise_out_of_space_and_picture(tmp_path):
    smooth, raw = tmp_path / "smooth", tmp_path / "raw"
    process(RecordingClip(26), smooth)
    process(RecordingClip(26), raw, smoothing=None)
    assert read(raw)["smoothing"] is None
    for field, axes in (("keypoints_cam", slice(3)), ("keypoints", slice(2))):
        jitter = {}
        for stem in (smooth, raw):
            values, depth = joints(read(stem), 1, field)
            jitter[stem] = np.diff(values[..., axes], n=2, axis=0).std()
            if field == "keypoints_cam":  # as the stand-in has it, smoothed or not
                np.testing.assert_allclose(depth - values[:, 14, 2], 7.0, atol=0.11)
        assert jitter[smooth] < 0.7 * jitter[raw]
    truth = TwoWalkers()
    first = truth.people(read(raw)["intrinsics"]).pred_keypoints_cam[0].numpy()
    np.testing.assert_allclose(joints(read(raw), 1, "keypoints_cam")[0][0], first, atol=0.06)


def ctrl_c():
    signal.raise_signal(signal.SIGINT)


def test_ctrl_c_ends_a_clip_and_keeps_what_was_recorded(tmp_path):
    before = signal.getsignal(signal.SIGINT)
    clip = RecordingClip(100, ctrl_c, 6)
    summary = process(clip, tmp_path / "a", batch_size=1)
    assert (summary.frames, summary.interrupted) == (6, True)
    assert len(read(tmp_path / "a")["frames"]) == 6
    assert (tmp_path / "a.html").exists()
    assert clip._capture.left == -1  # released
    assert signal.getsignal(signal.SIGINT) is before


def test_ctrl_c_before_the_first_frame_leaves_nothing(tmp_path):
    summary = process(RecordingClip(9, ctrl_c, 0), tmp_path / "a")
    assert (summary.frames, summary.people, summary.interrupted) == (0, 0, True)
    assert not list(tmp_path.iterdir())


def test_a_second_ctrl_c_stops_at_once():
    # Programs that a shell starts in the background ignore Ctrl-C, and so would this one.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with clips.interruptible() as stop:
            ctrl_c()
            assert stop.is_set()
            with pytest.raises(KeyboardInterrupt):
                ctrl_c()
    finally:
        signal.signal(signal.SIGINT, before)


def test_an_error_on_the_way_leaves_complete_files(tmp_path):
    def fail():
        raise SourceError("the camera was pulled out")

    with pytest.raises(SourceError, match="pulled out"):
        process(RecordingClip(20, fail, 8), tmp_path / "a")
    assert len(read(tmp_path / "a")["frames"]) == 8
