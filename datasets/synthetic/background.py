"""What is seen past people and objects: the ground with its shadows, and the panorama."""

import math

import numpy as np

from .compiling import inlined, kernel
from .lookups import irradiance, panorama, panorama_place, sunlit, texel

_HALF, _ONE, _ZERO = np.float32(0.5), np.float32(1), np.float32(0)
_REACH = np.float32(0.3)  # metres: how far a foot darkens the ground


@kernel
def draw_background(index, light, shadow, to_shadow, atlas, starts, sizes, eye, to_world,
                    intrinsics, picture, ground, contacts, scratch, image):  # fmt: skip
    """Radiance into every pixel of ``image`` (H, W, 3) of which a sample shows no triangle.

    ``index`` (2H, 2W) as of ``visibility``; ``to_world``: rows are the camera's axes in the world;
    ``eye``: its place, metres.  ``ground``: radius, number of the texture (-1: the panorama laid on
    the ground), metres of a tile (the tripod's height), radians of a pixel, cosine and sine of the
    turn, tint.  ``scratch`` (5, W) float32 is overwritten.
    """
    height, width = image.shape[0], image.shape[1]
    one, two = np.uint64(1), np.uint64(2)
    direct, up, shaded = _ground_light(light)
    box = _box(contacts)
    texture = int(ground[1])
    for row in range(height):
        # In a loop of its own, without branches, so that several pixels are computed at once.
        _trace_row(row, width, eye, to_world, intrinsics, picture, ground, scratch)
        top = np.uint64(2 * row)
        for column in range(np.uint64(width)):
            left = column * two
            if (
                index[top, left] >= 0
                and index[top, left + one] >= 0
                and index[top + one, left] >= 0
                and index[top + one, left + one] >= 0
            ):
                continue
            x, y, distance = scratch[0, column], scratch[1, column], scratch[2, column]
            if distance == _ZERO:
                r, g, b = panorama(picture, scratch[3, column], scratch[4, column])
            else:
                lit = sunlit(shadow, to_shadow, x, y, _ZERO, np.float32(1.7))
                occlusion = _ONE
                if x > box[0] and x < box[1] and y > box[2] and y < box[3]:
                    occlusion = _occlusion(contacts, x, y)
                if texture < 0:
                    r, g, b = panorama(picture, scratch[3, column], scratch[4, column])
                    r *= occlusion * (_ONE - (_ONE - lit) * shaded[0])
                    g *= occlusion * (_ONE - (_ONE - lit) * shaded[1])
                    b *= occlusion * (_ONE - (_ONE - lit) * shaded[2])
                else:
                    level = _level(distance, eye[2], ground, sizes[0, 0], starts.shape[1])
                    c, s, tile = ground[4], ground[5], ground[2]
                    u, v = (c * x - s * y) / tile, (s * x + c * y) / tile
                    r, g, b = texel(atlas, starts[texture, level], sizes[texture, level], u, v)
                    r *= ground[6] * (up[0] + direct[0] * lit) * occlusion
                    g *= ground[7] * (up[1] + direct[1] * lit) * occlusion
                    b *= ground[8] * (up[2] + direct[2] * lit) * occlusion
            pixel = image[np.uint64(row), column]
            pixel[0], pixel[1], pixel[2] = r, g, b


@inlined
def _ground_light(light):
    """By channel: the sun's light on the ground, that from above, and what a shadow takes away."""
    sun = max(light[0, 2], _ZERO)
    most = np.float32(0.75)
    r, g, b = light[1, 0] * sun, light[1, 1] * sun, light[1, 2] * sun
    up_r = irradiance(light, _ZERO, _ZERO, _ONE, 0)
    up_g = irradiance(light, _ZERO, _ZERO, _ONE, 1)
    up_b = irradiance(light, _ZERO, _ZERO, _ONE, 2)
    shaded = (min(r / (r + up_r), most), min(g / (g + up_g), most), min(b / (b + up_b), most))
    return (r, g, b), (up_r, up_g, up_b), shaded


@inlined
def _box(contacts):
    """x0, x1, y0, y1 beyond which no contact is within reach; some rounding is allowed for."""
    far, reach = np.float32(1e9), _REACH + np.float32(0.01)
    x0, x1, y0, y1 = far, -far, far, -far
    for i in range(contacts.shape[0]):
        x, y = contacts[i, 0], contacts[i, 1]
        x0, x1, y0, y1 = min(x0, x), max(x1, x), min(y0, y), max(y1, y)
    return x0 - reach, x1 + reach, y0 - reach, y1 + reach


@inlined
def _trace_row(row, width, eye, to_world, intrinsics, picture, ground, scratch):
    """Into ``scratch``, of each pixel: x, y and the ray's length on the ground (0: not on it), and
    column and row of the panorama, laid on the ground there, or else along the ray.
    """
    ry = (np.float32(row) + _HALF - intrinsics[3]) / intrinsics[1]
    fx, cx = intrinsics[0], intrinsics[2]
    ex, ey, ez = eye[0], eye[1], eye[2]
    ax, ay, az = to_world[0, 0], to_world[0, 1], to_world[0, 2]
    bx, by, bz = ry * to_world[1, 0], ry * to_world[1, 1], ry * to_world[1, 2]
    dx, dy, dz = to_world[2, 0], to_world[2, 1], to_world[2, 2]
    columns, rows = np.float32(picture.shape[1]), np.float32(picture.shape[0])
    far, tripod = ground[0], -ground[2]
    for column in range(width):
        rx = (np.float32(column) + _HALF - cx) / fx
        ray_x, ray_y, ray_z = rx * ax + bx + dx, rx * ay + by + dy, rx * az + bz + dz
        distance = -ez / ray_z if ray_z < np.float32(-1e-3) else _ZERO
        x, y = ex + distance * ray_x, ey + distance * ray_y
        beyond = (distance <= _ZERO) | (math.sqrt(x * x + y * y) > far)
        u, v = panorama_place(
            ray_x if beyond else x,
            ray_y if beyond else y,
            ray_z if beyond else tripod,
            columns,
            rows,
        )
        scratch[0, column] = x
        scratch[1, column] = y
        scratch[2, column] = _ZERO if beyond else distance
        scratch[3, column] = u
        scratch[4, column] = v


@inlined
def _occlusion(contacts, x, y):
    """Share of light that people's feet leave to a place near them."""
    share = _ONE
    for i in range(contacts.shape[0]):
        dx, dy = x - contacts[i, 0], y - contacts[i, 1]
        if abs(dx) < _REACH and abs(dy) < _REACH:
            share *= np.float32(1.0 - 0.5 * math.exp(-(dx * dx + dy * dy) / 0.014))
    return share


@inlined
def _level(distance, height, ground, size, levels):
    """Level of detail that a pixel's footprint on the ground asks for: far away, its mean."""
    slant = max(np.float32(0.7) * distance / max(height, np.float32(0.2)), _ONE)
    footprint = distance * slant * ground[3] / ground[2] * np.float32(size)
    level = 0
    while footprint > np.float32(1.41) and level < levels - 1:
        footprint *= _HALF
        level += 1
    return level
