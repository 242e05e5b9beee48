"""Reads pickles within bounds: no file of some bytes takes gigabytes, or ends the process.

The standard library's unpickler in C trusts a file's numbers: a few bytes make it take tens of
gigabytes for its memo, and keys of tuples in tuples overflow the stack.  Its counterpart in Python
can be told otherwise.  It takes about a second for a million numbers in lists; arrays take none.
"""

import io
import pickle
import struct
from collections.abc import Iterable
from typing import Any, ClassVar

import numpy as np

__all__ = ["BoundedUnpickler", "Refused", "check_keys", "scan_pickle"]

# What may be a key of a dict or an element of a set, alone or in a short tuple.
_KEYS = (str, bytes, int, float, complex, type(None), np.generic)
_MAX_KEY_PARTS = 16
# What functions may be given in all: each item is in the file once, but a file could have one
# list copied a million times.
_COPIES, _FREE_COPIES = 4, 1 << 20
_SIZED = (str, bytes, bytearray, list, tuple)


class Refused(pickle.UnpicklingError):
    """The pickle asks for what its reader does not give."""


def check_keys(keys: Iterable[Any]) -> None:
    """Raise Refused unless hashing is quick: of tuples in tuples it takes as long as one likes."""
    for key in keys:
        parts = key if type(key) is tuple else (key,)
        if len(parts) > _MAX_KEY_PARTS or not all(isinstance(part, _KEYS) for part in parts):
            raise Refused(f"a pickle with a {type(key).__name__} for a key")


class _Data(io.BytesIO):
    """Gives what there is, whatever length a pickle asks for."""

    def readline(self, size: int | None = -1) -> bytes:
        line = super().readline(size)
        if not line.endswith(b"\n"):
            raise EOFError("it ends within a line")
        return line


class BoundedUnpickler(pickle._Unpickler):
    """Base of unpicklers; these say what names and instances are (``find_class``, ...)."""

    dispatch: ClassVar[dict] = dict(pickle._Unpickler.dispatch)

    def __init__(self, data: bytes, encoding: str = "latin1"):
        super().__init__(_Data(data), encoding=encoding)
        self._allowance = _COPIES * len(data) + _FREE_COPIES

    def make_instance(self) -> Any:
        """What stands for an instance that is made by the opcodes for them."""
        raise NotImplementedError

    def get_extension(self, code: int) -> None:
        raise Refused(f"a pickle with the extension {code}")

    def _spend(self, arguments: Any) -> None:
        parts = arguments if isinstance(arguments, tuple) else (arguments,)
        self._allowance -= sum(len(part) for part in parts if isinstance(part, _SIZED))
        if self._allowance < 0:
            raise Refused("a pickle that copies its data again and again")

    def load_reduce(self) -> None:
        self._spend(self.stack[-1])
        super().load_reduce()

    def load_build(self) -> None:
        self._spend(self.stack[-1])
        super().load_build()

    def _instantiate(self, klass: Any, args: list) -> None:
        self.append(self.make_instance())

    def load_newobj(self) -> None:
        del self.stack[-2:]
        self.append(self.make_instance())

    def load_newobj_ex(self) -> None:
        del self.stack[-3:]
        self.append(self.make_instance())

    def load_bytearray8(self) -> None:
        (size,) = struct.unpack("<Q", self.read(8))
        self.append(bytearray(self.read(size)))

    def load_dict(self) -> None:
        check_keys(self.stack[::2])
        super().load_dict()

    def load_setitem(self) -> None:
        check_keys(self.stack[-2:-1])
        super().load_setitem()

    def load_setitems(self) -> None:
        check_keys(self.stack[::2])
        super().load_setitems()

    def load_additems(self) -> None:
        check_keys(self.stack)
        super().load_additems()

    def load_frozenset(self) -> None:
        check_keys(self.stack)
        super().load_frozenset()

    dispatch[pickle.REDUCE[0]] = load_reduce
    dispatch[pickle.BUILD[0]] = load_build
    dispatch[pickle.NEWOBJ[0]] = load_newobj
    dispatch[pickle.NEWOBJ_EX[0]] = load_newobj_ex
    dispatch[pickle.BYTEARRAY8[0]] = load_bytearray8
    dispatch[pickle.DICT[0]] = load_dict
    dispatch[pickle.SETITEM[0]] = load_setitem
    dispatch[pickle.SETITEMS[0]] = load_setitems
    dispatch[pickle.ADDITEMS[0]] = load_additems
    dispatch[pickle.FROZENSET[0]] = load_frozenset


def scan_pickle(data: bytes) -> None:
    """Go through a pickle that another reader will read, with nothing for all that it names.

    Raises:
        pickle.UnpicklingError: for keys that are not quick to hash, and data that are copied again
            and again; any exception for a broken pickle.
    """
    _Scanner(data).load()


class _Nothing:
    """Stands for whatever a pickle names or makes."""

    def __call__(self, *args: Any, **kwargs: Any) -> "_Nothing":
        return self

    append = extend = add = update = __setitem__ = __setstate__ = __call__


class _Scanner(BoundedUnpickler):
    def find_class(self, module: str, name: str) -> _Nothing:
        return _NOTHING

    def persistent_load(self, identity: Any) -> _Nothing:
        return _NOTHING

    def make_instance(self) -> _Nothing:
        return _NOTHING


_NOTHING = _Nothing()
