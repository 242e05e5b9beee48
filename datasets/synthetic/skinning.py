"""Linear blend skinning and smooth normals, compiled with numba (in order: the same bytes)."""

import math

import numba
import numpy as np

_jit = numba.njit(cache=True, error_model="numpy", nogil=True)


@_jit
def skin(rest, influences, weights, rotations, translations, out):
    """Pose vertices: out_v = sum_s w_vs (R_s rest_v + t_s).

    Args:
        rest: (V, 3) float32; influences: (V, K) segment indices; weights: (V, K), rows sum to one.
        rotations, translations: (S, 3, 3) and (S, 3) float32.  out: (V, 3) float32, written.
    """
    blend = np.zeros((3, 4), np.float32)
    for v in range(rest.shape[0]):
        blend[:] = 0
        for k in range(influences.shape[1]):
            w = weights[v, k]
            if w == 0.0:
                continue
            s = influences[v, k]
            for i in range(3):
                for j in range(3):
                    blend[i, j] += w * rotations[s, i, j]
                blend[i, 3] += w * translations[s, i]
        for i in range(3):
            out[v, i] = (
                blend[i, 0] * rest[v, 0]
                + blend[i, 1] * rest[v, 1]
                + blend[i, 2] * rest[v, 2]
                + blend[i, 3]
            )


@_jit
def vertex_normals(vertices, triangles, out):
    """Area-weighted unit normals of a mesh into ``out`` (V, 3)."""
    out[:] = 0
    for t in range(triangles.shape[0]):
        a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
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
    for v in range(out.shape[0]):
        length = math.sqrt(out[v, 0] ** 2 + out[v, 1] ** 2 + out[v, 2] ** 2)
        if length > 1e-12:
            for i in range(3):
                out[v, i] /= length
