"""tools/benchmark.py scaling, on small pictures."""

import argparse
import json
from pathlib import Path

import pytest

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
    assert two["efficiency"]["median"] == pytest.approx(seconds[0] / (2 * seconds[1]))


def test_shares_must_be_equal(benchmark):
    with pytest.raises(SystemExit, match=r"--batch is 4, expected a multiple of each of \[1, 3\]"):
        benchmark.run(parse(benchmark, "--batch", "4", "--processes", "3"))
