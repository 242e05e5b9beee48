"""A small model on the packaged backbone."""

import pytest
import torch
from detectron2.checkpoint import DetectionCheckpointer
from detectron2.config import get_cfg
from detectron2.modeling import build_model

from hmor_d2 import add_hmor_config
from tests.modeling.thin import make_thin


@pytest.fixture
def small_cfg():
    """The compact config, thinner still."""
    cfg = get_cfg()
    add_hmor_config(cfg)
    cfg.merge_from_file("configs/Base-HMOR-RCNN-R50-half-FPN.yaml")
    cfg.MODEL.DEVICE = "cpu"
    cfg.MODEL.WEIGHTS = "hmor_d2://resnet50_half_width.pth"
    make_thin(cfg)
    cfg.MODEL.ROI_HEADS.BATCH_SIZE_PER_IMAGE = 32
    cfg.MODEL.RPN.POST_NMS_TOPK_TRAIN = 100
    cfg.MODEL.RPN.POST_NMS_TOPK_TEST = 30
    return cfg


@pytest.fixture
def small_model(small_cfg):
    torch.manual_seed(0)
    model = build_model(small_cfg)
    DetectionCheckpointer(model).load(small_cfg.MODEL.WEIGHTS)
    return model
