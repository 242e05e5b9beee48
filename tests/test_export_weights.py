"""tools/export_weights.py: which weights, in which precision, and that models load them."""

import hashlib
import re
from pathlib import Path

import pytest
import torch
from detectron2.checkpoint import DetectionCheckpointer
from torch import nn

from hmor_d2.checkpoint import CheckpointError, HMORCheckpointer
from tests.scripts import load_script

ROUNDING = 2.0**-11  # half precision's, of a number from 2**-14 to 65504


@pytest.fixture(scope="module")
def tool():
    return load_script("tools/export_weights.py")


class Net(nn.Module):
    def __init__(self, seed: int):
        super().__init__()
        torch.manual_seed(seed)
        self.conv = nn.Conv2d(3, 8, 3)
        self.norm = nn.BatchNorm2d(8)
        self.fc = nn.Linear(8, 5)
        self.register_buffer("name", torch.tensor([109, 117], dtype=torch.uint8))
        with torch.no_grad():
            self.norm.running_var.copy_(torch.logspace(-12, 9, 8))
            self.norm.running_mean.normal_()
            self.norm.num_batches_tracked.fill_(7_000_000)


@pytest.fixture
def checkpoint(tmp_path):
    """A training checkpoint with an optimiser, trained (seed 1) and averaged weights (seed 2)."""
    trained, averaged = Net(1), Net(2)
    optimizer = torch.optim.AdamW(trained.parameters(), lr=0.0)
    sum(p.square().sum() for p in trained.parameters()).backward()
    optimizer.step()  # it has a state now
    path = tmp_path / "model_0000009.pth"
    hooks = {"LRScheduler": {"last_epoch": 9}, "EMAHook": {"model": averaged.state_dict()}}
    trainer = {"iteration": 9, "hooks": hooks, "_trainer": {"optimizer": optimizer.state_dict()}}
    torch.save({"model": trained.state_dict(), "trainer": trainer, "iteration": 9}, path)
    return path


def run(tool, capsys, *arguments) -> str:
    assert tool.main([str(a) for a in arguments]) == 0
    return capsys.readouterr().out


def fails(tool, capsys, *arguments) -> str:
    assert tool.main([str(a) for a in arguments]) == 1
    return capsys.readouterr().err


def load(path: Path) -> dict[str, torch.Tensor]:
    return torch.load(path, weights_only=True)["model"]


@pytest.mark.parametrize("options, seed", [([], 2), (["--trained"], 1)])
def test_averaged_weights_are_preferred(tool, capsys, checkpoint, tmp_path, options, seed):
    output = tmp_path / "out.pth"
    log = run(tool, capsys, checkpoint, output, *options)
    assert f"the {'averaged' if seed == 2 else 'trained'} weights of {checkpoint}" in log
    expected = Net(seed).state_dict()
    found = load(output)
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(found[name].to(value.dtype), value, rtol=ROUNDING, atol=0)


def test_without_averaged_weights_the_trained_ones_are_taken(tool, capsys, checkpoint, tmp_path):
    data = torch.load(checkpoint, weights_only=True)
    del data["trainer"]["hooks"]["EMAHook"]
    torch.save(data, checkpoint)
    log = run(tool, capsys, checkpoint, tmp_path / "out.pth")
    assert "the trained weights" in log
    assert torch.equal(load(tmp_path / "out.pth")["conv.bias"], Net(1).conv.bias)


def test_precision(tool, capsys, checkpoint, tmp_path):
    run(tool, capsys, checkpoint, tmp_path / "out.pth")
    found = load(tmp_path / "out.pth")
    half = {name for name, value in found.items() if value.dtype == torch.float16}
    assert half == {"conv.weight", "fc.weight"}
    for name, value in Net(2).state_dict().items():
        if name not in half:
            assert found[name].dtype == value.dtype and torch.equal(found[name], value), name
    content = torch.load(tmp_path / "out.pth", weights_only=True)
    assert content.keys() == {"model", "__author__"}


@pytest.mark.parametrize("checkpointer", [DetectionCheckpointer, HMORCheckpointer])
def test_models_load_it_in_single_precision(tool, capsys, checkpoint, tmp_path, checkpointer):
    output = tmp_path / "out.pth"
    run(tool, capsys, checkpoint, output)
    model, expected = Net(3), Net(2).state_dict()
    rest = checkpointer(model).load(str(output))
    assert rest == {"__author__": "hmor_d2"}
    for name, value in model.state_dict().items():
        assert value.dtype == expected[name].dtype
        torch.testing.assert_close(value, expected[name], rtol=ROUNDING, atol=0)
    assert isinstance(model.conv.weight, nn.Parameter) and model.conv.weight.requires_grad


def export(tool, capsys, tmp_path, **weights) -> tuple[dict[str, torch.Tensor], str]:
    torch.save(weights, tmp_path / "in.pth")
    log = run(tool, capsys, tmp_path / "in.pth", tmp_path / "out.pth")
    return load(tmp_path / "out.pth"), log


ROW = torch.linspace(-1, 1, 50)


@pytest.mark.parametrize(
    "scales, dtype",
    [
        ((1.0, 0.1), torch.float16),
        ((1.0, 1e-4), torch.float16),
        ((1.0, 1e-5), torch.float32),  # the second row would lose digits
        ((1.0, 1e-30), torch.float32),  # the second row would be lost
        ((1e-30, 1e-30), torch.float32),
        ((1.0, 1e5), torch.float32),  # the second row would be infinite
        ((1.0, 0.0), torch.float16),
        ((0.0, 0.0), torch.float16),
        ((60000.0, 1.0), torch.float16),
    ],
)
def test_rows_that_half_precision_cannot_hold_keep_a_tensor_single(
    tool, capsys, tmp_path, scales, dtype
):
    value = torch.stack([ROW * scale for scale in scales])
    found, log = export(tool, capsys, tmp_path, w=value, other=ROW[None])
    assert found["w"].dtype == dtype and found["other"].dtype == torch.float16
    assert ("in single: w " in log) == (dtype == torch.float32)
    if dtype == torch.float32:
        assert torch.equal(found["w"], value)
    difference = (found["w"].double() - value.double()).norm(dim=1)
    assert (difference <= ROUNDING * value.double().norm(dim=1)).all()


def test_a_few_tiny_numbers_in_a_row_do_not_matter(tool, capsys, tmp_path):
    value = ROW.repeat(3, 1)
    value[1, 7] = 1e-9
    found, _ = export(tool, capsys, tmp_path, w=value)
    assert found["w"].dtype == torch.float16 and found["w"][1, 7] == 0


def test_other_types(tool, capsys, tmp_path):
    weights = {
        "double": torch.tensor([[1.0, 2**-10]], dtype=torch.float64),
        "bfloat16": torch.tensor([1.5, 1e20], dtype=torch.bfloat16),
        "number": torch.tensor(1e-9),
        "empty": torch.zeros(0, 4),
        "flags": torch.tensor([[True, False]]),
        "whole": torch.tensor([[2**40]]),
    }
    found, _ = export(tool, capsys, tmp_path, **weights)
    types = {name: value.dtype for name, value in found.items()}
    assert types == {
        "double": torch.float16,
        "bfloat16": torch.float32,
        "number": torch.float32,
        "empty": torch.float32,
        "flags": torch.bool,
        "whole": torch.int64,
    }
    for name, value in weights.items():
        assert torch.equal(found[name].double(), value.double()), name


def test_the_report(tool, capsys, tmp_path):
    value = torch.stack([ROW, ROW + 1e-3])
    found, log = export(tool, capsys, tmp_path, w=value, exact=torch.ones(2, 2), bias=ROW)
    content = (tmp_path / "out.pth").read_bytes()
    assert f"{len(content)} bytes" in log
    assert f"SHA-256   {hashlib.sha256(content).hexdigest()}" in log
    assert "tensors   3, of which 2 in half precision" in log
    rows = value.double()
    expected = ((found["w"].double() - rows).norm(dim=1) / rows.norm(dim=1)).max()
    number = re.search(r"difference of a row +(\S+) \(w\)", log).group(1)
    assert float(number) == pytest.approx(float(expected), rel=0.01) and expected > 0


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("name", ["conv.weight", "norm.running_var"])
def test_numbers_that_are_none_are_refused(tool, capsys, tmp_path, name, value):
    weights = Net(1).state_dict()
    weights[name].view(-1)[3] = value
    torch.save({"model": weights}, tmp_path / "in.pth")
    message = fails(tool, capsys, tmp_path / "in.pth", tmp_path / "out.pth")
    assert f"'{name}' has 1 of {weights[name].numel()} values that are NaN or infinite" in message
    assert not (tmp_path / "out.pth").exists()


def test_equal_weights_make_equal_files_without_spare_memory(tool, capsys, tmp_path):
    torch.manual_seed(0)
    large = torch.randn(64, 64, 3, 3)
    variants = {
        "plain": large[:2].clone(),
        "view": large[:2],
        "channels_last": large[:2].clone(memory_format=torch.channels_last),
        "parameter": nn.Parameter(large[:2].clone()),
    }
    contents = set()
    for name, value in variants.items():
        torch.save({"model": {"w": value, "b": ROW}}, tmp_path / "in.pth")
        run(tool, capsys, tmp_path / "in.pth", tmp_path / f"{name}.pth")
        contents.add((tmp_path / f"{name}.pth").read_bytes())
    assert len(contents) == 1
    assert len(contents.pop()) < 2 * 2 * 64 * 9 + 4 * len(ROW) + 4000


@pytest.mark.parametrize(
    "content, message",
    [
        ([1, 2], "found list, expected a dict"),
        ({"model": {}}, "found no weights"),
        ({"model": [1]}, "found no weights"),
        ({"iteration": 3}, "'iteration' is of type int, expected a tensor"),
        ({"model": {"w": "text"}}, "'w' is of type str, expected a tensor"),
    ],
)
def test_files_without_weights(tool, capsys, tmp_path, content, message):
    torch.save(content, tmp_path / "in.pth")
    error = fails(tool, capsys, tmp_path / "in.pth", tmp_path / "out.pth")
    assert f"{tmp_path / 'in.pth'}: {message}" in error


def test_files_that_cannot_be_read_or_written(tool, capsys, checkpoint, tmp_path):
    assert "no.pth" in fails(tool, capsys, tmp_path / "no.pth", tmp_path / "out.pth")
    missing = tmp_path / "no" / "out.pth"
    assert str(missing) in fails(tool, capsys, checkpoint, missing)
    whole = checkpoint.read_bytes()
    checkpoint.write_bytes(whole[: len(whole) // 2])
    assert "model_0000009.pth: cannot be read" in fails(tool, capsys, checkpoint, missing)
    torch.save({"model": {"w": ROW}, "code": Path("x").exists}, checkpoint)
    with pytest.raises(CheckpointError, match=r"model_0000009\.pth: cannot be read as weights"):
        tool.export_weights(checkpoint, tmp_path / "out.pth")


@pytest.mark.parametrize("output", ["model_0000009.pth", "./x/../model_0000009.pth", "out.pkl"])
def test_outputs_that_are_refused(tool, capsys, checkpoint, tmp_path, output):
    (tmp_path / "x").mkdir()
    before = checkpoint.read_bytes()
    with pytest.raises(SystemExit) as exit_:
        tool.main([str(checkpoint), str(tmp_path / output)])
    assert exit_.value.code == 2 and checkpoint.read_bytes() == before
    assert ("overwrite" in capsys.readouterr().err) == output.endswith(".pth")
