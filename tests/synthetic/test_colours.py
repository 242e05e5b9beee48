"""Colours of pixels, by plain formulas in double precision: ground, panorama, tone."""

import cv2
import numpy as np
import pytest

pytest.importorskip("numba", reason="the synthetic data need numba (extra 'synthetic')")

from synthetic.assets import load_assets
from synthetic.background import draw_background
from synthetic.camera import place_camera
from synthetic.lookups import angle
from synthetic.photometrics import Sensor, develop

SIZE = (71, 53)
LIGHT = np.zeros((11, 3), np.float32)
LIGHT[0] = 0.48, 0.6, 0.64  # direction of the sun, whose colour follows
LIGHT[1] = 1.2, 1.0, 0.7
LIGHT[2] = 0.3, 0.4, 0.5  # the same light from everywhere
RADIUS, HEIGHT = 18.0, 1.6


def test_angle_is_that_of_atan2():
    turns = np.linspace(-np.pi, np.pi, 801)[1:-1]
    for length in (1e-3, 1.0, 50.0):
        y, x = np.float32(length * np.sin(turns)), np.float32(length * np.cos(turns))
        found = [angle(b, a) for b, a in zip(y, x, strict=True)]
        np.testing.assert_allclose(found, np.arctan2(y, x), atol=1.2e-5)
    assert angle(np.float32(0), np.float32(0)) == 0


def looked_up(picture, x, y, z):
    """Panorama, bilinear, wrapping at the sides alone."""
    height, width = picture.shape[:2]
    u = np.arctan2(y, x) / (2 * np.pi) % 1 * width - 0.5
    v = np.arctan2(np.hypot(x, y), z) / np.pi * height - 0.5
    columns, rows = np.floor(u).astype(int), np.floor(v).astype(int)
    total = 0
    for row, row_share in ((rows, 1 - (v - rows)), (rows + 1, v - rows)):
        for column, share in ((columns, 1 - (u - columns)), (columns + 1, u - columns)):
            texels = picture[row.clip(0, height - 1), column % width]
            total = total + (row_share * share)[..., None] * texels
    return total


def background(camera, contacts, index, shadow):
    """What the kernel draws, with the panorama laid on the ground."""
    picture = load_assets().environments[0].picture
    assets = load_assets()
    to_shadow = np.zeros((3, 4), np.float32)
    to_shadow[0, [0, 3]] = to_shadow[1, [1, 3]] = 15, 320  # 15 pixels a metre, from above
    to_shadow[2, 2] = -1
    ground = [RADIUS, -1, HEIGHT, 1 / camera.intrinsics[0], 1, 0, 1, 1, 1]
    image = np.full((SIZE[1], SIZE[0], 3), -1, np.float32)
    draw_background(
        index, LIGHT, shadow, to_shadow, assets.atlas, assets.starts, assets.sizes,
        camera.eye.astype(np.float32), camera.rotation.astype(np.float32),
        camera.intrinsics.astype(np.float32), picture, np.array(ground, np.float32),
        np.array(contacts, np.float32).reshape(-1, 2), np.empty((5, SIZE[0]), np.float32), image,
    )  # fmt: skip
    return image, picture


def test_ground_with_feet_and_shadow_and_sky():
    camera = place_camera(SIZE, np.array([0.3, -2.0, 1.5]), np.array([0.1, 0.2, 0.9]), 1.3, 0.1)
    contacts = [(-0.6, 0.3), (-0.5, 0.4), (0.5, 0.1), (0.2, 0.5), (0.3, 0.0)]
    index = np.full((2 * SIZE[1], 2 * SIZE[0]), -1, np.int32)
    # West of x = 1 lies in the shadow of something high above.
    shadow = np.full((640, 640), 1e9, np.float32)
    shadow[:, :335] = -5
    image, picture = background(camera, contacts, index, shadow)

    fx, fy, cx, cy = camera.intrinsics
    column, row = np.meshgrid(np.arange(SIZE[0]) + 0.5, np.arange(SIZE[1]) + 0.5)
    rays = np.stack([(column - cx) / fx, (row - cy) / fy, np.ones_like(row)], -1) @ camera.rotation
    down = rays[..., 2] < -1e-3
    distance = np.where(down, -camera.eye[2] / np.where(down, rays[..., 2], 1), 0)
    place = camera.eye + distance[..., None] * rays
    on_ground = down & (np.hypot(place[..., 0], place[..., 1]) <= RADIUS)
    sky = looked_up(picture, *np.moveaxis(rays, -1, 0))
    laid = looked_up(picture, place[..., 0], place[..., 1], np.full(row.shape, -HEIGHT))
    sun = LIGHT[1] * LIGHT[0, 2]
    taken = np.where(place[..., :1] < 1, np.minimum(sun / (sun + LIGHT[2]), 0.75), 0)
    feet = np.ones(row.shape)
    for contact in contacts:
        away = np.abs(place[..., :2] - contact)
        share = 1 - 0.5 * np.exp(-(away**2).sum(-1) / 0.014)
        feet *= np.where((away < 0.3).all(-1), share, 1)
    expected = np.where(on_ground[..., None], laid * feet[..., None] * (1 - taken), sky)
    # Not at the shadow's rim, of whose taps some are lit, nor at the horizon.
    clear = (np.abs(place[..., 0] - 1) > 0.1) | ~on_ground
    clear &= cv2.blur(on_ground.astype(np.float32), (3, 3)) % 1 == 0
    assert clear.mean() > 0.9 and 0.3 < on_ground.mean() < 0.9
    assert (feet < 0.7).sum() > 10 and (taken > 0).any(-1).sum() > 100
    np.testing.assert_allclose(image[clear], expected[clear], rtol=2e-3, atol=2e-3)


def test_background_leaves_pixels_that_triangles_fill():
    camera = place_camera(SIZE, np.array([0.0, -4.0, 1.5]), np.array([0.0, 0.0, 1.0]), 1.3)
    index = np.zeros((2 * SIZE[1], 2 * SIZE[0]), np.int32)
    index[20, 31] = index[105, 141] = index[1, 0] = -1  # one sample of a pixel suffices
    image, _ = background(camera, [], index, np.full((640, 640), 1e9, np.float32))
    drawn = np.argwhere((image >= 0).all(-1)).tolist()
    assert drawn == [[0, 0], [10, 15], [52, 70]]


def test_tone_without_noise():
    gains, no_blur = np.array([1.1, 1.0, 0.9]), np.ones((1, 1), np.float32)
    sensor = Sensor(0.2, gains, 0.2, 1.3, 0.9, read=0, shot=0, kernel=no_blur, quality=None)
    radiance = np.random.default_rng(0).uniform(0, 2, (SIZE[1], SIZE[0], 3)).astype(np.float32)
    found = develop(sensor, np.random.default_rng(1), radiance)

    x, y = np.meshgrid(2 * np.arange(SIZE[0]) / SIZE[0] - 1, 2 * np.arange(SIZE[1]) / SIZE[1] - 1)
    shade = 1 - sensor.vignette * (x * x + y * y)
    value = np.sqrt(0.2 / radiance.mean() * sensor.gains * radiance * shade[..., None])
    value = np.where(value > 0.8, 1 - 0.04 / np.maximum(value - 0.6, 0.1), value)
    grey = value.mean(axis=-1, keepdims=True)
    value = 0.45 + 0.9 * (grey + 1.3 * (value - grey) - 0.45)
    expected = np.clip(255 * value + 0.5, 0, 255).astype(np.uint8)[..., ::-1]
    assert np.abs(found.astype(int) - expected).max() <= 1
    assert (found != expected).mean() < 1e-3


def test_noise_has_the_sensors_deviation():
    radiance = np.full((120, 160, 3), 0.5, np.float32)
    even = dict(vignette=0.0, saturation=1.0, contrast=1.0, kernel=np.ones((1, 1), np.float32))
    sensor = Sensor(level=0.25, gains=np.ones(3), read=0.02, shot=0.04, quality=None, **even)
    found = develop(sensor, np.random.default_rng(1), radiance) / 255
    assert found.mean() == pytest.approx(0.5, abs=1e-3)
    np.testing.assert_allclose(found.std(axis=(0, 1)), 0.02 + 0.04 * 0.5, rtol=0.05)
    # Neighbours and channels are independent of each other.
    flat = found.reshape(-1) - found.mean()
    for step in (1, 2, 3, 480):
        assert abs((flat[step:] * flat[:-step]).mean()) < 0.03 * flat.var()
