"""The reader of MATLAB files: beside scipy's on whole ones, alone on those that end scipy's."""

import struct
import zlib

import numpy as np
import pytest
from scipy.io import loadmat, savemat

from hmor_d2.data import DatasetError
from hmor_d2.data.matlab_file import MAX_UNPACKED_BYTES, read_matlab_file
from tests.hostile.sandbox import assert_survives, growth_mb
from tests.real_data import real_data

RNG = np.random.default_rng(0)
CELLS = np.empty((2, 3), object)
for index in np.ndindex(2, 3):
    CELLS[index] = RNG.normal(size=index)
WHOLE = {
    **{f"of_{kind}": RNG.integers(0, 100, (2, 3)).astype(kind)
       for kind in ("i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8", "?")},
    "four_dimensions": RNG.normal(size=(2, 3, 4, 5)),
    "scalar": 2.5,
    "row": np.arange(5),
    "empty": np.zeros((0, 4)),
    "text": "a text, \u00e9",
    "cells": CELLS,
    "struct": {"a": np.arange(3), "b": {"c": "deep"}},
    "a_long_name_of_a_variable": np.ones((1, 1)),
}  # fmt: skip


def assert_same(found, expected) -> None:
    """``expected`` is scipy's: structs are void arrays there."""
    if expected.dtype.names:
        assert found.shape == expected.shape
        for mine, theirs in zip(found.ravel("F"), expected.ravel("F"), strict=True):
            assert tuple(mine) == theirs.dtype.names
            for name in theirs.dtype.names:
                assert_same(mine[name], theirs[name])
    elif expected.dtype == object:
        assert found.shape == expected.shape
        for mine, theirs in zip(found.ravel("F"), expected.ravel("F"), strict=True):
            assert_same(mine, theirs)
    else:
        np.testing.assert_array_equal(found, expected)
        assert found.dtype.kind == expected.dtype.kind


@pytest.mark.parametrize("compressed", [False, True])
def test_whole_files_are_read_as_by_scipy(tmp_path, compressed):
    path = tmp_path / "a.mat"
    savemat(path, WHOLE, do_compression=compressed, long_field_names=True)
    expected = {k: v for k, v in loadmat(path, chars_as_strings=False).items() if k[:2] != "__"}
    found = read_matlab_file(str(path))
    assert list(found) == list(expected)
    for name, value in expected.items():
        assert_same(found[name], value)
    assert list(read_matlab_file(str(path), ["row", "absent"])) == ["row"]


def test_real_files_are_read_as_by_scipy():
    path = real_data("mupots", "MultiPersonTestSet", "TS1", "annot.mat")
    found = read_matlab_file(str(path))
    expected = loadmat(path)
    assert len(found) > 0
    for name, value in found.items():
        assert_same(value, expected[name])


def element(kind: int, content: bytes) -> bytes:
    return struct.pack("<II", kind, len(content)) + content + bytes(-len(content) % 8)


def array(kind: int, shape: tuple[int, ...], content: bytes) -> bytes:
    header = element(6, struct.pack("<II", kind, 0)) + element(
        5, struct.pack(f"<{len(shape)}i", *shape)
    )
    return element(14, header + element(1, b"a") + content)


def file_of(*elements: bytes, compressed: bool = True) -> bytes:
    parts = []
    for part in elements:
        packed = zlib.compress(part, 9)
        parts.append(struct.pack("<II", 15, len(packed)) + packed if compressed else part)
    return b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01IM" + b"".join(parts)


def nested(depth: int) -> bytes:
    content = array(6, (0, 0), element(9, b""))
    for _ in range(depth):
        content = array(1, (1, 1), content)
    return content


NUMBERS = element(9, bytes(8))
BOMBS = {
    "numbers": array(6, (100_000, 100_000), NUMBERS),
    "more than 64 bits": array(6, (2**31 - 1,) * 5, NUMBERS),
    "negative": array(6, (-1, -1), NUMBERS),
    "cells": array(1, (100_000, 100_000), element(14, b"")),
    "cells of nothing": array(1, (1_000_000, 1), element(14, b"") * 1_000_000),
    "structs without fields": array(
        2, (100_000, 100_000), element(5, b"\x01\0\0\0") + element(1, b"")
    ),
    "text": array(4, (100_000, 100_000), element(16, b"abc")),
    "deep": nested(50),
    "long element": array(6, (1, 1), struct.pack("<II", 9, 0xFFFFFFF8)),
    "zeros": element(1, bytes(3 * MAX_UNPACKED_BYTES)),
    "sparse": array(5, (3, 3), NUMBERS),
    "function": array(16, (1, 1), NUMBERS),
    "opaque": array(17, (1, 1), NUMBERS),
    "no dimension": array(6, (), NUMBERS),
    "fifty dimensions": array(6, (1,) * 50, NUMBERS),
    "names of fields": array(2, (1, 1), element(5, b"\xff\xff\xff\x7f") + element(1, b"abc")),
    "two in one": array(6, (1, 1), NUMBERS) * 2,
}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_are_refused(tmp_path, name):
    path = tmp_path / "bomb.mat"
    path.write_bytes(file_of(BOMBS[name]))
    assert path.stat().st_size < 1 << 20

    def read() -> None:
        with pytest.raises(DatasetError, match=r"bomb\.mat: found a file that cannot be read"):
            read_matlab_file(str(path))

    assert growth_mb(read) < 200


def test_variables_that_are_too_large_together(tmp_path):
    path = tmp_path / "bomb.mat"
    path.write_bytes(file_of(*[element(1, bytes(MAX_UNPACKED_BYTES // 3))] * 4))
    with pytest.raises(DatasetError, match="more than 64 MiB of variables"):
        read_matlab_file(str(path))


def test_a_file_that_ends_scipys_process(tmp_path):
    """A cell array whose shape has more cells than follow, under a right checksum."""
    path = tmp_path / "a.mat"
    savemat(path, {"cells": CELLS})
    whole = path.read_bytes()

    def write(rng, folder):
        data = bytearray(whole)
        data[rng.randrange(128, len(data))] ^= 1 << rng.randrange(8)
        path.write_bytes(file_of(bytes(data[128:])))
        return path

    refused = assert_survives(
        lambda path: read_matlab_file(str(path)), write, tmp_path, 100, seed="bits",
        errors=(DatasetError,),
    )  # fmt: skip
    assert 20 < refused < 100
