"""The restricted unpickler: data of every protocol comes through, everything else is refused."""

import builtins
import collections
import datetime
import fractions
import io
import os
import pickle
import pickletools
import struct
from pathlib import Path

import numpy as np
import pytest

from hmor_d2.data.dataset_error import DatasetError
from hmor_d2.data.datasets.panoptic_records import load_panoptic_records
from hmor_d2.data.datasets.threedpw import load_threedpw
from hmor_d2.data.safe_pickle import load_pickle
from tests.real_data import real_data

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)

# What data files hold; ``check`` compares with the content, its types and dtypes.
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


# Bombs -------------------------------------------------------------------------------------


class Call:
    """Pickles as a call of ``function``, which would leave ``evidence`` behind."""

    def __init__(self, function, *arguments):
        self.reduced = function, arguments

    def __reduce__(self):
        return self.reduced


def stack_global(module: str, name: str, *arguments: str) -> bytes:
    """Protocol 4 that names ``module`` and ``name`` as they are, dots and all, and calls it."""

    def text(value: str) -> bytes:
        return b"\x8c" + bytes([len(value)]) + value.encode()

    call = b"(" + b"".join(map(text, arguments)) + b"tR"
    return b"\x80\x04" + text(module) + text(name) + b"\x93" + call + b"."


def bombs(evidence: str) -> dict[str, tuple[object, str]]:
    """Objects to pickle and the global that the error should name."""
    command, code = f"touch {evidence}", f"open({evidence!r}, 'w')"
    holder = np.empty(2, dtype=object)
    holder[1] = Call(os.system, command)
    system = f"{os.system.__module__}.system"
    return {
        "system": (Call(os.system, command), system),
        "in a list": ({"frames": [1, [Call(os.system, command)]]}, system),
        "in an object array": (holder, system),
        "eval": (Call(eval, code), "eval"),
        "exec": (Call(exec, code), "exec"),
        "open": (Call(open, evidence, "w"), "open"),
        "getattr": (Call(getattr, Call(__import__, "os"), "system"), "getattr"),
        "import": (Call(builtins.__import__, "this"), "__import__"),
        "class": (Call(datetime.timedelta, 3), "datetime.timedelta"),
        "instance": (fractions.Fraction(1, 2), "fractions.Fraction"),
        "numpy's load": (Call(np.load, evidence), "load"),
        "function of an allowed module": (Call(np.array, 1), "array"),
        "builtin type": (slice(1, 2), "slice"),
    }


def handwritten_bombs(evidence: str) -> dict[str, tuple[bytes, str]]:
    command = f"touch {evidence}"
    return {
        "dotted": (stack_global("numpy", "ndarray.tofile", evidence), "numpy.ndarray.tofile"),
        "dotted module": (
            stack_global("numpy.core.multiarray", "os.system", command),
            "numpy.core.multiarray.os.system",
        ),
        "attributes of an allowed function": (
            stack_global("_codecs", "encode.__self__.open", evidence),
            "_codecs.encode.__self__.open",
        ),
        "instance opcode": (f"(S'{command}'\nios\nsystem\n.".encode(), "os.system"),
        "name without a call": (b"cos\nsystem\n.", "os.system"),
        "persistent id": (b"P" + evidence.encode() + b"\n.", "persistent id"),
        "extension": (b"\x80\x02\x82\x05.", "extension"),
    }


def assert_refused(folder: Path, content: bytes, global_name: str) -> None:
    with pytest.raises(DatasetError) as error:
        load_bytes(folder, content)
    assert str(folder / "content.pkl") in str(error.value)
    assert global_name in str(error.value)
    assert not (folder / "evidence").exists()


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("name", bombs(""))
def test_bombs_are_refused(tmp_path, name, protocol):
    bomb, global_name = bombs(str(tmp_path / "evidence"))[name]
    assert_refused(tmp_path, pickle.dumps(bomb, protocol), global_name)


@pytest.mark.parametrize("name", handwritten_bombs(""))
def test_handwritten_bombs_are_refused(tmp_path, name):
    assert_refused(tmp_path, *handwritten_bombs(str(tmp_path / "evidence"))[name])


@pytest.mark.parametrize(
    "name",
    [
        "numpy\ndtype",
        "numpy\nndarray",
        "numpy.core.multiarray\n_reconstruct",
        "numpy.core.multiarray\nscalar",
        "numpy.core.numeric\n_frombuffer",
        "_codecs\nencode",
        "__builtin__\nbytes",
        "builtins\nset",
        "collections\nOrderedDict",
    ],
)
def test_no_state_is_left_on_what_all_pickles_share(tmp_path, name):
    """A file could otherwise keep data there, or change what the next file gets."""
    for state in (b"}X\x03\x00\x00\x00abcK\x01s", b"N}X\x03\x00\x00\x00abcK\x01s\x86"):
        with pytest.raises(DatasetError, match=r"content\.pkl: found a broken pickle"):
            load_bytes(tmp_path, b"\x80\x02c" + name.encode() + b"\n" + state + b"b.")


def test_the_bombs_would_go_off(tmp_path):
    evidence = tmp_path / "evidence"
    named = bombs(str(evidence))
    pickles = [pickle.dumps(named[n][0]) for n in ("system", "in an object array", "eval")]
    pickles.append(stack_global("posixpath", "os.system", f"touch {evidence}"))
    pickles.append(handwritten_bombs(str(evidence))["instance opcode"][0])
    for content in pickles:
        pickle.loads(content)
        assert evidence.exists()
        evidence.unlink()


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_each_reader_of_pickles_refuses_bombs(tmp_path, protocol):
    evidence = tmp_path / "evidence"
    content = pickle.dumps([Call(os.system, f"touch {evidence}")], protocol)
    (tmp_path / "sequenceFiles/test").mkdir(parents=True)
    path = tmp_path / "sequenceFiles/test/street_00.pkl"
    path.write_bytes(content)
    for load in (
        lambda: load_threedpw(str(tmp_path), "test"),
        lambda: load_panoptic_records(str(path), str(tmp_path)),
    ):
        with pytest.raises(DatasetError, match=r"street_00\.pkl.*system"):
            load()
    assert not evidence.exists()


# Files that run nothing, yet would let numpy read or write memory that is not theirs -----------


def pickled_dtype(spec: bytes, state: bytes = b"") -> bytes:
    made = b"cnumpy\ndtype\n(S'" + spec + b"'\nI0\nI1\ntR"
    return made + (b"(" + state + b"tb" if state else b"")


def pickled_array(shape: bytes, dtype: bytes, data: bytes) -> bytes:
    made = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR"
    return made + b"(I1\n" + shape + dtype + b"I00\n" + data + b"tb"


POINTER = b"S'" + b"A" * 8 + b"'\n"
# A dtype's state whose last number says that its items are no objects.
NO_OBJECTS = b"I3\nS'|'\nNNNI-1\nI-1\nI0\n"
SCALAR = b"cnumpy.core.multiarray\nscalar\n("
LONG_ITEMS = b"I3\nS'|'\nNNNI1000000\nI1\nI0\n"
CORRUPTING = {
    "object from bytes": (
        SCALAR + pickled_dtype(b"O8", NO_OBJECTS) + POINTER + b"tR.",
        "scalar of dtype object",
    ),
    "array of objects from bytes": (
        pickled_array(b"(I1\nt", pickled_dtype(b"O8", NO_OBJECTS), POINTER) + b".",
        "array of shape (1,) and other data",
    ),
    "buffer of objects": (
        b"cnumpy.core.numeric\n_frombuffer\n("
        + (POINTER + pickled_dtype(b"O8", NO_OBJECTS) + b"(I1\ntS'C'\ntR."),
        "buffer of dtype object",
    ),
    "buffer of other data": (
        b"\x80\x04cnumpy.core.numeric\n_frombuffer\n("
        + (b"C\x08AAAAAAAA" + pickled_dtype(b"f8") + b"(I2\ntS'C'\ntR."),
        "array of shape (2,) and other data",
    ),
    "items of another length": (
        pickled_array(b"(I1\nt", pickled_dtype(b"V8", LONG_ITEMS), POINTER) + b".",
        "array of dtype 'V8'",
    ),
    "records": (
        pickled_array(
            b"(I1\nt",
            pickled_dtype(b"f8", b"I3\nS'|'\nN(S'a'\nt(S'a'\n(Ntd" + b"I8\nI1\nI0\n"),
            POINTER,
        )
        + b".",
        "array of dtype (3, '|', None, ('a',)",
    ),
    "more items than data": (
        pickled_array(b"(I9\nt", pickled_dtype(b"f8"), POINTER) + b".",
        "array of shape (9,) and other data",
    ),
    "negative shape": (
        pickled_array(b"(I-1\nI-1\nt", pickled_dtype(b"f8"), POINTER) + b".",
        "array of shape (-1, -1)",
    ),
    "shape that overflows": (
        pickled_array(b"(L4611686018427387904L\nI4\nt", pickled_dtype(b"f8"), b"S''\n") + b".",
        "array of shape (4611686018427387904, 4) and other data",
    ),
    "scalar of more data": (
        SCALAR + pickled_dtype(b"f4") + POINTER + b"tR.",
        "scalar of dtype float32 and other data",
    ),
    "dtype that is none": (
        pickled_array(b"(I1\nt", b"S'f8'\n", POINTER) + b".",
        "str for a dtype",
    ),
    "array made by its type": (b"cnumpy\nndarray\n(I100\ntR.", "not callable"),
    "array made by the opcode for types": (
        b"\x80\x02cnumpy\nndarray\n(I100\nt\x81.",
        "makes instances",
    ),
    "other class of array": (
        b"cnumpy.core.multiarray\n_reconstruct\n(ccollections\nOrderedDict\n(I0\ntS'b'\ntR.",
        "array that is no numpy.ndarray",
    ),
    "attributes of a function": (
        b"cnumpy.core.multiarray\n_reconstruct\n(N(S'__name__'\nS'other'\ndtb.",
        "AttributeError",
    ),
    "text in another encoding": (
        b"c_codecs\nencode\n(S'dGV4dA=='\nS'rot13'\ntR.",
        "encodes text as 'rot13'",
    ),
}


@pytest.mark.parametrize("name", CORRUPTING)
def test_files_that_would_corrupt_memory_are_refused(tmp_path, name):
    content, found = CORRUPTING[name]
    pickletools.dis(content, out=io.StringIO())  # raises unless it is a whole pickle
    with pytest.raises(DatasetError) as error:
        load_bytes(tmp_path, content)
    assert found in str(error.value)


def test_the_item_size_of_an_array_that_exists_does_not_change(tmp_path):
    memoised = pickled_dtype(b"S8") + b"p0\n"
    array = pickled_array(b"(I1\nt", memoised, POINTER)
    content = b"(" + array + b"g0\n(" + LONG_ITEMS + b"tb" + b"t."
    found, _ = load_bytes(tmp_path, content)
    assert (found.dtype, found.tolist()) == (np.dtype("S8"), [b"A" * 8])


# Broken files ------------------------------------------------------------------------------


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
