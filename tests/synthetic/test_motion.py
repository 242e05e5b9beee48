"""Poses: rigid bones, mirroring, contact with the ground."""

import numpy as np
import pytest

pytest.importorskip("numba", reason="the synthetic data need numba (extra 'synthetic')")

from scipy.spatial.transform import Rotation
from synthetic import rotations
from synthetic.assets import load_assets
from synthetic.avatar import build_avatar, pose_avatar
from synthetic.motion import Motion, sample_style, segment_rotations
from synthetic.rig import BONES, JOINT_NAMES

NECK, PELVIS = JOINT_NAMES.index("neck"), JOINT_NAMES.index("pelvis")


@pytest.fixture(scope="module")
def assets():
    return load_assets()


@pytest.fixture(scope="module")
def dressed(assets):
    items = {item.name: item for item in assets.items}
    subject = assets.subjects[22]
    worn = (items["male_casualsuit02"], items["shoes01"], items["short02"])
    return subject, build_avatar(assets, subject, worn)


def still(assets, name):
    return next(clip for clip in assets.clips if clip.name == name)


def motions(assets, count, seed=0):
    rng = np.random.default_rng(seed)
    for _ in range(count):
        clip = assets.clips[rng.integers(len(assets.clips))]
        start = float(rng.uniform(0, len(clip) / 30))
        yield Motion(clip, start, bool(rng.integers(2)), sample_style(rng))


def test_rotation_kernels_agree_with_scipy():
    rng = np.random.default_rng(1)
    vectors = rng.normal(0, 1, (200, 3))
    vectors[:3] = [[0, 0, 0], [np.pi - 1e-7, 0, 0], [0, 1e-9, 0]]
    vectors *= np.minimum(1, 3.1 / np.maximum(np.linalg.norm(vectors, axis=1), 1e-9))[:, None]
    for vector in vectors:
        expected = Rotation.from_rotvec(vector)
        matrix = rotations.from_vector(vector)
        np.testing.assert_allclose(matrix, expected.as_matrix(), atol=1e-12)
        np.testing.assert_allclose(rotations.to_vector(matrix), expected.as_rotvec(), atol=1e-6)
        quaternion = 2.5 * expected.as_quat()
        np.testing.assert_allclose(rotations.from_quaternion(quaternion), matrix, atol=1e-12)


def test_twist_is_shared_without_moving_the_limb():
    rng = np.random.default_rng(2)
    for rotation in Rotation.random(20, 2).as_matrix():
        axis = rng.normal(size=3)
        axis /= np.linalg.norm(axis)
        for share in (0.0, 0.5, 1.0):
            part = rotations.part_twist(rotation, axis, share)
            np.testing.assert_allclose(part @ axis, rotation @ axis, atol=1e-9)
        np.testing.assert_allclose(part, rotation, atol=1e-9)


def test_bones_keep_their_length_in_every_pose(assets, dressed):
    subject, avatar = dressed
    start, end = np.array(BONES).T
    rest = np.linalg.norm(subject.joints[start] - subject.joints[end], axis=1)
    assert (rest > 0.05).all()
    for motion in motions(assets, 40):
        joints = pose_avatar(avatar, subject, motion, 0.4).joints
        lengths = np.linalg.norm(joints[start] - joints[end], axis=1)
        np.testing.assert_allclose(lengths, rest, atol=1e-6)


def test_lowest_vertex_stands_on_the_ground(assets, dressed):
    subject, avatar = dressed
    for motion in motions(assets, 20, seed=3):
        body = pose_avatar(avatar, subject, motion, 0.3)
        assert abs(body.vertices[:, 2].min()) < 1e-6
        # The skeleton is where the skin is.
        low, high = body.vertices.min(axis=0), body.vertices.max(axis=0)
        assert (body.joints > low - 0.01).all() and (body.joints < high + 0.01).all()


def test_feet_are_flat_where_someone_stands(assets, dressed):
    subject, avatar = dressed
    motion = Motion(still(assets, "standing02"), 0.0, False, np.zeros((15, 3)))
    soles = pose_avatar(avatar, subject, motion, 0.0).keypoints[17:23, 2]
    # At rest toes lie 18 mm and heels 35 mm above the sole; shoes add to that.
    assert (soles < 0.06).all() and (soles > 0).all()


@pytest.mark.parametrize("name", ["002_02", "006_01", "007_01", "007_04", "005_01"])
def test_walkers_put_their_soles_flat(assets, dressed, name):
    subject, avatar = dressed
    clip = still(assets, name)
    lifts = []
    for start in np.linspace(0, (len(clip) - 2) / 30, 16):
        motion = Motion(clip, float(start), False, np.zeros((15, 3)))
        heights = pose_avatar(avatar, subject, motion, 0.0).keypoints[17:23, 2].reshape(3, 2)
        foot = heights.sum(axis=0).argmin()  # the lower one
        lifts.append(heights[2, foot] - heights[:2, foot].mean())
    # Heel over toes, metres; 17 mm where the sole is level, 120 mm on tiptoe.
    assert abs(np.median(lifts) - 0.017) < 0.03


def test_a_walker_goes_where_he_looks(assets, dressed):
    subject, avatar = dressed
    walk = still(assets, "007_03")
    first, last = (
        pose_avatar(avatar, subject, Motion(walk, 0.3, False, np.zeros((15, 3))), t)
        for t in (0.0, 1.0)
    )
    step = (last.joints[PELVIS] - first.joints[PELVIS])[:2]
    assert 0.7 < np.linalg.norm(step) < 2.0, "metres a second"
    left, right = first.joints[JOINT_NAMES.index("left_hip")], first.joints[8]
    forward = np.cross(left - right, [0, 0, 1.0])[:2]
    # Facing -Y at heading 0, with left at +X.
    assert forward @ step > 0.9 * np.linalg.norm(forward) * np.linalg.norm(step)
    nose = first.keypoints[0] - first.joints[JOINT_NAMES.index("head")]
    assert nose[:2] @ step > 0


def test_mirroring_swaps_the_sides(assets, dressed):
    subject, _ = dressed
    clip = still(assets, "standing05")
    plain, mirrored = (
        segment_rotations(subject, Motion(clip, 0.0, m, np.zeros((15, 3))), 0.0)
        for m in (False, True)
    )
    from synthetic.rig import SEGMENT_INDEX

    flip = np.diag([-1.0, 1, 1])
    left, right = SEGMENT_INDEX["upper_arm.L"], SEGMENT_INDEX["upper_arm.R"]
    np.testing.assert_allclose(mirrored[left], flip @ plain[right] @ flip, atol=1e-12)
    assert np.abs(plain[left] - mirrored[left]).max() > 0.1


def test_motion_is_continuous_and_turns_back_at_the_end(assets, dressed):
    subject, avatar = dressed
    clip = still(assets, "007_04")
    motion = Motion(clip, len(clip) / 30 - 0.5, False, np.zeros((15, 3)))
    joints = np.stack([pose_avatar(avatar, subject, motion, t / 60).joints for t in range(60)])
    speed = np.linalg.norm(np.diff(joints, axis=0), axis=2) * 60
    assert speed.max() < 9.0, "metres a second, of any joint"


def test_clothes_cover_the_body(assets, dressed):
    subject, avatar = dressed
    motion = Motion(still(assets, "standing02"), 0.0, False, np.zeros((15, 3)))
    body = pose_avatar(avatar, subject, motion, 0.0)
    # Of skin there is the head and the hands, nothing between shins and chest.
    bare = body.vertices[: avatar.bare]
    torso = (np.abs(bare[:, 0]) < 0.12) & (bare[:, 2] > 0.3) & (bare[:, 2] < 1.2)
    hands = np.linalg.norm(bare[:, None] - body.joints[[4, 7]], axis=2).min(axis=1) < 0.3
    assert (torso & ~hands).sum() == 0
