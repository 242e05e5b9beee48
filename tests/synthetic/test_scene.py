"""Scenes: determinism, and images, masks, depth and joints that agree with each other."""

import hashlib
import itertools
import os
import subprocess
import sys
from dataclasses import fields

import numpy as np
import pytest

pytest.importorskip("numba", reason="the synthetic data need numba (extra 'synthetic')")

from synthetic.assets import load_assets
from synthetic.rig import BONES, JOINT_NAMES
from synthetic.scene import (
    Scene,
    generate_multiview,
    generate_scene,
    generate_sequence,
    scene_generator,
)

SIZE = (320, 240)


@pytest.fixture(scope="module")
def scenes():
    return [generate_scene("train", i, size=SIZE) for i in range(28)]


def same(a, b) -> bool:
    if isinstance(a, np.ndarray):
        return a.tobytes() == b.tobytes()
    if isinstance(a, list):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    if hasattr(a, "__dataclass_fields__"):
        return all(same(getattr(a, f.name), getattr(b, f.name)) for f in fields(a))
    return a == b


def test_same_scene_same_bytes(scenes):
    # In another order, after other scenes.
    for index in (9, 3):
        assert same(scenes[index], generate_scene("train", index, size=SIZE))
    assert not same(scenes[3], generate_scene("train", 3, seed=1, size=SIZE))
    assert not same(scenes[3], generate_scene("train/coco", 3, size=SIZE))


def test_same_bytes_in_another_process_with_other_threads(scenes):
    code = (
        "import hashlib, cv2; cv2.setNumThreads(3);"
        "from synthetic.scene import generate_scene;"
        "s = generate_scene('train', 5, size=(320, 240));"
        "print(hashlib.sha256(s.image.tobytes() + s.depth.tobytes()).hexdigest())"
    )
    environment = {**os.environ, "OMP_NUM_THREADS": "3", "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-W", "ignore", "-c", code]
    run = subprocess.run(command, env=environment, capture_output=True, text=True)
    expected = hashlib.sha256(scenes[5].image.tobytes() + scenes[5].depth.tobytes()).hexdigest()
    assert run.stdout.strip() == expected, run.stderr


def test_unknown_split_is_refused():
    with pytest.raises(ValueError, match="'val'"):
        generate_scene("val", 0)


def test_scenes_vary(scenes):
    counts = [len(s.people) for s in scenes]
    assert max(counts) >= 5 and min(counts) <= 1
    focal = [s.camera.intrinsics[0] / SIZE[0] for s in scenes]
    assert max(focal) > 1.6 * min(focal)
    heights = [s.camera.eye[2] for s in scenes]
    assert min(heights) < 0.95 and max(heights) > 1.9
    assert np.std([s.image.mean() for s in scenes]) > 12
    hidden = [p.visible.mean() for s in scenes for p in s.people]
    assert np.mean(np.array(hidden) < 0.5) > 0.1, "heavy occlusion and truncation"


def test_image_and_maps_have_the_stated_form(scenes):
    for scene in scenes:
        assert scene.image.shape == (240, 320, 3) and scene.image.dtype == np.uint8
        assert scene.owner.shape == scene.depth.shape == (240, 320)
        assert scene.owner.dtype == np.int16 and scene.depth.dtype == np.float32
        people = {p.person + 1 for p in scene.people}
        assert set(np.unique(scene.owner)) - {0, -1} <= people
        assert ((scene.owner == 0) | (scene.depth > 100)).all()


def test_projection_is_exact(scenes):
    for scene in scenes:
        camera = scene.camera
        fx, fy, cx, cy = camera.intrinsics
        np.testing.assert_allclose(camera.rotation @ camera.rotation.T, np.eye(3), atol=1e-12)
        assert np.linalg.det(camera.rotation) > 0
        for p in scene.people:
            x, y, z = camera.rotation @ (1000 * p.joints_world.T) + camera.translation[:, None]
            np.testing.assert_allclose(p.joints_cam, np.stack([x, y, z], 1), atol=1e-6)
            expected = np.stack([fx * x / z + cx, fy * y / z + cy], 1)
            np.testing.assert_allclose(p.joints_px, expected, atol=1e-7)


def test_bones_have_the_subjects_lengths(scenes):
    assets = load_assets()
    start, end = np.array(BONES).T
    for p in (p for s in scenes for p in s.people):
        rest = assets.subjects[p.subject_id].joints
        expected = 1000 * np.linalg.norm(rest[start] - rest[end], axis=1)
        found = np.linalg.norm(p.joints_cam[start] - p.joints_cam[end], axis=1)
        np.testing.assert_allclose(found, expected, atol=1e-3)


def test_left_and_right_as_seen_by_the_person(scenes):
    """Who looks to the camera, upright, has the left side at the right of the image."""
    towards = away = 0
    index = JOINT_NAMES.index
    for p in (p for s in scenes for p in s.people):
        neck, pelvis, head = (p.joints_cam[index(n)] for n in ("neck", "pelvis", "head"))
        if pelvis[1] - neck[1] < 350:
            continue  # not upright
        nose = p.coco_cam[0] - head
        to_left = p.coco_px[3, 0] - p.coco_px[4, 0]  # ears
        if nose[2] < -80:
            assert to_left > 0
            towards += 1
        elif nose[2] > 80:
            assert to_left < 0
            away += 1
        # The two joint sets agree on sides, too.
        for side, coco in (("left", (5, 7, 9, 11, 13, 15)), ("right", (6, 8, 10, 12, 14, 16))):
            names = ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
            own = p.joints_cam[[index(f"{side}_{n}") for n in names]]
            gap = np.linalg.norm(own - p.coco_cam[list(coco)], axis=1)
            assert (gap < 130).all(), "mm between the two sets' joints"
    assert towards > 8 and away > 8


def test_unoccluded_joints_lie_in_their_silhouette():
    """Alone and whole in the image, a person's mask holds the joints, the depth test aside."""
    inside = total = near = behind = 0
    for index in range(24):
        scene = generate_scene("train/alone", index, size=SIZE, count=1)
        for p in scene.people:
            columns, rows = np.floor(p.joints_px).astype(int).T
            shown = (columns >= 0) & (rows >= 0) & (columns < SIZE[0]) & (rows < SIZE[1])
            columns, rows = columns[shown], rows[shown]
            free = scene.owner[rows, columns] != -1  # no object before it
            own = scene.mask(p)[rows, columns]
            inside += own[free].sum()
            total += free.sum()
            gap = p.joints_cam[shown][own][:, 2] - scene.depth[rows, columns][own]
            behind += (gap < -25).sum()
            near += ((gap > -25) & (gap < 300)).sum()
    assert total > 200
    assert inside / total >= 0.97
    # The first surface lies before the joint: its own, or another limb of the same person.
    assert near / inside >= 0.85
    # At a thin limb's rim the pixel may show the same person further back.
    assert behind / inside <= 0.01


def test_visible_joints(scenes):
    """Visible means: the own surface, closer before the joint than a body's depth."""
    kinds = {True: 0, False: 0}
    gaps = []
    for scene in scenes:
        for p in scene.people:
            columns, rows = np.floor(p.joints_px).astype(int).T
            seen = np.flatnonzero(p.visible)
            kinds[True] += len(seen)
            kinds[False] += 17 - len(seen)
            assert (scene.owner[rows[seen], columns[seen]] == p.person + 1).all()
            gaps.append(p.joints_cam[seen, 2] - scene.depth[rows[seen], columns[seen]])
    assert min(kinds.values()) > 100
    gaps = np.concatenate(gaps)
    assert gaps.max() < 400, "a body's depth, mm"
    # At a thin limb's rim the pixel may show the same person further back.
    assert (gaps > -25).mean() > 0.98


def test_boxes(scenes):
    for scene in scenes:
        for p in scene.people:
            x0, y0, x1, y1 = p.box_amodal
            assert (p.joints_px >= [x0 - 2, y0 - 2]).all()
            assert (p.joints_px <= [x1 + 2, y1 + 2]).all()
            mask = scene.mask(p)
            assert p.visible_pixels == mask.sum()
            if p.box_visible is None:
                assert not mask.any()
                continue
            rows, columns = np.nonzero(mask)
            expected = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
            np.testing.assert_array_equal(p.box_visible, expected)
            assert (p.box_visible[:2] >= np.floor([x0, y0]) - 1).all()
            assert (p.box_visible[2:] <= np.ceil([x1, y1]) + 1).all()


def test_nearer_people_hide_farther_ones():
    """Where two people's silhouettes cross, the mask shows who is nearer there."""
    from synthetic.camera import sample_camera
    from synthetic.renderer import build_geometry, render
    from synthetic.world import sample_world

    crossings = 0
    for index in range(6):
        rng = scene_generator("train/queue", index, 0)
        world = sample_world(rng, load_assets(), "train", 3)
        camera = sample_camera(rng, SIZE, *world.extent(), world.view)
        together = render(world, camera, build_geometry(world))
        people, bodies = world.people, world.bodies()
        alone = []
        for person, body in zip(people, bodies, strict=True):
            world.people, world._posed = [person], {0.0: [body]}
            alone.append(render(world, camera, build_geometry(world)))
        depth = np.stack([np.where(a.owner == 1, a.depth, np.inf) for a in alone])
        several = np.isfinite(depth).sum(axis=0) > 1
        crossings += several.sum()
        expected = depth.argmin(axis=0)[several] + 1
        assert (together.owner[several] == expected).mean() > 0.97
    assert crossings > 500


def test_scene_without_people():
    scene = generate_scene("train", 0, size=SIZE, count=0)
    assert isinstance(scene, Scene) and scene.people == []
    assert (scene.owner <= 0).all() and (scene.owner < 0).any()
    assert scene.image.std() > 5


def test_cameras_of_a_dome_agree():
    take = generate_multiview("test", 0, size=SIZE, cameras=3, times=(0.0, 0.5))
    views = [take.scenes(i) for i in range(len(take))]
    assert len(views) == 2 and all(len(scenes) == 3 for scenes in views)
    for scenes in views:
        assert len(scenes[0].people) >= 2
        for scene in scenes:
            assert scene.camera.distortion is not None
            for a, b in zip(scenes[0].people, scene.people, strict=True):
                assert a.subject_id == b.subject_id
                np.testing.assert_array_equal(a.joints_world, b.joints_world)
    # People move, cameras do not.
    before, after = (scenes[0] for scenes in views)
    np.testing.assert_array_equal(before.camera.rotation, after.camera.rotation)
    assert np.abs(before.people[0].joints_world - after.people[0].joints_world).max() > 0.01
    # Through the lens, too, joints lie in the silhouettes.
    inside = total = 0
    for scene in (s for scenes in views for s in scenes):
        for p in scene.people:
            pixels = scene.camera.distort(p.joints_px)
            ok = ((pixels >= 0) & (pixels < SIZE)).all(axis=1)
            columns, rows = pixels[ok].astype(int).T
            free = scene.owner[rows, columns] >= 0
            owner = scene.owner[rows, columns][free]
            inside += (owner > 0).sum()
            total += free.sum()
    assert total > 60 and inside / total > 0.97


def test_lens_distortion_inverts():
    scene = generate_multiview("train", 1, size=SIZE, cameras=1).scenes(0)[0]
    grid = scene.camera.undistorted_grid()
    rows, columns = np.mgrid[0:240:20, 0:320:20]
    back = scene.camera.distort(grid[rows.ravel(), columns.ravel()].astype(float))
    expected = np.stack([columns.ravel(), rows.ravel()], 1) + 0.5
    np.testing.assert_allclose(back, expected, atol=0.02)


def test_sequence_moves_smoothly():
    take = generate_sequence("test", 0, size=SIZE, frames=6, count=2)
    frames = [take.scenes(i)[0] for i in range(len(take))]
    assert [f.seconds for f in frames] == pytest.approx(np.arange(6) / 30)
    for before, after in itertools.pairwise(frames):
        np.testing.assert_array_equal(before.camera.translation, after.camera.translation)
        for a, b in zip(before.people, after.people, strict=True):
            assert a.subject_id == b.subject_id
            assert np.linalg.norm(a.joints_world - b.joints_world, axis=1).max() < 0.35
    # Any frame can be had alone.
    again = generate_sequence("test", 0, size=SIZE, frames=6, count=2).scenes(4)[0]
    assert same(again, frames[4])
