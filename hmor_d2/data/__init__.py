"""Dataset loaders, registration, the mapper and the training loader."""

from . import builtin  # registers the paper's datasets
from .build import build_hmor_train_loader
from .dataset_error import DatasetError
from .dataset_mapper import HMORDatasetMapper
from .registration import (
    register_coco_keypoints,
    register_custom_datasets,
    register_human36m,
    register_muco,
    register_mupots,
    register_mupots_json,
    register_panoptic,
    register_panoptic_records,
    register_threedpw,
)

__all__ = [
    "DatasetError",
    "HMORDatasetMapper",
    "build_hmor_train_loader",
    "builtin",
    "register_coco_keypoints",
    "register_custom_datasets",
    "register_human36m",
    "register_muco",
    "register_mupots",
    "register_mupots_json",
    "register_panoptic",
    "register_panoptic_records",
    "register_threedpw",
]
