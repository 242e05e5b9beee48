"""Lookups that colours are made of: textures, panorama, shadow map, light from all around.

Inlined in ``background`` and ``shading``.  All colours are linear RGB.
"""

import math

import numpy as np

from .compiling import inlined

_HALF, _ONE = np.float32(0.5), np.float32(1)
_0, _1, _2 = np.uint64(0), np.uint64(1), np.uint64(2)


@inlined
def texel(atlas, start, size, u, v):
    """(r, g, b) of a texture, bilinear, wrapping (sizes are powers of two); gamma 2 to linear."""
    edge = np.float32(size)
    fu, fv = u * edge - _HALF, (_ONE - v) * edge - _HALF
    iu, iv = math.floor(fu), math.floor(fv)
    du, dv = np.float32(fu - iu), np.float32(fv - iv)
    last = size - 1
    x0, y0 = iu & last, iv & last
    x1, y1 = (x0 + 1) & last, (y0 + 1) & last
    p00, p01 = np.uint64(start + 4 * (y0 * size + x0)), np.uint64(start + 4 * (y0 * size + x1))
    p10, p11 = np.uint64(start + 4 * (y1 * size + x0)), np.uint64(start + 4 * (y1 * size + x1))
    k00, k01 = (_ONE - du) * (_ONE - dv), du * (_ONE - dv)
    k10, k11 = (_ONE - du) * dv, du * dv
    red = k00 * atlas[p00] + k01 * atlas[p01]
    red = (red + k10 * atlas[p10] + k11 * atlas[p11]) * np.float32(1 / 255)
    green = k00 * atlas[p00 + _1] + k01 * atlas[p01 + _1]
    green = (green + k10 * atlas[p10 + _1] + k11 * atlas[p11 + _1]) * np.float32(1 / 255)
    blue = k00 * atlas[p00 + _2] + k01 * atlas[p01 + _2]
    blue = (blue + k10 * atlas[p10 + _2] + k11 * atlas[p11 + _2]) * np.float32(1 / 255)
    return red * red, green * green, blue * blue


@inlined
def sunlit(shadow, to_shadow, x, y, z, spread):
    """Share of the sun's light that reaches a point, from four taps of the shadow map."""
    size = shadow.shape[0]
    u = to_shadow[0, 0] * x + to_shadow[0, 1] * y + to_shadow[0, 2] * z + to_shadow[0, 3]
    v = to_shadow[1, 0] * x + to_shadow[1, 1] * y + to_shadow[1, 2] * z + to_shadow[1, 3]
    d = to_shadow[2, 0] * x + to_shadow[2, 1] * y + to_shadow[2, 2] * z + to_shadow[2, 3]
    d -= np.float32(0.035)
    share = _ONE
    if not (u < 2 or v < 2 or u > size - 3 or v > size - 3):
        # Positive, so that truncation is the floor.
        half = _HALF * spread
        left, right = np.uint64(int(u - half)), np.uint64(int(u + half))
        top, bottom = np.uint64(int(v - half)), np.uint64(int(v + half))
        taps = np.uint64(d <= shadow[top, left]) + np.uint64(d <= shadow[top, right])
        taps += np.uint64(d <= shadow[bottom, left]) + np.uint64(d <= shadow[bottom, right])
        share = np.float32(0.25) * np.float32(taps)
    return share


@inlined
def irradiance(light, nx, ny, nz, k):
    """Light from all around on a surface with a normal, of colour channel ``k``."""
    value = (
        light[2, k]
        + light[3, k] * ny
        + light[4, k] * nz
        + light[5, k] * nx
        + nx * (light[6, k] * ny + light[9, k] * nz)
        + nz * (light[7, k] * ny + light[8, k] * nz)
        + light[10, k] * (nx * nx - ny * ny)
    )
    return max(value, np.float32(0.02))


@inlined
def angle(y, x):
    """atan2 to 1e-5 radians (a 1/1000 of a panorama's pixel), without a branch."""
    ax, ay = abs(x), abs(y)
    big = max(ax, ay)
    a = min(ax, ay) / big
    s = a * a
    r = a * (
        np.float32(0.99997726)
        + s * (np.float32(-0.33262347) + s * (np.float32(0.19354346) + s * (np.float32(-0.11643287)
        + s * (np.float32(0.05265332) - s * np.float32(0.01172120)))))
    )  # fmt: skip
    r = np.float32(1.57079637) - r if ay > ax else r
    r = np.float32(3.14159274) - r if x < 0 else r
    r = -r if y < 0 else r
    return np.float32(0) if big < 1e-20 else r


@inlined
def panorama_place(x, y, z, width, height):
    """Column and row of a panorama of some size, in a direction that need not be a unit vector.

    They count from the middles of the first pixels; the size is float32.
    """
    u = angle(y, x) * np.float32(0.15915494)
    u = u + np.float32(1) if u < 0 else u
    v = angle(math.sqrt(x * x + y * y), z) * np.float32(0.31830989)
    return u * width - _HALF, v * height - _HALF


@inlined
def panorama(picture, u, v):
    """(r, g, b) of a panorama at a :func:`panorama_place`, bilinear."""
    height, width = picture.shape[0], picture.shape[1]
    iu, iv = math.floor(u), math.floor(v)
    du, dv = np.float32(u - iu), np.float32(v - iv)
    x0 = np.uint64(iu if iu >= 0 else width - 1)
    x1 = np.uint64(iu + 1 if iu + 1 < width else 0)
    y0 = np.uint64(min(max(iv, 0), height - 1))
    y1 = np.uint64(min(max(iv + 1, 0), height - 1))
    return (
        _bilinear(picture, x0, x1, y0, y1, du, dv, _0),
        _bilinear(picture, x0, x1, y0, y1, du, dv, _1),
        _bilinear(picture, x0, x1, y0, y1, du, dv, _2),
    )


@inlined
def _bilinear(picture, x0, x1, y0, y1, du, dv, k):
    upper = (_ONE - du) * picture[y0, x0, k] + du * picture[y0, x1, k]
    lower = (_ONE - du) * picture[y1, x0, k] + du * picture[y1, x1, k]
    return (_ONE - dv) * upper + dv * lower
