"""Cameras: pinhole with optional lens distortion, and where they stand."""

from dataclasses import dataclass, replace
from functools import lru_cache

import numba
import numpy as np
from scipy.spatial.transform import Rotation


@dataclass(frozen=True)
class Camera:
    """A calibrated camera.

    ``size`` (width, height); ``intrinsics`` [fx, fy, cx, cy] in continuous pixels (a pixel's centre
    is at index + 0.5); ``rotation`` (3, 3) and ``translation`` (3,) mm: camera = R world + t, with
    the camera's X right, Y down, Z forward and the world's Z up; ``distortion`` None or OpenCV's
    [k1, k2, p1, p2, k3].
    """

    size: tuple[int, int]
    intrinsics: np.ndarray
    rotation: np.ndarray
    translation: np.ndarray
    distortion: np.ndarray | None = None

    @property
    def eye(self) -> np.ndarray:
        """(3,) place in the world, metres."""
        return -self.rotation.T @ self.translation / 1000

    def to_camera(self, points: np.ndarray) -> np.ndarray:
        """World points (..., 3) in metres to the camera frame, mm."""
        return 1000 * (points @ self.rotation.T) + self.translation

    def project(self, camera_points: np.ndarray) -> np.ndarray:
        """Camera points (..., 3) to continuous pixels (..., 2) of the undistorted image."""
        focal, centre = self.intrinsics[:2], self.intrinsics[2:]
        return camera_points[..., :2] / camera_points[..., 2:] * focal + centre

    def distort(self, pixels: np.ndarray) -> np.ndarray:
        """Undistorted continuous pixels (N, 2) to those of the lens."""
        if self.distortion is None:
            return pixels
        k1, k2, p1, p2, k3 = self.distortion
        x, y = ((pixels - self.intrinsics[2:]) / self.intrinsics[:2]).T
        r2 = x * x + y * y
        radial = 1 + r2 * (k1 + r2 * (k2 + r2 * k3))
        bent = np.stack(
            [
                x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x),
                y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y,
            ],
            axis=1,
        )
        return bent * self.intrinsics[:2] + self.intrinsics[2:]

    def undistorted_grid(self) -> np.ndarray:
        """(H, W, 2) float32: the undistorted continuous pixel that each lens pixel shows."""
        coefficients = np.zeros(5) if self.distortion is None else self.distortion
        return _undistorted_grid(self.size, tuple(self.intrinsics), tuple(coefficients))

    def widened(self, margin: int) -> "Camera":
        """The pinhole camera that sees ``margin`` more pixels on every side."""
        width, height = self.size
        return replace(
            self,
            size=(width + 2 * margin, height + 2 * margin),
            intrinsics=self.intrinsics + np.array([0, 0, margin, margin]),
            distortion=None,
        )


@lru_cache(maxsize=16)
def _undistorted_grid(size: tuple, intrinsics: tuple, distortion: tuple) -> np.ndarray:
    grid = np.empty((size[1], size[0], 2), np.float32)
    _undistort(np.array(intrinsics), np.array(distortion), grid)
    return grid


@numba.njit(cache=True, error_model="numpy", nogil=True)
def _undistort(intrinsics, distortion, grid):
    """Invert OpenCV's distortion at every pixel's centre by fixed-point iteration."""
    fx, fy, cx, cy = intrinsics
    k1, k2, p1, p2, k3 = distortion
    for row in range(grid.shape[0]):
        for column in range(grid.shape[1]):
            bent_x, bent_y = (column + 0.5 - cx) / fx, (row + 0.5 - cy) / fy
            x, y = bent_x, bent_y
            for _ in range(60):
                r2 = x * x + y * y
                radial = 1 + r2 * (k1 + r2 * (k2 + r2 * k3))
                new_x = (bent_x - 2 * p1 * x * y - p2 * (r2 + 2 * x * x)) / radial
                new_y = (bent_y - p1 * (r2 + 2 * y * y) - 2 * p2 * x * y) / radial
                change = abs(new_x - x) + abs(new_y - y)
                x, y = new_x, new_y
                if change < 1e-8:
                    break
            grid[row, column, 0] = x * fx + cx
            grid[row, column, 1] = y * fy + cy


def look_at(eye: np.ndarray, target: np.ndarray, roll: float = 0.0) -> np.ndarray:
    """(3, 3) world-to-camera rotation of a camera at ``eye`` that looks at ``target``."""
    forward = (target - eye) / np.linalg.norm(target - eye)
    right = np.cross(forward, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    axes = np.stack([right, np.cross(forward, right), forward])
    return Rotation.from_euler("z", roll).as_matrix() @ axes


def place_camera(
    size: tuple[int, int],
    eye: np.ndarray,
    target: np.ndarray,
    fov: float,
    roll: float = 0.0,
    off_centre: tuple[float, float] = (0.0, 0.0),
    distortion: np.ndarray | None = None,
) -> Camera:
    """A camera with a field of view of ``fov`` radians on the larger side.

    ``off_centre`` moves the principal point from the middle, in pixels.
    """
    focal = max(size) / 2 / np.tan(fov / 2)
    rotation = look_at(eye, target, roll)
    centre = np.array(size) / 2 + off_centre
    return Camera(
        size,
        np.array([focal, focal, *centre]),
        rotation,
        -1000 * rotation @ eye,
        distortion,
    )


def sample_camera(
    rng: np.random.Generator,
    size: tuple[int, int],
    centre: np.ndarray,
    spread: float,
    azimuth: float,
) -> Camera:
    """A camera at an azimuth of a group, at varied height, distance, aim, roll and field of view.

    Args:
        centre: (2,) middle of the group on the ground; spread: its radius, metres.
    """
    fov = np.radians(rng.uniform(38, 80))
    # From tight, truncating views to whole-body ones.
    half = np.tan(fov / 2)
    distance = 0.8 * spread + rng.uniform(0.6, 1.7) / half
    distance = max(distance, spread + 1.1)
    style = rng.random()
    if style < 0.7:
        height = rng.uniform(0.9, 1.8)
    elif style < 0.85:
        height = rng.uniform(0.35, 0.9)
    else:
        height = rng.uniform(1.8, 3.6)
    eye = np.array([*(centre + distance * np.array([np.cos(azimuth), np.sin(azimuth)])), height])
    aim = np.array([*centre, rng.uniform(0.65, 1.25)])
    aim[:2] += rng.normal(0, 0.16, 2) * distance * half
    roll = rng.normal(0, np.radians(2.0)) if rng.random() < 0.85 else rng.normal(0, np.radians(9))
    return place_camera(size, eye, aim, fov, roll, rng.normal(0, 4.0, 2))
