"""tools/benchmark.py inference, on a small picture."""

import argparse
import json
from pathlib import Path

import pytest
import torch
from detectron2.modeling import build_model
from detectron2.structures import Boxes

from tests.modeling.scenes import make_input


@pytest.fixture
def benchmark(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "tools"))
    from benchmarks import inference

    return inference


def test_all_are_timed_with_the_people_asked_for(benchmark, small_cfg, tmp_path, capsys):
    config, output = tmp_path / "config.yaml", tmp_path / "figures.json"
    config.write_text(small_cfg.dump())
    parser = argparse.ArgumentParser()
    benchmark.add_arguments(parser)
    options = ["--people", "1", "3", "--size", "96x64", "--repeats", "2", "--cpu-time"]
    arguments = [*options, "--config-file", str(config), "--output", str(output)]
    threads = torch.get_num_threads()
    try:
        benchmark.run(parser.parse_args([*arguments, "--threads", "1"]))
    finally:
        torch.set_num_threads(threads)
    printed = capsys.readouterr().out
    assert "96x64, processor time" in printed and "Keypoint R-CNN" in printed
    figures = json.loads(output.read_text())
    assert [row["people"] for row in figures["rows"]] == [1, 3]
    for row in figures["rows"]:
        assert list(row["seconds"]) == ["ours", "plain", "Keypoint R-CNN", "crops"]
        assert row["times_ours"]["ours"] == {"median": 1.0, "quartiles": [1.0, 1.0]}
        for times in (*row["seconds"].values(), *row["times_ours"].values()):
            low, high = times["quartiles"]
            assert 0 < low <= times["median"] <= high
    # Two ResNet-50 on three crops take longer than one compact model on a small picture.
    assert figures["rows"][1]["times_ours"]["crops"]["median"] > 1


def test_people_and_proposals_are_fixed_only_while_asked_for(benchmark, small_cfg):
    model = build_model(small_cfg).eval()
    picture = make_input(64, 96, 0)
    picture.pop("instances")
    people = Boxes(torch.tensor([[10.0, 5, 30, 60], [40.0, 5, 70, 50]]))
    seen = []
    hook = model.roi_heads.box_head.register_forward_hook(lambda m, x, y: seen.append(len(y)))
    with torch.no_grad():
        with benchmark.FixedPeople(model, people):
            found = model([dict(picture)])[0]["instances"]
        model([dict(picture)])
        hook.remove()
    assert torch.equal(found.pred_boxes.tensor, people.tensor)
    assert seen[0] == small_cfg.MODEL.RPN.POST_NMS_TOPK_TEST
    assert "_forward_box" not in vars(model.roi_heads)
    assert not model.proposal_generator._forward_hooks


@pytest.mark.parametrize("size", ["800", "1333x", "0x10", "axb"])
def test_a_size_that_is_none_is_refused(benchmark, size):
    with pytest.raises(argparse.ArgumentTypeError, match="found"):
        benchmark.image_size(size)


def test_processor_time_of_several_threads_is_refused(benchmark):
    parser = argparse.ArgumentParser()
    benchmark.add_arguments(parser)
    with pytest.raises(SystemExit, match="--threads 1"):
        benchmark.run(parser.parse_args(["--cpu-time", "--threads", "2"]))
