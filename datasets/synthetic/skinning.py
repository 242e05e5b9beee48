"""Meshes' vertices: hung on a body, posed by linear blend skinning; extent and smooth normals."""

import math

import numpy as np

from .compiling import kernel


@kernel
def hang(offsets, size, references, reference_weights, body, out):
    """Vertices of clothes: out_v = size offset_v + sum_k w_vk body_(r_vk); all are float32.

    Args:
        offsets: (V, 3); size: a factor; references, reference_weights: (V, 3); body: (B, 3).
    """
    for v in range(np.uint64(offsets.shape[0])):
        for i in range(3):
            place = offsets[v, i] * size
            for k in range(3):
                place += body[np.uint64(references[v, k]), i] * reference_weights[v, k]
            out[v, i] = place


@kernel
def bounds(vertices, low, high):
    """Smallest and largest coordinates of (V, 3), V > 0, into (3,) each."""
    for i in range(3):
        low[i] = high[i] = vertices[0, i]
    for v in range(np.uint64(vertices.shape[0])):
        for i in range(3):
            low[i], high[i] = min(low[i], vertices[v, i]), max(high[i], vertices[v, i])


@kernel
def transform(vertices, rows, out):
    """Vertices (V, 3) by an affine map (3, 4); all are float32."""
    for v in range(np.uint64(vertices.shape[0])):
        x, y, z = vertices[v, 0], vertices[v, 1], vertices[v, 2]
        for k in range(3):
            out[v, k] = rows[k, 0] * x + rows[k, 1] * y + rows[k, 2] * z + rows[k, 3]


@kernel
def skin(rest, influences, weights, rotations, translations, out):
    """Pose vertices: out_v = sum_s w_vs (R_s rest_v + t_s).

    Args:
        rest: (V, 3) float32; influences: (V, K) segment indices; weights: (V, K), rows sum to one.
        rotations, translations: (S, 3, 3) and (S, 3) float32.  out: (V, 3) float32, written.
    """
    zero = np.float32(0)
    for v in range(np.uint64(rest.shape[0])):
        for i in range(3):
            # The blended transformation's row.
            x, y, z, shift = zero, zero, zero, zero
            for k in range(np.uint64(influences.shape[1])):
                w, s = weights[v, k], np.uint64(influences[v, k])
                if w == zero:
                    continue
                x += w * rotations[s, i, 0]
                y += w * rotations[s, i, 1]
                z += w * rotations[s, i, 2]
                shift += w * translations[s, i]
            out[v, i] = x * rest[v, 0] + y * rest[v, 1] + z * rest[v, 2] + shift


@kernel
def vertex_normals(vertices, triangles, out):
    """Area-weighted unit normals of a mesh into ``out`` (V, 3)."""
    out[:] = 0
    for t in range(np.uint64(triangles.shape[0])):
        a, b = np.uint64(triangles[t, 0]), np.uint64(triangles[t, 1])
        c = np.uint64(triangles[t, 2])
        ux, uy, uz = (
            vertices[b, 0] - vertices[a, 0],
            vertices[b, 1] - vertices[a, 1],
            vertices[b, 2] - vertices[a, 2],
        )
        vx, vy, vz = (
            vertices[c, 0] - vertices[a, 0],
            vertices[c, 1] - vertices[a, 1],
            vertices[c, 2] - vertices[a, 2],
        )
        nx, ny, nz = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
        for i in (a, b, c):
            out[i, 0] += nx
            out[i, 1] += ny
            out[i, 2] += nz
    for v in range(np.uint64(out.shape[0])):
        length = math.sqrt(out[v, 0] ** 2 + out[v, 1] ** 2 + out[v, 2] ** 2)
        if length > 1e-12:
            for i in range(3):
                out[v, i] /= length
