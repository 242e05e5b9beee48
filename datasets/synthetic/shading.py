"""The colour of pixels: textures, sun with shadows, light from all around, ground, panorama.

Kernels like those of ``rasteriser``; all colours are linear RGB, 1 is white in the panorama.
"""

import math

import numpy as np

from .rasteriser import SAMPLES, kernel

_HALF, _ONE = np.float32(0.5), np.float32(1)


@kernel
def _texel(atlas, start, size, u, v, out):
    """Bilinear lookup, wrapping (sizes are powers of two); gamma 2 to linear."""
    edge = np.float32(size)
    fu, fv = u * edge - _HALF, (_ONE - v) * edge - _HALF
    iu, iv = math.floor(fu), math.floor(fv)
    du, dv = np.float32(fu - iu), np.float32(fv - iv)
    last = size - 1
    x0, y0 = iu & last, iv & last
    x1, y1 = (x0 + 1) & last, (y0 + 1) & last
    p00, p01 = start + 4 * (y0 * size + x0), start + 4 * (y0 * size + x1)
    p10, p11 = start + 4 * (y1 * size + x0), start + 4 * (y1 * size + x1)
    k00, k01 = (_ONE - du) * (_ONE - dv), du * (_ONE - dv)
    k10, k11 = (_ONE - du) * dv, du * dv
    for k in range(3):
        value = k00 * atlas[p00 + k] + k01 * atlas[p01 + k]
        value = (value + k10 * atlas[p10 + k] + k11 * atlas[p11 + k]) * np.float32(1 / 255)
        out[k] = value * value


@kernel
def _lit(shadow, to_shadow, x, y, z, spread):
    """Share of the sun's light that reaches a point, from four taps of the shadow map."""
    size = shadow.shape[0]
    u = to_shadow[0, 0] * x + to_shadow[0, 1] * y + to_shadow[0, 2] * z + to_shadow[0, 3]
    v = to_shadow[1, 0] * x + to_shadow[1, 1] * y + to_shadow[1, 2] * z + to_shadow[1, 3]
    d = to_shadow[2, 0] * x + to_shadow[2, 1] * y + to_shadow[2, 2] * z + to_shadow[2, 3]
    d -= np.float32(0.035)
    if u < 2 or v < 2 or u > size - 3 or v > size - 3:
        return _ONE
    lit = np.float32(0)
    # Positive, so that truncation is the floor.
    half = _HALF * spread
    left, right, top, bottom = int(u - half), int(u + half), int(v - half), int(v + half)
    for row in (top, bottom):
        for column in (left, right):
            if d <= shadow[row, column]:
                lit += np.float32(0.25)
    return lit


@kernel
def _irradiance(light, nx, ny, nz, k):
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


@kernel
def _angle(y, x):
    """atan2 to 1e-5 radians (a 1/1000 of a panorama's pixel), several times as fast."""
    ax, ay = abs(x), abs(y)
    big = max(ax, ay)
    if big < 1e-20:
        return np.float32(0)
    a = min(ax, ay) / big
    s = a * a
    r = a * (
        np.float32(0.99997726)
        + s * (np.float32(-0.33262347) + s * (np.float32(0.19354346) + s * (np.float32(-0.11643287)
        + s * (np.float32(0.05265332) - s * np.float32(0.01172120)))))
    )  # fmt: skip
    if ay > ax:
        r = np.float32(1.57079637) - r
    if x < 0:
        r = np.float32(3.14159274) - r
    return -r if y < 0 else r


@kernel
def _panorama(picture, x, y, z, out):
    """Bilinear lookup of a panorama in a direction that need not be a unit vector."""
    height, width = picture.shape[0], picture.shape[1]
    fu = _angle(y, x) * np.float32(0.15915494)
    if fu < 0:
        fu += np.float32(1)
    fu = fu * np.float32(width) - _HALF
    fv = _angle(math.sqrt(x * x + y * y), z) * np.float32(0.31830989) * np.float32(height) - _HALF
    iu, iv = math.floor(fu), math.floor(fv)
    du, dv = np.float32(fu - iu), np.float32(fv - iv)
    x0 = iu if iu >= 0 else width - 1
    x1 = iu + 1 if iu + 1 < width else 0
    y0, y1 = min(max(iv, 0), height - 1), min(max(iv + 1, 0), height - 1)
    for k in range(3):
        out[k] = (_ONE - dv) * ((_ONE - du) * picture[y0, x0, k] + du * picture[y0, x1, k]) + dv * (
            (_ONE - du) * picture[y1, x0, k] + du * picture[y1, x1, k]
        )


@kernel
def _background(ray, eye, picture, ground, up_light, contacts, light, shadow, to_shadow, atlas,
                starts, sizes, out):  # fmt: skip
    """Radiance of the ground plane z = 0 or the surroundings; returns the ray's length, or 0."""
    distance = np.float32(0)
    if ray[2] < np.float32(-1e-3):
        distance = -eye[2] / ray[2]
    x, y = eye[0] + distance * ray[0], eye[1] + distance * ray[1]
    radius = math.sqrt(x * x + y * y)
    if distance <= np.float32(0) or radius > ground[0]:
        _panorama(picture, ray[0], ray[1], ray[2], out)
        return 0.0
    sun = max(light[0, 2], np.float32(0))
    lit = _lit(shadow, to_shadow, x, y, np.float32(0), np.float32(1.7))
    occlusion = _ONE
    for i in range(contacts.shape[0]):
        dx, dy = x - contacts[i, 0], y - contacts[i, 1]
        if abs(dx) < np.float32(0.3) and abs(dy) < np.float32(0.3):
            occlusion *= np.float32(1.0 - 0.5 * math.exp(-(dx * dx + dy * dy) / 0.014))
    texture = int(ground[1])
    if texture < 0:
        # The panorama laid on the ground as seen from a tripod's height.
        _panorama(picture, x, y, -ground[2], out)
        for k in range(3):
            direct = light[1, k] * sun
            total = direct + up_light[k]
            out[k] *= occlusion * (_ONE - (_ONE - lit) * min(direct / total, np.float32(0.75)))
        return distance
    # Texture, at the level of detail that its footprint asks for, fading into its mean far away.
    tile = ground[2]
    slant = max(np.float32(0.7) * distance / max(eye[2], np.float32(0.2)), _ONE)
    footprint = distance * slant * ground[3] / tile * np.float32(sizes[0, 0])
    level = 0
    while footprint > np.float32(1.41) and level < starts.shape[1] - 1:
        footprint *= _HALF
        level += 1
    c, s = ground[4], ground[5]
    u, v = (c * x - s * y) / tile, (s * x + c * y) / tile
    _texel(atlas, starts[texture, level], sizes[texture, level], u, v, out)
    for k in range(3):
        total = up_light[k] + light[1, k] * sun * lit
        out[k] *= ground[6 + k] * total * occlusion
    return distance


@kernel
def shade(index, screen, world, normals, triangles, uv, texture, tints, tint_of, group, light,
          shadow, to_shadow, atlas, starts, sizes, eye, to_world, intrinsics, picture, ground,
          contacts, scratch, seen, image):  # fmt: skip
    """Radiance of every pixel into ``image`` (H, W, 3), from SAMPLES x SAMPLES samples each.

    A pixel's samples on one ``group`` of triangles (a part of a person, an object) are shaded
    once.  ``to_world``: rows are the camera's axes in the world; ``eye``: its place, metres.
    ``scratch`` (8, 3) float32 and ``seen`` (4,) int64 are overwritten.
    """
    height, width = image.shape[0], image.shape[1]
    colours, colour, ray, up_light = scratch[:5], scratch[5], scratch[6], scratch[7]
    texture_size = sizes[0, 0]
    for k in range(3):
        up_light[k] = _irradiance(light, np.float32(0), np.float32(0), _ONE, k)
    for row in range(height):
        for column in range(width):
            count = 0
            has_background = False
            top, left = row * SAMPLES, column * SAMPLES
            if (
                index[top, left] < 0
                and index[top, left + 1] < 0
                and index[top + 1, left] < 0
                and index[top + 1, left + 1] < 0
            ):
                rx = (np.float32(column) + _HALF - intrinsics[2]) / intrinsics[0]
                ry = (np.float32(row) + _HALF - intrinsics[3]) / intrinsics[1]
                for k in range(3):
                    ray[k] = rx * to_world[0, k] + ry * to_world[1, k] + to_world[2, k]
                _background(ray, eye, picture, ground, up_light, contacts, light, shadow, to_shadow,
                            atlas, starts, sizes, image[row, column])  # fmt: skip
                continue
            for sample in range(SAMPLES * SAMPLES):
                y = row * SAMPLES + sample // SAMPLES
                x = column * SAMPLES + sample % SAMPLES
                t = index[y, x]
                if t < 0:
                    if not has_background:
                        rx = (np.float32(column) + _HALF - intrinsics[2]) / intrinsics[0]
                        ry = (np.float32(row) + _HALF - intrinsics[3]) / intrinsics[1]
                        for k in range(3):
                            ray[k] = rx * to_world[0, k] + ry * to_world[1, k] + to_world[2, k]
                        _background(ray, eye, picture, ground, up_light, contacts, light, shadow,
                                    to_shadow, atlas, starts, sizes, colour)  # fmt: skip
                        for k in range(3):
                            colours[SAMPLES * SAMPLES, k] = colour[k]
                        has_background = True
                    for k in range(3):
                        image[row, column, k] += colours[SAMPLES * SAMPLES, k]
                    continue
                known = -1
                for i in range(count):
                    if seen[i] == group[t]:
                        known = i
                if known < 0:
                    known = count
                    seen[count] = group[t]
                    count += 1
                    px, py = np.float32(x) + _HALF, np.float32(y) + _HALF
                    _surface(t, px, py, screen, world, normals, triangles, uv, texture,
                             tints, tint_of, light, shadow, to_shadow, atlas, starts, sizes, eye,
                             texture_size, colour)  # fmt: skip
                    for k in range(3):
                        colours[known, k] = colour[k]
                for k in range(3):
                    image[row, column, k] += colours[known, k]
            for k in range(3):
                image[row, column, k] *= np.float32(1 / SAMPLES**2)


@kernel
def _surface(t, px, py, screen, world, normals, triangles, uv, texture, tints, tint_of, light,
             shadow, to_shadow, atlas, starts, sizes, eye, texture_size, out):  # fmt: skip
    """Radiance of triangle ``t`` at a place of the buffer."""
    a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
    ax, ay, bx, by = screen[a, 0], screen[a, 1], screen[b, 0], screen[b, 1]
    cx, cy = screen[c, 0], screen[c, 1]
    area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
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
    zero = np.float32(0)
    scale = _ONE / np.float32(math.sqrt(nx * nx + ny * ny + nz * nz) + np.float32(1e-12))
    # Both sides of a surface are drawn; the normal faces the viewer.
    if nx * (eye[0] - x) + ny * (eye[1] - y) + nz * (eye[2] - z) < zero:
        scale = -scale
    nx, ny, nz = nx * scale, ny * scale, nz * scale
    u0, v0 = uv[t, 0, 0], uv[t, 0, 1]
    du1, dv1, du2, dv2 = uv[t, 1, 0] - u0, uv[t, 1, 1] - v0, uv[t, 2, 0] - u0, uv[t, 2, 1] - v0
    texels = abs(du1 * dv2 - du2 * dv1) * np.float32(texture_size * texture_size * SAMPLES**2)
    area = abs(area) * np.float32(2)
    level = 0
    while texels > area and level < starts.shape[1] - 1:
        texels *= np.float32(0.25)
        level += 1
    _texel(atlas, starts[texture[t], level], sizes[texture[t], level],
           w0 * u0 + w1 * uv[t, 1, 0] + w2 * uv[t, 2, 0],
           w0 * v0 + w1 * uv[t, 1, 1] + w2 * uv[t, 2, 1], out)  # fmt: skip
    facing = nx * light[0, 0] + ny * light[0, 1] + nz * light[0, 2]
    if facing > zero:
        # A little off the surface, lest it shade itself.
        off = np.float32(0.01)
        facing *= _lit(shadow, to_shadow, x + off * nx, y + off * ny, z + off * nz, _ONE)
    else:
        facing = zero
    # Near the ground less of the surroundings' light arrives.
    height = min(max(z * np.float32(1.1), zero), _ONE)
    ambient = np.float32(0.72) + np.float32(0.28) * height
    tint = tint_of[t]
    for k in range(3):
        lit = _irradiance(light, nx, ny, nz, k) * ambient + light[1, k] * facing
        out[k] *= tints[tint, k] * lit
