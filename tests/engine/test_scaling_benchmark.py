"""tools/benchmark.py scaling, on small pictures."""

import argparse
import json
from pathlib import Path

import pytest
import torch

from tests.launching import needs_launch_on_cpu


@pytest.fixture
def benchmark(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "tools"))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    from benchmarks import scaling

    return scaling


def parse(benchmark, *options):
    parser = argparse.ArgumentParser()
    benchmark.add_arguments(parser)
    config = Path(__file__).parents[2] / "configs/Base-HMOR-RCNN-R50-half-FPN.yaml"
    return parser.parse_args(["--config-file", str(config), *options])


@needs_launch_on_cpu
def test_one_and_two_processes_are_timed(benchmark, tmp_path, capsys):
    options = ["--image-size", "96x64", "--batch", "2", "--people", "1", "--steps", "1"]
    output = tmp_path / "figures.json"
    benchmark.run(parse(benchmark, *options, "--repeats", "1", "--json", str(output)))
    assert "2 images of 96x64 a step with 1 people each" in capsys.readouterr().out
    figures = json.loads(output.read_text())
    assert 20 < figures["gradient_megabytes"] < 80
    one, two = figures["rows"]
    assert (one["processes"], two["processes"]) == (1, 2)
    assert one["efficiency"]["median"] == 1 and one["exchange_seconds"]["median"] == 0
    assert two["exchange_seconds"]["median"] > 0
    seconds = one["seconds"]["median"], two["seconds"]["median"]
    assert two["speed"]["median"] == pytest.approx(seconds[0] / seconds[1])
    assert two["efficiency"]["median"] == pytest.approx(seconds[0] / (2 * seconds[1]))


def test_threads_are_shared_out(benchmark, monkeypatch, tmp_path):
    asked = []

    class Step:
        gradient_bytes = 0

        def __init__(self, *_):
            asked.append(torch.get_num_threads())

        def __call__(self):
            pass

        def exchange_seconds(self):
            return 0.0

    monkeypatch.setattr(benchmark, "ScalingStep", Step)
    before, file = torch.get_num_threads(), str(tmp_path / "row.json")
    for processes, options in ((1, ["--total-threads", "4"]), (2, ["--total-threads", "4"])):
        monkeypatch.setattr(benchmark.comm, "get_world_size", lambda n=processes: n)
        benchmark.measure(parse(benchmark, *options), file)
    benchmark.measure(parse(benchmark, "--threads", "3"), file)
    assert asked == [4, 2, 3] and torch.get_num_threads() == before


def test_shares_must_be_equal(benchmark):
    with pytest.raises(SystemExit, match=r"--batch is 4, expected a multiple of each of \[1, 3\]"):
        benchmark.run(parse(benchmark, "--batch", "4", "--processes", "3"))
    with pytest.raises(SystemExit, match=r"--total-threads is 3, expected a multiple of each"):
        benchmark.run(parse(benchmark, "--total-threads", "3"))
