import json

import cv2
import numpy as np
import pytest

from hmor_d2.data import toy_scenes
from hmor_d2.data.toy_scenes import make_toy_scene
from hmor_d2.skeleton import get_skeleton
from tests.scripts import load_script

SKELETON = get_skeleton("muco21")
SIZE = (160, 128)


@pytest.fixture(scope="module")
def scenes():
    return [make_toy_scene(np.random.default_rng([7, i]), SIZE) for i in range(30)]


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    root = tmp_path_factory.mktemp("datasets")
    options = ["--train-images", "4", "--test-images", "2", "--demo-images", "1"]
    load_script("datasets/prepare_toy.py").main(
        ["--root", str(root), *options, "--size", "160x128", "--seed", "3"]
    )
    return root / "toy"


def joint(poses, name):
    return poses[..., SKELETON.index(name), :]


def test_pixels_are_the_projection_of_the_joints(scenes):
    for scene in scenes:
        cam = scene.keypoints_cam
        projected = cam[..., :2] / cam[..., 2:] * scene.focal + scene.principal_point
        np.testing.assert_allclose(scene.keypoints_img, projected, atol=1e-3)
        assert cam[..., 2].min() > 500


def test_same_seed_same_scene_and_other_seed_another():
    a, b, c = (make_toy_scene(np.random.default_rng([1, i]), SIZE) for i in (0, 0, 1))
    np.testing.assert_array_equal(a.image, b.image)
    np.testing.assert_array_equal(a.keypoints_cam, b.keypoints_cam)
    assert (a.image != c.image).any()


def test_visible_joints_lie_inside_their_own_box_and_boxes_inside_the_image(scenes):
    some_hidden = False
    for scene in scenes:
        low, size = scene.boxes[:, None, :2], scene.boxes[:, None, 2:]
        points = scene.keypoints_img + 0.5  # boxes are in continuous pixels
        inside = ((points >= low) & (points <= low + size)).all(axis=-1)
        assert inside[scene.keypoints_vis].all()
        assert (scene.boxes >= 0).all()
        assert (scene.boxes[:, :2] + scene.boxes[:, 2:] <= SIZE).all()
        assert (scene.boxes[:, 2:] > 2).all()
        some_hidden |= bool((inside & ~scene.keypoints_vis).any())
    assert some_hidden


def test_scenes_hold_one_to_four_people_at_two_to_seven_metres(scenes):
    counts = {len(scene.boxes) for scene in scenes}
    assert counts <= {1, 2, 3, 4} and len(counts) >= 3
    roots = np.concatenate([joint(scene.keypoints_cam, "pelvis") for scene in scenes])
    assert 1500 < roots[:, 2].min() < 3500 and 5000 < roots[:, 2].max() < 7500


def test_a_figure_that_faces_the_camera_has_its_left_hand_side_at_larger_x(scenes):
    cam = np.concatenate([scene.keypoints_cam for scene in scenes])
    ahead = sum(joint(cam, f"{s}_toe") - joint(cam, f"{s}_ankle") for s in ("left", "right"))
    ahead = ahead[:, 2] / np.linalg.norm(ahead, axis=1)
    across = joint(cam, "left_hip")[:, 0] - joint(cam, "right_hip")[:, 0]
    facing, turned_away = ahead < -0.7, ahead > 0.7
    assert facing.sum() >= 5 and turned_away.sum() >= 5
    assert (across[facing] > 0).all()
    assert (across[turned_away] < 0).all()


def test_left_limbs_are_drawn_lighter_than_right_ones(scenes):
    brightness = {"left": [], "right": []}
    for scene in scenes:
        for side, values in brightness.items():
            for part in ("elbow", "wrist", "knee", "ankle"):
                j = SKELETON.index(f"{side}_{part}")
                seen = scene.keypoints_img[scene.keypoints_vis[:, j], j].round().astype(int)
                values.extend(scene.image[seen[:, 1], seen[:, 0]].mean(axis=-1))
    assert np.mean(brightness["left"]) > 1.4 * np.mean(brightness["right"])


def test_figures_stand_on_the_ground_and_have_the_size_of_people():
    for seed in range(40):
        points, cones = toy_scenes._sample_person(np.random.default_rng(seed))
        bottoms = {
            (a, b): max(points[a][1] + radius_a, points[b][1] + radius_b)
            for a, b, radius_a, radius_b, _ in cones
        }
        lowest = max(bottoms, key=bottoms.get)
        assert lowest in {("left_heel", "left_toe"), ("right_heel", "right_toe")}
        assert bottoms[lowest] == pytest.approx(0, abs=1e-6)
        assert 600 < -min(point[1] for point in points.values()) < 2100
        for side in ("left", "right"):
            thigh = np.linalg.norm(points[f"{side}_hip"] - points[f"{side}_knee"])
            forearm = np.linalg.norm(points[f"{side}_elbow"] - points[f"{side}_wrist"])
            assert 200 < thigh < 550 and 140 < forearm < 310


def test_rays_meet_round_cones_on_their_surface():
    rng = np.random.default_rng(0)
    steps = np.linspace(0, 1, 2001)

    def depth_inside(points, a, b, radius_a, radius_b):
        """Largest overlap of points with the spheres that the cone is the hull of."""
        centres = a + steps[:, None] * (b - a)
        radii = radius_a + steps * (radius_b - radius_a)
        return (radii - np.linalg.norm(points[:, None] - centres, axis=-1)).max(axis=1)

    for _ in range(20):
        a, b = rng.uniform([-200, -200, 1500], [200, 200, 1900], (2, 3))
        cone = (a, b, *rng.uniform(10, 80, 2))
        rays = rng.normal([0, 0, 1], [0.15, 0.15, 0], (200, 3))
        rays /= np.linalg.norm(rays, axis=1, keepdims=True)
        distance, normal = toy_scenes._meet_round_cone(rays, *cone)
        hit = np.isfinite(distance)
        reached = distance[hit, None] * rays[hit]
        np.testing.assert_allclose(depth_inside(reached, *cone), 0, atol=0.05)
        before = distance[hit, None] * rays[hit] + normal[hit]
        np.testing.assert_allclose(depth_inside(before, *cone), -1, atol=0.05)
        assert (np.sum(normal[hit] * rays[hit], axis=1) <= 1e-6).all()
        for t in np.linspace(1300, 2200, 19):
            assert depth_inside(rays[~hit] * t, *cone).max(initial=-np.inf) <= 0.05


def test_files_have_the_keys_and_shapes_of_muco(written):
    data = json.loads((written / "train.json").read_text())
    assert [image["id"] for image in data["images"]] == [0, 1, 2, 3]
    assert [person["id"] for person in data["annotations"]] == list(range(len(data["annotations"])))
    for image in data["images"]:
        assert set(image) == {"id", "file_name", "width", "height", "f", "c"}
        picture = cv2.imread(str(written / image["file_name"]))
        assert picture.shape == (image["height"], image["width"], 3) == (128, 160, 3)
    for person in data["annotations"]:
        assert set(person) == {
            *("id", "image_id", "bbox", "keypoints_img", "keypoints_cam", "keypoints_vis")
        }
        image = data["images"][person["image_id"]]
        img, cam = np.array(person["keypoints_img"]), np.array(person["keypoints_cam"])
        assert img.shape == (21, 2) and cam.shape == (21, 3)
        assert set(person["keypoints_vis"]) <= {0, 1} and len(person["keypoints_vis"]) == 21
        projected = cam[:, :2] / cam[:, 2:] * image["f"] + image["c"]
        np.testing.assert_allclose(img, projected, atol=1e-3)
    assert len(list((written / "demo").glob("*.jpg"))) == 1
    assert not list(written.glob("*.part"))


def test_pictures_depend_on_seed_split_and_index_alone(written, tmp_path):
    script = load_script("datasets/prepare_toy.py")
    script.main(
        [
            *("--root", str(tmp_path), "--size", "160x128", "--seed", "3"),
            *("--train-images", "1", "--test-images", "1", "--demo-images", "0"),
        ]
    )
    for name in ("images/train_000000.jpg", "images/test_000000.jpg"):
        assert (tmp_path / "toy" / name).read_bytes() == (written / name).read_bytes()
    train, test = (written / f"images/{split}_000000.jpg" for split in ("train", "test"))
    assert train.read_bytes() != test.read_bytes()


def test_the_muco_loader_reads_the_files(written):
    from hmor_d2.data.datasets import load_muco_json

    records = load_muco_json(str(written / "test.json"), str(written))
    data = json.loads((written / "test.json").read_text())
    assert len(records) == 2
    people = [person for record in records for person in record["annotations"]]
    assert len(people) == len(data["annotations"])
    np.testing.assert_allclose(
        np.reshape(people[0]["keypoints"], (21, 3))[:, :2],
        np.add(data["annotations"][0]["keypoints_img"], 0.5),
    )


@pytest.mark.parametrize("option", [["--size", "320"], ["--size", "9x9"], ["--train-images", "-1"]])
def test_wrong_options_are_refused(option, tmp_path, capsys):
    with pytest.raises(SystemExit):
        load_script("datasets/prepare_toy.py").main(["--root", str(tmp_path), *option])
    assert option[1] in capsys.readouterr().err
