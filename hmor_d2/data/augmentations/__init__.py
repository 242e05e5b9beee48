"""Training augmentations against the gap between synthetic pictures and photographs.

Colours and image quality, occluders, and a zooming crop of fixed size.  They are Detectron2
augmentations of uint8 images with three channels in either order, and draw from ``np.random``.
"""

from detectron2.data import detection_utils as utils
from detectron2.data import transforms as T

from .occluders import OccludersTransform, RandomOccluders
from .photometric import PhotometricTransform, RandomPhotometric
from .zoom_crop import RandomZoomCrop, ZoomCropTransform

__all__ = [
    "OccludersTransform",
    "PhotometricTransform",
    "RandomOccluders",
    "RandomPhotometric",
    "RandomZoomCrop",
    "ZoomCropTransform",
    "build_augmentations",
]


def build_augmentations(cfg, is_train: bool) -> list[T.Augmentation]:
    """Detectron2's augmentations and, in training, those that cfg.INPUT enables.

    In order: occluders, INPUT.CROP, the zoom crop (in place of the resize) or the resize, the
    flip, colours and image quality.
    """
    augmentations = utils.build_augmentation(cfg, is_train)
    if not is_train:
        return augmentations
    if cfg.INPUT.ZOOM_CROP.ENABLED:
        options = _options(cfg.INPUT.ZOOM_CROP)
        augmentations[0] = RandomZoomCrop(**options, pad_value=cfg.MODEL.PIXEL_MEAN)
    if cfg.INPUT.CROP.ENABLED:
        augmentations.insert(0, T.RandomCrop(cfg.INPUT.CROP.TYPE, cfg.INPUT.CROP.SIZE))
    if cfg.INPUT.OCCLUDERS.ENABLED:
        augmentations.insert(0, RandomOccluders(**_options(cfg.INPUT.OCCLUDERS)))
    if cfg.INPUT.PHOTOMETRIC.ENABLED:
        augmentations.append(RandomPhotometric(**_options(cfg.INPUT.PHOTOMETRIC)))
    return augmentations


def _options(node) -> dict:
    return {key.lower(): value for key, value in node.items() if key != "ENABLED"}
