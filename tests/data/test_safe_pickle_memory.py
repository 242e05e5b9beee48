"""The restricted unpickler: files that would let numpy read or write foreign memory."""

import io
import pickletools

import numpy as np
import pytest

from hmor_d2.data.dataset_error import DatasetError
from tests.data.pickled_data import load_bytes


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
