"""Dataset loaders, registration, the mapper and the training loader."""

from .annotations import DatasetError
from .build import build_hmor_train_loader
from .builtin import (
    register_coco_keypoints,
    register_custom_datasets,
    register_muco,
    register_panoptic,
)
from .dataset_mapper import HMORDatasetMapper

__all__ = [
    "DatasetError",
    "HMORDatasetMapper",
    "build_hmor_train_loader",
    "register_coco_keypoints",
    "register_custom_datasets",
    "register_muco",
    "register_panoptic",
]
