"""Pickles of a few bytes that would take gigabytes, hours, or the process."""

import pickle
import struct
import time
from pathlib import Path

import numpy as np
import pytest

from hmor_d2.data.annotations import as_float64
from hmor_d2.data.dataset_error import DatasetError, field_error
from hmor_d2.data.datasets.threedpw import load_threedpw
from hmor_d2.data.safe_pickle import load_pickle
from tests.data.test_threedpw import make_sequence, write_sequence
from tests.hostile.sandbox import assert_survives, growth_mb

DEPTH = 300_000
BINARY = b"\x80\x04"


def copies(call: bytes, times: int = 20_000) -> bytes:
    """A list of what ``call`` makes, again and again, of a list of 20000 numbers."""
    numbers = b"](" + b"K\x01" * 20_000 + b"e" + b"\x94" + b"0"  # memo 0
    return BINARY + numbers + b"](" + call * times + b"e."


BOMBS = {
    "memo of 32 GB": BINARY + b"Nr" + struct.pack("<I", 0x7FFFFFFF) + b".",
    "memo of 80 GB in protocol 0": b"Np9999999999\n.",
    "bytes of 8 GB": BINARY + b"\x8e" + struct.pack("<Q", 8 << 30) + b"x.",
    "bytearray of 8 GB": b"\x80\x05\x96" + struct.pack("<Q", 8 << 30) + b"x.",
    "frame of an exabyte": BINARY + b"\x95" + struct.pack("<Q", 1 << 60) + b"N.",
    "key of tuples in tuples": BINARY + b"})" + b"\x85" * DEPTH + b"K\x01s.",
    "element of tuples in tuples": BINARY + b"\x8f()" + b"\x85" * DEPTH + b"\x90.",
    "frozen set of tuples in tuples": BINARY + b"()" + b"\x85" * DEPTH + b"\x91.",
    "old dict of tuples in tuples": b"()" + b"\x85" * DEPTH + b"K\x01d.",
    "set of tuples in tuples": b"c__builtin__\nset\n](" + b")" + b"\x85" * DEPTH + b"e\x85R.",
    "key with a billion parts": BINARY + b"})" + b"(2222222222t" * 9 + b"K\x01s.",
    "a thousand sets of a list": copies(b"c__builtin__\nset\nh\x00\x85R"),
    "a thousand dicts of a list": copies(b"ccollections\nOrderedDict\nh\x00\x85R"),
    "an integer of 5000 digits": b"I" + b"9" * 5000 + b"\n.",
}


# The standard library's reader in C takes the memory; this one reads what there is, None.
HARMLESS = {"memo of 32 GB", "memo of 80 GB in protocol 0", "frame of an exabyte"}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_do_no_harm(tmp_path, name):
    path = tmp_path / "bomb.pkl"
    path.write_bytes(BOMBS[name])
    refused = assert_survives(
        lambda path: load_pickle(str(path)),
        lambda rng, folder: path,
        tmp_path,
        1,
        seed=name,
        errors=(DatasetError,),
    )
    assert refused == (name not in HARMLESS)


def test_short_keys_of_tuples_pass(tmp_path):
    content = {("S1", 2, 3.5): 1, np.int64(3): 2, b"x": {(1, 2)}}
    path = tmp_path / "a.pkl"
    for protocol in range(6):
        path.write_bytes(pickle.dumps(content, protocol))
        assert load_pickle(str(path)) == content


def test_arrays_of_all_sizes_pass(tmp_path):
    """What functions are given is limited by the file's size, which many small arrays approach."""
    path = tmp_path / "a.pkl"
    content = [np.arange(i, dtype=np.float32) for i in range(300)] + [np.zeros(300_000)]
    for protocol in range(6):
        path.write_bytes(pickle.dumps(content, protocol))
        for found, expected in zip(load_pickle(str(path)), content, strict=True):
            np.testing.assert_array_equal(found, expected)


def billion() -> list:
    numbers: list = [0.0] * 10
    for _ in range(8):
        numbers = [numbers] * 10
    return numbers


def cycle() -> list:
    numbers: list = [0.0]
    numbers.append(numbers)
    return numbers


@pytest.mark.parametrize("make", [billion, cycle])
def test_lists_that_multiply_become_no_array(tmp_path: Path, make):
    start = time.process_time()
    with pytest.raises(ValueError, match="numbers in lists"):
        as_float64(make())
    write_sequence(tmp_path, make_sequence("street_00", 3, 1) | {"jointPositions": [make()]})

    def load() -> None:
        with pytest.raises(DatasetError, match=r"street_00\.pkl.*'jointPositions'"):
            load_threedpw(str(tmp_path), "test")

    assert growth_mb(load) < 150
    assert time.process_time() - start < 20


@pytest.mark.parametrize("value", [[10**5000], cycle(), billion(), {"a": cycle()}])
def test_values_that_cannot_be_shown_are_still_named(value):
    error = field_error("a.pkl", "pose", value, "numbers")
    assert str(error).startswith("a.pkl: field 'pose': found ") and len(str(error)) < 600


@pytest.mark.parametrize("number", [1e300, -1e39, 1e16, np.nan, np.inf])
def test_numbers_that_a_float32_cannot_hold(tmp_path, number):
    content = make_sequence("street_00", 3, 1)
    content["jointPositions"][0][1, 5] = number
    write_sequence(tmp_path, content)
    with pytest.raises(DatasetError, match=r"street_00\.pkl.*'jointPositions'.*1e\+15"):
        load_threedpw(str(tmp_path), "test")
