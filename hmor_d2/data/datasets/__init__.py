"""One loader a dataset format; each returns Detectron2 dataset dicts."""

from .coco import load_coco_keypoints
from .human36m import HUMAN36M_SPLITS, load_human36m
from .muco import load_muco_json
from .mupots import load_mupots, load_mupots_json
from .panoptic import load_panoptic
from .panoptic_records import load_panoptic_records
from .threedpw import load_threedpw

__all__ = [
    "HUMAN36M_SPLITS",
    "load_coco_keypoints",
    "load_human36m",
    "load_muco_json",
    "load_mupots",
    "load_mupots_json",
    "load_panoptic",
    "load_panoptic_records",
    "load_threedpw",
]
