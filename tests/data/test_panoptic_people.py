"""CMU Panoptic: joints, visibility and boxes of people, against OpenCV and by hand."""

import logging

import cv2
import numpy as np

from hmor_d2.data.annotations import check_person
from hmor_d2.data.dataset_error import Where
from tests.data.panoptic_sequences import CAMERAS, NAMES, PANOPTIC19, keypoints_of, load, make_body
from tests.data.writers import write_panoptic


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
