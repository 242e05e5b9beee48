"""A training that is killed and resumed is, bit for bit, the one that was not."""

import logging
import random
import signal
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from hmor_d2.engine import ExactResumeHook
from tests.engine.training_runs import command, run_trainings

# Everything that draws random numbers, and the states that a checkpoint can have.
RANDOM = [
    "INPUT.MIN_SIZE_TRAIN", "[96, 128]",
    "INPUT.PHOTOMETRIC.ENABLED", "True", "INPUT.OCCLUDERS.ENABLED", "True",
    "DATASETS.TRAIN", "('toy_train', 'toy_test')", "DATASETS.TRAIN_RATIO", "(0.7, 0.3)",
    "MODEL.EMA_DECAY", "0.9", "SOLVER.OPTIMIZER", "AdamW", "SOLVER.BASE_LR", "1e-4",
]  # fmt: skip


def assert_equal(found, expected, where="checkpoint"):
    assert type(found) is type(expected), where
    if isinstance(expected, dict):
        assert found.keys() == expected.keys(), where
        for key, value in expected.items():
            assert_equal(found[key], value, f"{where}.{key}")
    elif isinstance(expected, list | tuple):
        assert len(found) == len(expected), where
        for i, value in enumerate(expected):
            assert_equal(found[i], value, f"{where}[{i}]")
    elif isinstance(expected, torch.Tensor):
        assert torch.equal(found, expected), where
    elif isinstance(expected, np.ndarray):
        np.testing.assert_array_equal(found, expected, where)
    else:
        assert found == expected, where


def assert_same_end(found: Path, expected: Path):
    """Weights, optimiser, schedule, averaged weights and random state at the end are equal."""
    ends = [torch.load(f / "model_final.pth", weights_only=True) for f in (found, expected)]
    hooks = ends[1]["trainer"]["hooks"]
    assert {"EMAHook", "LRScheduler", "ExactResumeHook"} <= hooks.keys()
    assert_equal(*ends)


def test_killed_and_resumed(toy_root, tmp_path):
    one, other = tmp_path / "undisturbed", tmp_path / "killed"
    # An evaluation follows each checkpoint, and does not take place again after it is resumed.
    options = [
        *RANDOM,
        "SOLVER.MAX_ITER",
        "6",
        "SOLVER.CHECKPOINT_PERIOD",
        "2",
        "TEST.EVAL_PERIOD",
        "2",
    ]
    runs = [
        {"arguments": command(one, 0, *options)},
        {"arguments": command(other, 1, *options), "kill": ["write", 2]},
        {"arguments": command(other, 2, *options, resume=True), "kill": ["step", 5]},
        {"arguments": command(other, 1, *options, resume=True)},
    ]
    killed = -signal.SIGKILL
    codes = run_trainings(tmp_path, toy_root, runs)
    logs = [Path(run["log"]).read_text() for run in runs]
    assert codes == [0, killed, killed, 0], logs[-1][-3000:]
    assert "Starting training from iteration 2" in logs[2]
    assert "Starting training from iteration 4" in logs[3]
    assert not list(other.glob("*.tmp"))
    assert_same_end(other, one)


class Loader:
    seed, first_batch = 1, 0


def begun(start, saved=None):
    """A hook's loader when a training begins, and three draws in its first step."""
    hook = ExactResumeHook(Loader())
    hook.trainer = SimpleNamespace(start_iter=start)
    if saved is not None:
        hook.load_state_dict(saved)
    hook.before_train()
    np.random.rand(), torch.rand(1), random.random()  # of other hooks
    hook.before_step()
    return hook._loader, (np.random.rand(), torch.rand(1).item(), random.random())


def test_a_random_seed_is_kept(tmp_path, caplog):
    """With SEED -1 a resumed training's loader has drawn another seed before it knows better."""
    hook = ExactResumeHook(Loader())
    hook._loader.seed = 7777
    np.random.normal(), random.gauss(0, 1)  # half of a pair waits
    torch.save({"hook": hook.state_dict()}, tmp_path / "state.pth")
    expected = np.random.rand(), torch.rand(1).item(), random.random()
    saved = torch.load(tmp_path / "state.pth", weights_only=True)["hook"]
    loader, draws = begun(3, saved)
    assert (loader.seed, loader.first_batch) == (7777, 3)
    assert draws == expected
    assert not caplog.records


def test_a_checkpoint_without_random_state(caplog):
    with caplog.at_level(logging.WARNING, "hmor_d2"):
        loader, _ = begun(3)
    assert (loader.seed, loader.first_batch) == (1, 3)
    assert "no random state" in caplog.text and "iteration 3" in caplog.text
    caplog.clear()
    assert begun(0)[0].first_batch == 0 and not caplog.records


def test_resumed_on_fewer_processes(tmp_path):
    """The state of one of several processes is not every one's: new streams begin."""
    saved = {**ExactResumeHook(Loader()).state_dict(), "processes": 2}
    assert begun(3, saved)[1] == begun(3, saved)[1] != begun(4, saved)[1]


@pytest.mark.slow
def test_killed_ten_times(toy_root, tmp_path):
    one, other = tmp_path / "undisturbed", tmp_path / "killed"
    options = [
        *RANDOM,
        "SOLVER.MAX_ITER",
        "24",
        "SOLVER.CHECKPOINT_PERIOD",
        "1",
        "DATASETS.TEST",
        "()",
    ]
    draw = random.Random(0)
    kills = [["write", 1], ["tag", 1], ["write", 3], ["tag", 2]]
    kills += [["time", draw.uniform(0.2, 3)] for _ in range(6)]
    runs = [{"arguments": command(one, 1, *options)}]
    for i, kill in enumerate([*kills, None]):
        runs.append({"arguments": command(other, 1, *options, resume=i > 0), "kill": kill})
    codes = run_trainings(tmp_path, toy_root, runs)
    # One that the time did not reach ends well, and so do those after it.
    assert codes[:5] == [0] + 4 * [-signal.SIGKILL] and codes[-1] == 0, codes
    assert codes.count(-signal.SIGKILL) >= 7, codes
    assert_same_end(other, one)
