"""The restricted unpickler: data of every protocol come through, broken files are refused."""

import pickle
import struct

import numpy as np
import pytest

from hmor_d2.data.dataset_error import DatasetError
from hmor_d2.data.safe_pickle import load_pickle
from tests.data.pickled_data import DATA, PROTOCOLS, assert_same, load_bytes
from tests.real_data import real_data


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("name", DATA)
def test_data_come_through(tmp_path, name, protocol):
    found = load_bytes(tmp_path, pickle.dumps(DATA[name], protocol))
    assert_same(found, DATA[name])
    if isinstance(found, np.ndarray) and found.size:
        found[...] = found.ravel()[0]  # writable
    again = pickle.loads(pickle.dumps(found))  # by any other reader, as an ordinary array
    assert type(again) is type(DATA[name])
    if name == "shared":
        assert found[0] is found[1]


@pytest.mark.parametrize("core", ["numpy.core", "numpy._core"])
def test_names_of_numpy_1_and_2(tmp_path, core):
    content = pickle.dumps([np.arange(3.0), np.float64(2)], 3)
    assert content.count(b"numpy._core.") == 2 or content.count(b"numpy.core.") == 2
    content = content.replace(b"numpy._core.", b"numpy.core.").replace(b"numpy.core", core.encode())
    assert_same(load_bytes(tmp_path, content), [np.arange(3.0), np.float64(2)])


# What Python 2.7 with numpy 1.16 writes for {'poses2d': [array([[0., -1.5]])],
# 'campose_valid': [array([1, 0], dtype=int16)], 'sequence': 'caf\xe9', 'n': 2L, 'u': u'\xe9'}.
_RECONSTRUCT = (
    b"cnumpy.core.multiarray\n_reconstruct\nq\x01cnumpy\nndarray\nq\x02K\x00\x85U\x01b\x87R"
)
PYTHON_2 = (
    b"\x80\x02}q\x00("
    b"U\x07poses2d]"
    + _RECONSTRUCT
    + b"(K\x01K\x01K\x02\x86cnumpy\ndtype\nq\x03U\x02f8K\x00K\x01\x87R"
    b"(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    b"\x89U\x10\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xf8\xbftba"
    b"U\rcampose_valid]h\x01h\x02K\x00\x85U\x01b\x87R(K\x01K\x02\x85h\x03U\x02i2K\x00K\x01\x87R"
    b"(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89U\x04\x01\x00\x00\x00tba"
    b"U\x08sequenceU\x04caf\xe9"
    b"U\x01n\x8a\x01\x02U\x01uX\x02\x00\x00\x00\xc3\xa9u."
)


def test_python_2(tmp_path):
    expected = {
        "poses2d": [np.array([[0, -1.5]])],
        "campose_valid": [np.array([1, 0], np.int16)],
        "sequence": "caf\u00e9",
        "n": 2,
        "u": "\u00e9",
    }
    assert_same(pickle.loads(PYTHON_2, encoding="latin1"), expected)  # the literal is right
    assert_same(load_bytes(tmp_path, PYTHON_2), expected)
    found = load_bytes(tmp_path, PYTHON_2, encoding="bytes")
    assert_same(found[b"poses2d"], expected["poses2d"])


def test_real_pickles():
    for name in ("cameras_train.pkl", "cameras_test.pkl"):
        path = real_data("mpi_inf_3dhp", name)
        with open(path, "rb") as file:
            expected = pickle.load(file, encoding="latin1")
        assert_same(load_pickle(str(path)), expected)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_truncated_files(tmp_path, protocol):
    content = pickle.dumps(DATA["floats"], protocol)
    for length in {0, 1, 2, 40, len(content) // 2, len(content) - 1}:
        with pytest.raises(DatasetError, match=r"content\.pkl: found a broken pickle"):
            load_bytes(tmp_path, content[:length])


def test_garbage(tmp_path):
    rng = np.random.default_rng(0)
    contents = [rng.bytes(200) for _ in range(200)] + [b"{}", b"\xff\xd8\xff\xe0JFIF", b"\n" * 9]
    contents += [b"\x80\x06N.", b"\x80\x04\x95" + struct.pack("<Q", 2**60) + b"N."]
    whole = pickle.dumps([DATA["floats"], {"a": np.float32(1)}], 2)
    for position in range(0, len(whole), 3):  # a byte that flipped
        contents.append(whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :])
    refused = 0
    for content in contents:
        try:
            load_bytes(tmp_path, content)
        except DatasetError as error:
            assert "content.pkl" in str(error)
            refused += 1
    assert refused > 250


def test_missing_file(tmp_path):
    with pytest.raises(DatasetError, match=r"absent\.pkl.*DETECTRON2_DATASETS"):
        load_pickle(str(tmp_path / "absent.pkl"))
