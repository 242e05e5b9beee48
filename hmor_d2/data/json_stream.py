"""Reads the arrays of a JSON file piece by piece.

``json.load`` makes a Python object of every number: ten gigabytes and more for MuCo's file of
two.  Here the elements of the top level's arrays come in batches, so that a loader can turn each
batch into numpy arrays before the next is read.

Two parsers read them.  orjson, several times as fast, gets windows of the text that hold whole
elements.  The standard library's reads one value at a time, and says how far it came: it reads
what orjson refuses (NaN, Infinity, broken files), would change (integers beyond 64 bits) or
cannot be given, as no window is known to end with an element.  So elements are read fast if they
are objects, best such as hold no further objects.
"""

import json
import re
from collections.abc import Collection, Iterator
from typing import Any, TextIO

import numpy as np
import orjson

from .dataset_error import DatasetError, Where, field_error, require_file
from .json_file import broken_json

__all__ = ["stream_json_arrays"]

_SPACE = re.compile(r"[ \t\n\r]*")
_END_OF_VALUE = re.compile(r"[ \t\n\r]*[,:\]}]")
# A value that is cut by the end of the text read so far fails this close to that end; the longest
# token is "-Infinity".  Only strings, of any length, are reported at their start.
_LONGEST_TOKEN = 16
_CUT_STRING = "Unterminated string"
# Of the integers beyond 64 bits, which orjson makes floats of, -2**63 - 1 has the fewest digits.
_BIG_INTEGER = re.compile(rb"[^.0-9][0-9]{19}")
_DOUBLINGS_TO_19 = (1, 2, 4, 8, 3)


def stream_json_arrays(
    path: str, fields: Collection[str], *, batch_size: int = 128, chunk_size: int = 1 << 17
) -> Iterator[tuple[str, list[Any]]]:
    """Elements of arrays of a JSON file whose top level is an object.

    Memory is that of a batch and of the largest other value at the top level, which is parsed
    whole and dropped; arrays that are not asked for are parsed and dropped by element.

    Args:
        path: of the file, in UTF-8.
        fields: names of arrays at the top level; they may come in any order.
        batch_size: elements at a time.
        chunk_size: characters read and parsed at a time; a hundred thousand, and the tenfold that
            is made of them, stay in the processor's cache.

    Yields:
        (field, up to ``batch_size`` elements as ``json.load`` would give them), in the file's
        order.  Nothing for an empty array.

    Raises:
        DatasetError: for a file that is missing, a folder, not whole or not JSON, another top
            level than an object, a field that is absent, occurs twice or is no array.
    """
    try:
        with open(path, encoding="utf-8", newline="") as file:
            yield from _arrays(_Reader(file, chunk_size), path, fields, batch_size)
    except OSError:
        require_file(path, "a JSON file")
        raise
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise broken_json(path, error) from error


def _arrays(
    reader: "_Reader", path: str, fields: Collection[str], batch_size: int
) -> Iterator[tuple[str, list[Any]]]:
    if reader.peek() not in ("{", ""):
        raise DatasetError(f"{path}: found JSON that is no object, expected fields {list(fields)}")
    found = []
    for field in reader.object_keys():
        is_array = reader.peek() == "["
        if field in fields and not is_array:
            raise field_error(Where(path), field, reader.value(), "an array")
        if field in fields and field in found:
            raise field_error(Where(path), field, "it twice", "one such field")
        found.append(field)
        if not is_array:
            reader.value()
            continue
        batch = []
        for elements in reader.array_elements():
            if field in fields:
                batch += elements
            while len(batch) >= batch_size:
                yield field, batch[:batch_size]
                del batch[:batch_size]
        if batch:
            yield field, batch
    for field in fields:
        if field not in found:
            raise field_error(Where(path), field, f"fields {sorted(found)}", "this field")


class _Reader:
    """Position in a JSON text of which a window is in memory."""

    def __init__(self, file: TextIO, chunk_size: int):
        self._file = file
        self._chunk_size = chunk_size
        # Ahead of a value: one that is cut is parsed twice, and its error is not cheap to make.
        self._reserve = chunk_size // 16
        self._decode = json.JSONDecoder().raw_decode
        self._text = ""
        self._position = 0
        self._before = 0  # characters of the file before the window
        self._ended = False
        self._slow_until = 0  # in characters of the file

    def peek(self) -> str:
        """The next character that is no space; "" at the end of the file."""
        while True:
            self._position = _SPACE.match(self._text, self._position).end()
            if self._position < len(self._text):
                return self._text[self._position]
            if self._ended:
                return ""
            self._read()

    def value(self) -> Any:
        """The next value, of any kind."""
        if len(self._text) - self._position < self._reserve and not self._ended:
            self._read()
        self.peek()
        while True:
            try:
                value, end = self._decode(self._text, self._position)
                # A number may go on in the next chunk: only what follows tells that it is whole.
                if _END_OF_VALUE.match(self._text, end):
                    self._position = end
                    return value
                stop, problem = _SPACE.match(self._text, end).end(), "Expecting ',' delimiter"
            except json.JSONDecodeError as error:
                stop, problem = error.pos, error.msg
            except ValueError as error:  # a number of thousands of digits
                raise self._error(str(error)) from error
            may_be_cut = problem.startswith(_CUT_STRING) or stop + _LONGEST_TOKEN > len(self._text)
            if self._ended or not may_be_cut:
                raise self._error(problem, stop)
            self._read()

    def object_keys(self) -> Iterator[str]:
        """Keys of the object that starts here and ends the file; each value is the caller's."""
        self._take("{")
        more = self.peek() != "}" or self._take("}") == ","
        while more:
            if self.peek() != '"':
                raise self._error("Expecting property name enclosed in double quotes")
            key = self.value()
            self._take(":")
            yield key
            more = self._take(",}") == ","
        if self.peek():
            raise self._error("Extra data")

    def array_elements(self) -> Iterator[list[Any]]:
        """Elements of the array that starts here, one or more at a time."""
        self._take("[")
        more = self.peek() != "]" or self._take("]") == ","
        while more:
            yield self._window() or [self.value()]
            more = self._take(",]") == ","

    def _window(self) -> list[Any]:
        """Elements from here on that orjson reads; none where it is not known to read them right.

        The window ends with a "}" before a ",".  In brackets it is an array only if no string,
        list or object is open at its end, and none was closed that it did not open: then the
        file, too, has whole elements there, and the next after the ",".  So a "}," of a string
        or of an object within an element cannot mislead.
        """
        if self._before + self._position < self._slow_until:
            return []
        if len(self._text) - self._position < self._reserve and not self._ended:
            self._read()
        stop = len(self._text)
        for _ in range(2):  # again for what is before NaN, or before the end of the array
            end = self._text.rfind("},", self._position, stop) + 1
            window = f"[{self._text[self._position : end]}]".encode()
            if not end or _has_big_integers(window):
                break
            try:
                elements = orjson.loads(window)
            except orjson.JSONDecodeError as error:
                stop = min(self._position + error.pos, end) - 1
            else:
                self._position = end
                return elements
        # Not again for each element: that would take a window's time for each.
        self._slow_until = self._before + max(stop, self._position + self._reserve)
        return []

    def _take(self, expected: str) -> str:
        character = self.peek()
        if not character or character not in expected:
            raise self._error(f"Expecting one of {expected}")
        self._position += 1
        return character

    def _read(self) -> None:
        rest = self._text[self._position :]
        # A value longer than a chunk is parsed anew after each: doubling keeps that linear.
        chunk = self._file.read(max(self._chunk_size, len(rest)))
        self._before += self._position
        self._text, self._position = rest + chunk, 0
        self._ended = not chunk

    def _error(self, problem: str, position: int | None = None) -> json.JSONDecodeError:
        position = self._position if position is None else position
        error = json.JSONDecodeError(problem, self._text, position)
        # The window's lines are not the file's: name the character alone.
        error.args = (f"{problem}: char {self._before + position}",)
        return error


def _has_big_integers(text: bytes) -> bool:
    """Whether there may be integers of 19 digits and more; they may be in a string."""
    run = np.frombuffer(text, dtype=np.uint8) - np.uint8(ord("0")) < 10  # others wrap around
    for shift in _DOUBLINGS_TO_19:  # digits in a row: 2, 4, 8, 16, 19
        run = run[shift:] & run[:-shift]
    # Fractions have as many: the expression, 20 times as slow, tells them apart.
    return bool(run.any()) and _BIG_INTEGER.search(text) is not None
