"""tools/analyze_model.py: counts against layers counted by hand, and the columns of Table 5."""

import importlib
from pathlib import Path

import pytest
import torch
from detectron2.config import get_cfg

from hmor_d2 import add_hmor_config

ROOT = Path(__file__).parents[1]
CONFIG = "configs/toy/hmor_rcnn_R_50_half_FPN_toy.yaml"


@pytest.fixture
def analyze_model(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    return importlib.import_module("analyze_model")


@pytest.fixture
def cfg():
    cfg = get_cfg()
    add_hmor_config(cfg)
    cfg.merge_from_file(str(ROOT / CONFIG))
    return cfg


def test_table_5(analyze_model, cfg):
    rows = analyze_model.table_5(cfg, 96, 128, [1, 3])
    assert [row[:2] for row in rows[:4]] == [
        ("ours", 1), ("ours", 3), ("crop-based route", 1), ("crop-based route", 3),
    ]  # fmt: skip
    one, three, crop_one, crop_three = (row[3] for row in rows[:4])
    parts = {name: count for name, _, count in analyze_model.analyze(cfg, 96, 128, 1)}
    total = parts.pop("total")
    assert total == pytest.approx(sum(parts.values())) == pytest.approx(one)
    # A person more costs the pose and depth heads alone, or the two networks on its crop.
    assert three - one == pytest.approx(2 * (parts["PoseHead"] + parts["DepthHead"]), rel=1e-3)
    assert rows[0][2] == rows[1][2] and rows[2][2] == rows[3][2] > rows[0][2]
    # ResNet-50 is 4.09 GMAC at 224x224, so 5.34 at 256x256, and runs twice; without its classifier.
    person = (crop_three - crop_one) / 2
    deconvolutions = 16 * 256 * (2048 * 16**2 + 256 * 32**2 + 256 * 64**2) / 4
    predictor = 256 * 17 * 64 * 64**2
    norms = 2 * 256 * (16**2 + 32**2 + 64**2)
    expected = 2 * 5.34e9 + deconvolutions + predictor + norms
    assert person == pytest.approx(expected / 1e9, rel=0.02)
    assert rows[4:] == [
        ("the paper: Moon et al.", None, 167.7, 547.8),
        ("the paper: HMOR", None, 45.0, 320.2),
    ]


def test_parameters_of_the_crop_route(analyze_model):
    """Those of ResNet-50 (25.56 M, of which the classifier 2.05 M) twice, and what stands on it."""
    from benchmarks.rivals import PoseNet, RootDepthNet

    trunk = 25_557_032 - 2048 * 1000 - 1000
    deconvolutions = 16 * 256 * (2048 + 256 + 256) + 3 * 2 * 256
    count = [sum(p.numel() for p in net.parameters()) for net in (RootDepthNet(), PoseNet(17))]
    assert count == [trunk + 2048 + 1, trunk + deconvolutions + (256 + 1) * 17 * 64]


def test_counts_of_a_layer(analyze_model):
    layer = torch.nn.Conv2d(3, 8, 3, padding=1, bias=False)
    counted = analyze_model._operations(layer, torch.zeros(1, 3, 10, 20))
    assert counted == pytest.approx(3 * 8 * 9 * 10 * 20 / 1e9)


def test_printed(analyze_model, capsys):
    options = ["--config-file", str(ROOT / CONFIG), "--height", "96", "--width", "128"]
    analyze_model.main([*options, "--people", "2"])
    printed = capsys.readouterr().out
    assert "128x96, 2 people" in printed and "DepthHead" in printed and "total" in printed
    with pytest.raises(SystemExit):
        analyze_model.main([*options, "--people", "0"])
