"""3DPW: round trip from sequence files written here, geometry against OpenCV, bad files."""

import logging
import pickle
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from hmor_d2.data.annotations import check_person
from hmor_d2.data.dataset_error import DatasetError, Where
from hmor_d2.data.datasets.threedpw import load_threedpw
from hmor_d2.skeleton import get_skeleton

SMPL24 = get_skeleton("smpl24")
FOCAL = (1961.853, 1969.231)


def camera_matrix(center: tuple[float, float]) -> np.ndarray:
    return np.array([[FOCAL[0], 0, center[0]], [0, FOCAL[1], center[1]], [0, 0, 1.0]])


def make_sequence(
    name: str, num_frames: int, num_people: int, *, center=(540.0, 960.0), seed: int = 0
) -> dict:
    """A sequence file's content: people 4 m in front of a camera that turns and moves."""
    rng = np.random.default_rng(seed)
    cam_poses = np.tile(np.eye(4), (num_frames, 1, 1))
    people = [[] for _ in range(num_people)]
    for frame in range(num_frames):
        rotation = cv2.Rodrigues(rng.uniform(-0.5, 0.5, 3))[0]
        translation = rng.uniform(-3, 3, 3)
        cam_poses[frame, :3, :3], cam_poses[frame, :3, 3] = rotation, translation
        for person in people:
            middle = np.array((*rng.uniform(-0.4, 0.4, 2), 4))
            in_camera = rng.normal(middle, 0.3, (24, 3))
            person.append(((in_camera - translation) @ rotation).ravel())  # to the world
    return {
        "sequence": name,
        "betas": [np.zeros(10)] * num_people,
        "poses": [np.zeros((num_frames, 72))] * num_people,
        "genders": ["m", "f"][:num_people],
        "jointPositions": [np.array(person) for person in people],
        "poses2d": [rng.uniform(1, 900, (num_frames, 3, 18)) for _ in people],
        "cam_poses": cam_poses,
        "campose_valid": [np.ones(num_frames, dtype=np.int64) for _ in people],
        "cam_intrinsics": camera_matrix(center),
        "img_frame_ids": np.arange(num_frames) * 2,
    }


def write_sequence(root: Path, content: dict, split: str = "test", protocol: int = 2) -> Path:
    path = root / "sequenceFiles" / split / f"{content['sequence']}.pkl"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(content, protocol))
    return path


def load(root: Path, split: str = "test", **kwargs) -> list[dict]:
    return load_threedpw(str(root), split, **kwargs)


def projected(content: dict, person: int, frame: int) -> np.ndarray:
    """(24, 2) pixels by OpenCV, counted by index."""
    pose = content["cam_poses"][frame]
    joints = content["jointPositions"][person][frame].reshape(24, 3)
    rotation = cv2.Rodrigues(pose[:3, :3])[0]
    return cv2.projectPoints(joints, rotation, pose[:3, 3], content["cam_intrinsics"], None)[0][
        :, 0
    ]


@pytest.mark.parametrize("protocol", [2, 4])
def test_round_trip_against_opencv(tmp_path, protocol):
    contents = {
        "street_01": make_sequence("street_01", 4, 2, seed=1),
        "cafe_00": make_sequence("cafe_00", 3, 1, center=(960.0, 540.0), seed=2),
    }
    for content in contents.values():
        write_sequence(tmp_path, content, protocol=protocol)
    write_sequence(tmp_path, make_sequence("train_00", 2, 1), split="train")
    records = load(tmp_path)
    expected_ids = [f"cafe_00/{i:05d}" for i in range(3)] + [f"street_01/{i:05d}" for i in range(4)]
    assert [record["image_id"] for record in records] == expected_ids
    for record in records:
        content = contents[record["sequence"]]
        frame = record["frame"]
        image = f"imageFiles/{record['sequence']}/image_{frame:05d}.jpg"
        assert record["file_name"] == str(tmp_path / image)
        upright = record["sequence"] == "street_01"
        size = (1080, 1920) if upright else (1920, 1080)
        assert (record["width"], record["height"]) == size
        assert record["intrinsics"] == [*FOCAL, size[0] / 2 + 0.5, size[1] / 2 + 0.5]
        assert record["joint_set"] == "smpl24"
        assert "distortion" not in record
        assert [p["person_id"] for p in record["annotations"]] == list(range(1 + upright))
        for person in record["annotations"]:
            check_person(person, SMPL24, Where(record["image_id"]))
            keypoints = np.reshape(person["keypoints"], (24, 3))
            pixels = projected(content, person["person_id"], frame) + 0.5
            np.testing.assert_allclose(keypoints[:, :2], pixels, atol=1e-6)
            inside = ((pixels >= 0) & (pixels <= size)).all(axis=1)
            np.testing.assert_array_equal(keypoints[:, 2], np.where(inside, 2, 1))
            world = content["jointPositions"][person["person_id"]][frame].reshape(24, 3)
            pose = content["cam_poses"][frame]
            in_mm = 1000 * (pose[:3, :3] @ world.T + pose[:3, 3:]).T
            np.testing.assert_allclose(person["keypoints_cam"], in_mm, rtol=1e-6, atol=1e-3)
            assert type(person["keypoints_cam"]) is np.ndarray
            assert person["keypoints_cam"].dtype == np.float32
            assert person["keypoints_cam_valid"].all()
            low, high = pixels.min(axis=0), pixels.max(axis=0)
            box = np.array(person["bbox"])
            np.testing.assert_allclose((box[:2] + box[2:]) / 2, (low + high) / 2)
            np.testing.assert_allclose(box[2:] - box[:2], 1.2 * (high - low))


def test_invalid_people_are_left_out_and_counted(tmp_path, caplog):
    content = make_sequence("street_00", 5, 2)
    content["campose_valid"][0][1] = 0
    content["poses2d"][1][1] = 0
    content["poses2d"][1][3] = 0
    content["poses2d"][0][4, :2] = 0  # confidences alone
    content["cam_poses"][1] = np.nan  # nobody needs it
    content["jointPositions"][1][3, 5] = np.inf
    write_sequence(tmp_path, content)
    with caplog.at_level(logging.INFO, logger="hmor_d2"):
        records = load(tmp_path)
    ids = [[person["person_id"] for person in record["annotations"]] for record in records]
    assert ids == [[0, 1], [], [0, 1], [0], [0, 1]]
    assert "5 frames, 7 people; left out: 3 without an aligned camera" in caplog.text
    assert "0 outside the image" in caplog.text


def test_people_behind_the_camera_and_beside_the_image(tmp_path, caplog):
    content = make_sequence("street_00", 1, 3)
    content["cam_poses"][0] = np.eye(4)
    joints = np.array([(0.2 * (j % 3) - 0.2, 0.07 * j - 0.8, 4.0) for j in range(24)])
    partly, behind, beside = joints.copy(), joints - (0, 0, 9), joints - (-8, 0, 0)
    partly[23] = (0.1, 0, -0.5)
    partly[22] = (3.0, 0, 4)
    content["jointPositions"] = [p.reshape(1, 72) for p in (partly, behind, beside)]
    write_sequence(tmp_path, content)
    with caplog.at_level(logging.INFO, logger="hmor_d2"):
        (record,) = load(tmp_path)
    (person,) = record["annotations"]
    assert person["person_id"] == 0
    keypoints = np.reshape(person["keypoints"], (24, 3))
    assert keypoints[:, 2].tolist() == [2] * 22 + [1, 0]
    assert keypoints[23].tolist() == [0, 0, 0]
    assert person["keypoints_cam_valid"].all()
    np.testing.assert_allclose(person["keypoints_cam"][23], (100, 0, -500), rtol=1e-6)
    assert person["bbox"][2] > 1080
    assert "2 outside the image" in caplog.text


def test_a_joint_at_the_camera_does_not_widen_the_box(tmp_path):
    content = make_sequence("street_00", 1, 1)
    content["cam_poses"][0] = np.eye(4)
    joints = np.array([(0.2 * (j % 3) - 0.2, 0.07 * j - 0.8, 4.0) for j in range(24)])
    joints[5] = (0.01, 0.01, 0.003)
    content["jointPositions"] = [joints.reshape(1, 72)]
    write_sequence(tmp_path, content)
    (person,) = load(tmp_path)[0]["annotations"]
    assert person["keypoints"][15:18] == [0, 0, 0] and person["keypoints_cam_valid"].all()
    assert person["bbox"][2] - person["bbox"][0] < 400


def test_frame_step(tmp_path):
    content = make_sequence("street_00", 8, 1)
    content["campose_valid"][0][3] = 0
    write_sequence(tmp_path, content)
    every = {record["frame"]: record for record in load(tmp_path)}
    some = load(tmp_path, frame_step=3)
    assert [record["frame"] for record in some] == [0, 3, 6]
    assert [len(record["annotations"]) for record in some] == [1, 0, 1]
    for record in some:
        assert record["image_id"] == every[record["frame"]]["image_id"]
        for a, b in zip(record["annotations"], every[record["frame"]]["annotations"], strict=True):
            assert a["keypoints"] == b["keypoints"]
    with pytest.raises(ValueError, match="frame_step is 0"):
        load(tmp_path, frame_step=0)


def test_the_image_header_must_agree(tmp_path):
    path = write_sequence(tmp_path, make_sequence("street_00", 2, 1))
    image = tmp_path / "imageFiles/street_00/image_00000.jpg"
    image.parent.mkdir(parents=True)
    Image.new("L", (1080, 1920)).save(image)
    assert {(r["width"], r["height"]) for r in load(tmp_path)} == {(1080, 1920)}
    Image.new("L", (540, 960)).save(image)
    with pytest.raises(DatasetError) as error:
        load(tmp_path)
    for part in (str(image), "540x960", "1080x1920", str(path)):
        assert part in str(error.value)
    image.write_bytes(b"\xff\xd8\xff")
    with pytest.raises(DatasetError, match=r"image_00000\.jpg: cannot read"):
        load(tmp_path)


def drop(key: str):
    return lambda c: c.pop(key)


def put(key: str, value: object):
    return lambda c: c.update({key: value})


BROKEN = {
    "no sequence": (drop("sequence"), ["'sequence'"]),
    "path for a sequence": (put("sequence", "../street"), ["'sequence'", "../street"]),
    "no joints": (drop("jointPositions"), ["'jointPositions'", "cam_poses"]),
    "no camera poses": (drop("cam_poses"), ["'cam_poses'"]),
    "no flags": (drop("campose_valid"), ["'campose_valid'"]),
    "no 2D": (drop("poses2d"), ["'poses2d'"]),
    "no intrinsics": (drop("cam_intrinsics"), ["'cam_intrinsics'"]),
    "joints of one person more": (
        lambda c: c["campose_valid"].pop(),
        ["'campose_valid'", "1 people", "2 as in 'jointPositions'"],
    ),
    "other number of frames": (
        lambda c: c["jointPositions"].__setitem__(1, np.zeros((4, 72))),
        ["'jointPositions'", "person 1", "(4, 72)", "(5, 72)"],
    ),
    "other number of joints": (
        lambda c: c["jointPositions"].__setitem__(0, np.zeros((5, 51))),
        ["'jointPositions'", "person 0", "(5, 51)", "(5, 72)"],
    ),
    "2D transposed": (
        lambda c: c["poses2d"].__setitem__(0, np.ones((5, 18, 3))),
        ["'poses2d'", "person 0", "(5, 18, 3)", "(5, 3, 18)"],
    ),
    "camera poses of 3 rows": (put("cam_poses", np.zeros((5, 3, 4))), ["'cam_poses'", "(5, 3, 4)"]),
    "text for joints": (put("jointPositions", "many"), ["'jointPositions'", "list over people"]),
    "no number": (put("campose_valid", [["yes"] * 5] * 2), ["'campose_valid'", "person 0"]),
    "NaN joint": (
        lambda c: c["jointPositions"][1].__setitem__((2, 7), np.nan),
        ["'jointPositions'", "street_00/00002", "person 1", "finite"],
    ),
    "NaN camera": (
        lambda c: c["cam_poses"].__setitem__((3, 0, 3), np.nan),
        ["'cam_poses'", "street_00/00003", "finite"],
    ),
    "skew": (lambda c: c["cam_intrinsics"].__setitem__((0, 1), 3.0), ["cam_intrinsics", "skew"]),
    "negative focal length": (
        lambda c: c["cam_intrinsics"].__setitem__((1, 1), -1969.0),
        ["-1969", "positive"],
    ),
    "principal point of another size": (
        put("cam_intrinsics", camera_matrix((320, 240))),
        ["cam_intrinsics", "320.5", "1920x1080 or 1080x1920"],
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_sequences_are_refused(tmp_path, name):
    content = make_sequence("street_00", 5, 2)
    path = write_sequence(tmp_path, content)
    change, expected = BROKEN[name]
    change(content)
    path.write_bytes(pickle.dumps(content, 2))
    with pytest.raises(DatasetError) as error:
        load(tmp_path)
    for part in (str(path), *expected):
        assert part in str(error.value)


def test_files_that_are_no_sequences(tmp_path):
    with pytest.raises(DatasetError, match=r"sequenceFiles.test.*DETECTRON2_DATASETS"):
        load(tmp_path)
    path = write_sequence(tmp_path, make_sequence("street_00", 5, 2))
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DatasetError, match=r"street_00\.pkl: found a broken pickle"):
        load(tmp_path)
    path.write_bytes(pickle.dumps([1, 2]))
    with pytest.raises(DatasetError, match=r"street_00\.pkl.*'sequence'"):
        load(tmp_path)
    path.unlink()
    with pytest.raises(DatasetError, match=r"found no file \*\.pkl"):
        load(tmp_path)
