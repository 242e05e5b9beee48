"""tools/benchmark.py machine, on small sizes."""

import argparse
import itertools
import json

import pytest
import torch


def test_rates_are_printed_and_written(run_benchmark, tmp_path, capsys):
    output = tmp_path / "figures.json"
    options = ["--size", "64", "--megabytes", "1", "--scale", "0.05", "--repeats", "2"]
    run_benchmark("machine", *options, "--threads", "1", "--json", str(output))
    figures = json.loads(output.read_text())
    rates = figures["gflops"]
    assert rates["float32"].keys() == rates["bfloat16"].keys() and len(rates["float32"]) == 5
    assert all(rate > 0 for of_type in rates.values() for rate in of_type.values())
    assert all(rate > 0 for rate in figures["gigabytes_per_second"].values())
    printed = capsys.readouterr().out
    assert "matrices of 64 x 64" in printed and "this processor" in printed


def test_a_rate_is_operations_over_the_fastest_time(benchmark, monkeypatch):
    machine = benchmark("machine")
    args = argparse.Namespace(size=16, scale=1.0, device="cpu", repeats=1, megabytes=1)
    monkeypatch.setattr(machine, "fastest", lambda action, args: 0.5)
    found = machine.rates(torch.float32, args)
    assert found["matrices of 16 x 16"] == 2 * 16**3 / 0.5 / 1e9
    # Multiply-adds of the layer, as tools/analyze_model.py counts them, twice a half second.
    assert found["3x3, 256 channels, 200x336 (p2)"] == 4 * 256 * 256 * 9 * 200 * 336 / 1e9
    copied = machine.bandwidth(args)["read and write (copy)"]
    assert copied == 2 * 2 * 2**20 / 1e9


def test_slow_cases_are_not_repeated(benchmark, monkeypatch):
    machine = benchmark("machine")
    args = argparse.Namespace(repeats=5, device="cpu")
    for step, calls in ((0.1, 6), (1.0, 2)):
        clock, done = itertools.count(0, step), []
        monkeypatch.setattr(machine.time, "perf_counter", clock.__next__)
        assert machine.fastest(lambda done=done: done.append(1), args) == pytest.approx(step)
        assert len(done) == calls


def test_the_first_time_does_not_count(benchmark, monkeypatch):
    machine = benchmark("machine")
    clock = iter([0.0, 0.1, 1.0, 1.5, 2.0, 2.4])
    monkeypatch.setattr(machine.time, "perf_counter", clock.__next__)
    args = argparse.Namespace(repeats=2, device="cpu")
    assert machine.fastest(lambda: None, args) == pytest.approx(0.4)
