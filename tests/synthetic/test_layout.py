"""Placement: capsules and meshes of people do not run into each other."""

import itertools

import numpy as np
import pytest

pytest.importorskip("numba", reason="the synthetic data need numba (extra 'synthetic')")

from scipy.spatial import cKDTree
from synthetic.assets import load_assets
from synthetic.avatar import HAIR, avatar_of
from synthetic.collision import capsule_ends, capsule_radii, penetration
from synthetic.layout import ARRANGEMENTS, TOLERANCE, Figure, arrange, heading_towards
from synthetic.renderer import build_geometry
from synthetic.scene import scene_generator
from synthetic.skinning import vertex_normals
from synthetic.world import sample_world


def segment(a, b):
    return np.array([[a], [b]], float)


@pytest.mark.parametrize(
    ("a", "b", "distance"),
    [
        (segment((0, 0, 0), (0, 0, 1)), segment((1, 0, 0), (1, 0, 1)), 1.0),
        (segment((0, 0, 0), (1, 0, 0)), segment((0.5, -1, 0.2), (0.5, 1, 0.2)), 0.2),
        (segment((0, 0, 0), (1, 0, 0)), segment((3, 4, 0), (3, 5, 0)), np.hypot(2, 4)),
        (segment((0, 0, 0), (1, 0, 0)), segment((2, 0, 0), (5, 0, 0)), 1.0),
    ],
)
def test_capsule_distance(a, b, distance):
    radii = np.array([0.05])
    assert penetration(a, radii, b, radii) == pytest.approx(0.1 - distance, abs=1e-9)
    assert penetration(b, radii, a, radii) == pytest.approx(0.1 - distance, abs=1e-9)


def test_capsules_hold_most_of_the_body():
    assets = load_assets()
    for index in (0, 21, 34):
        subject = assets.subjects[index]
        feet = subject.keypoint_moments[17:, :, :3].sum(axis=1)
        a, b = capsule_ends(subject.joints, feet)
        radii = capsule_radii(assets, index)
        points = subject.vertices[assets.skin_vertices]
        axis = b - a
        t = np.einsum("pkc,kc->pk", points[:, None] - a, axis) / (axis * axis).sum(-1)
        nearest = a + t.clip(0, 1)[..., None] * axis
        outside = np.linalg.norm(points[:, None] - nearest, axis=2) - radii
        assert np.percentile(outside.min(axis=1), 80) < 0.02
        # And they are no balloons.
        assert radii.max() < 0.22 * subject.stature / 1.75


@pytest.mark.parametrize("kind", sorted(ARRANGEMENTS))
def test_nobody_overlaps(kind):
    assets = load_assets()
    world = sample_world(scene_generator("train", 7, 1), assets, "train", 6)
    figures = [
        Figure(
            capsule_ends(p.first.joints, p.first.keypoints[17:])[None],
            capsule_radii(assets, p.subject_id),
        )
        for p in world.people
    ]
    assert len(figures) >= 5
    gaps = []
    for seed in range(4):
        spots = arrange(np.random.default_rng(seed), figures, 0.7, kind)
        placed = [
            (figure.placed(spot.place, spot.heading)[0], figure.radii)
            for figure, spot in zip(figures, spots, strict=True)
            if spot is not None
        ]
        assert len(placed) >= 5
        depths = [penetration(*placed[i], *placed[j]) for i in range(len(placed)) for j in range(i)]
        assert max(depths) <= TOLERANCE + 1e-6
        gaps.append(-max(depths))
    if kind in ("facing", "side_by_side", "queue"):
        assert min(gaps) < 0.03, "somebody touches somebody"


def test_heading_faces_the_direction():
    for direction in np.random.default_rng(0).normal(size=(5, 2)):
        heading = heading_towards(direction)
        facing = np.array([np.sin(heading), -np.cos(heading)])  # heading 0 faces -Y
        np.testing.assert_allclose(facing, direction / np.linalg.norm(direction), atol=1e-12)


def mesh_depth(points, other, normals):
    """How deep points (P, 3) lie inside another surface, metres, and the smallest distance."""
    distance, nearest = cKDTree(other).query(points[::5], distance_upper_bound=0.15)
    close = np.isfinite(distance)
    if not close.any():
        return 0.0, np.inf
    away = points[::5][close] - other[nearest[close]]
    signed = (away * normals[nearest[close]]).sum(axis=1)
    # Straight below the surface, not beyond an open edge.
    inside = -signed[(signed < 0) & (-signed > 0.8 * distance[close])]
    return (inside.max() if len(inside) else 0.0), distance.min()


def test_meshes_interpenetrate_no_more_than_a_little():
    """Vertices of one body inside another, measured on the skins themselves."""
    assets = load_assets()
    measured, forced = [], []
    for index in range(12):
        world = sample_world(scene_generator("train/crowd", index, 0), assets, "train", 4)
        surfaces = []
        for person, body in zip(world.people, world.bodies(), strict=True):
            normals = np.empty_like(body.vertices)
            avatar = avatar_of(assets, person.look)
            vertex_normals(body.vertices, avatar.triangles, normals)
            # Hair is open strips, which have no inside.
            solid = np.unique(avatar.triangles[avatar.part != HAIR])
            surfaces.append((body.vertices[solid], normals[solid]))
        for (points, _), (other, normals) in itertools.permutations(surfaces, 2):
            measured.append(mesh_depth(points, other, normals))
        # The measure itself: someone pushed into someone else.
        (points, _), (other, normals) = surfaces[:2]
        shift = (other.mean(axis=0) - points.mean(axis=0)) * [1, 1, 0]
        forced.append(mesh_depth(points + shift, other, normals)[0])
    depth, gap = np.array(measured).T
    assert len(depth) > 80
    assert depth.max() < 0.03
    assert (gap < 0.04).sum() >= 4, "people touch"
    assert np.mean(np.array(forced) > 0.03) > 0.8


def test_geometry_of_nobody():
    world = sample_world(scene_generator("train", 1, 1), load_assets(), "train", 0)
    geometry = build_geometry(world)
    assert len(geometry.triangles) == 0 and not (geometry.shadow < 1e8).any()
