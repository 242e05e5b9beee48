"""One loader a dataset format; each returns Detectron2 dataset dicts."""

from .coco import load_coco_keypoints
from .muco import load_muco_json
from .panoptic import load_panoptic

__all__ = ["load_coco_keypoints", "load_muco_json", "load_panoptic"]
