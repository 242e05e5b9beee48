"""Light of the asset pack: a high-dynamic-range panorama to a picture and a few light numbers."""

from pathlib import Path

import cv2
import numpy as np

# Radiance above this (the picture's white is 1) counts as the sun or a lamp, which casts shadows.
SUN_THRESHOLD = 3.0


def read_exr(path: Path) -> np.ndarray:
    """(H, W, 3) float32 radiance, RGB, of an OpenEXR file."""
    import OpenEXR

    channels = OpenEXR.File(str(path)).channels()
    name = next(iter(channels))
    if name in ("RGB", "RGBA"):
        pixels = channels[name].pixels[..., :3]
    else:
        pixels = np.stack([channels[c].pixels for c in "RGB"], axis=-1)
    pixels = np.maximum(pixels.astype(np.float32), 0)
    # Channels of a blinding sun overflow to NaN or zero: they are as bright as the others.
    bright = np.nan_to_num(np.nanmax(pixels, axis=-1, keepdims=True), posinf=60000.0)
    broken = ~np.isfinite(pixels) | ((bright > 1000) & (pixels < bright / 50))
    return np.where(broken, bright, pixels).astype(np.float32)


def directions(height: int, width: int) -> np.ndarray:
    """(H, W, 3) unit vectors of an equirectangular panorama's pixels, Z up."""
    polar = (np.arange(height) + 0.5) / height * np.pi
    azimuth = (np.arange(width) + 0.5) / width * 2 * np.pi
    sine = np.sin(polar)[:, None]
    up = np.repeat(np.cos(polar)[:, None], width, axis=1)
    return np.stack([sine * np.cos(azimuth), sine * np.sin(azimuth), up], axis=-1)


def harmonics(n: np.ndarray) -> np.ndarray:
    """(..., 9) real spherical harmonics of unit vectors up to degree two."""
    x, y, z = np.moveaxis(n, -1, 0)
    return np.stack(
        [
            0.282095 + 0 * x,
            0.488603 * y,
            0.488603 * z,
            0.488603 * x,
            1.092548 * x * y,
            1.092548 * y * z,
            0.315392 * (3 * z * z - 1),
            1.092548 * x * z,
            0.546274 * (x * x - y * y),
        ],
        axis=-1,
    )


def build_environment(path: Path) -> tuple[np.ndarray, dict]:
    """The picture (256, 512, 3) uint8 BGR, gamma 2, and the light as a JSON-ready dict.

    ``irradiance`` (9, 3): coefficients of the irradiance divided by pi from everything but the
    sun, as spherical harmonics (Ramamoorthi and Hanrahan 2001); ``sun`` (3,): the sun's irradiance
    divided by pi on a surface that faces it, and ``sun_direction`` (3,) towards it.  Colours RGB,
    where 1 is white in the picture.
    """
    radiance = read_exr(path)
    radiance /= np.percentile(radiance.max(axis=-1), 90)
    rays = directions(*radiance.shape[:2])
    solid_angle = (
        np.sqrt(1 - rays[..., 2] ** 2) * (np.pi / rays.shape[0]) * (2 * np.pi / rays.shape[1])
    )
    sky = np.minimum(radiance, SUN_THRESHOLD)
    sun = (radiance - sky) * (rays[..., 2] > 0)[..., None]
    weights = (sun.mean(axis=-1) * solid_angle)[..., None]
    direction = (rays * weights).sum(axis=(0, 1))
    length = np.linalg.norm(direction)
    if length < 1e-6:
        sky_only = (sky.mean(-1) * solid_angle * (rays[..., 2] > 0.1))[..., None] ** 2
        direction = (rays * sky_only).sum(axis=(0, 1))
        length = np.linalg.norm(direction)
    direction = direction / length
    facing = np.maximum(rays @ direction, 0)
    sun_colour = (sun * (facing * solid_angle)[..., None]).sum(axis=(0, 1)) / np.pi
    # The cosine lobe's factors (pi, 2 pi / 3, pi / 4), over pi.
    lobe = np.array([1.0, 2 / 3, 2 / 3, 2 / 3, 1 / 4, 1 / 4, 1 / 4, 1 / 4, 1 / 4])
    basis = harmonics(rays) * solid_angle[..., None]
    irradiance = np.einsum("hwk,hwc->kc", basis, sky) * lobe[:, None]
    # Resampling left dark rings around what overexposes; there a closing fills them.
    shown = np.minimum(radiance, 1.0).astype(np.float32)
    near = cv2.dilate((radiance.max(axis=-1) > 1.1).astype(np.uint8), np.ones((7, 7), np.uint8))
    closed = cv2.morphologyEx(shown, cv2.MORPH_CLOSE, np.ones((7, 7), np.uint8))
    shown = np.where(near[..., None] > 0, closed, shown)
    picture = np.sqrt(shown) * 255
    return np.ascontiguousarray(picture[..., ::-1] + 0.5).astype(np.uint8), {
        "irradiance": irradiance.round(5).tolist(),
        "sun": sun_colour.round(5).tolist(),
        "sun_direction": direction.round(5).tolist(),
    }
