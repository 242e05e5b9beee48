"""Steps that are not finite are skipped without a trace."""

import logging
import weakref

import pytest
import torch
from detectron2.engine import SimpleTrainer, TrainerBase
from detectron2.engine.hooks import PeriodicCheckpointer
from torch import nn

from hmor_d2.checkpoint import HMORCheckpointer
from hmor_d2.engine import EMAHook, NonFiniteError, NonFiniteGuard
from tests.launching import run_in_group

NAN, INF = float("nan"), float("inf")


class Tiny(nn.Module):
    """Two losses of a batch-normed number; ``spoil`` of a sample multiplies the second."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Linear(4, 4)
        self.norm = nn.BatchNorm1d(4)
        self.root = nn.Parameter(torch.ones(1))

    def forward(self, batch):
        if any(sample.get("raises") for sample in batch):
            self.norm(torch.full((2, 4), NAN))
            raise FloatingPointError("Predicted boxes or scores contain Inf/NaN.")
        features = self.norm(self.scale(torch.stack([sample["image"] for sample in batch])))
        second = sum(features[i].sum() * s.get("spoil", 1.0) for i, s in enumerate(batch))
        # Finite where the parameter is 1, with a gradient that is not.
        slope = max(s.get("slope", 0.0) for s in batch)
        third = torch.sqrt((self.root - 1).abs()).sum() if slope else 0 * self.root.sum()
        constant = sum(s.get("add", 0.0) for s in batch)  # no gradient tells of it
        return {"loss_a": features.square().mean(), "loss_b": second + third + constant}


class Loop(TrainerBase):
    """The parts of train_net's Trainer that a step needs."""

    step_was_skipped = False

    def __init__(self, model, data, max_steps):
        super().__init__()
        self.model = model
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        self._trainer = SimpleTrainer(model, data, optimizer)
        self.guard = NonFiniteGuard(self._trainer, max_steps)
        self.ema = EMAHook(model, 0.5)
        self.register_hooks([self.ema])

    def run_step(self):
        self._trainer.iter = self.iter
        self.step_was_skipped = not self.guard.run(self._trainer.run_step)


def batches(spoiled=None, count=8):
    """A batch of 2 samples an iteration; ``spoiled``: iteration -> entries of its sample 1."""
    generator = torch.Generator().manual_seed(0)
    result = []
    for i in range(count):
        batch = [
            {"file_name": f"image{i}_{k}.jpg", "image_id": 10 * i + k,
             "image": torch.randn(4, generator=generator)}
            for k in range(2)
        ]  # fmt: skip
        batch[1].update((spoiled or {}).get(i, {}))
        result.append(batch)
    return result


def loop(data, max_steps=10):
    torch.manual_seed(0)
    return Loop(Tiny(), data, max_steps)


def states(trainer):
    optimizer = trainer._trainer.optimizer.state_dict()["state"]
    return trainer.model.state_dict(), trainer.ema.state_dict()["model"], *optimizer.values()


def assert_equal_states(found, expected):
    for one, other in zip(states(found), states(expected), strict=True):
        for name, value in other.items():
            assert torch.equal(one[name], value), name


SPOILED = [
    {"spoil": NAN},
    {"spoil": INF},
    {"add": INF},
    {"image": torch.full((4,), NAN)},
    {"raises": True},
]


@pytest.mark.parametrize("entries", SPOILED, ids=["nan", "inf", "constant", "image", "raised"])
def test_a_step_that_is_not_finite_leaves_no_trace(entries, caplog):
    trainer = loop(batches({3: entries, 5: entries}))
    with caplog.at_level(logging.WARNING, "hmor_d2"):
        trainer.train(0, 8)
    # The same without the two batches: weights, statistics, average and momentum are equal.
    clean = loop([b for i, b in enumerate(batches()) if i not in (3, 5)])
    clean.train(0, 6)
    assert_equal_states(trainer, clean)
    assert trainer.guard.num_skipped == 2 and trainer.iter == 8
    assert "Iteration 3" in caplog.text and "Iteration 5" in caplog.text
    if "raises" not in entries:
        assert "image3_1.jpg (image 31)" in caplog.text and "loss_b" in caplog.text


def test_gradients_that_are_not_finite_are_skipped():
    trainer = loop(batches({0: {"slope": 1.0}}))
    trainer.train(0, 8)
    clean = loop(batches()[1:])
    clean.train(0, 7)
    assert_equal_states(trainer, clean)
    assert trainer.guard.num_skipped == 1


def test_too_many_in_a_row_stop_without_a_checkpoint(tmp_path):
    bad = {"spoil": NAN}
    trainer = loop(batches({1: bad, 2: bad, 4: bad, 5: bad, 6: bad}), max_steps=2)
    checkpointer = HMORCheckpointer(trainer.model, str(tmp_path), trainer=weakref.proxy(trainer))
    trainer.register_hooks([PeriodicCheckpointer(checkpointer, period=7)])
    with pytest.raises(NonFiniteError, match=r"iteration 6: 3 steps.*MAX_NONFINITE_STEPS 2"):
        trainer.train(0, 8)
    assert trainer.guard.num_skipped == 5  # two in a row were allowed before
    assert list(tmp_path.iterdir()) == []
    assert all(value.isfinite().all() for value in trainer.model.state_dict().values())


def test_none_is_skipped_with_zero():
    with pytest.raises(NonFiniteError, match="iteration 2: 1 steps"):
        loop(batches({2: {"spoil": NAN}}), max_steps=0).train(0, 8)
    with pytest.raises(ValueError, match="MAX_NONFINITE_STEPS is -1"):
        loop(batches(), max_steps=-1)


def process(rank, folder):
    torch.manual_seed(0)
    # The second process alone has a bad loss, in iteration 2; all gradients are finite.
    data = batches({2: {"add": INF}} if rank else None)
    trainer = Loop(nn.parallel.DistributedDataParallel(Tiny()), data, 10)
    trainer.train(0, 6)
    weights = {k: v for k, v in trainer.model.state_dict().items() if "running" not in k}
    torch.save((trainer.guard.num_skipped, weights), f"{folder}/rank{rank}.pt")


def test_processes_skip_together(tmp_path):
    run_in_group(process, 2, tmp_path)
    (one, first), (two, second) = (torch.load(tmp_path / f"rank{rank}.pt") for rank in (0, 1))
    assert one == two == 1
    for name, value in first.items():
        assert value.isfinite().all() and torch.equal(value, second[name]), name
