import numpy as np
import pytest

from hmor_d2.skeleton import get_skeleton
from hmor_d2.visualization.page_scene import (
    GroundPlane,
    body_height,
    estimate_ground,
    median_ground,
    root_positions,
)
from tests.visualization.page_people import SKELETON, standing


def turn(pitch_deg):
    """Rotation of level axes into those of a camera that looks down by so many degrees."""
    c, s = np.cos(np.radians(pitch_deg)), np.sin(np.radians(pitch_deg))
    return np.array([[1, 0, 0], [0, c, -s], [0, s, c]])


def crowd(pitch_deg, height, places):
    """(N, J, 3) people upright on a level floor `height` below a camera that looks down."""
    level = standing() + np.array([(x, height, z) for x, z in places])[:, None]
    return level @ turn(pitch_deg).T


PLACES = [(-1500, 3000), (0, 4200), (1400, 5500), (-400, 6500), (900, 7400)]


@pytest.mark.parametrize("pitch", [-10, 0, 15, 30])
def test_the_ground_under_several_people_tells_the_cameras_pitch_and_height(pitch):
    ground = estimate_ground(crowd(pitch, 1500, PLACES), SKELETON)
    assert ground.people == 5
    assert ground.camera_pitch_deg == pytest.approx(pitch, abs=1)
    assert ground.camera_height == pytest.approx(1500, abs=40)


def test_a_person_in_the_air_does_not_tilt_the_ground():
    poses = crowd(12, 1500, PLACES)
    poses[1] += turn(12) @ [0, -700, 0]
    ground = estimate_ground(poses, SKELETON)
    assert ground.camera_pitch_deg == pytest.approx(12, abs=2)
    assert ground.camera_height == pytest.approx(1500, abs=60)


def test_one_person_or_nobody_leaves_the_ground_level():
    alone = estimate_ground(crowd(20, 1500, PLACES[:1]), SKELETON)
    ankles = crowd(20, 1500, PLACES[:1])[0, [SKELETON.index("left_ankle")]]
    assert (alone.slope_x, alone.slope_z, alone.people) == (0, 0, 1)
    assert alone.height == pytest.approx(ankles[0, 1] + 80)
    assert estimate_ground(np.zeros((0, 17, 3)), SKELETON) == GroundPlane(1500)
    assert estimate_ground(np.full((2, 17, 3), np.nan), SKELETON).people == 0


def test_the_lowest_joint_stands_in_for_unknown_ankles():
    pose = standing()[None] + [0, 1500, 4000]
    pose[:, [SKELETON.index("left_ankle"), SKELETON.index("right_ankle")]] = np.nan
    assert estimate_ground(pose, SKELETON).height == pytest.approx(1500 - 500 + 80)


def test_axes_are_those_of_the_camera_or_turned_with_the_ground():
    np.testing.assert_allclose(GroundPlane(1500).axes, [[1, 0, 0], [0, 0, 1], [0, -1, 0]])
    ground = GroundPlane(1500, slope_x=0.1, slope_z=-0.4)
    np.testing.assert_allclose(ground.axes @ ground.axes.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(ground.axes) == pytest.approx(1)
    x, z = 700, 3000
    point = np.array([x, 1500 + 0.1 * x - 0.4 * z, z])
    assert ground.axes[2] @ point == pytest.approx(-ground.camera_height)


def test_the_ground_of_a_video_is_the_median_of_frames_with_people():
    grounds = [GroundPlane(h, 0.0, s, n) for h, s, n in ((1400, 0.1, 2), (9000, 9, 0))]
    grounds += [GroundPlane(1500, 0.0, 0.2, 3), GroundPlane(3000, 0.0, 0.9, 1)]
    assert median_ground(grounds) == GroundPlane(1500, 0.0, 0.2, 3)
    assert median_ground([GroundPlane(9000)]) == GroundPlane(1500)


def test_height_is_the_same_in_any_posture():
    straight = standing()
    bent = straight.copy()
    for side in ("left", "right"):  # sitting: thighs forward
        hip, knee, ankle = (SKELETON.index(f"{side}_{j}") for j in ("hip", "knee", "ankle"))
        thigh = np.linalg.norm(straight[knee] - straight[hip])
        bent[knee] = straight[hip] + [0, 0, -thigh]
        bent[ankle] = bent[knee] + (straight[ankle] - straight[knee])
    one_leg = straight.copy()
    one_leg[SKELETON.index("left_ankle")] = np.nan
    headless = straight.copy()
    headless[SKELETON.index("head_top")] = np.nan
    heights = body_height(np.stack([straight, bent, one_leg, headless]), SKELETON)
    np.testing.assert_allclose(heights[:3], 1780, atol=25)
    assert heights[1] == pytest.approx(heights[0])
    assert np.isnan(heights[3])
    assert np.isnan(body_height(np.zeros((2, 17, 3)), get_skeleton("coco17"))).all()


def test_the_root_is_the_pelvis_or_the_middle_of_what_is_known():
    poses = np.stack([standing()] * 3) + np.array([100, 0, 4000])
    poses[1, SKELETON.root_index] = np.nan
    poses[2] = np.nan
    roots = root_positions(poses, SKELETON)
    np.testing.assert_allclose(roots[0], [100, -950, 4000])
    known = np.delete(poses[1], SKELETON.root_index, axis=0)
    np.testing.assert_allclose(roots[1], known.mean(axis=0))
    assert np.isnan(roots[2]).all()
