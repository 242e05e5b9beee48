"""Pickles of numpy arrays and plain containers, read without running what else they may name.

A pickle is a program: it names functions and says what to call them with.  Here it reaches
nothing but what :data:`_ALLOWED` lists, under the exact names that numpy and Python write, and
nothing is imported.  Numpy's own functions are not given away either, as data alone could misuse
them: ``dtype.__setstate__`` lets a file turn bytes into object pointers, or lengthen the items of
an array that exists.  Instead, the functions below check what they are given and then ask numpy.
"""

import math
import re
from collections import OrderedDict
from typing import Any

import numpy as np

from .bounded_unpickler import BoundedUnpickler, Refused, check_keys
from .dataset_error import DatasetError, require_file
from .json_file import collector_paused

__all__ = ["load_pickle"]

_EXPECTED = "numpy arrays and plain containers alone"
# Numbers, bytes, text and objects; the others (records, dates) no dataset here uses.
_DTYPE = re.compile(r"[biufcSUO]\d+")
_BYTE_ORDERS = ("<", ">", "=", "|")


def load_pickle(path: str, encoding: str = "latin1") -> Any:
    """Read a pickle, of any protocol and of Python 2 or 3, that holds data alone.

    Allowed are None, numbers, text, bytes, lists, tuples, dicts (``OrderedDict``, too), sets, and
    numpy's arrays and scalars of numbers, text and objects; elements of object arrays are
    checked like all else.  A file may still be too large for the memory.

    Args:
        path: of the file.
        encoding: of the strings that Python 2 wrote; its arrays need "latin1".

    Returns:
        the content.  Arrays may be of a subclass of ``numpy.ndarray``; ``numpy.asarray`` with a
        dtype gives plain ones.

    Raises:
        DatasetError: names the file, and the global where it names one that is not allowed; also
            for a file that is missing, truncated, or no pickle.
    """
    require_file(path, "a pickle")
    with open(path, "rb") as file:
        data = file.read()
    with collector_paused():
        try:
            return _Unpickler(data, encoding=encoding).load()
        except Refused as error:
            raise DatasetError(f"{path}: found {error}, expected {_EXPECTED}") from None
        except OSError:
            raise
        except Exception as error:  # a broken pickle may raise anything
            found = f"a broken pickle ({type(error).__name__}: {error})"
            raise DatasetError(f"{path}: found {found}, expected a whole one") from error


class _Unpickler(BoundedUnpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return _ALLOWED[module, name]
        except KeyError:
            raise Refused(f"a pickle that names '{module}.{name}'") from None

    def persistent_load(self, identity: Any) -> Any:
        raise Refused(f"a pickle with the persistent id {identity!r:.80}")

    def make_instance(self) -> Any:
        raise Refused("a pickle that makes instances")


class _Opaque:
    """Stands for a type that a pickle may pass on, but neither call nor change."""

    __slots__ = ()


_NDARRAY = _Opaque()


class _DType:
    """What stands for a dtype in a pickle; numpy's own would be open to change later on."""

    __slots__ = ("dtype",)

    def __init__(self, spec: str | bytes, align: bool = False, copy: bool = False):
        spec = spec.decode("ascii") if isinstance(spec, bytes) else spec
        if not isinstance(spec, str) or not _DTYPE.fullmatch(spec):
            raise Refused(f"a pickle with an array of dtype {spec!r:.80}")
        self.dtype = np.dtype(spec)

    def __setstate__(self, state: tuple) -> None:
        # (version, byte order, subarray, names, fields, item size, alignment, flags); the item
        # size and the flags are those that the spec implies, whatever the state says.
        order = state[1].decode("ascii") if isinstance(state[1], bytes) else state[1]
        if order not in _BYTE_ORDERS or any(part is not None for part in state[2:5]):
            raise Refused(f"a pickle with an array of dtype {state!r:.80}")
        self.dtype = self.dtype.newbyteorder(order)


def _dtype_of(value: Any) -> np.dtype:
    if not isinstance(value, _DType):
        raise Refused(f"a pickle with {type(value).__name__} for a dtype")
    return value.dtype


class _Array(np.ndarray):
    """An array whose state, which follows its creation in a pickle, is checked first."""

    def __setstate__(self, state: tuple) -> None:
        version, shape, dtype, fortran_order, data = state
        dtype = _dtype_of(dtype)
        if isinstance(data, str):  # by Python 2
            data = data.encode("latin1")
        unit, kind = (1, list) if dtype.hasobject else (dtype.itemsize, bytes)
        if not isinstance(data, kind) or len(data) != _count(shape) * unit:
            raise Refused(f"a pickle with an array of shape {shape!r:.80} and other data")
        super().__setstate__((version, shape, dtype, bool(fortran_order), data))

    def __repr__(self) -> str:
        return repr(self.view(np.ndarray))

    def __reduce_ex__(self, protocol: int) -> tuple:
        return self.view(np.ndarray).__reduce_ex__(protocol)


def _count(shape: Any) -> int:
    if not isinstance(shape, tuple) or not all(isinstance(n, int) and n >= 0 for n in shape):
        raise Refused(f"a pickle with an array of shape {shape!r:.80}")
    return math.prod(shape)


# Numpy's functions for pickles, and the builtins that old protocols call.  They are instances
# without attributes: a pickle could leave state on functions, bound methods or classes, which all
# files share.


class _MakeDType:
    __slots__ = ()

    def __call__(self, *args: Any) -> _DType:
        return _DType(*args)


class _Reconstruct:
    __slots__ = ()

    def __call__(self, subtype: Any, shape: Any, type_code: Any) -> _Array:
        if subtype is not _NDARRAY:
            raise Refused("a pickle with an array that is no numpy.ndarray")
        return np.ndarray.__new__(_Array, (0,), "b")


class _Scalar:
    __slots__ = ()

    def __call__(self, dtype: Any, data: Any = b"") -> np.generic:
        dtype = _dtype_of(dtype)
        if isinstance(data, str):  # by Python 2
            data = data.encode("latin1")
        if dtype.hasobject or not isinstance(data, bytes) or len(data) != dtype.itemsize:
            raise Refused(f"a pickle with a scalar of dtype {dtype} and other data")
        return np.ndarray((), dtype, data)[()]


class _FromBuffer:
    __slots__ = ()

    def __call__(self, data: Any, dtype: Any, shape: Any, order: Any) -> np.ndarray:
        dtype = _dtype_of(dtype)
        if dtype.hasobject or not isinstance(data, bytes | bytearray):
            raise Refused(f"a pickle with a buffer of dtype {dtype}")
        if len(data) != _count(shape) * dtype.itemsize or order not in ("C", "F"):
            raise Refused(f"a pickle with an array of shape {shape!r:.80} and other data")
        return np.ndarray(shape, dtype, data, order=order).copy(order="K")


class _Encode:
    __slots__ = ()

    def __call__(self, text: Any, encoding: Any) -> bytes:
        # Python 3 writes bytes so in protocols 0 to 2, with this encoding alone.
        if not isinstance(text, str) or encoding != "latin1":
            raise Refused(f"a pickle that encodes text as {encoding!r:.80}")
        return text.encode("latin1")


class _EmptyBytes:
    __slots__ = ()

    def __call__(self) -> bytes:
        return b""


class _Hashing:
    """Makes a set, or an ordered dict, whose keys are checked."""

    __slots__ = ("_kind",)

    def __init__(self, kind: type):
        object.__setattr__(self, "_kind", kind)

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(name)

    def __call__(self, items: Any = ()) -> Any:
        if not isinstance(items, list | tuple):
            raise Refused(f"a pickle with {self._kind.__name__} of {type(items).__name__}")
        if self._kind is OrderedDict:
            if not all(isinstance(item, list | tuple) and len(item) == 2 for item in items):
                raise Refused("a pickle with an OrderedDict of other things than pairs")
            check_keys(item[0] for item in items)
        else:
            check_keys(items)
        return self._kind(items)


class _Complex:
    __slots__ = ()

    def __call__(self, *parts: Any) -> complex:
        if not all(isinstance(part, int | float) for part in parts):
            raise Refused("a pickle with a complex number of other things than numbers")
        return complex(*parts)


_ALLOWED: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): _NDARRAY,
    ("numpy", "dtype"): _MakeDType(),
    ("_codecs", "encode"): _Encode(),
    ("collections", "OrderedDict"): _Hashing(OrderedDict),
}
for _core in ("numpy.core", "numpy._core"):
    _ALLOWED[f"{_core}.multiarray", "_reconstruct"] = _Reconstruct()
    _ALLOWED[f"{_core}.multiarray", "scalar"] = _Scalar()
    _ALLOWED[f"{_core}.numeric", "_frombuffer"] = _FromBuffer()
for _module in ("builtins", "__builtin__"):
    _ALLOWED[_module, "bytes"] = _EmptyBytes()
    _ALLOWED[_module, "complex"] = _Complex()
    for _type in (frozenset, set):
        _ALLOWED[_module, _type.__name__] = _Hashing(_type)
