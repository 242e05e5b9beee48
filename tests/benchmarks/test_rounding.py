"""tools/benchmark.py rounding."""

import json

import pytest
import torch
from detectron2.structures import Boxes, Instances

PICTURE = "demo/photographs/skier.jpg"


@pytest.fixture
def rounding(benchmark):
    return benchmark("rounding")


def test_every_part_has_layers_of_its_own_that_are_rounded(rounding):
    from hmor_d2 import model_zoo

    model = model_zoo.get("synthetic/hmor_rcnn_R_50_half_FPN", device="cpu").eval()
    for beginnings in rounding.PARTS.values():
        changed = rounding.in_bfloat16(model, beginnings)
        names = [
            name.rpartition(".")[0]
            for name, parameter in changed.named_parameters()
            if parameter.dtype == torch.bfloat16
        ]
        assert names and all(name.startswith(tuple(beginnings)) for name in names)
    assert all(parameter.dtype == torch.float32 for parameter in model.parameters())


def test_figures_are_printed_and_written(run_benchmark, rounding, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(rounding, "PARTS", {"box head": rounding.PARTS["box head"]})
    output = tmp_path / "figures.json"
    run_benchmark("rounding", "--input", PICTURE, "--json", str(output))
    figures = json.loads(output.read_text())
    assert list(figures) == ["optimize_for_inference", "box head"]
    for row in figures.values():
        assert row["found"] == 1 and 0 < row["moved_mm"] < 5
    assert " people in 1 pictures" in capsys.readouterr().out


def make_people(poses, boxes):
    people = Instances((100, 100))
    people.pred_boxes = Boxes(torch.tensor(boxes))
    people.scores = torch.full((len(boxes),), 0.9)
    people.pred_keypoints_cam = torch.tensor(poses)
    return people


def test_who_is_compared(rounding):
    class Model:
        class skeleton:
            root_index = 1

    near, far = [0.0, 0.0, 50.0, 50.0], [60.0, 60.0, 100.0, 100.0]
    before = make_people([[[0.0, 0, 1000], [0, 0, 2000]]] * 2, [near, far])
    after = make_people([[[3.0, 0, 1004], [0, 0, 2010]]], [near])
    found = rounding.compare([before], [after], Model, 0.3)
    assert found["found"] == 0.5
    assert found["moved_mm"] == pytest.approx((5 + 10) / 2)
    assert found["moved_to_root_mm"] == pytest.approx((3**2 + 6**2) ** 0.5 / 2)
