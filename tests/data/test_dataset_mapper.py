import cv2
import numpy as np
import pytest
import torch
from detectron2.data import transforms as T
from detectron2.structures import BoxMode
from hypothesis import given, settings
from hypothesis import strategies as st

from hmor_d2.data import DatasetError, HMORDatasetMapper
from hmor_d2.skeleton import get_skeleton
from hmor_d2.structures import (
    PinholeCameras,
    decode_roi_poses,
    encode_roi_poses,
    equivalent_depth_scale,
)

MUCO17 = get_skeleton("muco17")
HEIGHT, WIDTH = 60, 80


def make_mapper(*augmentations, is_train=True):
    return HMORDatasetMapper(
        is_train,
        augmentations=list(augmentations),
        image_format="BGR",
        skeleton=MUCO17,
        default_joint_set="coco17",
    )


@pytest.fixture(scope="module")
def image_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("images") / "a.png"
    image = np.random.default_rng(0).integers(0, 255, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    cv2.imwrite(str(path), image)
    return str(path)


def make_record(image_file, rng, people=3, joint_set="muco17"):
    """A record whose 2D joints are the projections of its 3D joints."""
    skeleton = get_skeleton(joint_set)
    intrinsics = [*rng.uniform(30, 300, 2), *(rng.uniform(0.2, 0.8, 2) * (WIDTH, HEIGHT))]
    root = rng.uniform((-1500, -800, 1200), (1500, 800, 9000), (people, 1, 3))
    poses = root + rng.uniform(-900, 900, (people, skeleton.num_joints, 3))
    poses[:, skeleton.root_index] = root[:, 0]
    camera = PinholeCameras(torch.tensor([intrinsics] * people, dtype=torch.float64))
    pixels = camera.project(torch.from_numpy(poses)).numpy()
    annotations = []
    for pose, points in zip(poses, pixels, strict=True):
        corner = rng.uniform(0, 0.5, 2) * (WIDTH, HEIGHT)
        annotations.append(
            {
                "bbox": [*corner, *rng.uniform(10, 30, 2)],
                "bbox_mode": BoxMode.XYWH_ABS,
                "category_id": 0,
                "keypoints": np.column_stack((points, np.full(len(points), 2))).ravel().tolist(),
                "keypoints_cam": pose.astype(np.float32),
                "keypoints_cam_valid": np.ones(len(pose), bool),
            }
        )
    return {
        "file_name": image_file,
        "image_id": 7,
        "height": HEIGHT,
        "width": WIDTH,
        "intrinsics": intrinsics,
        "joint_set": joint_set,
        "annotations": annotations,
    }


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    size=st.tuples(st.integers(40, 400), st.integers(40, 400)),
    flip=st.booleans(),
    depth_range=st.floats(1000, 2000),
)
def test_round_trip_returns_the_ground_truth(image_file, seed, size, flip, depth_range):
    """Ground truth -> mapper -> RoI targets -> decoding -> absolute pose, to 0.1 mm."""
    rng = np.random.default_rng(seed)
    record = make_record(image_file, rng)
    mapped = make_mapper(T.Resize(size), T.RandomFlip(prob=float(flip)))(record)
    instances, camera = mapped["instances"], PinholeCameras(mapped["intrinsics"][None])
    n, root = len(instances), MUCO17.root_index
    cameras = camera[torch.zeros(n, dtype=torch.long)]

    # What the heads are trained to predict, in random RoIs that need not be the boxes...
    corner = torch.rand(n, 2) * 50
    rois = torch.cat((corner, corner + 5 + torch.rand(n, 2) * 300), dim=1)
    poses = instances.gt_poses
    relative = poses.relative_to(root).tensor[..., 2]
    target, *_ = encode_roi_poses(
        instances.gt_keypoints.tensor[..., :2], relative, rois, depth_range
    )
    scale = equivalent_depth_scale(rois, 196.0)
    equivalent = poses.tensor[:, root, 2] / cameras.mean_focal * scale
    # ... and back, as at test (eq. 17 and 4).
    pixels, relative = decode_roi_poses(target, rois, depth_range)
    depth = equivalent / scale * cameras.mean_focal
    found = cameras.unproject(pixels, relative + depth[:, None])
    assert (found - poses.tensor).norm(dim=-1).max() < 0.1

    # The mapped ground truth is the original one, mirrored where the image is.
    expected = np.stack([a["keypoints_cam"] for a in record["annotations"]])
    if flip:
        expected = expected[:, MUCO17.flip_indices] * np.float32([-1, 1, 1])
    np.testing.assert_array_equal(poses.tensor.numpy(), expected)


def test_flip_mirrors_pixels_of_image_and_joints_alike(tmp_path):
    """A bright dot on one joint is still on that joint, under its mirrored name."""
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    image[20, 30] = 255
    cv2.imwrite(str(tmp_path / "dot.png"), image)
    record = make_record(str(tmp_path / "dot.png"), np.random.default_rng(1), people=1)
    keypoints = np.reshape(record["annotations"][0]["keypoints"], (17, 3))
    keypoints[MUCO17.index("right_wrist"), :2] = (30.5, 20.5)
    record["annotations"][0]["keypoints"] = keypoints.ravel().tolist()
    mapped = make_mapper(T.RandomFlip(prob=1.0))(record)
    x, y, _ = mapped["instances"].gt_keypoints.tensor[0, MUCO17.index("left_wrist")]
    row, column = np.argwhere(mapped["image"][0].numpy() == 255)[0]
    assert (column + 0.5, row + 0.5) == (float(x), float(y))


def test_crop_moves_the_principal_point(image_file):
    record = make_record(image_file, np.random.default_rng(2))
    mapped = make_mapper(T.CropTransform(10, 5, 50, 40))(record)
    fx, fy, cx, cy = record["intrinsics"]
    np.testing.assert_allclose(mapped["intrinsics"], [fx, fy, cx - 10, cy - 5], rtol=1e-6)
    assert mapped["image"].shape == (3, 40, 50)


def test_plain_detectron2_coco_dict(image_file):
    keypoints = np.random.default_rng(3).uniform(5, 55, (17, 3))
    keypoints[:, 2] = 2
    keypoints[11, 2] = 0
    record = {
        "file_name": image_file,
        "image_id": 1,
        "height": HEIGHT,
        "width": WIDTH,
        "annotations": [
            {
                "bbox": [5, 5, 50, 50],
                "bbox_mode": 0,
                "category_id": 0,
                "keypoints": keypoints.ravel().tolist(),
            },
            {"bbox": [5, 5, 20, 20], "bbox_mode": 1, "category_id": 0},
            {"bbox": [0, 0, 80, 60], "bbox_mode": 1, "category_id": 0, "iscrowd": 1},
        ],
    }
    mapped = make_mapper(T.NoOpTransform())(record)
    instances = mapped["instances"]
    assert len(instances) == 2 and "intrinsics" not in mapped
    assert not instances.gt_poses.valid.any()
    visible = instances.gt_keypoints.tensor[..., 2]
    assert visible[0, MUCO17.index("neck")] == 2 and visible[0, MUCO17.index("pelvis")] == 0
    assert visible[0, MUCO17.index("right_hip")] == 2 and not visible[1].any()
    np.testing.assert_allclose(
        instances.gt_keypoints.tensor[0, MUCO17.index("neck"), :2],
        keypoints[[5, 6], :2].mean(axis=0),
        rtol=1e-6,
    )


def test_3d_dict_without_a_joint_set_is_in_the_models_skeleton(image_file):
    record = make_record(image_file, np.random.default_rng(4))
    expected = make_mapper(T.NoOpTransform())(record)["instances"]
    del record["joint_set"]
    found = make_mapper(T.NoOpTransform())(record)["instances"]
    assert torch.equal(found.gt_poses.tensor, expected.gt_poses.tensor)


def test_distorted_images_are_undistorted(tmp_path):
    """A dot drawn where the lens shows a 3D point ends where the pinhole camera shows it."""
    intrinsics, distortion = [900.0, 880.0, 320.5, 240.5], [-0.25, 0.1, 1e-3, -5e-4, 0.02]
    point = np.array([[600.0, -500.0, 2500.0]])
    matrix = np.array([[900.0, 0, 320], [0, 880.0, 240], [0, 0, 1]])
    seen, _ = cv2.projectPoints(point, np.zeros(3), np.zeros(3), matrix, np.array(distortion))
    image = np.zeros((480, 640, 3), np.uint8)
    cv2.circle(
        image, tuple((seen[0, 0] * 16).round().astype(int).tolist()), 5 * 16, (255,) * 3, -1, 16, 4
    )
    cv2.imwrite(str(tmp_path / "d.png"), image)
    record = {
        "file_name": str(tmp_path / "d.png"),
        "image_id": 0,
        "height": 480,
        "width": 640,
        "intrinsics": intrinsics,
        "distortion": distortion,
    }
    mapped = make_mapper(T.NoOpTransform(), is_train=False)(record)
    rows, columns = np.nonzero(mapped["image"][0].numpy() > 128)
    camera = PinholeCameras([intrinsics])
    expected = camera.project(torch.tensor(point, dtype=torch.float32)[None])[0, 0]
    found = torch.tensor([columns.mean() + 0.5, rows.mean() + 0.5])
    assert (found - expected).norm() < 0.3
    assert np.linalg.norm(seen[0, 0] + 0.5 - expected.numpy()) > 2  # the lens does matter here


def broken(record, **changes):
    record = {**record, "annotations": [dict(a) for a in record["annotations"]]}
    for key, value in changes.items():
        (record["annotations"][1] if key.startswith(("key", "bbox")) else record)[key] = value
    return record


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"intrinsics": [0.0, 100.0, 40.0, 30.0]}, "intrinsics"),
        ({"intrinsics": [100.0, float("nan"), 40.0, 30.0]}, "intrinsics"),
        ({"keypoints": [1.0, 2.0, 2.0]}, "keypoints"),
        ({"keypoints": [float("inf")] * 51}, "keypoints"),
        ({"keypoints_cam": np.zeros((16, 3), np.float32)}, "keypoints_cam"),
        ({"keypoints_cam": np.full((17, 3), np.nan, np.float32)}, "keypoints_cam"),
        ({"bbox": [0.0, 0.0, float("nan"), 5.0]}, "bbox"),
        ({"width": WIDTH + 1}, "width/height"),
        ({"intrinsics": None}, "intrinsics"),
        ({"distortion": [0.1, 0.2]}, "distortion"),
        ({"distortion": [0.1, 0.2, 0.0, 0.0, float("nan")]}, "distortion"),
        ({"joint_set": "muco16"}, "joint_set"),
        ({"file_name": "no_such_file.png"}, "no_such_file.png"),
    ],
)
def test_bad_input_names_file_image_and_field(image_file, changes, field):
    record = broken(make_record(image_file, np.random.default_rng(5)), **changes)
    with pytest.raises(DatasetError) as error:
        make_mapper(T.NoOpTransform())(record)
    message = str(error.value)
    assert record["file_name"] in message and "image 7" in message and field in message


def test_none_is_absent(image_file):
    record = make_record(image_file, np.random.default_rng(9))
    for annotation in record["annotations"][:2]:
        annotation.update(keypoints_cam=None, keypoints_cam_valid=None)
    record["annotations"][2].update(keypoints=None, keypoints_cam_valid=None)
    instances = make_mapper(T.NoOpTransform())(record)["instances"]
    assert instances.gt_poses.valid.any(dim=1).tolist() == [False, False, True]
    assert instances.gt_poses.tensor.isfinite().all()
    assert not instances.gt_keypoints.tensor[2, :, 2].any()


def test_a_box_without_size_is_left_out(image_file):
    record = make_record(image_file, np.random.default_rng(10))
    record["annotations"][1]["bbox"] = [10.0, 10.0, 5.0, 0.0]
    assert len(make_mapper(T.NoOpTransform())(record)["instances"]) == 2


def test_another_category_is_refused(image_file):
    record = make_record(image_file, np.random.default_rng(11))
    record["annotations"][1]["category_id"] = 16
    with pytest.raises(DatasetError, match=r"image 7, person 1.*category_id.*16"):
        make_mapper(T.NoOpTransform())(record)


def test_an_image_without_annotations_trains_as_background(image_file):
    record = make_record(image_file, np.random.default_rng(12))
    del record["annotations"]
    assert len(make_mapper(T.NoOpTransform())(record)["instances"]) == 0


def test_truncated_image_is_named(image_file, tmp_path):
    path = tmp_path / "cut.png"
    with open(image_file, "rb") as file:
        path.write_bytes(file.read()[:500])
    record = broken(make_record(image_file, np.random.default_rng(6)), file_name=str(path))
    with pytest.raises(DatasetError, match=r"cut.png, image 7"):
        make_mapper(T.NoOpTransform())(record)


def test_nobody_and_people_outside_the_image(image_file):
    record = make_record(image_file, np.random.default_rng(7))
    record["annotations"][0]["bbox"] = [200.0, 200.0, 10.0, 10.0]
    assert len(make_mapper(T.NoOpTransform())(record)["instances"]) == 2
    record["annotations"] = []
    instances = make_mapper(T.NoOpTransform())(record)["instances"]
    assert len(instances) == 0 and instances.gt_poses.tensor.shape == (0, 17, 3)


def test_the_record_is_left_as_it_was(image_file):
    record = make_record(image_file, np.random.default_rng(8))
    before = repr(record)
    make_mapper(T.Resize((30, 40)), T.RandomFlip(prob=1.0))(record)
    assert repr(record) == before
