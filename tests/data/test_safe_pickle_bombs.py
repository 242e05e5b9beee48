"""The restricted unpickler: pickles that would run something are refused."""

import builtins
import datetime
import fractions
import os
import pickle
from pathlib import Path

import numpy as np
import pytest

from hmor_d2.data.dataset_error import DatasetError
from hmor_d2.data.datasets.panoptic_records import load_panoptic_records
from hmor_d2.data.datasets.threedpw import load_threedpw
from tests.data.pickled_data import PROTOCOLS, load_bytes


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
