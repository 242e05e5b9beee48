"""The index of Panoptic sequences: exactness, staleness, bad files."""

import json
import logging
from pathlib import Path

import numpy as np
import pytest

from hmor_d2.data.dataset_error import DatasetError
from hmor_d2.data.datasets import load_panoptic, panoptic
from hmor_d2.data.datasets.panoptic_files import read_bodies
from hmor_d2.data.datasets.panoptic_index import index_path, read_index, write_index
from tests.data.bodies import standing_person
from tests.data.panoptic_index_sequences import CAMERAS, POSES, touch_later, write_sequence
from tests.data.writers import panoptic_camera, write_panoptic
from tests.real_data import real_data


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
