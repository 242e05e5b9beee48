"""CMU Panoptic, real data: human bodies, the lens, and the official poses from all cameras."""

import json

import cv2
import numpy as np
import pytest
from scipy.ndimage import map_coordinates

from hmor_d2.data.annotations import check_person
from hmor_d2.data.dataset_error import Where
from hmor_d2.data.datasets import load_panoptic
from tests.data.panoptic_sequences import PANOPTIC19, keypoints_of, load
from tests.data.writers import write_panoptic
from tests.real_data import real_data


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
