"""Configs, options of each augmentation, and pictures for the tests of augmentations."""

import numpy as np
from detectron2.config import get_cfg

from hmor_d2 import add_hmor_config
from tests.data.test_dataset_mapper import HEIGHT, WIDTH

NODES = ("PHOTOMETRIC", "OCCLUDERS", "ZOOM_CROP")


def make_cfg(*enabled):
    cfg = get_cfg()
    add_hmor_config(cfg)
    cfg.INPUT.ZOOM_CROP.SIZE = (96, 64)
    for name in enabled:
        cfg.INPUT[name].ENABLED = True
    return cfg


def options(name, **changes):
    node = make_cfg().INPUT[name]
    return {key.lower(): value for key, value in node.items() if key != "ENABLED"} | changes


def random_image(height=HEIGHT, width=WIDTH, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
