"""What a camera's sensor and file make of radiance: exposure, colour, blur, noise, JPEG."""

import math
from dataclasses import dataclass

import cv2
import numpy as np

from .compiling import kernel


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
    out = _tone(image, settings, rng.integers(1, 2**63, dtype=np.uint64))
    if sensor.quality is not None:
        encoded = cv2.imencode(".jpg", out, [cv2.IMWRITE_JPEG_QUALITY, sensor.quality])[1]
        out = cv2.imdecode(encoded, cv2.IMREAD_COLOR)
    return out


def _blur_kernel(rng: np.random.Generator, scale: float) -> np.ndarray:
    """(K, K) float32: mostly slight defocus, at times strong, or a straight motion's trace."""
    kind = rng.random()
    if kind < 0.08:
        length = int(rng.integers(3, 9) * scale) | 1
        weights = np.zeros((length, length))
        angle = rng.uniform(0, np.pi)
        reach = (length // 2) * np.array([np.cos(angle), np.sin(angle)])
        for t in np.linspace(-1, 1, 4 * length):
            x, y = np.round(length // 2 + t * reach).astype(int)
            weights[y, x] += 1
    else:
        sigma = scale * (rng.uniform(0.35, 0.75) if kind < 0.85 else rng.uniform(0.75, 1.8))
        r = np.arange(-max(1, round(2.5 * sigma)), max(1, round(2.5 * sigma)) + 1)
        bell = np.exp(-0.5 * (r / sigma) ** 2)
        weights = np.outer(bell, bell)
    return (weights / weights.sum()).astype(np.float32)


def _tone(image: np.ndarray, settings: np.ndarray, state: np.uint64) -> np.ndarray:
    """Linear RGB (H, W, 3) float32 to noisy 8-bit BGR."""
    height, width, _ = image.shape
    out = np.empty(image.shape, np.uint8)
    flat = height, 3 * width
    values, squares = np.empty((3, 3 * width), np.float32), np.empty(3 * width)
    noise = np.empty(3 * width, np.int32)
    _tone_rows(image.reshape(flat), settings, state, values, squares, noise, out.reshape(flat))
    return cv2.cvtColor(out, cv2.COLOR_RGB2BGR)


@kernel
def _tone_rows(image, settings, state, values, squares, noise, out):
    """Linear to noisy 8-bit values: gamma 2 with a soft shoulder, saturation, contrast.

    Rows are red, green, blue of the first pixel, of the second, and so on.  Each step has a loop of
    its own over a row, without branches, so that several values are computed at once.  The noise is
    the sum of four uniform numbers, from xorshift64* with the given ``state``.  ``values`` (3, 3W),
    ``squares`` and ``noise`` (3W,) are overwritten.
    """
    vignette, saturation, contrast, read, shot = settings[3:8]
    height, length = image.shape
    half, one, zero, third = np.float32(0.5), np.float32(1), np.float32(0), np.float32(1 / 3)
    # Four numbers in [0, 65536) have a variance of 4/12 of 65536 squared.
    scale = np.float32(np.sqrt(3.0) / 65536)
    three = np.uint64(3)
    value, grey, gain = values[0], values[1], values[2]
    for j in range(np.uint64(length)):
        x = np.float32(2) * np.int64(j // three) / (length // 3) - one
        squares[j] = x * x
        gain[j] = settings[j % three]
    for row in range(np.uint64(height)):
        y = np.float32(2) * np.int64(row) / height - one
        y_squared = y * y
        for j in range(length):
            shade = one - vignette * (squares[j] + y_squared)
            v = np.float32(math.sqrt(max(image[row, j] * gain[j] * shade, zero)))
            soft = one - np.float32(0.04) / (v - np.float32(0.6))
            value[j] = soft if v > np.float32(0.8) else v
        for j in range(np.uint64(length)):
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
            noise[j] = np.int32(total)
        for pixel in range(np.uint64(length // 3)):
            j = three * pixel
            mean = value[j] * third + value[j + np.uint64(1)] * third
            mean += value[j + np.uint64(2)] * third
            grey[j] = grey[j + np.uint64(1)] = grey[j + np.uint64(2)] = mean
        for j in range(length):
            v = grey[j] + saturation * (value[j] - grey[j])
            v = np.float32(0.45) + contrast * (v - np.float32(0.45))
            wave = (np.float32(noise[j]) - np.float32(131070)) * scale
            v += wave * (read + shot * min(max(v, zero), one))
            out[row, j] = np.uint8(np.int32(min(max(v * 255 + half, zero), 255)))
