"""CMU Panoptic: round trip, choice of frames, geometry against OpenCV and real data, bad files."""

import json
import logging
from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.ndimage import map_coordinates

from hmor_d2.data.annotations import check_person
from hmor_d2.data.dataset_error import DatasetError, Where
from hmor_d2.data.datasets import load_panoptic
from hmor_d2.skeleton import get_skeleton
from tests.data.writers import panoptic_camera, write_json, write_panoptic
from tests.real_data import real_data

PANOPTIC19 = get_skeleton("panoptic19")
TRANSLATION = (0.0, 100.0, 300.0)
CAMERAS = [
    panoptic_camera("00_16", np.eye(3), TRANSLATION),
    panoptic_camera("00_30", cv2.Rodrigues(np.array([0.1, 0.6, -0.05]))[0], (20.0, 90.0, 310.0)),
]
NAMES = [camera["name"] for camera in CAMERAS]


def make_body(seed: int, num_joints: int = 19) -> np.ndarray:
    """(J, 4): a blob of known joints at the height of a person; y is down, the floor at 0."""
    rng = np.random.default_rng(seed)
    joints = rng.normal((*rng.uniform(-60, 60, 2), -90), (20, 20, 35), (num_joints, 3))
    return np.column_stack((joints[:, [0, 2, 1]], rng.uniform(0.2, 0.9, num_joints)))


def load(folder: Path, sequences=("seq",), cameras=("00_16",), **kwargs) -> list[dict]:
    return load_panoptic(str(folder), list(sequences), list(cameras), **kwargs)


def keypoints_of(person: dict) -> np.ndarray:
    return np.reshape(person["keypoints"], (-1, 3))


def pinhole(record: dict, person: dict) -> np.ndarray:
    fx, fy, cx, cy = record["intrinsics"]
    x, y, z = person["keypoints_cam"].astype(np.float64).T
    return np.stack((fx * x / z + cx, fy * y / z + cy), axis=1)


def brown_conrady(record: dict, person: dict) -> np.ndarray:
    """(J, 2) pixels of the *distorted* picture by the lens model, in index coordinates."""
    k1, k2, p1, p2, k3 = record["distortion"]
    fx, fy, cx, cy = record["intrinsics"]
    x, y = (person["keypoints_cam"][:, :2] / person["keypoints_cam"][:, 2:]).astype(np.float64).T
    r2 = x * x + y * y
    radial = 1 + k1 * r2 + k2 * r2**2 + k3 * r2**3
    u = x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x)
    v = y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y
    return np.stack((fx * u + cx - 0.5, fy * v + cy - 0.5), axis=1)


def opencv_matrix(record: dict) -> np.ndarray:
    fx, fy, cx, cy = record["intrinsics"]
    return np.array([[fx, 0, cx - 0.5], [0, fy, cy - 0.5], [0, 0, 1]])


def test_round_trip_against_opencv(tmp_path):
    frames = {120: {3: make_body(0), 8: make_body(1)}, 121: {}, 7: {3: make_body(2)}}
    write_panoptic(tmp_path, "seq", CAMERAS, frames)
    records = load(tmp_path, cameras=NAMES)
    assert [r["image_id"] for r in records] == [
        f"seq/{name}/{frame:08d}" for name in NAMES for frame in (7, 120, 121)
    ]
    for record in records:
        camera = CAMERAS[NAMES.index(record["camera"])]
        frame = record["frame"]
        expected_name = f"seq/hdImgs/{camera['name']}/{camera['name']}_{frame:08d}.jpg"
        assert record["file_name"] == str(tmp_path / expected_name)
        assert (record["height"], record["width"]) == (1080, 1920)
        assert (record["sequence"], record["joint_set"]) == ("seq", "panoptic19")
        assert record["intrinsics"] == [1397.21, 1394.06, 950.563 + 0.5, 565.694 + 0.5]
        assert record["distortion"] == camera["distCoef"]
        assert [p["person_id"] for p in record["annotations"]] == list(frames[frame])
        for person in record["annotations"]:
            body = frames[frame][person["person_id"]]
            rotation, translation = np.array(camera["R"]), np.array(camera["t"])[:, 0]
            pixels, _ = cv2.projectPoints(
                body[:, :3], rotation, translation, np.array(camera["K"]), None
            )
            keypoints = keypoints_of(person)
            np.testing.assert_allclose(keypoints[:, :2], pixels[:, 0] + 0.5, atol=1e-6)
            in_mm = (rotation @ body[:, :3].T + translation[:, None]).T * 10
            np.testing.assert_allclose(person["keypoints_cam"], in_mm, rtol=1e-6, atol=1e-3)
            assert person["keypoints_cam_valid"].all()
            low, high = keypoints[:, :2].min(axis=0), keypoints[:, :2].max(axis=0)
            box = np.array(person["bbox"])
            np.testing.assert_allclose((box[:2] + box[2:]) / 2, (low + high) / 2)
            np.testing.assert_allclose(box[2:] - box[:2], 1.2 * (high - low))
            check_person(person, PANOPTIC19, Where(record["image_id"]))


def test_unknown_joints_are_invalid_and_do_not_widen_the_box(tmp_path):
    body = make_body(0)
    expected = body.copy()
    body[4] = (0, 0, 0, -1)
    body[5] = (500, -80, 20, 0.1)  # not more than min_confidence
    write_panoptic(tmp_path, "seq", CAMERAS, {0: {0: body}, 1: {0: np.delete(expected, 0, 0)}})
    (tmp_path / "seq/hdPose3d_stage1_coco19/body3DScene_00000001.json").unlink()
    (person,) = load(tmp_path)[0]["annotations"]
    unknown = np.isin(np.arange(19), (4, 5))
    np.testing.assert_array_equal(person["keypoints_cam_valid"], ~unknown)
    assert not person["keypoints_cam"][unknown].any()
    assert not keypoints_of(person)[unknown].any()
    assert (keypoints_of(person)[~unknown, 2] == 2).all()
    known_pixels = keypoints_of(person)[~unknown, :2]
    extent = known_pixels.max(axis=0) - known_pixels.min(axis=0)
    box = np.array(person["bbox"])
    np.testing.assert_allclose(box[2:] - box[:2], 1.2 * extent)
    (person,) = load(tmp_path, min_confidence=0.05)[0]["annotations"]
    assert person["keypoints_cam_valid"].sum() == 18


def test_visibility_outside_the_image_and_behind_the_camera(tmp_path):
    body = make_body(0)
    body[3, :3] = (400.0, -80.0, 0.0)  # to the right of the picture
    body[6, :3] = (0.0, -80.0, -350.0)  # camera 00_16 is 300 cm in front of the origin
    write_panoptic(tmp_path, "seq", CAMERAS, {0: {0: body}})
    (person,) = load(tmp_path)[0]["annotations"]
    flags = keypoints_of(person)[:, 2]
    assert (flags[3], flags[6]) == (1, 0)
    assert person["keypoints_cam_valid"].all()
    np.testing.assert_allclose(person["keypoints_cam"][6, 2], -500.0, rtol=1e-6)
    assert person["bbox"][2] > 1920


def test_people_outside_the_image_are_left_out_and_counted(tmp_path, caplog):
    behind, beside, lonely = make_body(0), make_body(1), make_body(2)
    behind[:, 2] -= 900
    beside[:, 0] += 900
    lonely[1:, 3] = -1  # one joint has no extent
    nobody = make_body(3)
    nobody[:, 3] = -1
    bodies = {0: behind, 1: beside, 2: lonely, 3: nobody, 4: make_body(4), -1: make_body(5)}
    write_panoptic(tmp_path, "seq", CAMERAS, {0: bodies})
    with caplog.at_level(logging.INFO, logger="hmor_d2"):
        (record,) = load(tmp_path)
    assert [person["person_id"] for person in record["annotations"]] == [4]
    assert "4 of 5 people are outside the image" in caplog.text


def test_joints_within_a_lens_are_not_in_front(tmp_path):
    """3 mm before the camera, its projection would make a box over the whole image."""
    near, ordinary = make_body(0), make_body(0)
    near[4, :3] = (0.5, -100.0, -299.7)
    write_panoptic(tmp_path, "seq", CAMERAS[:1], {0: {0: near}, 1: {0: ordinary}})
    (person,), (expected,) = (record["annotations"] for record in load(tmp_path))
    assert person["keypoints"][12:15] == [0, 0, 0]
    assert person["keypoints_cam_valid"].all()
    np.testing.assert_allclose(person["keypoints_cam"][4], (5, 0, 3), atol=1e-3)
    sizes = [np.subtract(p["bbox"][2:], p["bbox"][:2]) for p in (person, expected)]
    assert (sizes[0] <= sizes[1] + 1e-6).all()
    # The margin itself: 100 mm are in front, 99 mm are not.
    for depth, flag in ((-289.99, 2), (-290.1, 0)):
        near[4, :3] = (0, -100.0, depth)
        write_panoptic(tmp_path, "seq", CAMERAS[:1], {0: {0: near}})
        assert load(tmp_path)[0]["annotations"][0]["keypoints"][14] == flag


def test_people_need_a_joint_inside_the_image(tmp_path, caplog):
    """Around the image, all joints outside, is as much as beside it."""
    around, glimpse = make_body(0), make_body(1)
    around[:, :3] = (-260, -100, 0)
    around[::2, 0] = 260
    around[:4, 1] -= 30
    glimpse[:, :3] = around[:, :3]
    glimpse[7, :3] = (0, -100, 0)
    write_panoptic(tmp_path, "seq", CAMERAS[:1], {0: {0: around, 1: glimpse}})
    with caplog.at_level(logging.INFO, logger="hmor_d2"):
        (record,) = load(tmp_path)
    (person,) = record["annotations"]
    assert person["person_id"] == 1
    flags = keypoints_of(person)[:, 2]
    assert flags[7] == 2 and (np.delete(flags, 7) == 1).all()
    assert "1 of 2 people are outside the image" in caplog.text


def test_compact_keypoints_are_the_same_numbers(tmp_path):
    write_panoptic(tmp_path, "seq", CAMERAS[:1], {0: {0: make_body(0), 1: make_body(1)}})
    (plain,), (compact,) = load(tmp_path), load(tmp_path, compact=True)
    assert len(compact["annotations"]) == 2
    for a, b in zip(plain["annotations"], compact["annotations"], strict=True):
        assert isinstance(a["keypoints"], list) and b["keypoints"].dtype == np.float32
        np.testing.assert_allclose(b["keypoints"], a["keypoints"], rtol=1e-6)
        assert a["bbox"] == b["bbox"]
        check_person(b, PANOPTIC19, Where("seq"))


def test_a_number_of_frames_is_chosen_from_those_of_all_cameras(tmp_path, caplog):
    frames = {f: {0: make_body(f)} for f in range(8)}
    images = {"00_16": [0, 1, 2, 3, 4], "00_30": [2, 3, 4, 5, 6]}
    write_panoptic(tmp_path, "seq", CAMERAS, frames, images=images)
    with caplog.at_level(logging.WARNING, logger="hmor_d2"):
        records = load(tmp_path, cameras=NAMES, num_frames=2)
    assert [(r["camera"], r["frame"]) for r in records] == [(n, f) for n in NAMES for f in (2, 4)]
    assert not caplog.text
    with caplog.at_level(logging.WARNING, logger="hmor_d2"):
        assert len(load(tmp_path, cameras=NAMES, num_frames=4)) == 6
    assert "seq: found 3 frames, expected 4" in caplog.text


def test_an_empty_folder_of_poses_is_passed_over(tmp_path):
    frames = {0: {0: make_body(0, 15)}}
    folder = write_panoptic(tmp_path, "seq", CAMERAS, frames, pose_folder="hdPose3d_stage1")
    (folder / "hdPose3d_stage1_coco19").mkdir()
    assert [record["joint_set"] for record in load(tmp_path)] == ["panoptic15"]
    with pytest.raises(DatasetError, match=r"hdPose3d_stage1_coco19 with body3DScene"):
        load(tmp_path, joint_set="panoptic19")


def test_frames_need_an_image_and_an_annotation(tmp_path, caplog):
    frames = {f: {0: make_body(f)} for f in range(6)}
    images = {"00_16": [2, 3, 4, 9], "00_30": [3, 4, 5]}
    write_panoptic(tmp_path, "seq", CAMERAS, frames, images=images)
    (tmp_path / "seq/hdImgs/00_16/notes_00000001.jpg").touch()
    with caplog.at_level(logging.INFO, logger="hmor_d2"):
        records = load(tmp_path, cameras=NAMES)
    found = [(r["camera"], r["frame"]) for r in records]
    assert found == [(n, f) for n, fs in (("00_16", (2, 3, 4)), ("00_30", (3, 4, 5))) for f in fs]
    assert "1 images have no annotation" in caplog.text
    assert "3 images taken, 1 of the chosen frames have none" in caplog.text


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ({}, list(range(10, 31))),
        ({"frames": range(12, 15)}, [12, 13, 14]),
        ({"frames": {"seq": [29, 11], "other": [3]}}, [11, 29]),
        ({"frame_step": 7}, [14, 21, 28]),
        ({"num_frames": 5}, [10, 15, 20, 25, 30]),
        ({"num_frames": 1}, [10]),
        ({"num_frames": 100}, list(range(10, 31))),
        ({"frame_step": 5, "frames": range(20), "num_frames": 1}, [10]),
    ],
)
def test_choice_of_frames(tmp_path, choice, expected):
    body = make_body(0)
    write_panoptic(tmp_path, "seq", CAMERAS, {f: {0: body} for f in range(10, 31)})
    assert [record["frame"] for record in load(tmp_path, **choice)] == expected


def test_missing_frames_that_were_asked_for_are_counted(tmp_path, caplog):
    write_panoptic(tmp_path, "seq", CAMERAS, {f: {0: make_body(0)} for f in range(4)})
    with caplog.at_level(logging.WARNING, logger="hmor_d2"):
        assert len(load(tmp_path, frames=[1, 3, 50])) == 2
    assert "1 of 3 frames asked for" in caplog.text


def test_older_sequences_have_15_joints(tmp_path):
    frames = {0: {0: make_body(0, 15)}}
    write_panoptic(tmp_path, "old", CAMERAS, frames, pose_folder="hdPose3d_stage1")
    write_panoptic(tmp_path, "new", CAMERAS, {0: {0: make_body(0)}})
    write_panoptic(tmp_path, "new", CAMERAS, frames, pose_folder="hdPose3d_stage1")
    both = load(tmp_path, ("old", "new"))
    assert [record["joint_set"] for record in both] == ["panoptic15", "panoptic19"]
    assert [len(r["annotations"][0]["keypoints"]) for r in both] == [45, 57]
    insisting = load(tmp_path, ("old", "new"), joint_set="panoptic15")
    assert [record["joint_set"] for record in insisting] == ["panoptic15", "panoptic15"]
    with pytest.raises(DatasetError, match=r"old.*hdPose3d_stage1_coco19"):
        load(tmp_path, ("old",), joint_set="panoptic19")


def edit(path: Path, change) -> None:
    content = json.loads(path.read_text())
    change(content)
    write_json(path, content)


def edit_calibration(change):
    return lambda f: edit(f / "calibration_seq.json", lambda c: change(c["cameras"][0]))


def edit_body(change):
    path = "hdPose3d_stage1_coco19/body3DScene_00000005.json"
    return lambda f: edit(f / path, lambda c: change(c["bodies"][0]))


BROKEN = {
    "no calibration": (
        lambda f: (f / "calibration_seq.json").unlink(),
        ["calibration_seq.json", "DETECTRON2_DATASETS"],
    ),
    "no cameras": (
        lambda f: edit(f / "calibration_seq.json", lambda c: c.pop("cameras")),
        ["calibration_seq.json", "'cameras'"],
    ),
    "no such camera": (
        edit_calibration(lambda c: c.update(name="00_17")),
        ["calibration_seq.json", "00_16", "00_17"],
    ),
    "VGA camera": (edit_calibration(lambda c: c.update(type="vga")), ["camera 00_16", "'hd'"]),
    "no K": (edit_calibration(lambda c: c.pop("K")), ["camera 00_16", "'K'"]),
    "flat K": (edit_calibration(lambda c: c.update(K=[1] * 9)), ["'K'", "(9,)", "(3, 3)"]),
    "skew": (edit_calibration(lambda c: c["K"][0].__setitem__(1, 2.0)), ["'K'", "skew"]),
    "negative focal length": (
        edit_calibration(lambda c: c["K"][1].__setitem__(1, -1394.0)),
        ["camera 00_16", "intrinsics", "-1394"],
    ),
    "four distortions": (edit_calibration(lambda c: c["distCoef"].pop()), ["distCoef", "(4,)"]),
    "NaN rotation": (
        edit_calibration(lambda c: c["R"][1].__setitem__(0, float("nan"))),
        ["camera 00_16", "'R'", "finite"],
    ),
    "no size": (edit_calibration(lambda c: c.pop("resolution")), ["resolution"]),
    "fractional size": (
        edit_calibration(lambda c: c.update(resolution=[1920.5, 1080])),
        ["width", "1920.5"],
    ),
    "no poses": (
        lambda f: (f / "hdPose3d_stage1_coco19").rename(f / "poses"),
        ["hdPose3d_stage1_coco19 or hdPose3d_stage1"],
    ),
    "no images": (
        lambda f: (f / "hdImgs/00_16").rename(f / "hdImgs/pictures"),
        ["hdImgs/00_16", "DETECTRON2_DATASETS"],
    ),
    "images of other frames": (
        lambda f: [p.rename(p.with_name("00_16_00000099.jpg")) for p in f.glob("*/00_16/*")],
        ["found 1 images 00_16_%08d.jpg", "1 annotated"],
    ),
    "truncated": (
        lambda f: next(f.glob("*coco19/*")).write_text('{"version": 0.7, "bodies": ['),
        ["body3DScene_00000005.json", "broken JSON"],
    ),
    "no bodies": (
        lambda f: edit(next(f.glob("*coco19/*")), lambda c: c.pop("bodies")),
        ["body3DScene_00000005.json", "'bodies'"],
    ),
    "no id": (edit_body(lambda b: b.pop("id")), ["body3DScene_00000005.json", "'id'"]),
    "bodies of nothing": (
        lambda f: edit(next(f.glob("*coco19/*")), lambda c: c.update(bodies=None)),
        ["body3DScene_00000005.json", "'bodies'", "None", "a list"],
    ),
    "id of text": (edit_body(lambda b: b.update(id="6")), ["00000005.json", "'id'", "whole"]),
    "id of no number": (edit_body(lambda b: b.update(id=None)), ["00000005.json", "'id'", "None"]),
    "huge id": (edit_body(lambda b: b.update(id=10**30)), ["00000005.json", "'id'", "whole"]),
    "body twice": (
        lambda f: edit(next(f.glob("*coco19/*")), lambda c: c["bodies"].append(c["bodies"][0])),
        ["body3DScene_00000005.json", "'id'", "6 twice"],
    ),
    "joints of text": (
        edit_body(lambda b: b.update(joints19=["1"] * 76)),
        ["body3DScene_00000005.json", "body 6", "numbers"],
    ),
    "cameras of nothing": (
        lambda f: edit(f / "calibration_seq.json", lambda c: c.update(cameras=None)),
        ["calibration_seq.json", "'cameras'", "None", "a list"],
    ),
    "name in a list": (edit_calibration(lambda c: c.update(name=["00_16"])), ["'name'", "00_16"]),
    "scaled rotation": (
        edit_calibration(lambda c: c.update(R=(10 * np.eye(3)).tolist())),
        ["camera 00_16", "'R'", "a rotation"],
    ),
    "mirror": (
        edit_calibration(lambda c: c.update(R=np.diag([1.0, 1, -1]).tolist())),
        ["camera 00_16", "'R'", "a rotation"],
    ),
    "no joints19": (
        edit_body(lambda b: b.update(joints15=b.pop("joints19"))),
        ["body3DScene_00000005.json", "body 6", "'joints19'", "joints15"],
    ),
    "joint count": (
        edit_body(lambda b: b["joints19"].pop()),
        ["body3DScene_00000005.json", "body 6", "(75,)", "(76,)"],
    ),
    "NaN joint": (
        edit_body(lambda b: b["joints19"].__setitem__(0, float("nan"))),
        ["body3DScene_00000005.json", "body 6", "finite"],
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_sequences_are_refused(tmp_path, name):
    break_sequence, expected = BROKEN[name]
    break_sequence(write_panoptic(tmp_path, "seq", CAMERAS[:1], {5: {6: make_body(0)}}))
    with pytest.raises(DatasetError) as error:
        load(tmp_path)
    for part in (str(tmp_path / "seq"), *expected):
        assert part in str(error.value)


def test_missing_sequence_is_named(tmp_path):
    with pytest.raises(DatasetError, match=r"absent.*DETECTRON2_DATASETS"):
        load(tmp_path, ("absent",))


@pytest.mark.parametrize(
    "arguments",
    [
        {"sequences": "seq", "cameras": ["00_16"]},
        {"sequences": ["seq"], "cameras": "00_16"},
        {"sequences": ["seq"], "cameras": ["00_16"], "frame_step": 0},
        {"sequences": ["seq"], "cameras": ["00_16"], "num_frames": 0},
        {"sequences": ["seq"], "cameras": ["00_16"], "joint_set": "muco21"},
        {"sequences": ["seq"], "cameras": ["00_16"], "frames": {"other": [1]}},
        {"sequences": ["seq"], "cameras": ["00_16"], "frames": ["0"]},
        {"sequences": ["seq"], "cameras": ["00_16"], "frames": {"seq": [0.5]}},
        {"sequences": ["seq", "seq"], "cameras": ["00_16"]},
        {"sequences": ["seq"], "cameras": ["00_16", "00_16"]},
    ],
)
def test_arguments_out_of_range(tmp_path, arguments):
    write_panoptic(tmp_path, "seq", CAMERAS, {0: {0: make_body(0)}})
    with pytest.raises(ValueError, match="expected"):
        load_panoptic(str(tmp_path), **arguments)


# Real data ---------------------------------------------------------------------------------

# Lengths in mm that bones of adults have, with room for errors of the annotation.
BONES = {
    ("shoulder", "elbow"): (180, 420),
    ("elbow", "wrist"): (150, 380),
    ("hip", "knee"): (280, 560),
    ("knee", "ankle"): (280, 560),
}


def assert_bodies_are_human(records: list[dict]) -> None:
    """Bones have the length of bones, and left is left: noses are in front of their bodies."""
    lengths: dict[tuple[str, str], list[float]] = {bone: [] for bone in BONES}
    in_front = []
    index = PANOPTIC19.index
    for record in records:
        for person in record["annotations"]:
            joints, valid = person["keypoints_cam"], person["keypoints_cam_valid"]
            for (a, b), side in ((bone, s) for bone in BONES for s in ("left_", "right_")):
                i, j = index(side + a), index(side + b)
                if valid[i] and valid[j]:
                    lengths[a, b].append(np.linalg.norm(joints[i] - joints[j]))
            named = ("left_shoulder", "right_shoulder", "neck", "pelvis", "nose")
            if valid[[index(name) for name in named]].all():
                left, right, neck, pelvis, nose = (joints[index(name)] for name in named)
                forward = np.cross(left - right, neck - pelvis)
                in_front.append(forward @ (nose - neck) > 0)
    for bone, (low, high) in BONES.items():
        measured = np.array(lengths[bone])
        assert len(measured) > 20
        assert np.mean((low < measured) & (measured < high)) > 0.95, bone
    assert len(in_front) > 20 and np.mean(in_front) > 0.9


@pytest.fixture(scope="module")
def haggling() -> list[dict]:
    cameras = ["00_03", "00_12", "00_23"]
    return load_panoptic(str(real_data("panoptic")), ["demo_haggling"], cameras)


def test_demo_haggling(haggling):
    # In one picture of 00_23 a person is cut off by the corner: no joint is inside.
    assert [len(record["annotations"]) for record in haggling] == [3] * 10 + [2] + [3] * 4
    assert len({record["image_id"] for record in haggling}) == 15
    assert_bodies_are_human(haggling)
    for record in haggling:
        assert cv2.imread(record["file_name"]).shape == (record["height"], record["width"], 3)
        for person in record["annotations"]:
            check_person(person, PANOPTIC19, Where(record["image_id"]))
            keypoints = keypoints_of(person)
            seen = keypoints[:, 2] > 0
            np.testing.assert_array_equal(seen, person["keypoints_cam_valid"])
            pixels = pinhole(record, person | {"keypoints_cam": person["keypoints_cam"][seen]})
            np.testing.assert_allclose(keypoints[seen, :2], pixels, atol=1e-2)


def test_undistortion_takes_the_picture_to_the_keypoints(haggling):
    largest = 0.0
    for record in haggling:
        matrix, distortion = opencv_matrix(record), np.array(record["distortion"])
        # Where cv2.undistort takes each pixel of its result from.
        size = record["width"], record["height"]
        sources = cv2.initUndistortRectifyMap(matrix, distortion, None, matrix, size, cv2.CV_32FC1)
        for person in record["annotations"]:
            keypoints = keypoints_of(person)
            inside = ((keypoints[:, :2] > 1) & (keypoints[:, :2] < np.array(size) - 1)).all(axis=1)
            pixels = keypoints[inside, :2] - 0.5
            if not inside.any():
                continue
            part = person | {"keypoints_cam": person["keypoints_cam"][inside]}
            distorted = brown_conrady(record, part)
            joints = part["keypoints_cam"].astype(np.float64)
            by_opencv, _ = cv2.projectPoints(joints, np.zeros(3), np.zeros(3), matrix, distortion)
            np.testing.assert_allclose(by_opencv[:, 0], distorted, atol=1e-3)
            source = [map_coordinates(axis, pixels.T[::-1], order=1) for axis in sources]
            np.testing.assert_allclose(np.stack(source, axis=1), distorted, atol=0.02)
            largest = max(largest, np.abs(distorted - pixels).max())
    assert largest > 30  # the convention matters in these very pictures


@pytest.mark.parametrize("sequence", ["160906_band1", "160906_band2"])
def test_official_poses_are_recovered_from_all_cameras(tmp_path, sequence):
    """Triangulates the loader's 2D joints over the 31 HD cameras: the file's world joints."""
    folder = real_data("panoptic", sequence)
    content = json.loads((folder / f"calibration_{sequence}.json").read_text())
    cameras = [camera for camera in content["cameras"] if camera["type"] == "hd"]
    files = sorted(folder.glob("*coco19/*.json"))
    frames = [int(file.stem[-8:]) for file in files]
    write_panoptic(tmp_path, sequence, cameras, {}, images={c["name"]: frames for c in cameras})
    target = tmp_path / sequence
    (target / "hdPose3d_stage1_coco19").rmdir()
    (target / "hdPose3d_stage1_coco19").symlink_to(folder / "hdPose3d_stage1_coco19")
    records = load(tmp_path, (sequence,), [camera["name"] for camera in cameras])
    assert len(records) == 31 * 20
    assert_bodies_are_human(records[:20])

    matrices = {
        c["name"]: np.array(c["K"]) @ np.hstack((np.array(c["R"]), np.array(c["t"])))
        for c in cameras
    }
    equations: dict[tuple[int, int, int], list[np.ndarray]] = {}
    for record in records:
        matrix = matrices[record["camera"]]
        for person in record["annotations"]:
            for joint, (x, y, v) in enumerate(keypoints_of(person)):
                if v > 0:
                    rows = np.stack(((x - 0.5) * matrix[2] - matrix[0], (y - 0.5) * matrix[2]))
                    rows[1] -= matrix[1]
                    key = record["frame"], person["person_id"], joint
                    equations.setdefault(key, []).append(rows / np.linalg.norm(rows[:, :3]))
    bodies = {
        (frame, body["id"]): np.reshape(body["joints19"], (19, 4))
        for frame, file in zip(frames, files, strict=True)
        for body in json.loads(file.read_text())["bodies"]
    }
    known = {(*key, j) for key, b in bodies.items() for j in range(19) if b[j, 3] > 0.1}
    assert equations.keys() == known
    assert min(len(rows) for rows in equations.values()) >= 2
    for (frame, body, joint), rows in equations.items():
        point = np.linalg.svd(np.concatenate(rows))[2][-1]
        expected = bodies[frame, body][joint, :3]
        np.testing.assert_allclose(point[:3] / point[3], expected, atol=1e-3)
