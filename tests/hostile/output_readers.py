"""Readers of what a run leaves, checkpoints, predictions and caches, with hostile files."""

import io
import os
import pickle
import random
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.io import savemat
from torch import nn

from hmor_d2.checkpoint import CheckpointError, HMORCheckpointer
from hmor_d2.data.record_cache import cache_path, load_or_build
from hmor_d2.evaluation.prediction_file import read_predictions_json, read_predictions_mat
from hmor_d2.skeleton import get_skeleton
from tests.hostile.hostile_reader import HostileReader
from tests.hostile.matlab_files import spoil_matlab
from tests.hostile.mutations import spoil_bytes, spoil_json, spoil_value

__all__ = ["OUTPUT_READERS"]


def training_state() -> dict[str, Any]:
    model = nn.Linear(6, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    model(torch.ones(1, 6)).sum().backward()
    optimizer.step()
    return {
        "model": dict(model.state_dict()),
        "optimizer": optimizer.state_dict(),
        "scheduler": torch.optim.lr_scheduler.StepLR(optimizer, 2).state_dict(),
        "iteration": 7,
    }


def checkpoints(resume: bool) -> HostileReader:
    """Loaded for the weights alone, or to go on with the training."""
    whole = training_state()
    nasty = (None, 0, -1, 1e300, "", "x", [], {}, [None], {"model": 1}, torch.zeros(0),
             torch.full((2, 6), float("nan")), torch.zeros(1).expand(1 << 40), torch.ones(3, 3, 3),
             torch.ones(2, 6, dtype=torch.complex64), torch.zeros(2, dtype=torch.bool), 10**30,
             "model", (1, 2), torch.Size((2, 6)))  # fmt: skip

    def write(rng: random.Random, folder: Path) -> Path:
        path = folder / "model_0000007.pth"
        kind, zipped = rng.random(), rng.random() < 0.7
        content = whole if kind < 0.6 else spoil_value(rng, whole, nasty)
        torch.save(content, path, _use_new_zipfile_serialization=zipped)
        if kind < 0.6:
            data = path.read_bytes()
            path.write_bytes(
                spoil_pickle_in_zip(rng, data) if kind < 0.3 and zipped else spoil_bytes(rng, data)
            )
        (folder / "last_checkpoint").write_text(path.name)
        return path

    def read(path: Path) -> None:
        model = nn.Linear(6, 2)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 2)
        parts = {"optimizer": optimizer, "scheduler": scheduler}
        checkpointer = HMORCheckpointer(model, str(path.parent), **parts)
        if resume:
            checkpointer.resume_or_load("", resume=True)
        else:
            checkpointer.load(str(path), checkpointables=[])

    return HostileReader(read, write, (CheckpointError,), 100)


def spoil_pickle_in_zip(rng: random.Random, data: bytes) -> bytes:
    """The pickle of a checkpoint spoilt, under right checksums."""
    result = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(result, "w") as target:
        for part in source.infolist():
            content = source.read(part)
            if part.filename.endswith("data.pkl"):
                content = spoil_bytes(rng, content)
            target.writestr(part.filename, content)
    return result.getvalue()


def pickled_weights() -> HostileReader:
    rng = np.random.default_rng(0)
    weights = {"weight": rng.normal(size=(2, 6)).astype("f4"), "bias": np.zeros(2, "f4")}
    zoo = {"model": weights, "__author__": "someone"}
    nasty = (None, 0, "", "x", b"x", [], {}, [1], np.zeros(0), np.array(["x"]), np.zeros((9,) * 6),
             np.array([None], object), np.zeros(3, "c16"), {1: 2}, 10**40)  # fmt: skip

    def write(rng: random.Random, folder: Path) -> Path:
        path = folder / "weights.pkl"
        content = rng.choice(
            (zoo, {"blobs": weights}, weights, zoo | {"matching_heuristics": True})
        )
        if rng.random() < 0.5:
            path.write_bytes(spoil_bytes(rng, pickle.dumps(content, rng.choice((2, 4, 5)))))
        else:
            path.write_bytes(pickle.dumps(spoil_value(rng, content, nasty), 4))
        return path

    def read(path: Path) -> None:
        HMORCheckpointer(nn.Linear(6, 2)).load(str(path))

    return HostileReader(read, write, (CheckpointError,), 100)


def last_checkpoint() -> HostileReader:
    def write(rng: random.Random, folder: Path) -> Path:
        path = folder / "last_checkpoint"
        names = (
            "model_0000007.pth",
            "../../../etc/passwd",
            "/dev/zero",
            "x" * 5000,
            "",
            "\n",
            "a\0b",
        )
        path.write_bytes(spoil_bytes(rng, rng.choice(names).encode()))
        return path

    def read(path: Path) -> None:
        model = nn.Linear(6, 2)
        HMORCheckpointer(
            model, str(path.parent), optimizer=torch.optim.SGD(model.parameters(), lr=1)
        ).resume_or_load("")

    return HostileReader(read, write, (CheckpointError,), 30, mention="cannot resume")


def prediction_json() -> HostileReader:
    pose = (np.random.default_rng(0).normal(0, 300, (17, 3)) + np.array((0, 0, 4000))).tolist()
    person = {"keypoints": np.ones((17, 2)).tolist(), "keypoints_cam": pose, "score": 0.5}
    content = {
        "joint_set": "muco17",
        "units": {"keypoints_cam": "mm"},
        "predictions": {"TS1/img_000000.jpg": [person, person], "TS1/img_000001.jpg": []},
    }

    def write(rng: random.Random, folder: Path) -> Path:
        path = folder / "predictions.json"
        path.write_bytes(spoil_json(rng, content))
        return path

    skeleton = get_skeleton("muco17")
    return HostileReader(lambda path: read_predictions_json(str(path), skeleton), write)


def prediction_mat() -> HostileReader:
    rng = np.random.default_rng(0)
    poses = rng.normal(0, 300, (2, 17, 3)) + np.array((0, 0, 4000))
    names = ("TS1_img_000000", "TS2_img_000003")

    def write(rng: random.Random, folder: Path) -> Path:
        parts = {"2d": np.ones((2, 17, 2)), "3d": poses}
        compressed = rng.random() < 0.5
        for part, array in parts.items():
            path = folder / f"preds_{part}.mat"
            savemat(path, dict.fromkeys(names, array), do_compression=compressed)
        path = folder / f"preds_{rng.choice(sorted(parts))}.mat"
        path.write_bytes(spoil_matlab(rng, path.read_bytes()))
        return path

    def read(path: Path) -> None:
        files = (str(path.parent / f"preds_{part}.mat") for part in ("2d", "3d"))
        read_predictions_mat(*files, get_skeleton("muco17"))

    return HostileReader(read, write, rounds=120, mention="preds_")


def record_cache() -> HostileReader:
    def build() -> dict[str, np.ndarray]:
        return {"a": np.arange(100.0), "names": np.array(["x", "y"])}

    def write(rng: random.Random, folder: Path) -> Path:
        os.environ["HMOR_D2_CACHE"] = str(folder / "cache")
        source = folder / "source.json"
        source.write_text("{}")
        cached = Path(cache_path(str(source)))
        cached.unlink(missing_ok=True)
        load_or_build(str(source), "hostile 1", build)
        cached.write_bytes(spoil_bytes(rng, cached.read_bytes()))
        return source

    def read(path: Path) -> None:
        found = load_or_build(str(path), "hostile 1", build)
        for name, array in build().items():
            np.testing.assert_array_equal(found[name], array)

    return HostileReader(read, write, (), 60)


OUTPUT_READERS: dict[str, Callable[[], HostileReader]] = {
    "checkpoints": lambda: checkpoints(resume=False),
    "checkpoints to resume": lambda: checkpoints(resume=True),
    "pickled weights": pickled_weights,
    "last_checkpoint": last_checkpoint,
    "prediction JSON": prediction_json,
    "prediction mat": prediction_mat,
    "record cache": record_cache,
}
