"""Scenes and takes: determinism, variety, and the form of what they hold."""

import hashlib
import itertools
import os
import subprocess
import sys
from dataclasses import fields

import numpy as np
import pytest

pytest.importorskip("numba", reason="the synthetic data need numba (extra 'synthetic')")

from synthetic.scene import Scene, generate_multiview, generate_scene, generate_sequence

SIZE = (320, 240)  # also of the fixture's scenes


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
