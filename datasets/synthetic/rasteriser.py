"""Triangles to pixels: visibility by depth buffer, compiled with numba; ``shading`` colours them.

No kernel reorders floating-point sums (no fastmath, no threads), so that the same input gives the
same bytes.  Screen vertices are (u, v, 1/z, z): continuous pixels of the buffer, and metres.
"""

import math

import numpy as np

try:
    import numba
except ImportError as error:
    raise ImportError(
        "the synthetic data need numba: pip install 'hmor_d2[synthetic]' (or pip install numba)"
    ) from error

SAMPLES = 2  # samples a pixel along each axis; the kernels count on two
NEAR = 0.1  # metres: triangles nearer to the camera than this are not drawn
ALPHA_THRESHOLD = 110.0

# Rows of the light array of ``shade``.
SUN_DIRECTION, SUN_COLOUR, IRRADIANCE = 0, 1, slice(2, 11)

_HALF, _ONE = np.float32(0.5), np.float32(1)

# Numba counts references to every array at every call, by atomic operations, which costs more than
# shading a pixel; without its runtime it does not.  The kernels allocate nothing.
kernel = numba.njit(cache=True, error_model="numpy", nogil=True, _nrt=False)


@kernel
def _alpha(atlas, start, size, u, v):
    x = min(max(int(u * size), 0), size - 1)
    y = min(max(int((1.0 - v) * size), 0), size - 1)
    return atlas[start + 4 * (y * size + x) + 3]


@kernel
def visibility(screen, triangles, uv, texture, cutout, atlas, starts, sizes, depth, index):
    """Draw into ``depth`` (H, W; 1/z, zero where empty) and ``index`` (H, W; triangle or -1).

    ``cutout`` (T,) bool: the texture's alpha decides, sample by sample, as for hair.
    """
    height, width = depth.shape
    for t in range(triangles.shape[0]):
        a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        if screen[a, 3] < NEAR or screen[b, 3] < NEAR or screen[c, 3] < NEAR:
            continue
        ax, ay, aw = screen[a, 0], screen[a, 1], screen[a, 2]
        bx, by, bw = screen[b, 0], screen[b, 1], screen[b, 2]
        cx, cy, cw = screen[c, 0], screen[c, 1], screen[c, 2]
        left = max(0, math.ceil(min(ax, bx, cx) - 0.5))
        right = min(width - 1, math.floor(max(ax, bx, cx) - 0.5))
        top = max(0, math.ceil(min(ay, by, cy) - 0.5))
        bottom = min(height - 1, math.floor(max(ay, by, cy) - 0.5))
        if left > right or top > bottom:
            continue
        area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
        if abs(area) < 1e-9:
            continue
        scale = 1.0 / area
        cut = cutout[t]
        start, size = starts[texture[t], 0], sizes[texture[t], 0]
        # Barycentric coordinates are linear in the sample's place.
        w0_x, w0_y = (by - cy) * scale, (cx - bx) * scale
        w1_x, w1_y = (cy - ay) * scale, (ax - cx) * scale
        for y in range(top, bottom + 1):
            py = y + 0.5 - cy
            for x in range(left, right + 1):
                px = x + 0.5 - cx
                w0 = w0_x * px + w0_y * py
                if w0 < 0.0:
                    continue
                w1 = w1_x * px + w1_y * py
                w2 = 1.0 - w0 - w1
                if w1 < 0.0 or w2 < 0.0:
                    continue
                w = w0 * aw + w1 * bw + w2 * cw
                if w <= depth[y, x]:
                    continue
                if cut:
                    u = (w0 * aw * uv[t, 0, 0] + w1 * bw * uv[t, 1, 0] + w2 * cw * uv[t, 2, 0]) / w
                    v = (w0 * aw * uv[t, 0, 1] + w1 * bw * uv[t, 1, 1] + w2 * cw * uv[t, 2, 1]) / w
                    if _alpha(atlas, start, size, u, v) < ALPHA_THRESHOLD:
                        continue
                depth[y, x] = w
                index[y, x] = t


@kernel
def orthographic_depth(projected, triangles, depth):
    """Nearest depth of triangles along the light; ``projected`` (V, 3): column, row, depth."""
    height, width = depth.shape
    for t in range(triangles.shape[0]):
        a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        ax, ay, bx, by = projected[a, 0], projected[a, 1], projected[b, 0], projected[b, 1]
        cx, cy = projected[c, 0], projected[c, 1]
        left = max(0, math.ceil(min(ax, bx, cx) - 0.5))
        right = min(width - 1, math.floor(max(ax, bx, cx) - 0.5))
        top = max(0, math.ceil(min(ay, by, cy) - 0.5))
        bottom = min(height - 1, math.floor(max(ay, by, cy) - 0.5))
        area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
        if abs(area) < 1e-9:
            continue
        scale = 1.0 / area
        for y in range(top, bottom + 1):
            py = y + 0.5
            for x in range(left, right + 1):
                px = x + 0.5
                w0 = ((bx - px) * (cy - py) - (by - py) * (cx - px)) * scale
                w1 = ((cx - px) * (ay - py) - (cy - py) * (ax - px)) * scale
                w2 = 1.0 - w0 - w1
                if w0 < 0.0 or w1 < 0.0 or w2 < 0.0:
                    continue
                z = w0 * projected[a, 2] + w1 * projected[b, 2] + w2 * projected[c, 2]
                if z < depth[y, x]:
                    depth[y, x] = z


@kernel
def resolve(index, inverse_depth, owner_of, eye, to_world, intrinsics, radius, owners, depths,
            owner, depth):  # fmt: skip
    """A pixel's owner (H, W) and depth, metres, from its samples.

    The owner is who has most samples, the nearer one of equals; the depth is the mean over its
    samples.  Owner 0 is the ground, up to ``radius`` metres from the origin, or what is beyond,
    whose depth is 0.  ``owners`` (4,) int64 and ``depths`` (4,) float32 are overwritten.
    """
    count = SAMPLES * SAMPLES
    for row in range(owner.shape[0]):
        for column in range(owner.shape[1]):
            same = True
            for sample in range(count):
                y = row * SAMPLES + sample // SAMPLES
                x = column * SAMPLES + sample % SAMPLES
                t = index[y, x]
                owners[sample] = owner_of[t] if t >= 0 else 0
                depths[sample] = 1.0 / inverse_depth[y, x] if t >= 0 else 1e9
                same = same and owners[sample] == owners[0]
            best_votes, best_depth, best_owner = 0, 0.0, 0
            for sample in range(1 if same else count):
                votes, total = 0, 0.0
                for other in range(count):
                    if owners[other] == owners[sample]:
                        votes += 1
                        total += depths[other]
                mean = total / votes
                if votes > best_votes or (votes == best_votes and mean < best_depth):
                    best_votes, best_depth, best_owner = votes, mean, owners[sample]
            owner[row, column] = best_owner
            if best_owner != 0:
                depth[row, column] = best_depth
                continue
            rx = (column + 0.5 - intrinsics[2]) / intrinsics[0]
            ry = (row + 0.5 - intrinsics[3]) / intrinsics[1]
            drop = rx * to_world[0, 2] + ry * to_world[1, 2] + to_world[2, 2]
            if drop < -1e-3:
                z = -eye[2] / drop
                x = eye[0] + z * (rx * to_world[0, 0] + ry * to_world[1, 0] + to_world[2, 0])
                y = eye[1] + z * (rx * to_world[0, 1] + ry * to_world[1, 1] + to_world[2, 1])
                if x * x + y * y <= radius * radius:
                    depth[row, column] = z
