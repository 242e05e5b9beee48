"""The dataset loaders of MATLAB files, archives and pickles, each with such files, spoilt."""

import copy
import os
import pickle
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from hmor_d2.data.datasets import load_mupots, load_panoptic_records, load_threedpw
from hmor_d2.data.datasets.panoptic_index import index_path, write_index
from tests.data.writers_mupots import make_mupots_arrays, write_mupots_sequence
from tests.hostile.hostile_reader import HostileReader, check_records
from tests.hostile.matlab_files import spoil_matlab
from tests.hostile.mutations import spoil_bytes, spoil_value
from tests.hostile.panoptic_sequence import load_sequence, panoptic_root

__all__ = ["BINARY_DATASET_READERS"]


def panoptic_index() -> HostileReader:
    def write(rng: random.Random, folder: Path) -> Path:
        sequence = str(panoptic_root(folder))
        path = Path(index_path(sequence, "panoptic19"))
        if rng.random() < 0.5:
            write_index(sequence, "panoptic19", ["00_16", "00_30"])
            path.write_bytes(spoil_bytes(rng, path.read_bytes()))
        else:
            write_index(sequence, "panoptic19", ["00_16", "00_30"])
            with np.load(path) as file:
                arrays = dict(file)
            for name in rng.sample(sorted(arrays), rng.choice((1, 1, 2))):
                arrays[name] = _spoilt_array(rng, arrays[name])
            np.savez(path, **{name: array for name, array in arrays.items() if array is not None})
        return path

    return HostileReader(load_sequence, write, mention=f"{os.sep}seq{os.sep}")


def mupots_mat(name: str) -> HostileReader:
    arrays = make_mupots_arrays(0, 3, 2)

    def write(rng: random.Random, folder: Path) -> Path:
        write_mupots_sequence(folder / "TS1", arrays)
        path = folder / "TS1" / name
        path.write_bytes(spoil_matlab(rng, path.read_bytes()))
        return path

    return HostileReader(
        lambda path: check_records(load_mupots(str(path.parents[1]), sequences=["TS1"])),
        write,
        rounds=120,
        mention=f"{os.sep}TS1{os.sep}",
    )


def _spoilt_array(rng: random.Random, array: np.ndarray) -> Any:
    change = rng.randrange(8)
    if change == 0:
        return array.ravel()
    if change == 1:
        return array[..., None]
    if change == 2 and array.dtype.kind in "fiu":
        return array.astype(rng.choice(("f2", "i1", "u8", "c16", "S3", "U5", "?", "M8[ns]")))
    if change == 3:
        return array[: len(array) // 2] if array.ndim else None
    if change == 4:
        return np.full(array.shape, rng.choice((np.nan, np.inf, 1e300, -1.0, 0.0, 1e39)))
    if change == 5:
        return np.zeros(rng.choice(((), (0,), (0, 24, 3), (1 << 20,), (3, 0))))
    if change == 6:
        spoilt = np.array(array)
        if spoilt.size and spoilt.dtype.kind == "f":
            spoilt.flat[rng.randrange(spoilt.size)] = rng.choice((np.nan, np.inf, 1e300, -1e39))
        return spoilt
    return None


def pickle_reader(content: Any, write_to: Callable[[Path], Path], load) -> HostileReader:
    """Content of dicts, lists and arrays."""

    def spoil(rng: random.Random) -> bytes:
        protocol = rng.choice((0, 2, 4, 5))
        kind = rng.random()
        if kind < 0.4:
            return spoil_bytes(rng, pickle.dumps(content, protocol))
        if kind < 0.7:
            return pickle.dumps(spoil_value(rng, content, NASTY_OBJECTS), protocol)
        return pickle.dumps(_with_spoilt_arrays(rng, copy.deepcopy(content)), protocol)

    def write(rng: random.Random, folder: Path) -> Path:
        path = write_to(folder)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(spoil(rng))
        return path

    return HostileReader(lambda path: check_records(load(path)), write, rounds=120)


def _with_spoilt_arrays(rng: random.Random, content: Any) -> Any:
    if isinstance(content, np.ndarray):
        return _spoilt_array(rng, content) if rng.random() < 0.3 else content
    if isinstance(content, dict):
        return {key: _with_spoilt_arrays(rng, value) for key, value in content.items()}
    if isinstance(content, list):
        return [_with_spoilt_arrays(rng, value) for value in content]
    return content


def _cycle() -> list:
    value: list = [1.0]
    value.append(value)
    return value


def _shared(depth: int) -> list:
    """Ten references to a list of ten references to ...: 10**depth numbers in a few bytes."""
    value: list = [0.0] * 10
    for _ in range(depth - 1):
        value = [value] * 10
    return value


def _object_cycle() -> np.ndarray:
    array = np.empty((3, 3), object)
    array[:] = 1.0
    array[1, 1] = array
    return array


NASTY_OBJECTS = (
    None, True, -1, 10**400, float("nan"), 1e300, "", "x", b"x", b"\xff", "a/b", "\x00", 1j,
    [], {}, (), set(), frozenset((1,)), [[]], [{}], {1: 2}, {"id": 1}, {(): 1},
    _cycle(), _shared(9),
    _object_cycle(), np.zeros(0), np.zeros((0, 24, 3)), np.zeros(()), np.full((3, 3), np.nan),
    np.array(["a"]), np.array([b"a"]), np.array([None, 1], object), np.array([1j]),
    np.arange(1 << 16),
    np.float64("nan"), np.str_("x"), np.bool_(True), np.array(["x"], object),
)  # fmt: skip


def threedpw() -> HostileReader:
    from tests.data.test_threedpw import make_sequence

    content = make_sequence("street_00", 3, 2)
    return pickle_reader(
        content,
        lambda folder: folder / "sequenceFiles" / "test" / "street_00.pkl",
        lambda path: load_threedpw(str(path.parents[2]), "test"),
    )


def panoptic_records() -> HostileReader:
    from tests.data.test_panoptic_records import image_name, make_people, make_record

    content = [
        make_record(image_name("160422_haggling1", i), make_people(2, i), packed=True)
        for i in range(3)
    ]
    return pickle_reader(
        content,
        lambda folder: folder / "clean_valid.pkl",
        lambda path: load_panoptic_records(str(path), str(path.parent)),
    )


BINARY_DATASET_READERS: dict[str, Callable[[], HostileReader]] = {
    "mupots annot.mat": lambda: mupots_mat("annot.mat"),
    "mupots occlusion.mat": lambda: mupots_mat("occlusion.mat"),
    "panoptic index": panoptic_index,
    "panoptic records": panoptic_records,
    "3dpw": threedpw,
}
