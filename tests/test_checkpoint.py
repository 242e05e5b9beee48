"""Checkpoints: the same weights as by Detectron2's checkpointer, and no code of a file is run."""

import contextlib
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from detectron2.checkpoint import DetectionCheckpointer
from detectron2.solver import LRMultiplier
from fvcore.common.param_scheduler import CosineParamScheduler
from torch import nn

from hmor_d2.checkpoint import CheckpointError, HMORCheckpointer

WEIGHT = np.arange(4 * 3 * 9, dtype=np.float32).reshape(4, 3, 3, 3)
BIAS = np.linspace(-1, 1, 4, dtype=np.float32)


class Stem(nn.Module):
    """A convolution under the name that Detectron2's backbones give it."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Module()
        self.stem.conv1 = nn.Conv2d(3, 4, 3)
        self.stem.conv1.norm = nn.BatchNorm2d(4)


class Call:
    """Pickles as a call of ``os.system``."""

    def __init__(self, command: str):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


def write(path: Path, content: object, protocol: int = 2) -> str:
    path.write_bytes(pickle.dumps(content, protocol))
    return str(path)


def load_both(path: str) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """State dicts after loading by this checkpointer and by Detectron2's."""
    states = []
    for checkpointer in (HMORCheckpointer, DetectionCheckpointer):
        torch.manual_seed(0)
        model = Stem()
        checkpointer(model).load(path)
        states.append(model.state_dict())
    return tuple(states)


ZOO = {
    "stem.conv1.weight": WEIGHT,
    "stem.conv1.bias": BIAS,
    "stem.conv1.norm.running_mean": BIAS + 1,
}
CAFFE2 = {"conv1_w": WEIGHT, "res_conv1_bn_s": BIAS, "conv1_w_momentum": WEIGHT + 1}
FILES = {
    "model zoo": ({"model": ZOO, "__author__": "Detectron2 Model Zoo"}, ".pkl"),
    "by heuristics": (
        {"model": ZOO, "__author__": "torchvision", "matching_heuristics": True},
        ".pkl",
    ),
    "caffe2": ({"blobs": CAFFE2, "cfg": "MODEL:\n"}, ".pkl"),
    "ImageNet": (CAFFE2, ".pkl"),
    "model": ({"model": ZOO, "iteration": 7}, ".pth"),
    "state dict": (ZOO, ".pth"),
    "pycls": ({"model_state": {**ZOO, "norm.num_batches_tracked": BIAS}, "epoch": 3}, ".pyth"),
}


def tensors(content: object) -> object:
    if isinstance(content, dict):
        return {key: tensors(value) for key, value in content.items()}
    return torch.from_numpy(content) if isinstance(content, np.ndarray) else content


def save(folder, name):
    content, ext = FILES[name]
    path = folder / f"weights{ext}"
    if ext == ".pkl":
        write(path, content)
    else:
        torch.save(tensors(content), path)
    return path


@pytest.mark.parametrize("name", FILES)
def test_the_same_weights_as_by_detectron2(tmp_path, name):
    path = save(tmp_path, name)
    found, expected = load_both(str(path))
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        assert torch.equal(found[key], value), key
    np.testing.assert_array_equal(found["stem.conv1.weight"].numpy(), WEIGHT)


@pytest.mark.parametrize("protocol", range(6))
def test_all_protocols(tmp_path, protocol):
    path = write(tmp_path / "weights.pkl", FILES["model zoo"][0], protocol)
    model = Stem()
    HMORCheckpointer(model).load(path)
    np.testing.assert_array_equal(model.stem.conv1.bias.detach().numpy(), BIAS)
    with torch.no_grad():
        model.stem.conv1.bias += 1  # the memory is the model's own


@pytest.mark.skipif(
    not hasattr(DetectionCheckpointer, "_torch_load"),
    reason="Detectron2 v0.6 takes a path as it is",
)
def test_heuristics_asked_for_in_the_path(tmp_path):
    path = tmp_path / "weights.pth"
    torch.save(tensors({key.removeprefix("stem."): value for key, value in ZOO.items()}), path)
    found, expected = load_both(f"{path}?matching_heuristics=True")
    np.testing.assert_array_equal(found["stem.conv1.weight"].numpy(), WEIGHT)
    assert torch.equal(found["stem.conv1.bias"], expected["stem.conv1.bias"])


def training_state() -> tuple[Stem, torch.optim.Optimizer, LRMultiplier]:
    model = Stem()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
    return model, optimizer, LRMultiplier(optimizer, CosineParamScheduler(1, 0), max_iter=10)


def test_training_resumes(tmp_path):
    model, optimizer, scheduler = training_state()
    for _ in range(3):
        model.stem.conv1(torch.ones(1, 3, 5, 5)).mean().backward()
        optimizer.step()
        scheduler.step()
    parts = {"optimizer": optimizer, "scheduler": scheduler}
    HMORCheckpointer(model, str(tmp_path), **parts).save("model_0000002", iteration=2)

    again, optimizer, scheduler = training_state()
    parts = {"optimizer": optimizer, "scheduler": scheduler}
    rest = HMORCheckpointer(again, str(tmp_path), **parts).resume_or_load("", resume=True)
    assert rest["iteration"] == 2
    assert scheduler.last_epoch == 3
    assert optimizer.state_dict()["state"][0]["step"] == 3
    for a, b in zip(again.parameters(), model.parameters(), strict=True):
        assert torch.equal(a, b)


def bomb_files(folder: Path, evidence: Path) -> dict[str, str]:
    bomb = Call(f"touch {evidence}")
    paths = {}
    for protocol in range(6):
        content = {"model": {**ZOO, "x": bomb}, "__author__": "somebody"}
        paths[f"pkl {protocol}"] = write(folder / f"{protocol}.pkl", content, protocol)
    holder = np.array([None, bomb], dtype=object)
    paths["blobs"] = write(folder / "blobs.pkl", {"blobs": {"conv1_w": holder}})
    for ext in (".pth", ".pyth"):
        for zipped in (True, False):
            path = folder / f"{zipped}{ext}"
            content = {"model": tensors(ZOO), "model_state": tensors(ZOO), "hooks": [bomb]}
            torch.save(content, path, _use_new_zipfile_serialization=zipped)
            paths[path.name] = str(path)
    return paths


def test_bombs_are_refused(tmp_path, monkeypatch):
    # Not even a user who trusts all other files in this way meets them here.
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    evidence = tmp_path / "evidence"
    paths = bomb_files(tmp_path, evidence)
    assert len(paths) == 11
    for name, path in paths.items():
        model = Stem()
        before = model.stem.conv1.weight.clone()
        with pytest.raises(CheckpointError, match=r"system") as error:
            HMORCheckpointer(model).load(path)
        assert path in str(error.value)
        assert not evidence.exists(), name
        assert torch.equal(model.stem.conv1.weight, before)


def test_the_bombs_would_go_off(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    evidence = tmp_path / "evidence"
    paths = bomb_files(tmp_path, evidence)
    for name in ("pkl 2", "blobs", "True.pth", "True.pyth"):
        with contextlib.suppress(TypeError, ValueError):  # what the call gave is no weight
            DetectionCheckpointer(Stem()).load(paths[name])
        assert evidence.exists(), name
        evidence.unlink()


@pytest.mark.parametrize("name", FILES)
def test_truncated_files(tmp_path, name):
    path = save(tmp_path, name)
    whole = path.read_bytes()
    for length in (0, 3, len(whole) // 2):
        path.write_bytes(whole[:length])
        with pytest.raises(CheckpointError, match=rf"weights\{path.suffix}"):
            HMORCheckpointer(Stem()).load(str(path))


def test_a_file_truncated_anywhere_is_named(tmp_path):
    """PyTorch's reader answers some lengths with an OSError that names no file."""
    path = tmp_path / "weights.pth"
    torch.save({f"layer{i}": torch.rand(20, 20) for i in range(8)}, path)
    whole = path.read_bytes()
    model = Stem()
    for length in range(0, len(whole), 97):
        path.write_bytes(whole[:length])
        with pytest.raises(CheckpointError, match=r"weights\.pth"):
            HMORCheckpointer(model).load(str(path))


def test_another_file_can_be_loaded_after_a_broken_one(tmp_path):
    for name in ("bad.pth", "bad.pkl"):
        (tmp_path / name).write_bytes(b"junk")
    torch.save(tensors(ZOO), tmp_path / "good.pth")
    model = Stem()
    checkpointer = HMORCheckpointer(model)
    for name in ("bad.pth", "bad.pkl"):
        with pytest.raises(CheckpointError, match=name):
            checkpointer.load(str(tmp_path / name))
    checkpointer.load(str(tmp_path / "good.pth"))
    np.testing.assert_array_equal(model.stem.conv1.bias.detach().numpy(), BIAS)


@pytest.mark.parametrize("content", [[1, 2], {3: WEIGHT}, {"blobs": [WEIGHT]}])
def test_pickles_without_weights(tmp_path, content):
    path = write(tmp_path / "weights.pkl", content)
    with pytest.raises(CheckpointError, match=r"weights\.pkl.*expected a dict by names"):
        HMORCheckpointer(Stem()).load(path)


def test_other_torch_files_without_weights(tmp_path):
    path = tmp_path / "weights.pth"
    torch.save(torch.ones(3), path)
    with pytest.raises(CheckpointError, match=r"weights\.pth: found Tensor"):
        HMORCheckpointer(Stem()).load(str(path))
    torch.save({"epoch": 3}, path.with_suffix(".pyth"))
    with pytest.raises(CheckpointError, match=r"weights\.pyth.*epoch.*'model_state'"):
        HMORCheckpointer(Stem()).load(str(path.with_suffix(".pyth")))
