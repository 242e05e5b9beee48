"""EMAHook: the average is right, survives a resume, and leaves the training as it is."""

import logging
import weakref
from copy import deepcopy
from types import SimpleNamespace

import pytest
import torch
from detectron2.engine import HookBase, SimpleTrainer
from detectron2.engine.hooks import PeriodicCheckpointer
from torch import nn

from hmor_d2.checkpoint import HMORCheckpointer, averaged_weights
from hmor_d2.engine import EMAHook
from tests.launching import run_in_group

DECAY = 0.35  # larger than the first three (1 + t) / (10 + t), smaller than the others


class Tiny(nn.Module):
    """Batch norm, dropout, a whole-number buffer that no average may touch, a frozen weight."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.frozen = nn.Parameter(torch.rand(3), requires_grad=False)
        self.register_buffer("name", torch.tensor([112, 7, 255], dtype=torch.uint8))

    def forward(self, images):
        x = nn.functional.dropout(self.norm(self.conv(images)), 0.3, self.training)
        return {"loss": (x - images.mean()).square().mean()}


def batches(start):
    """Endless batches that depend on the iteration alone."""
    while True:
        generator = torch.Generator().manual_seed(start)
        torch.manual_seed(start)  # of the dropout
        yield torch.rand(2, 2, 5, 5, generator=generator) + start
        start += 1


class BatchesFrom:
    """:func:`batches` of a first iteration that may be set until the training begins."""

    first = 0

    def __iter__(self):
        yield from batches(self.first)


class Recorder(HookBase):
    def __init__(self):
        self.states = []

    def before_train(self):
        self.after_step()

    def after_step(self):
        self.states.append(deepcopy(self.trainer.model.state_dict()))


def trainer_for(folder, decay=DECAY):
    """A trainer of Detectron2 with EMA (decay None: without), and its parts."""
    folder.mkdir(exist_ok=True)
    torch.manual_seed(0)
    model = Tiny()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.05)
    trainer = SimpleTrainer(model, BatchesFrom(), optimizer)
    checkpointer = HMORCheckpointer(model, str(folder), trainer=weakref.proxy(trainer))
    ema = None if decay is None else EMAHook(model, decay)
    recorder = Recorder()
    trainer.register_hooks([ema, PeriodicCheckpointer(checkpointer, 3), recorder])
    return SimpleNamespace(
        trainer=trainer, model=model, checkpointer=checkpointer, ema=ema, recorder=recorder
    )


def train(parts, start, stop):
    parts.trainer.data_loader.first = start
    parts.trainer.train(start, stop)
    return parts


def resumed(folder, decay=DECAY):
    parts = trainer_for(folder, decay)
    parts.checkpointer.resume_or_load("", resume=True)
    return parts


def assert_same(found, expected):
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert torch.equal(found[name], value), name
        assert found[name].dtype == value.dtype


def test_the_average_is_that_of_the_definition(tmp_path):
    parts = train(trainer_for(tmp_path), 0, 7)
    states = parts.recorder.states
    found = parts.ema.model.state_dict()
    assert parts.ema.num_steps == 7 and not parts.ema.model.training
    for name in ("conv.weight", "norm.bias", "norm.running_mean", "norm.running_var"):
        expected = states[0][name].double()
        for t in range(1, 8):
            decay = min(DECAY, (1 + t) / (10 + t))
            expected = decay * expected + (1 - decay) * states[t][name].double()
        torch.testing.assert_close(found[name].double(), expected, rtol=1e-5, atol=1e-7)
        assert not torch.allclose(found[name], states[-1][name], rtol=1e-3)
    for name in ("name", "norm.num_batches_tracked", "frozen"):
        assert torch.equal(found[name], states[-1][name]), name
    assert not any(p.requires_grad for p in parts.ema.model.parameters())


def test_training_is_not_changed(tmp_path):
    random_states, trainers = [], []
    for name, decay in (("on", DECAY), ("off", None)):
        parts = trainer_for(tmp_path / name, decay)
        random_states.append([torch.get_rng_state()])
        trainers.append(train(parts, 0, 6).trainer)
        random_states[-1].append(torch.get_rng_state())
    with_ema, without = trainers
    assert all(torch.equal(*states) for states in zip(*random_states, strict=True))
    assert_same(with_ema.model.state_dict(), without.model.state_dict())
    moments = [trainer.optimizer.state_dict()["state"] for trainer in (with_ema, without)]
    for index, expected in moments[1].items():
        assert_same(moments[0][index], expected)


def test_resuming_goes_on_exactly(tmp_path):
    whole = train(trainer_for(tmp_path / "on"), 0, 6)
    train(trainer_for(tmp_path / "off"), 0, 3)
    again = resumed(tmp_path / "off")
    assert again.ema.num_steps == 3 and again.trainer.iter == 2
    train(again, 3, 6)
    assert again.ema.num_steps == 6
    assert_same(again.model.state_dict(), whole.model.state_dict())
    assert_same(again.ema.model.state_dict(), whole.ema.model.state_dict())


def test_resuming_without_a_saved_average(tmp_path, caplog):
    train(trainer_for(tmp_path, decay=None), 0, 3)
    again = resumed(tmp_path)
    loaded = deepcopy(again.model.state_dict())
    with caplog.at_level(logging.WARNING, "hmor_d2"):
        train(again, 3, 3)  # before_train alone
    assert "no averaged weights" in caplog.text and "at iteration 3" in caplog.text
    assert again.ema.num_steps == 0
    assert_same(again.ema.model.state_dict(), loaded)


def test_a_new_training_warns_of_nothing(tmp_path, caplog):
    with caplog.at_level(logging.WARNING, "hmor_d2"):
        train(trainer_for(tmp_path), 0, 1)
    assert "averaged" not in caplog.text


def test_resuming_without_ema_takes_the_trained_weights(tmp_path):
    trained = train(trainer_for(tmp_path), 0, 3).model.state_dict()
    again = resumed(tmp_path, decay=None)
    assert_same(again.model.state_dict(), trained)
    train(again, 3, 4)


def test_what_a_saved_average_lacks_is_taken_from_the_model(tmp_path, caplog):
    parts = train(trainer_for(tmp_path), 0, 3)
    path = tmp_path / "model_final.pth"
    checkpoint = torch.load(path, weights_only=True)
    saved = checkpoint["trainer"]["hooks"]["EMAHook"]
    del saved["model"]["conv.bias"]
    saved["model"]["norm.weight"] = torch.ones(9)
    saved["model"]["of_another_model"] = torch.ones(9)
    torch.save(checkpoint, path)
    with caplog.at_level(logging.WARNING, "hmor_d2"):
        again = resumed(tmp_path)
    assert "2 of 9 tensors (conv.bias, norm.weight)" in caplog.text
    found, average = again.ema.model.state_dict(), parts.ema.model.state_dict()
    for name in ("conv.bias", "norm.weight"):
        assert torch.equal(found.pop(name), parts.model.state_dict()[name])
        average.pop(name)
    assert_same(found, average)
    assert again.ema.num_steps == 3


def test_an_empty_state_does_not_crash(tmp_path):
    parts = trainer_for(tmp_path)
    parts.ema.load_state_dict({})
    assert parts.ema.num_steps == 0
    assert_same(parts.ema.model.state_dict(), parts.model.state_dict())


def test_checkpointer_loads_the_average_to_use_the_model(tmp_path, caplog):
    parts = train(trainer_for(tmp_path), 0, 3)
    average = parts.ema.model.state_dict()
    assert not torch.equal(average["conv.weight"], parts.model.conv.weight)
    path = str(tmp_path / "model_final.pth")
    with caplog.at_level(logging.INFO, "fvcore"):
        for load in (
            lambda checkpointer: checkpointer.load(path),
            lambda checkpointer: checkpointer.resume_or_load(path, resume=False),
            lambda checkpointer: checkpointer.resume_or_load("", resume=True),  # --eval-only
        ):
            caplog.clear()
            model = Tiny()
            load(HMORCheckpointer(model, str(tmp_path)))
            assert_same(model.state_dict(), average)
            assert "averaged weights" in caplog.text
    # A training that begins with the file's weights, and none of its state.
    fresh = trainer_for(tmp_path)
    fresh.checkpointer.resume_or_load(path, resume=False)
    assert_same(fresh.model.state_dict(), average)
    assert fresh.ema.num_steps == -1


@pytest.mark.parametrize(
    "checkpoint", [{}, {"trainer": None}, {"trainer": {"hooks": {}}}, {"trainer": {"hooks": [1]}}]
)
def test_checkpoints_without_an_average(checkpoint):
    assert averaged_weights(checkpoint) is None


@pytest.mark.parametrize("decay", [-0.1, 1.0, 1.5, float("nan")])
def test_impossible_decays(decay):
    with pytest.raises(ValueError, match=r"MODEL\.EMA_DECAY.*expected"):
        EMAHook(Tiny(), decay)


def worker(rank, folder):
    torch.manual_seed(rank)  # processes begin with different weights and see different data
    tiny = Tiny()
    model = nn.parallel.DistributedDataParallel(tiny, broadcast_buffers=False)
    ema = EMAHook(model, DECAY)
    trainer = SimpleTrainer(
        model, batches(100 * rank), torch.optim.SGD(model.parameters(), lr=0.05)
    )
    trainer.register_hooks([ema])
    trainer.train(0, 3)
    state = {"average": ema.model.state_dict(), "trained": tiny.state_dict()}
    torch.save(state, f"{folder}/rank{rank}.pt")


def test_processes_have_equal_averages(tmp_path):
    run_in_group(worker, 2, tmp_path)
    one, two = (torch.load(tmp_path / f"rank{rank}.pt") for rank in range(2))
    assert one["average"].keys() == Tiny().state_dict().keys()
    for name in ("conv.weight", "conv.bias", "norm.weight", "norm.bias", "frozen"):
        assert torch.equal(one["average"][name], two["average"][name]), name
    assert not torch.equal(one["average"]["conv.weight"], one["trained"]["conv.weight"])
