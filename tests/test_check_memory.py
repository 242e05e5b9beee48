"""Does memory grow?  What is counted, what is judged, and the tool on tiny runs."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from tests.engine.training_runs import THIN
from tests.toy_data import draw_toy_data

ROOT = Path(__file__).parents[1]
CONFIG = "configs/toy/hmor_rcnn_R_50_half_FPN_toy.yaml"
# Takes 64 MiB, says so, and waits for its end.
CHILD = "data = b'x' * (64 << 20); print(len(data), flush=True); input()"


@pytest.fixture
def resident(monkeypatch):
    """The tool's module that measures."""
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    from memory_growth import resident

    return resident


def test_children_are_counted_while_they_live(resident):
    resident_memory = resident.resident_memory
    before = resident_memory(0)
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout.readline() == f"{64 << 20}\n"
    during = resident_memory(1)
    child.communicate("\n", timeout=60)
    after = resident_memory(2)
    assert during.processes == before.processes + 1 == after.processes + 1
    assert 64 < during.anonymous - before.anonymous < 120
    assert 64 < during.resident - before.resident < 140
    assert abs(after.resident - before.resident) < 16


def test_growth_is_that_after_the_first_tenth(resident):
    growth_percent = resident.growth_percent
    start_up = list(range(100, 1000, 90))  # the first tenth of 100 samples
    assert growth_percent([*start_up, *[1000.0] * 90]) == 0
    assert growth_percent([*start_up, *[1000.0] * 80, *[1030.0] * 10]) == pytest.approx(3)
    leaking = [1000 + 0.5 * i for i in range(100)]
    assert growth_percent(leaking) == pytest.approx(100 * (1047.25 / 1007.25 - 1))
    spikes = [*[1000.0] * 95, 5000.0, *[1000.0] * 4]  # one is no growth
    assert growth_percent(spikes) == 0
    with pytest.raises(ValueError, match="found 19 samples"):
        growth_percent([1.0] * 19)
    with pytest.raises(ValueError, match="found 19 steps"):
        resident.GrowthRecorder(19)


def test_samples_are_spread_over_the_run(resident):
    recorder = resident.GrowthRecorder(100, limit=40)
    for step in range(1, 101):
        recorder.after(step)
    assert [sample.step for sample in recorder.samples] == list(range(3, 100, 3))
    report = recorder.report()
    assert report["peak_mib"] == max(sample["resident"] for sample in report["samples"])


def run(output: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-W", "ignore", "tools/check_memory.py", *arguments]
    options = [*THIN, "DATALOADER.NUM_WORKERS", "1", "MODEL.WEIGHTS", ""]
    return subprocess.run(
        [*command, "--config-file", CONFIG, "--steps", "20", "--threads", "1",
         "--output", str(output), "--opts", *options],
        cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True, timeout=900,
    )  # fmt: skip


def assert_reported(output: Path, command: str, processes: int, growth_percent) -> None:
    report = json.loads((output / f"{command}.json").read_text())
    assert [sample["step"] for sample in report["samples"]] == list(range(1, 21))
    assert all(sample["processes"] == processes for sample in report["samples"][2:])
    assert all(s["resident"] > s["anonymous"] > 50 for s in report["samples"])
    assert report["settings"]["command"] == command and report["settings"]["steps"] == 20
    growth = growth_percent([sample["resident"] for sample in report["samples"]])
    assert report["growth_percent"] == pytest.approx(growth)
    with Image.open(output / f"{command}.png") as picture:
        assert min(picture.size) > 300


def test_a_training_and_its_worker(tmp_path, resident):
    datasets = draw_toy_data(tmp_path / "datasets", 6, 1)
    arguments = ("training", "--limit", "1000")
    done = run(tmp_path / "out", *arguments, DETECTRON2_DATASETS=str(datasets))
    assert done.returncode == 0, done.stderr[-3000:]
    assert "training, 20 steps: " in done.stdout and "(limit 1000 %)" in done.stdout
    assert_reported(
        tmp_path / "out", "training", processes=2, growth_percent=resident.growth_percent
    )


def test_pictures_of_many_sizes_beyond_the_limit(tmp_path, resident):
    arguments = ("inference", "--sides", "64", "200", "--people", "3", "--limit", "-99")
    done = run(tmp_path / "out", *arguments)
    assert done.returncode == 1, done.stderr[-3000:]
    assert "FAIL" in done.stdout
    assert_reported(
        tmp_path / "out", "inference", processes=1, growth_percent=resident.growth_percent
    )
