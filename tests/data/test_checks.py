"""The measurements behind tools/check_dataset.py, on arrays with known answers."""

import copy

import cv2
import numpy as np
import pytest
from detectron2.structures import BoxMode

from hmor_d2.data.checks import check_annotations
from hmor_d2.data.checks.bodies import PART_BOUNDS_MM, part_lengths, part_name
from hmor_d2.data.checks.people import stack_people
from hmor_d2.data.checks.projection import reprojection_errors, undistortion_errors
from hmor_d2.data.dataset_error import DatasetError
from hmor_d2.data.datasets import load_panoptic
from hmor_d2.skeleton import get_skeleton
from tests.data.bodies import STANDING, standing_person
from tests.data.writers import make_muco_records, panoptic_camera, write_panoptic


@pytest.fixture
def dome(tmp_path) -> list[dict]:
    """Four people in two cameras with real lenses; one joint is unknown."""
    turned = cv2.Rodrigues(np.array([0.1, 0.6, -0.05]))[0]
    cameras = [
        panoptic_camera("00_16", np.eye(3), (0.0, 100.0, 300.0)),
        panoptic_camera("00_30", turned, (20.0, 90.0, 310.0)),
    ]
    first, second = standing_person(-90, 0, 0.4), standing_person(60, 100, 2.0)
    second[5] = (0, 0, 0, -1)
    write_panoptic(tmp_path, "seq", cameras, {3: {0: first, 1: second}})
    return load_panoptic(str(tmp_path), ["seq"], ["00_16", "00_30"])


def failing(records: list[dict], **kwargs) -> set[str]:
    checks = check_annotations(records, **kwargs).checks
    return {check.name for check in checks if check.status == "FAIL"}


def people_of(records: list[dict]):
    (people,) = stack_people(records, "coco17")
    return people


def test_stacking_keeps_everybody_in_chunks_of_one_joint_set(dome):
    muco = make_muco_records(0, [3, 0, 2, 1], "root")
    coco = {"file_name": "c.jpg", "image_id": 5, "height": 50, "width": 60, "annotations": [
        {"bbox": [1, 2, 30, 40], "bbox_mode": BoxMode.XYXY_ABS, "iscrowd": 1,
         "category_id": 0},
    ]}  # fmt: skip
    chunks = list(stack_people([*muco[:2], dome[0], *muco[2:], coco, dome[1]], "coco17", chunk=4))
    found = [(people.skeleton.name, len(people)) for people in chunks]
    assert sorted(found) == [("coco17", 1), ("muco21", 1), ("muco21", 5), ("panoptic19", 4)]
    people = next(people for people in chunks if people.skeleton.name == "muco21")
    annotations = [person for record in muco[:3] for person in record["annotations"]]
    for row, person in enumerate(annotations):
        x, y, w, h = person["bbox"]
        np.testing.assert_allclose(people.boxes[row], (x, y, x + w, y + h))
        np.testing.assert_array_equal(people.keypoints[row].ravel(), person["keypoints"])
        np.testing.assert_array_equal(people.joints[row], person["keypoints_cam"])
        assert people.valid[row].all()
    np.testing.assert_array_equal(people.intrinsics[3], muco[2]["intrinsics"])
    assert np.isnan(people.distortion).all()
    assert not people.crowd.any() and (people.sizes == 2048).all()
    crowd = next(people for people in chunks if people.skeleton.name == "coco17")
    assert crowd.crowd.all() and not crowd.valid.any() and not crowd.keypoints.any()
    np.testing.assert_array_equal(crowd.boxes, [[1, 2, 30, 40]])
    np.testing.assert_array_equal(crowd.sizes, [[60, 50]])
    dome_people = next(people for people in chunks if people.skeleton.name == "panoptic19")
    np.testing.assert_array_equal(dome_people.valid.sum(axis=1), [19, 18, 19, 18])
    np.testing.assert_array_equal(dome_people.distortion[0], dome[0]["distortion"])


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"keypoints": [1.0] * 20}, "keypoints"),
        ({"keypoints": [float("nan")] * 63}, "keypoints"),
        ({"keypoints": [3.0] * 63}, "visibility"),
        ({"keypoints_cam": np.ones((17, 3))}, "keypoints_cam"),
        ({"bbox": [1, 2, 3]}, "bbox"),
        ({"bbox_mode": BoxMode.XYWHA_ABS}, "bbox_mode"),
    ],
)
def test_unmeasurable_annotations_are_named(change, expected):
    records = make_muco_records(0, [1, 2], "root")
    records[1]["annotations"][1].update(change)
    with pytest.raises(DatasetError, match=rf"root/.*image 1.*person 1.*{expected}"):
        list(stack_people(records, "coco17"))


def test_reprojection_errors_are_those_put_in():
    records = make_muco_records(1, [2, 3], "root")
    people = people_of(records)
    assert np.nanmax(reprojection_errors(people)) < 1e-3
    people.keypoints[4, 7, :2] += (3, -4)
    people.keypoints[0, 2, 2] = 0
    people.valid[1, 3] = False
    people.joints[2, 5] = (1, 1, 99)
    people.intrinsics[3] = np.nan
    errors = reprojection_errors(people)
    assert errors[4, 7] == pytest.approx(5, abs=1e-3)
    unknown = np.zeros(errors.shape, bool)
    unknown[[0, 1, 2], [2, 3, 5]] = unknown[3] = True
    np.testing.assert_array_equal(np.isnan(errors), unknown)
    assert (np.delete(errors[4], 7) < 1e-3).all()


def test_the_way_through_the_lens(dome):
    people = people_of(dome)
    errors, moved = undistortion_errors(people)
    assert len(errors) == (people.valid & (people.keypoints[..., 2] == 2)).sum() > 60
    assert errors.max() < 1e-3
    assert moved > 20
    # Joints of the distorted picture, a forgotten shift of half a pixel, a wrong lens.
    for record in dome:
        fx, fy, cx, cy = record["intrinsics"]
        matrix = np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]])
        lens = np.array(record["distortion"])
        for person in record["annotations"]:
            keypoints = np.reshape(person["keypoints"], (-1, 3))
            known = person["keypoints_cam_valid"]
            joints = person["keypoints_cam"][known].astype(float)
            pixels = cv2.projectPoints(joints, np.zeros(3), np.zeros(3), matrix, lens)[0][:, 0]
            keypoints[known, :2] = pixels
            person["keypoints"] = keypoints.ravel().tolist()
    assert undistortion_errors(people_of(dome))[0].max() > 20
    assert "distorted and back by OpenCV, worst" in failing(dome)


def test_half_a_pixel_and_a_wrong_lens_are_found(dome):
    shifted = copy.deepcopy(dome)
    for record in shifted:
        record["intrinsics"][2] += 0.5
    assert {"distorted and back by OpenCV, worst", "reprojection, median"} <= failing(shifted)
    assert failing(dome) == set()
    people = people_of(dome)
    people.distortion[:, 0] += 0.01  # there and back through one and the same lens
    assert undistortion_errors(people)[0].max() < 1e-3
    people.distortion[:] = np.nan
    assert len(undistortion_errors(people)[0]) == 0


def test_rows_of_the_camera(dome):
    lost = copy.deepcopy(dome)
    del lost[0]["intrinsics"]
    assert failing(lost) == {"3D people without a camera"}
    behind = copy.deepcopy(dome)
    person = behind[1]["annotations"][0]
    person["keypoints_cam"][4, 2] *= -1
    assert "labelled joints behind the camera" in failing(behind)
    twice = [*dome, {**dome[0], "file_name": "other.jpg"}]
    assert failing(twice) == {"image ids that repeat"}
    flat = copy.deepcopy(dome)
    person = flat[0]["annotations"][1]
    person["bbox"] = [*person["bbox"][:2], *person["bbox"][:2]]
    assert "boxes without size" in failing(flat)


def test_part_lengths_and_names(dome):
    skeleton = get_skeleton("panoptic19")
    people = people_of(dome)
    lengths = part_lengths(people)
    for part, (start, end) in enumerate(skeleton.parts):
        expected = np.linalg.norm(STANDING[end] - STANDING[start]) * 10
        known = np.array([True, 5 not in (start, end), True, 5 not in (start, end)])
        np.testing.assert_allclose(lengths[known, part], expected, rtol=1e-5)
        assert np.isnan(lengths[~known, part]).all()
    names = [part_name(skeleton, part) for part in range(skeleton.num_parts)]
    assert names.count("elbow-wrist") == 2 and "neck-nose" in names


@pytest.mark.parametrize(
    "name", ["muco17", "muco21", "panoptic15", "panoptic19", "h36m17", "smpl24"]
)
def test_every_part_of_a_3d_skeleton_has_bounds(name):
    skeleton = get_skeleton(name)
    names = {part_name(skeleton, part) for part in range(skeleton.num_parts)}
    assert names <= set(PART_BOUNDS_MM)


def test_each_side_is_compared_with_its_own_mirror_image(dome):
    """Longer left shins; all else stays symmetric."""
    skeleton = get_skeleton("panoptic19")
    ankle, knee = skeleton.index("left_ankle"), skeleton.index("left_knee")
    for record in dome:
        for person in record["annotations"]:
            joints = person["keypoints_cam"]
            joints[ankle] += 0.5 * (joints[ankle] - joints[knee])
    rows = {check.name: check for check in check_annotations(dome).checks}
    # 1.5 against 1 is 0.5 of their mean of 1.25.
    assert rows["left-right difference, median"].value == "40.0% (knee-ankle, the largest)"
    assert rows["left-right difference, median"].status == "FAIL"
