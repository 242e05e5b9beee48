"""What data files hold, pickled or not, to be read by the restricted unpickler."""

import collections
import pickle
from pathlib import Path

import numpy as np

from hmor_d2.data.safe_pickle import load_pickle

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)
# What data files hold; ``assert_same`` compares with the content, its types and dtypes.
DATA = {
    "plain": {"a": [1, -2.5, 10**30, None, True, "text", "\u00e9"], "b": (b"", b"\x00\xff"), 3: {}},
    "sets": [{1, 2}, frozenset((3,)), 1 + 2j],
    "ordered": collections.OrderedDict([("z", 1), ("a", 2)]),
    "floats": np.linspace(-1, 1, 24).reshape(2, 3, 4),
    "fortran": np.asfortranarray(np.arange(6, dtype=np.float32).reshape(2, 3)),
    "strided": np.arange(12.0).reshape(3, 4)[:, ::2],
    "big-endian": np.arange(5, dtype=">i4"),
    "no dimension": np.array(2.5),
    "empty": np.zeros((0, 15, 3)),
    "bool": np.array([True, False]),
    "complex": np.array([1j, 2]),
    "strings": np.array(["one", "thirteen"]),
    "bytes": np.array([b"one", b"thirteen"]),
    "objects": np.array([{"a": np.arange(3)}, None, "x"], dtype=object),
    "scalars": [np.float32(1.5), np.int64(-3), np.bool_(True), np.str_("word"), np.complex64(1j)],
    "shared": [np.arange(3.0)] * 2,
}


def assert_same(found: object, expected: object) -> None:
    if isinstance(expected, np.ndarray):
        assert isinstance(found, np.ndarray)
        assert found.dtype.newbyteorder("=") == expected.dtype.newbyteorder("=")
        assert found.shape == expected.shape
        for a, b in zip(found.ravel().tolist(), expected.ravel().tolist(), strict=True):
            assert_same(a, b)
        return
    assert type(found) is type(expected)
    if isinstance(expected, dict):
        assert list(found) == list(expected)
        found, expected = list(found.values()), list(expected.values())
    if isinstance(expected, list | tuple):
        assert len(found) == len(expected)
        for a, b in zip(found, expected, strict=True):
            assert_same(a, b)
    else:
        assert found == expected


def load_bytes(folder: Path, content: bytes, **kwargs) -> object:
    path = folder / "content.pkl"
    path.write_bytes(content)
    return load_pickle(str(path), **kwargs)
