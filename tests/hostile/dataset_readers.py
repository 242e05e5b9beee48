"""The dataset loaders, each with files that it reads, and what becomes of its records."""

import copy
import json
import os
import pickle
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from hmor_d2.data import DatasetError
from hmor_d2.data.annotations import check_image_size, check_intrinsics, check_person
from hmor_d2.data.datasets import (
    load_coco_keypoints,
    load_human36m,
    load_muco_json,
    load_mupots,
    load_mupots_json,
    load_panoptic,
    load_panoptic_records,
    load_threedpw,
)
from hmor_d2.data.datasets.panoptic_index import index_path, write_index
from hmor_d2.skeleton import get_skeleton
from tests.data.bodies import standing_person
from tests.data.writers import (
    coco_content,
    make_muco_records,
    make_person,
    muco_content,
    panoptic_camera,
    write_panoptic,
)
from tests.data.writers_human36m import (
    human36m_contents,
    human36m_path,
    make_subject,
    write_human36m,
)
from tests.data.writers_mupots import make_mupots_arrays, mupots_content, write_mupots_sequence
from tests.hostile.matlab_files import spoil_matlab
from tests.hostile.mutations import spoil_bytes, spoil_json, spoil_value

__all__ = ["DATASET_READERS", "HostileReader"]


class HostileReader(NamedTuple):
    """A reader with a writer of hostile files for it, and the errors that it may raise."""

    read: Callable[[Path], object]
    write: Callable[[random.Random, Path], Path]
    errors: tuple[type[BaseException], ...] = (DatasetError,)
    rounds: int = 60
    mention: str | None = None  # what errors must name, where it is not the file alone


def check_records(records: list[dict]) -> None:
    """What a loader lets through must be right: only images are left for the mapper to judge."""
    for record in records:
        check_image_size(record["height"], record["width"], "a record")
        if "intrinsics" in record:
            check_intrinsics(record["intrinsics"], "a record")
        for person in record["annotations"]:
            try:
                check_person(person, get_skeleton(record["joint_set"]), "a record")
            except DatasetError as error:
                raise AssertionError(f"the loader let through: {error}") from error


def json_reader(content: Any, name: str, load: Callable[[str], list[dict]]) -> HostileReader:
    def write(rng: random.Random, folder: Path) -> Path:
        path = folder / name
        path.write_bytes(spoil_json(rng, content))
        return path

    return HostileReader(lambda path: check_records(load(str(path))), write)


ROOT = "/nowhere"


def coco() -> HostileReader:
    rng = np.random.default_rng(0)
    people = [make_person(rng, (500, 500, 320, 240), 17) for _ in range(3)]
    images = {"height": 480, "width": 640}
    records = [
        {"file_name": f"{i}.jpg", "image_id": i, **images, "annotations": people[: i + 1]}
        for i in range(3)
    ]
    content = coco_content(records)
    for annotation in content["annotations"][:2]:
        annotation["segmentation"] = [[1, 1, 5, 1, 5, 5]]
    content["annotations"][2]["segmentation"] = {"counts": [5, 14, 6], "size": [5, 5]}
    return json_reader(
        content, "coco.json", lambda p: load_coco_keypoints(p, ROOT, keep_segmentation=True)
    )


def muco() -> HostileReader:
    content = muco_content(make_muco_records(0, (2, 0, 1), ROOT), ROOT)
    return json_reader(content, "muco.json", lambda p: load_muco_json(p, ROOT))


def mupots_json() -> HostileReader:
    rng = np.random.default_rng(0)
    camera = [1500.0, 1500.0, 1024.0, 1024.0]
    records = [
        {
            "file_name": f"{ROOT}/TS1/img_{i:06d}.jpg",
            "image_id": i,
            "height": 2048,
            "width": 2048,
            "intrinsics": camera,
            "annotations": [make_person(rng, camera, 17) for _ in range(2)],
        }
        for i in range(2)
    ]
    content = mupots_content(records, ROOT)
    return json_reader(content, "mupots.json", lambda p: load_mupots_json(p, ROOT))


def panoptic_root(folder: Path) -> Path:
    """A sequence with two cameras, calibration, bodies and an index."""
    sequence = folder / "seq"
    if not sequence.exists():
        cameras = [panoptic_camera(f"00_{n}", np.eye(3), (0.0, 100.0, 300.0)) for n in (16, 30)]
        frames = {i: {3: standing_person(0, 0), 8: standing_person(30 * i, 9)} for i in range(3)}
        write_panoptic(folder, "seq", cameras, frames)
    return sequence


def load_sequence(path: Path) -> None:
    root = next(parent for parent in path.parents if parent.name == "seq").parent
    check_records(load_panoptic(str(root), ["seq"], ["00_16", "00_30"]))


def panoptic_part(part: str) -> HostileReader:
    """``part``: the file's path below the sequence."""

    def write(rng: random.Random, folder: Path) -> Path:
        path = panoptic_root(folder) / part
        whole = path.with_name(f"{path.name}.whole")
        if not whole.exists():
            path.rename(whole)
        path.write_bytes(spoil_json(rng, json.loads(whole.read_bytes())))
        return path

    return HostileReader(load_sequence, write)


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


def human36m(part: str) -> HostileReader:
    subject = make_subject(3, frames={(2, 1): 2, (3, 2): 1})
    contents = human36m_contents(subject)

    def write(rng: random.Random, folder: Path) -> Path:
        write_human36m(folder, 1, contents)
        path = human36m_path(folder, 1, part)
        path.write_bytes(spoil_json(rng, contents[part]))
        return path

    def read(path: Path) -> None:
        check_records(load_human36m(str(path.parents[1]), [1], frame_step=1))

    return HostileReader(read, write, mention="Human36M_subject1_")


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


DATASET_READERS: dict[str, Callable[[], HostileReader]] = {
    "coco": coco,
    "muco": muco,
    "mupots JSON": mupots_json,
    "mupots annot.mat": lambda: mupots_mat("annot.mat"),
    "mupots occlusion.mat": lambda: mupots_mat("occlusion.mat"),
    "panoptic calibration": lambda: panoptic_part("calibration_seq.json"),
    "panoptic bodies": lambda: panoptic_part("hdPose3d_stage1_coco19/body3DScene_00000001.json"),
    "panoptic index": panoptic_index,
    "panoptic records": panoptic_records,
    "human36m data": lambda: human36m("data"),
    "human36m cameras": lambda: human36m("camera"),
    "human36m joints": lambda: human36m("joint_3d"),
    "3dpw": threedpw,
}
