"""Light: an environment's sun and surroundings, and the shadow map."""

from dataclasses import dataclass

import numpy as np

from .assets import Environment
from .rasteriser import orthographic_depth
from .skinning import bounds, transform

SHADOW_SIZE = 640
_MAX_SUN = 1.6
_LOWEST_SUN = 0.25


@dataclass(frozen=True)
class Light:
    """What ``shade`` takes.

    ``rows`` (11, 3) float32: the direction to the sun, its colour, and nine coefficients by channel
    of the light from all around on a surface with normal (x, y, z): of 1, y, z, x, xy, yz, zz, xz,
    xx - yy.
    """

    rows: np.ndarray

    @property
    def direction(self) -> np.ndarray:
        return self.rows[0].astype(np.float64)


def sample_light(rng: np.random.Generator, environment: Environment) -> Light:
    """The environment's light, the sun varied; at times a lamp from anywhere instead of it."""
    direction = environment.sun_direction.copy()
    brightness = float(environment.sun.max())
    # Saturated pixels make the sun's colour unreliable: mixed with white.
    colour = 0.35 * environment.sun + 0.65 * brightness * np.array([1.0, 0.96, 0.9])
    ambient = float(environment.irradiance[0].mean() * 0.282095)
    if rng.random() < 0.25 or brightness < 0.15:
        azimuth, height = rng.uniform(0, 2 * np.pi), rng.uniform(0.3, 0.95)
        flat = np.sqrt(1 - height**2)
        direction = np.array([flat * np.cos(azimuth), flat * np.sin(azimuth), height])
        colour = ambient * rng.uniform(0.3, 2.5) * np.clip(1 + rng.normal(0, 0.12, 3), 0.6, 1.4)
    colour = colour * rng.uniform(0.6, 1.2)
    colour *= min(1.0, _MAX_SUN / max(float(colour.max()), 1e-6))
    direction[2] = max(direction[2], _LOWEST_SUN)
    direction /= np.linalg.norm(direction)
    harmonics = environment.irradiance * rng.uniform(0.85, 1.25)
    # Enough light from everywhere that nobody is a silhouette.
    harmonics = harmonics * max(1.0, 0.24 / ambient)
    return Light(
        np.concatenate([direction[None], colour[None], _polynomial(harmonics)]).astype(np.float32)
    )


def _polynomial(harmonics: np.ndarray) -> np.ndarray:
    """(9, 3) coefficients of :class:`Light` from those of real spherical harmonics."""
    factors = [0.282095, *[0.488603] * 3, *[1.092548] * 2, 3 * 0.315392, 1.092548, 0.546274]
    out = harmonics * np.array(factors)[:, None]
    out[0] -= 0.315392 * harmonics[6]
    return out


def shadow_map(
    vertices: np.ndarray, triangles: np.ndarray, direction: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Depths along the light of the nearest surfaces, and the map from the world to them.

    Returns:
        (SHADOW_SIZE, SHADOW_SIZE) float32 and (3, 4) float32: column, row, depth of a point.
    """
    right = np.cross(direction, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    down = np.cross(direction, right)
    depth = np.full((SHADOW_SIZE, SHADOW_SIZE), 1e9, np.float32)
    if len(vertices) == 0:
        return depth, np.zeros((3, 4), np.float32)
    low, high = np.empty(3, np.float32), np.empty(3, np.float32)
    bounds(vertices, low, high)
    low, high = low.astype(float), high.astype(float)
    centre = (low + high) / 2
    radius = min(np.linalg.norm(high - low) / 2, 8.0) + 0.1
    scale = SHADOW_SIZE / 2 / radius
    rows = np.stack(
        [
            np.append(right * scale, SHADOW_SIZE / 2 - right @ centre * scale),
            np.append(down * scale, SHADOW_SIZE / 2 - down @ centre * scale),
            np.append(-direction, direction @ centre),
        ]
    ).astype(np.float32)
    projected = np.empty_like(vertices)
    transform(vertices, rows, projected)
    orthographic_depth(projected, triangles, depth)
    return depth, rows
