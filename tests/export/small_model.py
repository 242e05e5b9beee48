"""A random model that finds people in dark pictures and nobody in the exporter's example."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from detectron2.config import CfgNode, get_cfg
from detectron2.modeling import build_model
from torch import nn

from hmor_d2 import add_hmor_config
from hmor_d2.checkpoint import HMORCheckpointer
from hmor_d2.export import example_inputs
from tests.export.tool import load_tool
from tests.modeling.test_inference import draw_statistics
from tests.modeling.thin import make_thin

__all__ = ["SmallModel", "detect", "make_small_model", "picture", "run_tool"]


class SmallModel(NamedTuple):
    """A config file that names weights, the config, and the model as it was trained."""

    config_file: Path
    cfg: CfgNode
    model: nn.Module


def make_small_model(folder: Path) -> SmallModel:
    """The model to be shipped, thinner, with heads whose answers differ from person to person."""
    cfg = get_cfg()
    add_hmor_config(cfg)
    cfg.merge_from_file("configs/synthetic/hmor_rcnn_R_50_half_FPN.yaml")
    make_thin(cfg)
    cfg.MODEL.ROI_HEADS.SCORE_THRESH_TEST = 0.0
    cfg.TEST.DETECTIONS_PER_IMAGE = 50
    cfg.INPUT.MIN_SIZE_TEST, cfg.INPUT.MAX_SIZE_TEST = 128, 224
    assert cfg.MODEL.CHANNELS_LAST  # its RoIAlign cannot be exported
    torch.manual_seed(0)
    plain = cfg.clone()
    plain.MODEL.CHANNELS_LAST = False
    model = build_model(plain).eval()
    HMORCheckpointer(model).load("hmor_d2://resnet50_half_width.pth")
    generator = torch.Generator().manual_seed(3)
    draw_statistics(model, generator)
    heads = model.roi_heads
    for predictor, std in (
        (heads.pose_head.predictor, 0.02),
        (heads.depth_head.predictor, 1e-5),
        (model.depth_map_head.predictor, 0.1),
        (heads.box_predictor.cls_score, 0.1),
    ):
        predictor.weight.data.normal_(std=std, generator=generator)
    return _with_threshold(folder, cfg, model)


def _with_threshold(folder: Path, cfg: CfgNode, model: nn.Module) -> SmallModel:
    """Choose the score threshold above what the exporter's example gets."""
    heads = model.roi_heads
    image, _ = example_inputs()
    scores = detect(model, image, None).scores
    dark = detect(model, picture(160, 128, 0), None).scores
    if dark.median() < scores.max():  # other way round: background is the second of two classes
        with torch.no_grad():
            heads.box_predictor.cls_score.weight.neg_()
        scores = detect(model, image, None).scores
    threshold = float(scores.max()) + 1e-3
    heads.box_predictor.test_score_thresh = threshold
    cfg.MODEL.ROI_HEADS.SCORE_THRESH_TEST = threshold
    cfg.MODEL.WEIGHTS = str(folder / "model.pth")
    torch.save({"model": model.state_dict()}, cfg.MODEL.WEIGHTS)
    config_file = folder / "config.yaml"
    config_file.write_text(cfg.dump())
    return SmallModel(config_file, cfg, model)


def picture(height: int, width: int, seed: int) -> torch.Tensor:
    """(3, H, W) uint8: dark blocks."""
    blocks = np.random.default_rng(seed).integers(0, 40, (3, height // 16 + 1, width // 16 + 1))
    pixels = blocks.repeat(16, axis=1).repeat(16, axis=2)[:, :height, :width]
    return torch.from_numpy(np.ascontiguousarray(pixels.astype(np.uint8)))


def detect(model: nn.Module, image: torch.Tensor, intrinsics: torch.Tensor | None):
    """The model's own answer for one image, in its pixels."""
    with torch.no_grad():
        inputs = [{"image": image, "intrinsics": intrinsics}]
        return model.inference(inputs, do_postprocess=False)[0]


def run_tool(small: SmallModel, *arguments) -> int:
    """tools/export_model.py with the model; paths come first, options after them."""
    command = ["--config-file", small.config_file, "--output", *arguments]
    return load_tool().main([str(argument) for argument in command])
