"""Triangles to pixels: visibility by depth buffer; ``background`` and ``shading`` colour them.

Screen vertices are (u, v, 1/z, z): continuous pixels of the buffer, and metres.
"""

import math

import numpy as np

from .compiling import inlined, kernel

SAMPLES = 2  # samples a pixel along each axis; the kernels count on two
NEAR = 0.1  # metres: triangles nearer to the camera than this are not drawn
ALPHA_THRESHOLD = 110.0


@inlined
def _alpha(atlas, start, size, u, v):
    x = min(max(int(u * size), 0), size - 1)
    y = min(max(int((1.0 - v) * size), 0), size - 1)
    return atlas[start + 4 * (y * size + x) + 3]


@kernel
def project(vertices, rotation, shift, intrinsics, screen):
    """World vertices (V, 3), metres, to ``screen`` (V, 4); all are float32.

    ``rotation`` (3, 3), ``shift`` (3,): world to camera, metres; ``intrinsics`` in pixels.
    """
    samples, nearest = np.float32(SAMPLES), np.float32(1e-3)
    for v in range(np.uint64(vertices.shape[0])):
        a, b, c = vertices[v, 0], vertices[v, 1], vertices[v, 2]
        x = rotation[0, 0] * a + rotation[0, 1] * b + rotation[0, 2] * c + shift[0]
        y = rotation[1, 0] * a + rotation[1, 1] * b + rotation[1, 2] * c + shift[1]
        z = rotation[2, 0] * a + rotation[2, 1] * b + rotation[2, 2] * c + shift[2]
        safe = max(z, nearest)
        screen[v, 0] = (intrinsics[0] * x / safe + intrinsics[2]) * samples
        screen[v, 1] = (intrinsics[1] * y / safe + intrinsics[3]) * samples
        screen[v, 2] = np.float32(1) / safe
        screen[v, 3] = z


@kernel
def visibility(screen, triangles, uv, texture, cutout, atlas, starts, sizes, depth, index):
    """Draw into ``depth`` (H, W; 1/z, zero where empty) and ``index`` (H, W; triangle or -1).

    ``cutout`` (T,) bool: the texture's alpha decides, sample by sample, as for hair.
    """
    height, width = depth.shape
    for t in range(np.uint64(triangles.shape[0])):
        a, b = np.uint64(triangles[t, 0]), np.uint64(triangles[t, 1])
        c = np.uint64(triangles[t, 2])
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
        first, count = np.uint64(left), np.uint64(right + 1 - left)
        for y in range(top, bottom + 1):
            py = y + 0.5 - cy
            row = np.uint64(y)
            for i in range(count):
                px = np.float64(np.int64(i)) + (left + 0.5) - cx
                w0 = w0_x * px + w0_y * py
                w1 = w1_x * px + w1_y * py
                w2 = 1.0 - w0 - w1
                w = w0 * aw + w1 * bw + w2 * cw
                # One condition, not four branches that no processor foresees.
                if (min(w0, w1, w2) >= 0.0) & (w > depth[row, first + i]):
                    if cut:
                        u = w0 * aw * uv[t, 0, 0] + w1 * bw * uv[t, 1, 0] + w2 * cw * uv[t, 2, 0]
                        v = w0 * aw * uv[t, 0, 1] + w1 * bw * uv[t, 1, 1] + w2 * cw * uv[t, 2, 1]
                        if _alpha(atlas, start, size, u / w, v / w) < ALPHA_THRESHOLD:
                            continue
                    depth[row, first + i] = w
                    index[row, first + i] = t


@kernel
def orthographic_depth(projected, triangles, depth):
    """Nearest depth of triangles along the light; ``projected`` (V, 3): column, row, depth."""
    height, width = depth.shape
    for t in range(np.uint64(triangles.shape[0])):
        a, b = np.uint64(triangles[t, 0]), np.uint64(triangles[t, 1])
        c = np.uint64(triangles[t, 2])
        ax, ay, bx, by = projected[a, 0], projected[a, 1], projected[b, 0], projected[b, 1]
        cx, cy = projected[c, 0], projected[c, 1]
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
        az, bz, cz = projected[a, 2], projected[b, 2], projected[c, 2]
        for y in range(top, bottom + 1):
            py = y + 0.5
            row = np.uint64(y)
            for x in range(left, right + 1):
                px = x + 0.5
                w0 = ((bx - px) * (cy - py) - (by - py) * (cx - px)) * scale
                w1 = ((cx - px) * (ay - py) - (cy - py) * (ax - px)) * scale
                w2 = 1.0 - w0 - w1
                z = w0 * az + w1 * bz + w2 * cz
                if (min(w0, w1, w2) >= 0.0) & (z < depth[row, np.uint64(x)]):
                    depth[row, np.uint64(x)] = z


@kernel
def resolve(index, inverse_depth, owner_of, eye, to_world, intrinsics, radius, owners, depths,
            owner, depth):  # fmt: skip
    """A pixel's owner (H, W) and depth, metres, from its samples.

    The owner is who has most samples, the nearer one of equals; the depth is the mean over its
    samples.  Owner 0 is the ground, up to ``radius`` metres from the origin, or what is beyond,
    whose depth is 0.  ``owners`` (4,) int64 and ``depths`` (4,) float32 are overwritten.
    """
    count = SAMPLES * SAMPLES
    one, two = np.uint64(1), np.uint64(2)
    for row in range(np.uint64(owner.shape[0])):
        ry = (np.int64(row) + 0.5 - intrinsics[3]) / intrinsics[1]
        for column in range(np.uint64(owner.shape[1])):
            y, x = row * two, column * two
            empty, same = True, True
            for sample in range(np.uint64(count)):
                t = index[y + (sample >> one), x + (sample & one)]
                owners[sample] = owner_of[np.uint64(t)] if t >= 0 else 0
                empty = empty and t < 0
                same = same and owners[sample] == owners[0]
            best_votes, best_depth, best_owner = 0, 0.0, 0
            if not empty:
                for sample in range(np.uint64(count)):
                    inverse = inverse_depth[y + (sample >> one), x + (sample & one)]
                    depths[sample] = 1.0 / inverse if owners[sample] != 0 else 1e9
                for sample in range(np.uint64(1 if same else count)):
                    votes, total = 0, 0.0
                    for other in range(np.uint64(count)):
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
            rx = (np.int64(column) + 0.5 - intrinsics[2]) / intrinsics[0]
            drop = rx * to_world[0, 2] + ry * to_world[1, 2] + to_world[2, 2]
            if drop < -1e-3:
                z = -eye[2] / drop
                east = eye[0] + z * (rx * to_world[0, 0] + ry * to_world[1, 0] + to_world[2, 0])
                north = eye[1] + z * (rx * to_world[0, 1] + ry * to_world[1, 1] + to_world[2, 1])
                if east * east + north * north <= radius * radius:
                    depth[row, column] = z
