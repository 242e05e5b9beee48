"""datasets/prepare_panoptic.py: indices of every sequence, and frames out of videos."""

import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from hmor_d2.data.datasets.panoptic_files import list_frames
from hmor_d2.data.datasets.panoptic_index import index_path, read_index, write_index
from tests.data.bodies import standing_person
from tests.data.panoptic_index_sequences import CAMERAS, POSES, touch_later, write_sequence
from tests.data.writers import panoptic_camera, write_panoptic
from tests.scripts import ROOT, load_script


@pytest.fixture(scope="module")
def script():
    return load_script("datasets/prepare_panoptic.py")


def test_script_indexes_every_sequence_once(tmp_path, script, capsys):
    for name in ("one", "two"):
        write_sequence(tmp_path, name)
    (tmp_path / "notes").mkdir()
    assert script.main(["--root", str(tmp_path)]) == 0
    assert capsys.readouterr().out.count("index written") == 2
    touch_later(tmp_path / "two/hdImgs/00_30/00_30_00000120.jpg")
    assert script.main(["--root", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "one: index up to date" and lines[1].startswith("two: index written")
    assert script.main(["--root", str(tmp_path), "--rebuild", "--sequences", "one"]) == 0
    assert capsys.readouterr().out.startswith("one: index written")


def test_script_goes_on_after_a_broken_sequence(tmp_path, script, capsys):
    for name in ("one", "two", "whole"):
        write_sequence(tmp_path, name)
    (tmp_path / f"one/{POSES}/body3DScene_00000120.json").write_text('{"bodies": [')
    (tmp_path / f"two/{POSES}").rename(tmp_path / "two/poses")
    write_index(str(tmp_path / "whole"), "panoptic19", CAMERAS)
    Path(index_path(str(tmp_path / "whole"), "panoptic19")).write_text("broken")
    assert script.main(["--root", str(tmp_path), "--sequences", "one", "two", "whole"]) == 1
    captured = capsys.readouterr()
    for text in ("body3DScene_00000120.json", "found no 3D poses", "--rebuild", "3 of 3"):
        assert text in captured.err
    assert script.main(["--root", str(tmp_path), "--sequences", "whole", "--rebuild"]) == 0


def test_script_runs_by_itself(tmp_path):
    write_sequence(tmp_path / "panoptic")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "datasets/prepare_panoptic.py"],
        env=os.environ | {"DETECTRON2_DATASETS": str(tmp_path), "PYTHONPATH": str(ROOT)},
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "seq: index written" in done.stdout


def frame_picture(number: int) -> np.ndarray:
    """A picture that tells its number, in 3 x 3 grey squares of 16 pixels, after compression."""
    bits = np.array([(number >> bit) & 1 for bit in range(9)], np.uint8).reshape(3, 3)
    grey = np.kron(40 + 170 * bits, np.ones((16, 16), np.uint8))
    return np.repeat(grey[..., None], 3, axis=2)


def number_of(image: np.ndarray) -> int:
    squares = image.mean(axis=2).reshape(3, 16, 3, 16).mean(axis=(1, 3))
    return sum(int(bit) << place for place, bit in enumerate((squares > 125).ravel()))


def write_video(path: Path, frames: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), 29.97, (48, 48))
    if not writer.isOpened():
        pytest.skip("this OpenCV cannot write mp4 videos")
    for number in range(frames):
        writer.write(frame_picture(number))
    writer.release()


@pytest.fixture
def filmed(tmp_path) -> Path:
    """A sequence with videos of 40 frames, poses of frames 4 to 33, and no images."""
    cameras = [panoptic_camera(camera, np.eye(3), (0.0, 100.0, 300.0)) for camera in CAMERAS]
    frames = {frame: {0: standing_person(0, 0)} for frame in range(4, 34)}
    folder = write_panoptic(tmp_path, "seq", cameras, frames, images=dict.fromkeys(CAMERAS, ()))
    for camera in CAMERAS:
        (folder / "hdImgs" / camera).rmdir()
        write_video(folder / f"hdVideos/hd_{camera}.mp4", 40)
    return folder


def test_frames_are_extracted_once_and_are_the_right_ones(filmed, script, capsys):
    arguments = ["--root", str(filmed.parent), "--extract-frames", "--frame-step", "5"]
    assert script.main(arguments) == 0
    assert "6 frames of 00_16 extracted, 6 frames of 00_30 extracted" in capsys.readouterr().out
    for camera in CAMERAS:
        files = sorted((filmed / "hdImgs" / camera).iterdir())
        assert [path.name for path in files] == [
            f"{camera}_{frame:08d}.jpg" for frame in range(5, 34, 5)
        ]
        for path in files:
            assert number_of(cv2.imread(str(path))) == int(path.stem[-8:])
    index = read_index(str(filmed), "panoptic19", CAMERAS)
    assert index.images == {camera: set(range(5, 34, 5)) for camera in CAMERAS}

    # Goes on where it was interrupted, and leaves alone what is there.
    kept, lost = (filmed / f"hdImgs/00_16/00_16_{frame:08d}.jpg" for frame in (10, 20))
    kept.write_bytes(b"mine")
    lost.unlink()
    assert script.main(arguments) == 0
    assert "1 frames of 00_16 extracted, 0 frames of 00_30" in capsys.readouterr().out
    assert kept.read_bytes() == b"mine" and number_of(cv2.imread(str(lost))) == 20
    assert read_index(str(filmed), "panoptic19", CAMERAS) is not None


def test_videos_that_are_missing_or_too_short(filmed, script, capsys):
    arguments = ["--root", str(filmed.parent), "--extract-frames", "--cameras", "00_16"]
    video = filmed / "hdVideos/hd_00_16.mp4"
    write_video(video, 20)
    assert script.main(arguments) == 1
    assert "hd_00_16.mp4: found 20 frames, expected 34" in capsys.readouterr().err
    # What could be read is kept.
    assert list_frames(str(filmed / "hdImgs/00_16"), "00_16_", "jpg") == set(range(4, 20))
    video.unlink()
    assert script.main(arguments) == 1
    assert "hd_00_16.mp4: found nothing there" in capsys.readouterr().err


def test_a_video_may_end_a_little_before_the_poses(filmed, script, capsys):
    arguments = ["--root", str(filmed.parent), "--extract-frames", "--cameras", "00_16"]
    write_video(filmed / "hdVideos/hd_00_16.mp4", 31)
    assert script.main(arguments) == 0
    captured = capsys.readouterr()
    assert "hd_00_16.mp4: ends 3 wanted frames before the poses" in captured.err
    assert "27 frames of 00_16 extracted" in captured.out
    assert list_frames(str(filmed / "hdImgs/00_16"), "00_16_", "jpg") == set(range(4, 31))
    assert read_index(str(filmed), "panoptic19", ["00_16"]) is not None


def test_a_picture_that_another_run_is_writing_is_left_alone(filmed, script):
    target = filmed / "hdImgs/00_16"
    target.mkdir()
    half = target / "00_16_00000005.jpg.part"
    half.write_bytes(b"half")
    arguments = ["--root", str(filmed.parent), "--extract-frames", "--cameras", "00_16"]
    assert script.main([*arguments, "--frame-step", "5"]) == 0
    assert half.read_bytes() == b"half"
    assert number_of(cv2.imread(str(target / "00_16_00000005.jpg"))) == 5


def test_the_root_may_be_below_the_home_folder(tmp_path, script, capsys, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    write_sequence(tmp_path / "panoptic")
    assert script.main(["--root", "~/panoptic"]) == 0
    assert "seq: index written" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments", [["--frame-step", "0"], ["--extract-frames", "--image-ext", "png"], []]
)
def test_arguments_of_the_script(tmp_path, script, arguments):
    with pytest.raises(SystemExit) as stopped:
        script.main(["--root", str(tmp_path), *arguments])
    assert stopped.value.code == 2
