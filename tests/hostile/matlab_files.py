"""Spoils MATLAB files outside and inside of what is compressed."""

import random
import struct
import zlib

from tests.hostile.mutations import spoil_bytes

__all__ = ["spoil_matlab"]


def spoil_matlab(rng: random.Random, data: bytes) -> bytes:
    """Mostly inside, with a right checksum: the parser must meet it."""
    if rng.random() < 0.3:
        return spoil_bytes(rng, data)
    result, position = data[:128], 128
    while position < len(data):
        kind, size = struct.unpack_from("<II", data, position)
        element = data[position + 8 : position + 8 + size]
        position += 8 + size
        if kind == 15:
            inside = zlib.compress(spoil_bytes(rng, zlib.decompress(element)))
            result += struct.pack("<II", 15, len(inside)) + inside
        else:
            result += spoil_bytes(rng, struct.pack("<II", kind, size) + element)
    return result
