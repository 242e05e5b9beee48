"""Rotation vectors and quaternions of single rotations, compiled: called dozens of times a pose."""

import math

import numba
import numpy as np

_jit = numba.njit(cache=True, error_model="numpy", nogil=True)


@_jit
def from_vector(vector):
    """(3, 3) rotation about ``vector`` (3,) by its length in radians (Rodrigues)."""
    angle = math.sqrt(vector[0] ** 2 + vector[1] ** 2 + vector[2] ** 2)
    out = np.eye(3)
    if angle < 1e-12:
        return out
    x, y, z = vector[0] / angle, vector[1] / angle, vector[2] / angle
    c, s = math.cos(angle), math.sin(angle)
    d = 1.0 - c
    out[0, 0], out[0, 1], out[0, 2] = c + d * x * x, d * x * y - s * z, d * x * z + s * y
    out[1, 0], out[1, 1], out[1, 2] = d * x * y + s * z, c + d * y * y, d * y * z - s * x
    out[2, 0], out[2, 1], out[2, 2] = d * x * z - s * y, d * y * z + s * x, c + d * z * z
    return out


@_jit
def from_quaternion(q):
    """(3, 3) rotation of a quaternion x, y, z, w that need not be normalised."""
    length = math.sqrt(q[0] ** 2 + q[1] ** 2 + q[2] ** 2 + q[3] ** 2)
    x, y, z, w = q[0] / length, q[1] / length, q[2] / length, q[3] / length
    out = np.empty((3, 3))
    out[0, 0], out[0, 1], out[0, 2] = (
        1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w))  # fmt: skip
    out[1, 0], out[1, 1], out[1, 2] = (
        2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w))  # fmt: skip
    out[2, 0], out[2, 1], out[2, 2] = (
        2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y))  # fmt: skip
    return out


@_jit
def to_vector(r):
    """(3,) rotation vector of a rotation (3, 3), of length at most pi."""
    # By way of the quaternion, with the largest of its parts as the pivot (Shepperd 1978).
    trace = r[0, 0] + r[1, 1] + r[2, 2]
    q = np.empty(4)
    pivot = 3
    best = trace
    for i in range(3):
        if r[i, i] > best:
            best, pivot = r[i, i], i
    if pivot == 3:
        q[3] = 1.0 + trace
        q[0], q[1], q[2] = r[2, 1] - r[1, 2], r[0, 2] - r[2, 0], r[1, 0] - r[0, 1]
    else:
        i = pivot
        j, k = (i + 1) % 3, (i + 2) % 3
        q[i] = 1.0 + 2.0 * r[i, i] - trace
        q[j], q[k] = r[j, i] + r[i, j], r[k, i] + r[i, k]
        q[3] = r[k, j] - r[j, k]
    if q[3] < 0:
        q *= -1.0
    sine = math.sqrt(q[0] ** 2 + q[1] ** 2 + q[2] ** 2)
    out = np.zeros(3)
    if sine < 1e-14:
        return out
    angle = 2.0 * math.atan2(sine, q[3])
    for i in range(3):
        out[i] = q[i] / sine * angle
    return out


@_jit
def multiply(a, b):
    """a b, of (3, 3) matrices."""
    out = np.empty((3, 3))
    for i in range(3):
        for j in range(3):
            out[i, j] = a[i, 0] * b[0, j] + a[i, 1] * b[1, j] + a[i, 2] * b[2, j]
    return out


@_jit
def relative(a, b):
    """a^T b: rotation ``b`` as seen from ``a``."""
    return multiply(a.T, b)


@_jit
def part_turn(rotation, share, limit):
    """``share`` of a rotation's angle, after cutting it to ``limit`` radians, about its axis."""
    vector = to_vector(rotation)
    angle = math.sqrt(vector[0] ** 2 + vector[1] ** 2 + vector[2] ** 2)
    return from_vector(vector * (share * min(1.0, limit / max(angle, 1e-9))))


@_jit
def swing(start, rotation):
    """(3,) rotation vector of the smallest turn that takes ``start`` where ``rotation`` does."""
    x, y, z = start[0], start[1], start[2]
    ex = rotation[0, 0] * x + rotation[0, 1] * y + rotation[0, 2] * z
    ey = rotation[1, 0] * x + rotation[1, 1] * y + rotation[1, 2] * z
    ez = rotation[2, 0] * x + rotation[2, 1] * y + rotation[2, 2] * z
    out = np.array([y * ez - z * ey, z * ex - x * ez, x * ey - y * ex])
    sine = math.sqrt(out[0] ** 2 + out[1] ** 2 + out[2] ** 2)
    if sine < 1e-9:
        return np.zeros(3)
    return out / sine * math.atan2(sine, x * ex + y * ey + z * ez)


@_jit
def part_twist(rotation, axis, share):
    """A rotation with the same swing of the unit ``axis`` but ``share`` of the twist about it."""
    turn = from_vector(swing(axis, rotation))
    return multiply(turn, part_turn(relative(turn, rotation), share, 10.0))
