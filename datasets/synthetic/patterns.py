"""Procedural textures of grounds, walls and objects, the same on every machine."""

import cv2
import numpy as np


def _noise(rng: np.random.Generator, size: int, octaves: tuple[int, ...]) -> np.ndarray:
    """(size, size) tileable value noise in [0, 1], the sum of grids of the given sizes."""
    total = np.zeros((size, size), np.float32)
    for i, cells in enumerate(octaves):
        grid = rng.random((cells, cells)).astype(np.float32)
        # Padded by wrapping, so that the texture tiles.
        padded = np.pad(grid, 2, mode="wrap")
        scale = size // cells
        large = cv2.resize(padded, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
        total += large[2 * scale : 2 * scale + size, 2 * scale : 2 * scale + size] / (1.6**i)
    low, high = total.min(), total.max()
    return (total - low) / (high - low)


def _mix(mask: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return first + (second - first) * mask[..., None]


def _tiles(rng, size, across, down, shift, joint):
    """Brick-like cells: (size, size) tone of each cell in [0, 1], and a mask of the joints."""
    y, x = np.mgrid[0:size, 0:size].astype(np.float32) / size
    row = np.floor(y * down)
    fx = x * across + (row % 2) * shift
    tone = rng.random((down, across)).astype(np.float32)
    cell = tone[row.astype(int) % down, np.floor(fx).astype(int) % across]
    edge_x = np.minimum(fx % 1, 1 - fx % 1) / across
    edge_y = np.minimum((y * down) % 1, 1 - (y * down) % 1) / down
    return cell, (np.minimum(edge_x, edge_y) < joint).astype(np.float32)


def _colour(rng, low=60, high=230, saturation=0.5) -> np.ndarray:
    grey = rng.uniform(low, high)
    return np.clip(grey * (1 + rng.uniform(-saturation, saturation, 3)), 10, 245)


def make_patterns(size: int, seed: int = 20200823) -> list[np.ndarray]:
    """32 textures (size, size, 4) uint8 RGBA: tiles, planks, checks, stripes, noise, prints."""
    rng = np.random.default_rng(seed)
    textures = []
    for i in range(32):
        fine = _noise(rng, size, (8, 32, 128, 256))
        kind = i % 8
        a, b = _colour(rng), _colour(rng)
        if kind == 0:
            cell, joint = _tiles(rng, size, 8, 8, 0.0, 0.003)
            image = _mix(0.3 * cell, a, b) * (1 - 0.45 * joint[..., None])
        elif kind == 1:
            cell, joint = _tiles(rng, size, 2, 12, 0.37, 0.0015)
            grain = cv2.resize(fine[:, :64], (size, size), interpolation=cv2.INTER_LINEAR)
            wood = np.array([150, 105, 66]) * rng.uniform(0.5, 1.4)
            image = _mix(0.6 * cell + 0.4 * grain, wood * 0.7, wood * 1.15)
            image = image * (1 - 0.5 * joint[..., None])
        elif kind == 2:
            cell, joint = _tiles(rng, size, 6, 12, 0.5, 0.004)
            brick = np.array([150, 84, 66]) * rng.uniform(0.6, 1.3)
            image = _mix(cell, brick * 0.75, brick * 1.1)
            image = _mix(joint, image, np.full(3, 165.0))
        elif kind == 3:
            soil = np.array([[84, 112, 50], [120, 104, 80], [126, 126, 126]][i // 8 % 3], float)
            image = _mix(_noise(rng, size, (64, 128, 256)), soil * 0.55, soil * 1.2)
        elif kind == 4:
            y, x = np.mgrid[0:size, 0:size] * 8 // size
            image = _mix(((x + y) % 2).astype(np.float32), a, b)
        elif kind == 5:
            x = np.arange(size) * 16 // size
            image = _mix(np.tile((x % 2).astype(np.float32), (size, 1)), a, b)
        elif kind == 6:
            image = _mix(_noise(rng, size, (4, 8, 16)), a, b)
        else:
            image = np.tile(a.astype(np.uint8), (size, size, 1))
            for _ in range(30):
                centre = rng.integers(0, size, 2)
                radius = int(rng.integers(size // 40, size // 8))
                paint = tuple(int(v) for v in _colour(rng, saturation=0.9))
                if rng.integers(2):
                    cv2.circle(image, tuple(int(v) for v in centre), radius, paint, -1)
                else:
                    corners = centre + rng.integers(-radius, radius + 1, (5, 2))
                    cv2.fillPoly(image, [corners.astype(np.int32)], paint)
        image = image * (0.85 + 0.3 * fine[..., None])
        rgba = np.full((size, size, 4), 255, np.uint8)
        rgba[..., :3] = np.clip(image, 0, 255)
        textures.append(rgba)
    return textures
