"""Reads MATLAB v5 files of numbers, texts, cells and structs, without trusting them.

``scipy.io.loadmat`` parses in C: a file with one wrong byte inside, under a right checksum, may end
the process by a segmentation fault, and a few bytes may ask for all of the memory.  Here every
length is compared with the bytes that are left before it is used.  The format is described in
MathWorks' "MAT-File Format", chapter 1, "Level 5 MAT-File Format".
"""

import math
import struct
import zlib
from collections.abc import Collection, Iterator
from typing import Any

import numpy as np

from .dataset_error import DatasetError

__all__ = ["MAX_UNPACKED_BYTES", "read_matlab_file"]

#: Bytes of all variables of a file, after decompression; MuPoTS-3D's files have a few million.
MAX_UNPACKED_BYTES = 64 << 20
# Arrays of a file, those in cells and fields among them; MuPoTS-3D's have tens of thousands.
_MAX_ARRAYS = 500_000
# Cells within structs within cells: MuPoTS-3D's files have three.
_MAX_DEPTH = 16
_MAX_DIMENSIONS = 32
_HEADER_BYTES = 128
_MATRIX, _COMPRESSED = 14, 15
_NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8",
            13: "u8"}  # fmt: skip
_TEXTS = {2: "latin1", 4: "utf-16", 16: "utf-8", 17: "utf-16", 18: "utf-32"}
_CELL, _STRUCT, _CHAR, _SPARSE = 1, 2, 4, 5
# What arrays of each class hold; they may be stored in fewer bytes.
_CLASSES = {6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8",
            15: "u8"}  # fmt: skip
_COMPLEX = 0x800
_EMPTY = np.zeros((0, 0))


def read_matlab_file(path: str, names: Collection[str] | None = None) -> dict[str, np.ndarray]:
    """The variables of a file of MATLAB's version 5 to 7, compressed or not.

    Args:
        path: of the file, which exists.
        names: variables to read; all where None.

    Returns:
        by name, arrays with the shapes that MATLAB gives them: of numbers in their type; of
        objects for cells; of objects, which are dicts, for structs; of single characters for texts.

    Raises:
        DatasetError: names the file; for what is broken or no such file, holds anything else
            (complex and sparse arrays, functions, objects), or unpacks to more than
            :data:`MAX_UNPACKED_BYTES`.
        OSError: if the file cannot be opened.
    """
    with open(path, "rb") as file:
        data = file.read()
    try:
        order = _byte_order(data)
        result = {}
        numbers = iter(range(_MAX_ARRAYS))
        for kind, element in _top_level(data, order):
            if kind != _MATRIX:
                continue
            reader = _Reader(element, order, numbers)
            name = reader.name()
            if names is None or name in names:
                result[name] = reader.array(0)
        return result
    except (ValueError, struct.error, zlib.error, MemoryError) as error:
        raise DatasetError(
            f"{path}: found a file that cannot be read ({type(error).__name__}: {error}), expected "
            "a whole MATLAB file of version 5 to 7"
        ) from error


def _byte_order(data: bytes) -> str:
    mark = data[124:_HEADER_BYTES]
    if mark not in (b"\x00\x01IM", b"\x01\x00MI"):
        raise ValueError(f"it begins with {data[:10]!r}")
    return "<" if mark.endswith(b"IM") else ">"


def _top_level(data: bytes, order: str) -> Iterator[tuple[int, memoryview]]:
    """Type and content of each element of the file, decompressed."""
    view, position, left = memoryview(data), _HEADER_BYTES, MAX_UNPACKED_BYTES
    while position < len(data):
        if position + 8 > len(data):
            raise ValueError(f"no whole element at byte {position}")
        kind, size = struct.unpack_from(f"{order}II", data, position)
        content = view[position + 8 : position + 8 + size]
        if len(content) != size:
            raise ValueError(f"no whole element at byte {position}")
        position += 8 + size
        if kind == _COMPRESSED:
            content = _decompress(content, left)
            left -= len(content)
            inner = _Reader(content, order, iter(()))
            kind, content = inner.element()
            if not inner.at_end():
                raise ValueError("a compressed element holds more than one")
        elif kind == _MATRIX:
            left -= size
            if left < 0:
                raise ValueError(f"more than {MAX_UNPACKED_BYTES >> 20} MiB of variables")
        yield kind, content


def _decompress(content: memoryview, limit: int) -> memoryview:
    """All of a zlib stream, compared with its checksum."""
    stream = zlib.decompressobj()
    unpacked = stream.decompress(content, limit + 1)
    if len(unpacked) > limit:
        raise ValueError(f"more than {MAX_UNPACKED_BYTES >> 20} MiB of variables")
    if not stream.eof or stream.unused_data:
        raise ValueError("a compressed element is not whole")
    return memoryview(unpacked)


class _Reader:
    """Position in the content of an array; elements end where it does, at the latest."""

    def __init__(self, content: memoryview, order: str, numbers: Iterator[int]):
        """``numbers``: one is taken for each array in this one, as long as there are any."""
        self._content, self._order, self._numbers_left = content, order, numbers
        self._position = 0
        self._tag = struct.Struct(f"{order}II")

    def at_end(self) -> bool:
        return self._position >= len(self._content)

    def element(self) -> tuple[int, memoryview]:
        """Type and content of the element here."""
        position = self._position
        if position + 8 > len(self._content):
            raise ValueError("an element ends too soon")
        kind, size = self._tag.unpack_from(self._content, position)
        if kind >> 16:  # four bytes or fewer, in the place of their number
            kind, size, start, end = kind & 0xFFFF, kind >> 16, position + 4, position + 8
            if size > 4:
                raise ValueError(f"a small element of {size} bytes")
        else:
            start, end = position + 8, position + 8 + size
            if end > len(self._content):
                raise ValueError(f"an element of {size} bytes, {len(self._content) - start} left")
            end += -size % 8
        self._position = end
        return kind, self._content[start : start + size]

    def name(self) -> str:
        """The variable's name; :meth:`array` then begins anew."""
        self._header()
        name = self._name
        self._position = 0
        return name

    def array(self, depth: int) -> np.ndarray:
        """The array that begins here."""
        if depth > _MAX_DEPTH:
            raise ValueError(f"arrays {depth} deep")
        kind, shape = self._header()
        if kind == _CELL:
            return self._objects(shape, lambda: self._nested(depth), 8)
        if kind == _STRUCT:
            fields = self._fields()
            return self._objects(
                shape, lambda: {field: self._nested(depth) for field in fields}, 8 * len(fields)
            )
        count = math.prod(shape)
        if kind == _CHAR:
            stored, content = self.element()
            if stored not in _TEXTS:
                raise ValueError(f"a text of type {stored}")
            text = bytes(content).decode(_TEXTS[stored])
            if len(text) != count:
                raise ValueError(f"{len(text)} characters for shape {shape}")
            return np.array(list(text), dtype="U1").reshape(shape, order="F")
        if kind not in _CLASSES:
            raise ValueError(f"an array of class {kind}{', sparse' * (kind == _SPARSE)}")
        values = self._numbers()
        if len(values) != count:
            raise ValueError(f"{len(values)} numbers for shape {shape}")
        return values.astype(_CLASSES[kind], copy=False).reshape(shape, order="F")

    def _header(self) -> tuple[int, tuple[int, ...]]:
        """Class and shape of an array."""
        flags = self._numbers()
        if len(flags) != 2:
            raise ValueError(f"{len(flags)} numbers for the flags of an array")
        flag = int(flags[0])
        if flag & _COMPLEX:
            raise ValueError("an array of complex numbers")
        shape = tuple(self._numbers().tolist())
        whole = all(isinstance(n, int) and n >= 0 for n in shape)
        if not 2 <= len(shape) <= _MAX_DIMENSIONS or not whole:
            raise ValueError(f"an array of shape {shape!r:.80}")
        self._name = bytes(self.element()[1]).decode("latin1")
        return flag & 0xFF, shape

    def _numbers(self) -> np.ndarray:
        kind, content = self.element()
        if kind not in _NUMBERS:
            raise ValueError(f"numbers of type {kind}")
        return np.frombuffer(content, dtype=f"{self._order}{_NUMBERS[kind]}")

    def _fields(self) -> list[str]:
        length = int(self._numbers()[0]) if self._position < len(self._content) else 0
        names = bytes(self.element()[1])
        if length < 1 or len(names) % length:
            raise ValueError(f"names of fields in {len(names)} bytes, {length} each")
        parts = (names[i : i + length] for i in range(0, len(names), length))
        return [part.split(b"\0")[0].decode("latin1") for part in parts]

    def _objects(self, shape: tuple[int, ...], read: Any, bytes_each: int) -> np.ndarray:
        count = math.prod(shape)
        if count * max(bytes_each, 8) > len(self._content) - self._position:
            raise ValueError(
                f"{count} elements of shape {shape}, more than the bytes that are left"
            )
        objects = np.empty(count, dtype=object)
        for i in range(count):
            objects[i] = read()
        return objects.reshape(shape, order="F")

    def _nested(self, depth: int) -> np.ndarray:
        kind, content = self.element()
        if kind != _MATRIX:
            raise ValueError(f"an element of type {kind} in the place of an array")
        if next(self._numbers_left, None) is None:
            raise ValueError(f"more than {_MAX_ARRAYS} arrays")
        if not content:  # how MATLAB writes an empty array
            return _EMPTY
        return _Reader(content, self._order, self._numbers_left).array(depth + 1)
