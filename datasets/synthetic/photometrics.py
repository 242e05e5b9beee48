"""What a camera's sensor and file make of radiance: exposure, colour, blur, noise, JPEG."""

import math
from dataclasses import dataclass

import cv2
import numba
import numpy as np


@dataclass(frozen=True)
class Sensor:
    """A camera's photometric properties, the same for all its pictures.

    ``level``: mean of the exposed picture; ``gains`` (3,) white balance; ``vignette`` share lost in
    the corners; ``saturation``, ``contrast`` factors; ``read``, ``shot`` noise; ``kernel`` (K, K)
    of the blur; ``quality`` of JPEG, or None.
    """

    level: float
    gains: np.ndarray
    vignette: float
    saturation: float
    contrast: float
    read: float
    shot: float
    kernel: np.ndarray
    quality: int | None


def sample_sensor(rng: np.random.Generator, size: tuple[int, int]) -> Sensor:
    """A random sensor for pictures of a size (width, height)."""
    read, shot = np.exp(rng.normal(np.log([0.006, 0.01]), 0.6))
    return Sensor(
        float(np.exp(rng.normal(np.log(0.2), 0.4))),
        np.clip(1 + rng.normal(0, 0.06, 3), 0.8, 1.2),
        float(rng.uniform(0.05, 0.3)) if rng.random() < 0.3 else 0.0,
        float(np.clip(rng.normal(1.05, 0.2), 0.5, 1.6)) if rng.random() < 0.97 else 0.0,
        float(np.clip(rng.normal(1.0, 0.12), 0.7, 1.4)),
        float(read),
        float(shot),
        _blur_kernel(rng, max(size) / 640),
        int(rng.integers(35, 92)) if rng.random() < 0.4 else None,
    )


def develop(sensor: Sensor, rng: np.random.Generator, radiance: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 BGR from linear RGB radiance; ``rng`` makes the noise.

    Blur, automatic exposure, white balance, vignette, gamma, saturation, contrast, noise, JPEG.
    """
    exposure = sensor.level / max(float(radiance.mean()), 1e-3)
    image = cv2.filter2D(radiance, -1, sensor.kernel, borderType=cv2.BORDER_REFLECT_101)
    settings = [*(exposure * sensor.gains), sensor.vignette, sensor.saturation, sensor.contrast]
    settings = np.array([*settings, sensor.read, sensor.shot], np.float32)
    out = np.empty(image.shape, np.uint8)
    _tone(image, settings, rng.integers(1, 2**63, dtype=np.uint64), np.zeros(3, np.float32), out)
    if sensor.quality is not None:
        encoded = cv2.imencode(".jpg", out, [cv2.IMWRITE_JPEG_QUALITY, sensor.quality])[1]
        out = cv2.imdecode(encoded, cv2.IMREAD_COLOR)
    return out


def _blur_kernel(rng: np.random.Generator, scale: float) -> np.ndarray:
    """(K, K) float32: mostly slight defocus, at times strong, or a straight motion's trace."""
    kind = rng.random()
    if kind < 0.08:
        length = int(rng.integers(3, 9) * scale) | 1
        kernel = np.zeros((length, length))
        angle = rng.uniform(0, np.pi)
        reach = (length // 2) * np.array([np.cos(angle), np.sin(angle)])
        for t in np.linspace(-1, 1, 4 * length):
            x, y = np.round(length // 2 + t * reach).astype(int)
            kernel[y, x] += 1
    else:
        sigma = scale * (rng.uniform(0.35, 0.75) if kind < 0.85 else rng.uniform(0.75, 1.8))
        r = np.arange(-max(1, round(2.5 * sigma)), max(1, round(2.5 * sigma)) + 1)
        bell = np.exp(-0.5 * (r / sigma) ** 2)
        kernel = np.outer(bell, bell)
    return (kernel / kernel.sum()).astype(np.float32)


@numba.njit(cache=True, error_model="numpy", nogil=True)
def _tone(image, settings, state, value, out):
    """Linear RGB to noisy 8-bit BGR: gamma 2 with a soft shoulder, saturation, contrast.

    The noise is the sum of four uniform numbers, from xorshift64* with the given ``state``.
    ``value`` (3,) float32 is overwritten.
    """
    vignette, saturation, contrast, read, shot = settings[3:8]
    height, width = image.shape[0], image.shape[1]
    half, one, zero = np.float32(0.5), np.float32(1), np.float32(0)
    # Four numbers in [0, 65536) have a variance of 4/12 of 65536 squared.
    scale = np.float32(np.sqrt(3.0) / 65536)
    for row in range(height):
        y = np.float32(2) * row / height - one
        for column in range(width):
            x = np.float32(2) * column / width - one
            shade = one - vignette * (x * x + y * y)
            grey = zero
            for k in range(3):
                v = np.float32(math.sqrt(max(image[row, column, k] * settings[k] * shade, zero)))
                if v > np.float32(0.8):
                    v = one - np.float32(0.04) / (v - np.float32(0.6))
                value[k] = v
                grey += v * np.float32(1 / 3)
            for k in range(3):
                v = grey + saturation * (value[k] - grey)
                v = np.float32(0.45) + contrast * (v - np.float32(0.45))
                state ^= state >> np.uint64(12)
                state ^= state << np.uint64(25)
                state ^= state >> np.uint64(27)
                bits = state * np.uint64(2685821657736338717)
                total = (
                    (bits & np.uint64(65535))
                    + ((bits >> np.uint64(16)) & np.uint64(65535))
                    + ((bits >> np.uint64(32)) & np.uint64(65535))
                    + (bits >> np.uint64(48))
                )
                noise = (np.float32(np.int64(total)) - np.float32(131070)) * scale
                v += noise * (read + shot * min(max(v, zero), one))
                out[row, column, 2 - k] = np.uint8(min(max(v * 255 + half, zero), 255))
