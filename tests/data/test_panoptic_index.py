"""The index of Panoptic sequences: exactness, staleness, bad files; the script that writes it."""

import importlib.util
import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from hmor_d2.data.dataset_error import DatasetError
from hmor_d2.data.datasets import load_panoptic, panoptic
from hmor_d2.data.datasets.panoptic_files import list_frames, read_bodies
from hmor_d2.data.datasets.panoptic_index import index_path, read_index, write_index
from tests.data.bodies import standing_person
from tests.data.writers import panoptic_camera, write_panoptic
from tests.real_data import real_data

ROOT = Path(__file__).parents[2]
CAMERAS = ["00_16", "00_30"]
POSES = "hdPose3d_stage1_coco19"


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location(
        "prepare_panoptic", ROOT / "datasets/prepare_panoptic.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def write_sequence(root: Path, name: str = "seq", **kwargs) -> Path:
    cameras = [panoptic_camera(camera, np.eye(3), (0.0, 100.0, 300.0)) for camera in CAMERAS]
    rng = np.random.default_rng(0)
    frames = {
        120: {3: standing_person(0, 0), 8: standing_person(*rng.normal(0, 50, 2))},
        121: {},
        7: {3: standing_person(*rng.normal(0, 50, 2)), -1: standing_person(9, 9)},
        500: {4: standing_person(*rng.normal(0, 50, 2))},
    }
    images = {"00_16": [7, 120, 121, 600], "00_30": [500]}
    return write_panoptic(root, name, cameras, frames, images=images, **kwargs)


def touch_later(path: Path) -> None:
    """Create a file, and make sure that the folder's time tells."""
    before = path.parent.stat().st_mtime_ns
    path.touch()
    if path.parent.stat().st_mtime_ns == before:
        os.utime(path.parent, ns=(before + 10**9,) * 2)


def test_an_index_holds_what_the_files_hold(tmp_path):
    folder = str(write_sequence(tmp_path))
    assert read_index(folder, "panoptic19", CAMERAS) is None
    path = write_index(folder, "panoptic19", CAMERAS)
    assert path == index_path(folder, "panoptic19") == f"{folder}/hmor_index_panoptic19.npz"
    index = read_index(folder, "panoptic19", CAMERAS)
    assert index.frames == {7, 120, 121, 500}
    assert index.images == {"00_16": {7, 120, 121, 600}, "00_30": {500}}
    np.testing.assert_array_equal(index.bodies.frames, [7, 120, 120, 500])
    np.testing.assert_array_equal(index.bodies.person_ids, [3, 3, 8, 4])
    for frame, identity, joints in zip(
        index.bodies.frames, index.bodies.person_ids, index.bodies.joints, strict=True
    ):
        content = json.loads((Path(folder) / POSES / f"body3DScene_{frame:08d}.json").read_text())
        (body,) = (body for body in content["bodies"] if body["id"] == identity)
        np.testing.assert_array_equal(joints.ravel(), body["joints19"])
    # The chosen frames of an index are what reading those files gives.
    chosen = [7, 120, 121]
    direct = read_bodies(f"{folder}/{POSES}", chosen, "panoptic19")
    for field in ("frames", "person_ids", "joints"):
        indexed = getattr(index.bodies.of_frames(chosen), field)
        np.testing.assert_array_equal(indexed, getattr(direct, field))
        assert indexed.dtype == getattr(direct, field).dtype
    # A camera alone is no reason to scan.
    assert read_index(folder, "panoptic19", ["00_30"]).images == {"00_30": {500}}


def test_a_sequence_without_people(tmp_path):
    camera = panoptic_camera("00_16", np.eye(3), (0.0, 100.0, 300.0))
    folder = str(write_panoptic(tmp_path, "seq", [camera], {3: {}}))
    write_index(folder, "panoptic19", ["00_16"])
    index = read_index(folder, "panoptic19", ["00_16"])
    assert index.frames == {3} and index.bodies.joints.shape == (0, 19, 4)


def test_older_poses_have_an_index_of_their_own(tmp_path):
    camera = panoptic_camera("00_16", np.eye(3), (0.0, 100.0, 300.0))
    folder = str(write_panoptic(tmp_path, "seq", [camera], {3: {1: standing_person(0, 0)[:15]}},
                                pose_folder="hdPose3d_stage1"))  # fmt: skip
    write_index(folder, "panoptic15", ["00_16"])
    assert read_index(folder, "panoptic15", ["00_16"]).bodies.joints.shape == (1, 15, 4)
    assert read_index(folder, "panoptic19", ["00_16"]) is None


CHANGES = {
    "an image more": lambda f: touch_later(f / "hdImgs/00_30/00_30_00000120.jpg"),
    "a frame more": lambda f: touch_later(f / POSES / "body3DScene_00000009.json"),
    "no images": lambda f: (f / "hdImgs/00_16").rename(f / "hdImgs/other"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_stale_index_is_not_used(tmp_path, caplog, change):
    folder = write_sequence(tmp_path)
    write_index(str(folder), "panoptic19", CAMERAS)
    CHANGES[change](folder)
    with caplog.at_level(logging.WARNING, logger="hmor_d2"):
        assert read_index(str(folder), "panoptic19", CAMERAS) is None
    assert "hmor_index_panoptic19.npz is not used: files were added or removed" in caplog.text


def test_changes_of_other_cameras_do_not_matter(tmp_path):
    folder = write_sequence(tmp_path)
    write_index(str(folder), "panoptic19", CAMERAS)
    touch_later(folder / "hdImgs/00_30/00_30_00000120.jpg")
    assert read_index(str(folder), "panoptic19", ["00_16"]) is not None


def test_an_index_of_other_images_is_not_used(tmp_path, caplog):
    folder = str(write_sequence(tmp_path))
    write_index(folder, "panoptic19", ["00_16"])
    with caplog.at_level(logging.WARNING, logger="hmor_d2"):
        assert read_index(folder, "panoptic19", CAMERAS) is None
        assert read_index(folder, "panoptic19", ["00_16"], "png") is None
    assert "lacks the cameras ['00_30']" in caplog.text and "expected .png" in caplog.text


def rewrite(path: str, **changes) -> None:
    with np.load(path) as content:
        arrays = {name: content[name] for name in content.files} | changes
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})


def test_an_index_of_another_version_is_not_used(tmp_path, caplog):
    folder = str(write_sequence(tmp_path))
    rewrite(write_index(folder, "panoptic19", CAMERAS), version=2)
    with caplog.at_level(logging.WARNING, logger="hmor_d2"):
        assert read_index(folder, "panoptic19", CAMERAS) is None
    assert "version 2" in caplog.text


class Bomb:
    """Leaves a file behind if it is unpickled."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path, _: path.write_bytes(path.read_bytes()[:-300]),
        lambda path, _: path.write_bytes(b""),
        lambda path, _: path.write_text("{}"),
        lambda path, _: rewrite(str(path), joints=None),
        lambda path, _: rewrite(str(path), joints=np.zeros((4, 15, 4))),
        lambda path, _: rewrite(str(path), joints=np.full((4, 19, 4), np.nan)),
        lambda path, _: rewrite(str(path), person_ids=np.zeros(3, int)),
        lambda path, _: rewrite(str(path), frames=np.array([7])),
        lambda path, trace: rewrite(str(path), joints=np.array([Bomb(trace)], dtype=object)),
        lambda path, trace: rewrite(str(path), version=np.array([Bomb(trace)], dtype=object)),
    ],
)
def test_broken_indices_are_refused(tmp_path, spoil):
    folder = str(write_sequence(tmp_path))
    path = Path(write_index(folder, "panoptic19", CAMERAS))
    spoil(path, tmp_path / "trace")
    with pytest.raises(DatasetError, match=r"hmor_index_panoptic19.npz.*--rebuild"):
        read_index(folder, "panoptic19", CAMERAS)
    assert not (tmp_path / "trace").exists()


def test_an_interrupted_run_leaves_the_former_index(tmp_path):
    folder = write_sequence(tmp_path)
    path = Path(write_index(str(folder), "panoptic19", CAMERAS))
    before = path.read_bytes()
    touch_later(folder / POSES / "body3DScene_00000900.json")  # empty: no JSON
    with pytest.raises(DatasetError, match="body3DScene_00000900"):
        write_index(str(folder), "panoptic19", CAMERAS)
    assert path.read_bytes() == before
    assert sorted(p.name for p in folder.glob("hmor_index*")) == [path.name]


def test_a_camera_without_images_is_named(tmp_path):
    folder = str(write_sequence(tmp_path))
    with pytest.raises(DatasetError, match=r"hdImgs/00_07.*camera 00_07"):
        write_index(folder, "panoptic19", ["00_16", "00_07"])


def test_loading_by_the_index_is_loading_by_the_files(tmp_path, monkeypatch):
    folder = write_sequence(tmp_path)
    arguments = str(tmp_path), ["seq"], CAMERAS
    scanned = load_panoptic(*arguments)
    write_index(str(folder), "panoptic19", CAMERAS)
    monkeypatch.setattr(panoptic, "read_bodies", None)  # must not be asked
    monkeypatch.setattr(panoptic, "list_frames", None)
    np.testing.assert_equal(load_panoptic(*arguments), scanned)
    assert sum(len(record["annotations"]) for record in scanned) == 4
    few = load_panoptic(*arguments[:2], CAMERAS[:1], frames=[120], num_frames=1)
    np.testing.assert_equal(few, [record for record in scanned if record["frame"] == 120])


# The script --------------------------------------------------------------------------------


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


def test_real_poses(tmp_path):
    source = real_data("panoptic", "160906_band1", POSES)
    (tmp_path / "hdImgs/00_16").mkdir(parents=True)
    (tmp_path / POSES).symlink_to(source)
    write_index(str(tmp_path), "panoptic19", ["00_16"])
    index = read_index(str(tmp_path), "panoptic19", ["00_16"])
    frames = sorted(index.frames)
    assert len(frames) == len(list(source.iterdir()))
    direct = read_bodies(str(source), frames, "panoptic19")
    np.testing.assert_array_equal(index.bodies.joints, direct.joints)
    assert len(direct.joints) == 60
