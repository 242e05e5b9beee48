"""Time of a training step of the full model, on random pictures of people."""

import time

import torch
from detectron2.config import get_cfg
from detectron2.modeling import build_model
from detectron2.utils.events import EventStorage

from benchmarks.training_scenes import make_training_input
from hmor_d2 import add_hmor_config

CONFIG = "configs/muco_coco/hmor_rcnn_R_50_FPN.yaml"


def training_step_seconds(
    num_people: int, device: str, size: tuple[int, int] = (800, 1333)
) -> float:
    """Seconds of forward and backward on one image, after one step to warm up.

    Args:
        num_people: annotated people in the image.
        device: where the model runs.
        size: (height, width) of the image in pixels.
    """
    cfg = get_cfg()
    add_hmor_config(cfg)
    cfg.merge_from_file(CONFIG)
    cfg.MODEL.DEVICE = device
    model = build_model(cfg)
    batch = [make_training_input(size, num_people, model.skeleton.num_joints)]
    seconds = 0.0
    for _ in range(2):
        start = time.perf_counter()
        with EventStorage():
            sum(model(batch).values()).backward()
        if device != "cpu":
            torch.cuda.synchronize()
        seconds = time.perf_counter() - start
    return seconds
