"""The demo's scripts as modules, and a model small enough to run them with.

demo/ is no package: its scripts find each other on the path.
"""

import sys
from pathlib import Path

import torch
from detectron2.config import get_cfg

from hmor_d2 import add_hmor_config

ROOT = Path(__file__).parents[2]
if str(ROOT / "demo") not in sys.path:
    sys.path.append(str(ROOT / "demo"))


def write_tiny_config(path: Path) -> Path:
    """The compact model, thinner still, with random weights in its heads."""
    torch.manual_seed(0)
    cfg = get_cfg()
    add_hmor_config(cfg)
    cfg.merge_from_file(str(ROOT / "configs" / "Base-HMOR-RCNN-R50-half-FPN.yaml"))
    cfg.MODEL.DEVICE = "cpu"
    cfg.MODEL.WEIGHTS = "hmor_d2://resnet50_half_width.pth"
    cfg.MODEL.FPN.OUT_CHANNELS = 32
    cfg.MODEL.ROI_BOX_HEAD.FC_DIM = 32
    cfg.MODEL.ROI_POSE_HEAD.BLOCK_DIM = cfg.MODEL.ROI_DEPTH_HEAD.BLOCK_DIM = 16
    cfg.MODEL.ROI_POSE_HEAD.DECONV_DIM = 32
    cfg.MODEL.DEPTH_MAP_HEAD.CONV_DIM = 32
    cfg.MODEL.ROI_DEPTH_HEAD.REFINE = False  # an untrained one puts people into the camera
    cfg.MODEL.RPN.POST_NMS_TOPK_TEST = 100
    cfg.TEST.DETECTIONS_PER_IMAGE = 4
    cfg.INPUT.MIN_SIZE_TEST = 128
    path.write_text(cfg.dump())
    return path
