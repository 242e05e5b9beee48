"""The colour of people and objects: textures, sun with shadows, light from all around.

All colours are linear RGB, 1 is white in the panorama.
"""

import math

import numpy as np

from .compiling import inlined, kernel
from .lookups import irradiance, sunlit, texel
from .rasteriser import SAMPLES

_HALF, _ONE, _ZERO = np.float32(0.5), np.float32(1), np.float32(0)
_QUARTER = np.float32(1 / SAMPLES**2)


@kernel
def shade(index, screen, world, normals, triangles, uv, texture, tints, tint_of, light, shadow,
          to_shadow, atlas, starts, sizes, eye, scratch, image):  # fmt: skip
    """Radiance into every pixel of ``image`` (H, W, 3) of which a sample shows a triangle.

    The mean of SAMPLES x SAMPLES samples: those on triangles of one ``tint_of`` (a part of a
    person, an object) are shaded once, those on none have what ``draw_background`` left there.
    ``eye``: the camera's place, metres.  ``scratch`` (4, 3) float32 is overwritten.
    """
    height, width = image.shape[0], image.shape[1]
    one, two = np.uint64(1), np.uint64(2)
    for row in range(np.uint64(height)):
        top = row * two
        for column in range(np.uint64(width)):
            left = column * two
            t0, t1 = index[top, left], index[top, left + one]
            t2, t3 = index[top + one, left], index[top + one, left + one]
            if t0 < 0 and t1 < 0 and t2 < 0 and t3 < 0:
                continue
            g0, g1 = _group(tint_of, t0), _group(tint_of, t1)
            g2, g3 = _group(tint_of, t2), _group(tint_of, t3)
            # Of each sample: the first one of its group, which lends it its colour.
            s1 = 0 if g1 == g0 else 1
            s2 = 0 if g2 == g0 else s1 if g2 == g1 else 2
            s3 = 0 if g3 == g0 else s1 if g3 == g1 else s2 if g3 == g2 else 3
            pixel = image[row, column]
            for sample in range(4):
                if sample == 0:
                    t, source = t0, 0
                elif sample == 1:
                    t, source = t1, s1
                elif sample == 2:
                    t, source = t2, s2
                else:
                    t, source = t3, s3
                if source != sample:
                    continue
                colour = scratch[np.uint64(sample)]
                if t < 0:
                    r, g, b = pixel[0], pixel[1], pixel[2]
                else:
                    px = np.float32(np.int64(left) + (sample & 1)) + _HALF
                    py = np.float32(np.int64(top) + (sample >> 1)) + _HALF
                    r, g, b = _surface(np.uint64(t), px, py, screen, world, normals, triangles, uv,
                                       texture, tints, tint_of, light, shadow, to_shadow, atlas,
                                       starts, sizes, eye)  # fmt: skip
                colour[0], colour[1], colour[2] = r, g, b
            c0, c1 = scratch[0], scratch[np.uint64(s1)]
            c2, c3 = scratch[np.uint64(s2)], scratch[np.uint64(s3)]
            for k in range(3):
                pixel[k] = (c0[k] + c1[k] + c2[k] + c3[k]) * _QUARTER


@inlined
def _group(tint_of, t):
    return tint_of[np.uint64(t)] if t >= 0 else -1


@inlined
def _surface(t, px, py, screen, world, normals, triangles, uv, texture, tints, tint_of, light,
             shadow, to_shadow, atlas, starts, sizes, eye):  # fmt: skip
    """(r, g, b) radiance of triangle ``t`` at a place of the buffer."""
    a, b = np.uint64(triangles[t, 0]), np.uint64(triangles[t, 1])
    c = np.uint64(triangles[t, 2])
    ax, ay, bx, by = screen[a, 0], screen[a, 1], screen[b, 0], screen[b, 1]
    cx, cy = screen[c, 0], screen[c, 1]
    w0 = ((bx - px) * (cy - py) - (by - py) * (cx - px)) * screen[a, 2]
    w1 = ((cx - px) * (ay - py) - (cy - py) * (ax - px)) * screen[b, 2]
    w2 = ((ax - px) * (by - py) - (ay - py) * (bx - px)) * screen[c, 2]
    scale = _ONE / (w0 + w1 + w2)
    w0, w1, w2 = w0 * scale, w1 * scale, w2 * scale
    nx = w0 * normals[a, 0] + w1 * normals[b, 0] + w2 * normals[c, 0]
    ny = w0 * normals[a, 1] + w1 * normals[b, 1] + w2 * normals[c, 1]
    nz = w0 * normals[a, 2] + w1 * normals[b, 2] + w2 * normals[c, 2]
    x = w0 * world[a, 0] + w1 * world[b, 0] + w2 * world[c, 0]
    y = w0 * world[a, 1] + w1 * world[b, 1] + w2 * world[c, 1]
    z = w0 * world[a, 2] + w1 * world[b, 2] + w2 * world[c, 2]
    scale = _ONE / np.float32(math.sqrt(nx * nx + ny * ny + nz * nz) + np.float32(1e-12))
    # Both sides of a surface are drawn; the normal faces the viewer.
    if nx * (eye[0] - x) + ny * (eye[1] - y) + nz * (eye[2] - z) < _ZERO:
        scale = -scale
    nx, ny, nz = nx * scale, ny * scale, nz * scale
    u0, v0, u1, v1 = uv[t, 0, 0], uv[t, 0, 1], uv[t, 1, 0], uv[t, 1, 1]
    u2, v2 = uv[t, 2, 0], uv[t, 2, 1]
    # The level of detail at which a texel is no smaller than a sample.
    texels = abs((u1 - u0) * (v2 - v0) - (u2 - u0) * (v1 - v0))
    texels *= np.float32(sizes[0, 0] * sizes[0, 0] * SAMPLES**2)
    area = abs((bx - ax) * (cy - ay) - (by - ay) * (cx - ax)) * np.float32(2)
    level = 0
    while texels > area and level < starts.shape[1] - 1:
        texels *= np.float32(0.25)
        level += 1
    picture = texture[t]
    red, green, blue = texel(atlas, starts[picture, level], sizes[picture, level],
                    w0 * u0 + w1 * u1 + w2 * u2, w0 * v0 + w1 * v1 + w2 * v2)  # fmt: skip
    facing = nx * light[0, 0] + ny * light[0, 1] + nz * light[0, 2]
    if facing > _ZERO:
        # A little off the surface, lest it shade itself.
        off = np.float32(0.01)
        facing *= sunlit(shadow, to_shadow, x + off * nx, y + off * ny, z + off * nz, _ONE)
    else:
        facing = _ZERO
    # Near the ground less of the surroundings' light arrives.
    height = min(max(z * np.float32(1.1), _ZERO), _ONE)
    ambient = np.float32(0.72) + np.float32(0.28) * height
    tint = tints[tint_of[t]]
    red *= tint[0] * (irradiance(light, nx, ny, nz, 0) * ambient + light[1, 0] * facing)
    green *= tint[1] * (irradiance(light, nx, ny, nz, 1) * ambient + light[1, 1] * facing)
    blue *= tint[2] * (irradiance(light, nx, ny, nz, 2) * ambient + light[1, 2] * facing)
    return red, green, blue
