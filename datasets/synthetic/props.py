"""Objects: boxes, pillars, balls, tables, chairs and walls, as textured triangles."""

from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial.transform import Rotation


@dataclass(frozen=True)
class Mesh:
    """``vertices`` (V, 3) metres, ``triangles`` (T, 3), ``corner_uv`` (T, 3, 2), one texture."""

    vertices: np.ndarray
    triangles: np.ndarray
    corner_uv: np.ndarray
    texture: int
    tint: np.ndarray
    casts_shadow: bool = True

    @classmethod
    def of(
        cls,
        shape: tuple[np.ndarray, np.ndarray, np.ndarray],
        texture: int,
        tint: np.ndarray,
        casts_shadow: bool = True,
    ) -> "Mesh":
        """A mesh of (vertices, triangles, corner_uv) of any number types."""
        vertices, triangles, uv = shape
        return cls(
            vertices.astype(np.float32),
            triangles.astype(np.int32),
            uv.astype(np.float32),
            texture,
            tint,
            casts_shadow,
        )

    def moved(self, place: np.ndarray, heading: float) -> "Mesh":
        turn = Rotation.from_euler("z", heading).as_matrix()
        vertices = self.vertices @ turn.T + np.append(place, 0.0)
        return replace(self, vertices=vertices.astype(np.float32))

    @property
    def footprint_radius(self) -> float:
        """Radius of the circle about the origin that holds the mesh, seen from above."""
        return float(np.hypot(self.vertices[:, 0], self.vertices[:, 1]).max())


# (6, 4, 3): faces, their corners.
_CUBE_FACES = np.array([
    ((-1, -1, -1), (1, -1, -1), (1, -1, 1), (-1, -1, 1)),
    ((1, 1, -1), (-1, 1, -1), (-1, 1, 1), (1, 1, 1)),
    ((1, -1, -1), (1, 1, -1), (1, 1, 1), (1, -1, 1)),
    ((-1, 1, -1), (-1, -1, -1), (-1, -1, 1), (-1, 1, 1)),
    ((-1, -1, 1), (1, -1, 1), (1, 1, 1), (-1, 1, 1)),
    ((-1, 1, -1), (1, 1, -1), (1, -1, -1), (-1, -1, -1)),
])  # fmt: skip
# Two triangles a face, and the face's corners in texture space.
_FACE_TRIANGLES = np.array([[0, 1, 2], [0, 2, 3]])
_FACE_UV = np.array([[0.0, 0.0], [1, 0], [1, 1], [0, 1]])


def boxes(parts: list[tuple], tile: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Vertices, triangles, corner UV of axis-aligned boxes (x, y, z of the middle, then sizes).

    ``tile``: metres that one repeat of the texture covers.
    """
    middles, sizes = np.split(np.array(parts, float)[:, None, None], 2, axis=-1)
    corners = (_CUBE_FACES * (sizes / 2) + middles).reshape(-1, 4, 3)
    # Edges are along the axes: one coordinate differs.
    edges = np.abs(corners[:, [1, 3]] - corners[:, :1]).sum(axis=-1) / tile
    uv = (_FACE_UV * edges[:, None])[:, _FACE_TRIANGLES]
    triangles = _FACE_TRIANGLES + 4 * np.arange(len(corners))[:, None, None]
    return corners.reshape(-1, 3), triangles.reshape(-1, 3), uv.reshape(-1, 3, 2)


def revolved(profile: np.ndarray, sides: int = 20) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A surface of revolution about Z from (N, 2) points (radius, height)."""
    angles = np.arange(sides + 1) / sides * 2 * np.pi
    n = len(profile)
    ring = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    vertices = np.concatenate(
        [
            (profile[:, None, :1] * ring).reshape(-1, 2),
            np.repeat(profile[:, 1], sides + 1)[:, None],
        ],
        axis=1,
    )
    i, j = np.meshgrid(np.arange(n - 1), np.arange(sides), indexing="ij")
    a = (i * (sides + 1) + j).ravel()
    b, c, d = a + 1, a + sides + 2, a + sides + 1
    triangles = np.stack([np.stack([a, b, c], 1), np.stack([a, c, d], 1)], 1).reshape(-1, 3)
    grid = np.stack(
        [np.tile(np.arange(sides + 1) / sides, n), np.repeat(np.arange(n) / (n - 1), sides + 1)],
        axis=1,
    )
    return vertices, triangles, grid[triangles]


def sample_prop(
    rng: np.random.Generator, patterns: range, kinds: tuple[str, ...] | None = None
) -> Mesh:
    """A random object that stands on the ground at the origin."""
    kind = rng.choice(kinds or ("crate", "stack", "pillar", "barrel", "ball", "table", "chair",
                                "board", "plant"))  # fmt: skip
    tile = rng.uniform(0.3, 1.2)
    if kind == "crate":
        w, d, h = rng.uniform(0.25, 0.9, 3)
        shape = boxes([(0, 0, h / 2, w, d, h)], tile)
    elif kind == "stack":
        h = rng.uniform(0.25, 0.5, 3)
        z = np.cumsum(h) - h / 2
        w = rng.uniform(0.3, 0.7, (3, 2))
        parts = [(*rng.uniform(-0.05, 0.05, 2), z[i], *w[i], h[i]) for i in range(3)]
        shape = boxes(parts, tile)
    elif kind == "pillar":
        r, h = rng.uniform(0.1, 0.3), rng.uniform(1.6, 3.5)
        shape = revolved(np.array([[r, 0], [r, h / 2], [r, h], [0, h]]))
    elif kind == "barrel":
        r, h = rng.uniform(0.2, 0.35), rng.uniform(0.5, 1.0)
        shape = revolved(np.array([[r * 0.9, 0], [r * 1.08, h / 2], [r * 0.9, h], [0, h]]))
    elif kind == "ball":
        r = rng.uniform(0.1, 0.35)
        a = np.linspace(-np.pi / 2, np.pi / 2, 11)
        shape = revolved(np.stack([r * np.cos(a), r + r * np.sin(a)], 1))
    elif kind == "table":
        w, d, h = rng.uniform(0.8, 1.6), rng.uniform(0.5, 0.9), rng.uniform(0.6, 0.85)
        legs = [(x, y, h / 2, 0.06, 0.06, h) for x in (-w / 2 + 0.06, w / 2 - 0.06)
                for y in (-d / 2 + 0.06, d / 2 - 0.06)]  # fmt: skip
        shape = boxes([(0, 0, h, w, d, 0.05), *legs], tile)
    elif kind == "chair":
        s, h = rng.uniform(0.38, 0.5), rng.uniform(0.4, 0.5)
        legs = [(x, y, h / 2, 0.04, 0.04, h) for x in (-s / 2 + 0.02, s / 2 - 0.02)
                for y in (-s / 2 + 0.02, s / 2 - 0.02)]  # fmt: skip
        back = (0, s / 2 - 0.02, h + 0.28, s, 0.04, 0.55)
        shape = boxes([(0, 0, h, s, s, 0.05), back, *legs], tile)
    elif kind == "board":
        w, h = rng.uniform(0.6, 1.6), rng.uniform(0.7, 2.1)
        shape = boxes([(0, 0, h / 2, w, 0.05, h)], max(tile, 0.6))
    else:  # a plant: a pot and a crown of leaf-like blades
        r, h = rng.uniform(0.14, 0.24), rng.uniform(0.25, 0.45)
        pot, pot_triangles, pot_uv = revolved(np.array([[r * 0.7, 0], [r, h], [0, h]]))
        blades, blade_triangles, blade_uv = _blades(rng, h, rng.uniform(0.4, 1.0))
        shape = (
            np.concatenate([pot, blades]),
            np.concatenate([pot_triangles, blade_triangles + len(pot)]),
            np.concatenate([pot_uv, blade_uv]),
        )
    green = kind == "plant"
    tint = np.array([0.45, 0.85, 0.35]) if green else np.clip(1 + rng.normal(0, 0.25, 3), 0.3, 1.5)
    texture = patterns[3] if green else patterns[int(rng.integers(len(patterns)))]
    return Mesh.of(shape, texture, tint)


def _blades(rng: np.random.Generator, base: float, length: float):
    """Bent narrow leaves that grow from (0, 0, base)."""
    count = 28
    spans = np.array([[0, 2 * np.pi], [0.15, 1.1], [0.02, 0.05], [0.6, 1.1]])
    angle, lean, width, size = rng.uniform(*spans.T, (count, 4)).T[..., None]
    size = length * size
    none = np.zeros_like(angle)
    out = np.concatenate([np.cos(angle), np.sin(angle), none], axis=1)
    side = np.concatenate([-out[:, 1:2], out[:, :1], none], axis=1) * width
    root = np.array([0, 0, base])
    middle = root + size * 0.5 * (out * np.sin(lean) * 0.7 + [0, 0, 1])
    rise = np.concatenate([none, none, np.cos(lean)], axis=1)
    tip = root + size * (out * np.sin(lean) + rise)
    vertices = np.stack([root - side / 2, root + side / 2, middle - side, middle + side, tip], 1)
    corners = np.array([[0.0, 0], [0.1, 0], [0, 0.5], [0.1, 0.5], [0.05, 1]])
    blade = np.array([[0, 1, 3], [0, 3, 2], [2, 3, 4]])
    triangles = blade + 5 * np.arange(count)[:, None, None]
    return vertices.reshape(-1, 3), triangles.reshape(-1, 3), np.tile(corners[blade], (count, 1, 1))


def seat(width: float, depth: float, height: float, texture: int, tint: np.ndarray) -> Mesh:
    """A stool-like block whose top is at ``height``."""
    return Mesh.of(boxes([(0, 0, height / 2, width, depth, height)], 0.6), texture, tint)


def wall(rng: np.random.Generator, patterns: range) -> Mesh:
    """A long wall along X, cut into panels, so that one near the camera is drawn in part."""
    height, tile = rng.uniform(2.4, 4.5), rng.uniform(1.0, 2.4)
    edges = np.arange(-12, 12.1, 1.5)
    low = np.stack([edges, 0 * edges, 0 * edges], axis=1)
    high = low + np.array([0, 0, height])
    vertices = np.stack([low, high], axis=1).reshape(-1, 3)
    first = 2 * np.arange(len(edges) - 1)[:, None, None]
    triangles = (first + np.array([[0, 2, 3], [0, 3, 1]])).reshape(-1, 3)
    uv = (vertices[:, [0, 2]] / tile)[triangles]
    texture = patterns[int(rng.integers(len(patterns)))]
    tint = np.clip(1 + rng.normal(0, 0.2, 3), 0.4, 1.4)
    return Mesh.of((vertices, triangles, uv), texture, tint, casts_shadow=False)
