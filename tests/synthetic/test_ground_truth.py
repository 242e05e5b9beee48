"""Joints, visibility, masks, depth and boxes: they agree with each other and with the bodies."""

import numpy as np
import pytest

pytest.importorskip("numba", reason="the synthetic data need numba (extra 'synthetic')")

from synthetic.assets import load_assets
from synthetic.camera import sample_camera
from synthetic.renderer import build_geometry, render
from synthetic.rig import BONES, JOINT_NAMES
from synthetic.scene import generate_scene, scene_generator
from synthetic.world import sample_world

SIZE = (320, 240)


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
