"""The benchmarks' modules, and rivals so small that tests need not wait for them."""

import argparse
import importlib
from pathlib import Path

import pytest
import torch
from detectron2 import model_zoo
from torchvision.models import resnet50

from tests.modeling.conftest import small_cfg  # noqa: F401  a fixture


@pytest.fixture
def benchmark(monkeypatch):
    """Imports a module of tools/benchmarks by name; its run(args) is called with command lines."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "tools"))
    threads = torch.get_num_threads()
    yield lambda name: importlib.import_module(f"benchmarks.{name}")
    torch.set_num_threads(threads)


@pytest.fixture
def run_benchmark(benchmark):
    """run_benchmark(name, *options) runs a command of tools/benchmark.py."""

    def run(name, *options):
        module, parser = benchmark(name), argparse.ArgumentParser()
        module.add_arguments(parser)
        module.run(parser.parse_args([*options]))

    return run


@pytest.fixture
def small_rivals(benchmark, monkeypatch):
    """Detectron2's models and ResNet-50 with a few channels."""
    rivals = benchmark("rivals")

    def config(name):
        cfg = model_zoo.get_config(name)
        cfg.MODEL.RESNETS.WIDTH_PER_GROUP = cfg.MODEL.RESNETS.STEM_OUT_CHANNELS = 8
        cfg.MODEL.RESNETS.RES2_OUT_CHANNELS = cfg.MODEL.FPN.OUT_CHANNELS = 16
        cfg.MODEL.ROI_BOX_HEAD.FC_DIM = 32
        cfg.MODEL.ROI_KEYPOINT_HEAD.CONV_DIMS = (16,)
        cfg.MODEL.RPN.POST_NMS_TOPK_TEST = 20
        cfg.MODEL.PIXEL_STD = [57.375, 57.12, 58.395]
        return cfg

    monkeypatch.setattr(rivals, "_stock_config", config)
    monkeypatch.setattr(rivals, "resnet50", lambda: resnet50(width_per_group=2))
    monkeypatch.setattr(rivals, "CROP", 64)


@pytest.fixture
def config_file(small_cfg, tmp_path):  # noqa: F811
    path = tmp_path / "config.yaml"
    small_cfg.MODEL.RPN.POST_NMS_TOPK_TRAIN = 40
    small_cfg.MODEL.ROI_HEADS.BATCH_SIZE_PER_IMAGE = 128
    path.write_text(small_cfg.dump())
    return str(path)
