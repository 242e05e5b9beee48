"""train_net.py with averaged weights: what it evaluates, and what it saves beside it."""

import copy
from pathlib import Path

import pytest
import torch
from detectron2.config import get_cfg
from detectron2.engine import defaults
from torch import nn

from hmor_d2 import add_hmor_config
from hmor_d2.checkpoint import averaged_weights
from tests.scripts import load_script


class Toy(nn.Module):
    def __init__(self):
        super().__init__()
        self.device = torch.device("cpu")
        self.first = nn.Linear(3, 4)
        self.norm = nn.BatchNorm1d(4)
        self.last = nn.Linear(4, 1)

    def forward(self, batch: torch.Tensor) -> dict[str, torch.Tensor]:
        found = self.last(self.norm(self.first(batch)).relu())
        return {"loss": (found - batch.sum(1, keepdim=True)).square().mean()}


class Batches:
    """A training loader, as build_hmor_train_loader's: batches that depend on their number."""

    seed = 0
    first_batch = 0

    def __iter__(self):
        for number in range(self.first_batch, 100):
            yield torch.randn(8, 3, generator=torch.Generator().manual_seed(number))


def assert_equal(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> None:
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert found[name].dtype == value.dtype, name
        assert torch.equal(found[name], value), name


@pytest.fixture(scope="module")
def train_net():
    return load_script("train_net.py")


@pytest.fixture
def script(train_net, tmp_path, monkeypatch):
    """The script's trainer for the toy, its config, and the states that it evaluates."""
    cfg = get_cfg()
    add_hmor_config(cfg)
    cfg.MODEL.DEVICE = "cpu"
    cfg.MODEL.WEIGHTS = ""
    cfg.MODEL.EMA_DECAY = 0.6
    cfg.DATALOADER.NUM_WORKERS = 0
    cfg.SOLVER.MAX_ITER = 6
    cfg.SOLVER.STEPS = ()
    cfg.SOLVER.CHECKPOINT_PERIOD = 3
    cfg.TEST.EVAL_PERIOD = 3
    cfg.OUTPUT_DIR = str(tmp_path)
    # It would take Detectron2's messages away from the tests that follow.
    monkeypatch.setattr(defaults, "setup_logger", lambda: None)
    evaluated = []

    class Trainer(train_net.Trainer):
        @classmethod
        def build_model(cls, cfg):
            torch.manual_seed(1)
            return Toy()

        @classmethod
        def build_optimizer(cls, cfg, model):
            return torch.optim.SGD(model.parameters(), lr=0.05)

        @classmethod
        def build_train_loader(cls, cfg):
            return Batches()

        @classmethod
        def test(cls, cfg, model, evaluators=None):
            evaluated.append(copy.deepcopy(model.state_dict()))
            return {}

        def build_writers(self):
            return []

    return Trainer, cfg, evaluated


def test_trainings_evaluate_and_save_the_average_of_the_step(script, tmp_path):
    Trainer, cfg, evaluated = script
    trainer = Trainer(cfg)
    trainer.resume_or_load(resume=False)
    trainer.train()
    assert len(evaluated) == 2
    for name, state in zip(("model_0000002", "model_final"), evaluated, strict=True):
        saved = torch.load(tmp_path / f"{name}.pth", weights_only=True)
        assert_equal(averaged_weights(saved), state)
        assert not torch.equal(state["first.weight"], saved["model"]["first.weight"])
    assert_equal(evaluated[1], trainer.ema.model.state_dict())
    assert [state["norm.num_batches_tracked"] for state in evaluated] == [3, 6]


def test_a_resumed_training_goes_on_with_the_saved_average(script, tmp_path):
    Trainer, cfg, evaluated = script
    Trainer(cfg).train()
    cfg.OUTPUT_DIR = str(tmp_path / "resumed")
    Path(cfg.OUTPUT_DIR).mkdir()
    (tmp_path / "model_0000002.pth").rename(tmp_path / "resumed" / "model_0000002.pth")
    (tmp_path / "resumed" / "last_checkpoint").write_text("model_0000002.pth")
    resumed = Trainer(cfg)
    resumed.resume_or_load(resume=True)
    assert resumed.start_iter == 3 and resumed.ema.num_steps == 3
    assert_equal(resumed.ema.model.state_dict(), evaluated[0])
    resumed.train()
    assert_equal(evaluated[2], evaluated[1])


def test_without_a_decay_the_trained_weights_are_evaluated(script, tmp_path):
    Trainer, cfg, evaluated = script
    cfg.MODEL.EMA_DECAY = 0.0
    trainer = Trainer(cfg)
    trainer.train()
    assert trainer.ema is None
    assert_equal(evaluated[1], trainer.model.state_dict())
    saved = torch.load(tmp_path / "model_final.pth", weights_only=True)
    assert averaged_weights(saved) is None


def test_eval_only_takes_the_average(train_net, script, tmp_path, monkeypatch):
    Trainer, cfg, evaluated = script
    trainer = Trainer(cfg)
    trainer.train()
    cfg.MODEL.WEIGHTS = str(tmp_path / "model_final.pth")
    monkeypatch.setattr(train_net, "Trainer", Trainer)
    monkeypatch.setattr(train_net, "setup", lambda args: cfg)
    for arguments in (["--eval-only"], ["--eval-only", "--resume"]):
        evaluated.clear()
        train_net.main(train_net.default_argument_parser().parse_args(arguments))
        assert_equal(evaluated[0], trainer.ema.model.state_dict())
    assert not torch.equal(evaluated[0]["first.weight"], trainer.model.first.weight)
