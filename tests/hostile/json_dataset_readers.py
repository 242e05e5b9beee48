"""The dataset loaders of JSON files, each with such files, spoilt."""

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from hmor_d2.data.datasets import (
    load_coco_keypoints,
    load_human36m,
    load_muco_json,
    load_mupots_json,
)
from tests.data.writers import coco_content, make_muco_records, make_person, muco_content
from tests.data.writers_human36m import (
    human36m_contents,
    human36m_path,
    make_subject,
    write_human36m,
)
from tests.data.writers_mupots import mupots_content
from tests.hostile.hostile_reader import HostileReader, check_records
from tests.hostile.mutations import spoil_json
from tests.hostile.panoptic_sequence import load_sequence, panoptic_root

__all__ = ["JSON_DATASET_READERS"]


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


JSON_DATASET_READERS: dict[str, Callable[[], HostileReader]] = {
    "coco": coco,
    "muco": muco,
    "mupots JSON": mupots_json,
    "panoptic calibration": lambda: panoptic_part("calibration_seq.json"),
    "panoptic bodies": lambda: panoptic_part("hdPose3d_stage1_coco19/body3DScene_00000001.json"),
    "human36m data": lambda: human36m("data"),
    "human36m cameras": lambda: human36m("camera"),
    "human36m joints": lambda: human36m("joint_3d"),
}
