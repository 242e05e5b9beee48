"""What goes wrong in long runs: broken checkpoints, full disks, bad images, infinite losses."""

import contextlib
import logging
import resource
import shutil
import zipfile
from pathlib import Path

import pytest
import torch
from torch import nn

from hmor_d2.checkpoint import CheckpointError, HMORCheckpointer
from tests.engine.training_runs import command, run_trainings


def small():
    return nn.Linear(200, 1)


def save_training(folder, iterations=2):
    """Checkpoints model_0000000, model_0000001, ... of a training; their weights are i + 1."""
    model = small()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    checkpointer = HMORCheckpointer(model, str(folder), optimizer=optimizer)
    for i in range(iterations):
        with torch.no_grad():
            model.bias.fill_(i + 1)
        checkpointer.save(f"model_{i:07d}", iteration=i)
    return [folder / f"model_{i:07d}.pth" for i in range(iterations)]


def resume(folder):
    model = small()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    checkpointer = HMORCheckpointer(model, str(folder), optimizer=optimizer)
    rest = checkpointer.resume_or_load("", resume=True)
    return rest.get("iteration"), model.bias.item(), checkpointer


def flip_a_bit(path):
    """In a tensor's numbers, where PyTorch does not notice it."""
    with zipfile.ZipFile(path) as file:
        name = max(file.infolist(), key=lambda info: info.file_size * ("/data/" in info.filename))
    data = bytearray(path.read_bytes())
    start = data.index(b"PK\3\4", name.header_offset)
    length = int.from_bytes(data[start + 26 : start + 28], "little")
    extra = int.from_bytes(data[start + 28 : start + 30], "little")
    data[start + 30 + length + extra + 2] ^= 64
    path.write_bytes(data)
    torch.load(path, weights_only=True)


BREAKS = {
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:-400]),
    "half": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "empty": lambda path: path.write_bytes(b""),
    "garbage": lambda path: path.write_bytes(b"\x93" * 3000),
    "bit": flip_a_bit,
    "missing": lambda path: path.unlink(),
    "weights alone": lambda path: torch.save({"model": small().state_dict()}, path),
}


@pytest.mark.parametrize("kind", BREAKS)
def test_a_broken_last_checkpoint(tmp_path, kind, caplog):
    older, newest = save_training(tmp_path)
    BREAKS[kind](newest)
    with caplog.at_level(logging.WARNING):
        iteration, weight, checkpointer = resume(tmp_path)
    assert (iteration, weight) == (0, 1.0)
    assert checkpointer.has_checkpoint()
    warning = next(r.getMessage() for r in caplog.records if "resumed from" in r.getMessage())
    assert str(newest) in warning and f"resumed from {older} instead" in warning


@pytest.mark.parametrize("kind", BREAKS)
def test_all_checkpoints_broken(tmp_path, kind):
    paths = save_training(tmp_path)
    for path in paths:
        BREAKS[kind](path)
    with pytest.raises(CheckpointError, match="cannot resume") as error:
        resume(tmp_path)
    assert str(paths[1]) in str(error.value)


def test_the_whole_last_checkpoint_is_taken(tmp_path, caplog):
    save_training(tmp_path, 3)
    (tmp_path / "last_checkpoint").write_text("model_0000001.pth")  # killed before it was changed
    with caplog.at_level(logging.WARNING):
        assert resume(tmp_path)[:2] == (1, 2.0)
    assert not caplog.records
    for broken in (lambda p: p.unlink(), lambda p: p.write_text("")):
        broken(tmp_path / "last_checkpoint")
        assert resume(tmp_path)[:2] == (2, 3.0)


def test_a_folder_without_checkpoints(tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        iteration, _, checkpointer = resume(tmp_path)
    assert iteration is None and not checkpointer.has_checkpoint()
    assert f"'{tmp_path}' has no checkpoint to resume from" in caplog.text


@contextlib.contextmanager
def small_files():
    """Writing beyond 256 KiB of a file fails, as on a full disk."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**18, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_full_disk(tmp_path):
    save_training(tmp_path)
    (tmp_path / "model_0000000.pth.0123.tmp").write_bytes(b"of a killed process")
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir() if p.suffix != ".tmp"}
    checkpointer = HMORCheckpointer(nn.Linear(1024, 1024, bias=False), str(tmp_path))
    with small_files(), pytest.raises(CheckpointError) as error:
        checkpointer.save("model_0000002")
    assert f"{tmp_path}/model_0000002.pth: cannot write" in str(error.value)
    assert "of 4.0 MiB" in str(error.value)
    assert "File too large" in str(error.value)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before
    assert resume(tmp_path)[:2] == (1, 2.0)
    checkpointer.save("model_0000002")  # there is room again
    assert (tmp_path / "last_checkpoint").read_text() == "model_0000002.pth"


def test_runs_with_a_bad_image(toy_root, tmp_path):
    """Stopped and skipped by train_net.py; and a loss that never becomes finite."""
    datasets = tmp_path / "datasets"
    shutil.copytree(toy_root, datasets)
    image = next(path for path in datasets.rglob("*.jpg") if "train" in str(path))
    image.write_bytes(image.read_bytes()[:2000])
    options = ["SOLVER.MAX_ITER", "4", "DATASETS.TEST", "()"]  # 4 batches are more than an epoch
    skip = ["DATALOADER.ON_BAD_SAMPLE", "skip"]
    infinite = ["MODEL.HMOR.LOSS_WEIGHT", "1e400", "SOLVER.MAX_NONFINITE_STEPS", "1"]
    infinite += ["SOLVER.CHECKPOINT_PERIOD", "1000"]
    stopped, skipped, diverged = (tmp_path / name for name in ("stopped", "skipped", "diverged"))
    runs = [
        {"arguments": command(stopped, 1, *options)},
        {"arguments": command(skipped, 1, *options, *skip)},
        {"arguments": command(diverged, 1, *options, *skip, *infinite)},
    ]
    assert run_trainings(tmp_path, datasets, runs) == [1, 0, 1]
    logs = [Path(run["log"]).read_text() for run in runs]
    assert "DatasetError" in logs[0] and f"{image}, image" in logs[0]
    assert not list(stopped.glob("*.pth"))
    assert "Left out bad sample 1 of" in logs[1] and f"{image}, image" in logs[1]
    assert (skipped / "model_final.pth").is_file()
    last = logs[2].strip().splitlines()[-1]
    assert "NonFiniteError: iteration 1: 2 steps in a row" in last and "no checkpoint" in last
    assert "'loss_hmor" in logs[2] and ".jpg (image " in logs[2]
    assert not list(diverged.glob("*.pth"))
