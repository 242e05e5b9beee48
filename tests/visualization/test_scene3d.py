import cv2
import numpy as np
import pytest

from hmor_d2.skeleton import available_skeletons, get_skeleton
from hmor_d2.visualization import draw_panel, draw_poses, draw_scene
from hmor_d2.visualization.overlay import limb_colour, person_colour

SKELETON = get_skeleton("muco17")
CAMERA = {"intrinsics": (300.0, 300.0, 160.0, 128.0), "image_size": (256, 320)}
SPACE = int(400 * 1.25)  # columns of the view in space, at 400 rows; the map is to the right


def standing(x, z):
    """(17, 3) mm: a person upright at (x, z), legs as long as the trunk."""
    heights = {"ankle": 0, "knee": 450, "hip": 900, "pelvis": 900, "spine": 1150, "neck": 1400}
    heights |= {"shoulder": 1400, "elbow": 1150, "wrist": 900, "head": 1600, "head_top": 1700}
    pose = np.zeros((17, 3))
    for j, name in enumerate(SKELETON.joint_names):
        side = (name.startswith("left_") - name.startswith("right_")) * 180
        pose[j] = x + side, 1000 - heights[name.split("_", 1)[-1] if side else name], z
    return pose


def place_of_colour(picture, colour):
    """Mean (column, row) and number of the pixels of just this colour."""
    rows, columns = np.nonzero(abs(picture.astype(int) - colour).sum(axis=-1) < 8)
    return columns.mean(), rows.mean(), len(rows)


def test_nobody_gives_the_camera_and_the_ground():
    picture = draw_scene(np.zeros((0, 17, 3)), SKELETON, **CAMERA, height_px=400)
    assert picture.shape[0] == 400 and picture.dtype == np.uint8
    assert (picture < 250).any(axis=-1).mean() > 0.05
    with_person = draw_scene(standing(0, 3000)[None], SKELETON, **CAMERA, height_px=400)
    colour = person_colour(0)
    assert not (abs(picture.astype(int) - colour).sum(axis=-1) < 8).any()
    assert place_of_colour(with_person, colour)[2] > 100


def test_the_map_shows_x_to_the_right_and_depth_upwards():
    people = np.stack([standing(-800, 3000), standing(800, 3000), standing(0, 5000)])
    picture = draw_scene(people, SKELETON, **CAMERA, height_px=400)
    left, right, far = (place_of_colour(picture[:, SPACE:], person_colour(i)) for i in range(3))
    assert right[0] - left[0] > 40 and left[0] < far[0] < right[0]
    assert left[1] == pytest.approx(right[1], abs=4)
    assert left[1] - far[1] > 40
    # One scale for both directions: 1.6 m across and 2 m of depth.
    assert (left[1] - far[1]) / (right[0] - left[0]) == pytest.approx(2 / 1.6, rel=0.05)


def test_the_view_in_space_has_heads_above_feet_and_left_on_the_persons_left():
    picture = draw_scene(standing(0, 3000)[None], SKELETON, **CAMERA, height_px=400)[:, :SPACE]
    left, right = (place_of_colour(picture, limb_colour(0, f"{s}_knee")) for s in ("left", "right"))
    assert left[0] > right[0] + 5  # the person faces the camera: its left is at larger X
    trunk = place_of_colour(picture, limb_colour(0, "neck"))
    assert trunk[1] < left[1] - 5 and trunk[1] < right[1] - 5


def test_the_ground_is_as_low_as_the_lowest_ankle():
    from hmor_d2.visualization.scene3d import _extent

    lower = np.add(standing(500, 4000), (0, 200, 0))
    points = np.stack([standing(0, 3000), lower])
    points = points[..., [0, 2, 1]] / 1000 * (1, 1, -1)
    low, high = _extent(points, np.ones((2, 17), bool), SKELETON)
    assert low[2] == pytest.approx(-1.2)
    assert low[1] <= 0 and high[1] >= 4 and low[0] <= -0.18 and high[0] >= 0.68


def test_png_holds_the_returned_picture(tmp_path):
    path = tmp_path / "scene.png"
    picture = draw_scene(standing(0, 3000)[None], SKELETON, **CAMERA, height_px=300, path=path)
    np.testing.assert_array_equal(cv2.imread(str(path))[..., ::-1], picture)
    with pytest.raises(OSError, match="cannot write"):
        draw_scene(np.zeros((0, 17, 3)), SKELETON, **CAMERA, path=tmp_path / "no" / "scene.png")


@pytest.mark.parametrize("pose", [standing(0, 90_000), standing(0, -400), np.zeros((17, 3))])
def test_absurd_poses_are_drawn_all_the_same(pose):
    picture = draw_scene(pose[None], SKELETON, **CAMERA, height_px=300)
    assert place_of_colour(picture, person_colour(0))[2] > 10


def test_invalid_joints_and_people_without_joints_are_left_out():
    people = np.stack([standing(0, 3000), standing(700, 3000)])
    people[1, :5] = np.nan
    valid = np.ones((2, 17), bool)
    valid[1] = False
    some = draw_scene(people, SKELETON, **CAMERA, valid=valid, height_px=300)
    alone = draw_scene(people[:1], SKELETON, **CAMERA, height_px=300)
    np.testing.assert_array_equal(some, alone)


@pytest.mark.parametrize("name", available_skeletons())
def test_every_skeleton_can_be_drawn(name):
    skeleton = get_skeleton(name)
    pose = np.random.default_rng(0).normal((0, 0, 3000), 300, (1, skeleton.num_joints, 3))
    picture = draw_scene(pose, skeleton, **CAMERA, height_px=200)
    assert place_of_colour(picture, person_colour(0))[2] > 10


def test_the_panel_begins_with_the_overlay():
    image = np.random.default_rng(0).integers(0, 256, (256, 320, 3), dtype=np.uint8)
    pose = standing(0, 3000)
    pixels = pose[:, :2] / pose[:, 2:] * 300 + (160, 128)
    keypoints = np.column_stack([pixels, np.ones(17)])[None]
    boxes = np.array([[130, 50, 190, 235]])
    style = {"scores": [0.9], "root_depth": [3000.0]}
    panel = draw_panel(
        image,
        boxes,
        keypoints,
        pose[None],
        SKELETON,
        intrinsics=CAMERA["intrinsics"],
        height_px=256,
        **style,
    )
    overlay = draw_poses(image, boxes, keypoints, SKELETON, **style)[..., ::-1]
    np.testing.assert_array_equal(panel[:, :320], overlay)
    assert panel.shape[0] == 256 and panel.shape[1] > 2 * 320


def test_a_wide_picture_is_fitted_into_the_panel():
    image = np.zeros((50, 400, 3), np.uint8)
    nobody = np.zeros((0, 17, 3))
    intrinsics = (400.0, 400.0, 200.0, 25.0)
    panel = draw_panel(image, None, nobody, nobody, SKELETON, intrinsics=intrinsics, height_px=200)
    black = (panel == 0).all(axis=-1)
    assert black[:, :300].any(axis=0).all() and not black[:60, :300].any()


def test_poses_of_another_skeleton_are_refused():
    with pytest.raises(ValueError, match=r"\(N, 17, 3\).*found \(1, 21, 3\)"):
        draw_scene(np.zeros((1, 21, 3)), SKELETON, **CAMERA)
