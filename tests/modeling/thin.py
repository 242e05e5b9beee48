"""Models thinner than the compact one, for tests."""

from detectron2.config import CfgNode

__all__ = ["make_thin"]


def make_thin(cfg: CfgNode) -> None:
    """Fewer channels everywhere but in the backbone, in place."""
    cfg.MODEL.FPN.OUT_CHANNELS = 32
    cfg.MODEL.ROI_BOX_HEAD.FC_DIM = 64
    cfg.MODEL.ROI_POSE_HEAD.BLOCK_DIM = cfg.MODEL.ROI_DEPTH_HEAD.BLOCK_DIM = 16
    cfg.MODEL.ROI_POSE_HEAD.DECONV_DIM = 32
    cfg.MODEL.DEPTH_MAP_HEAD.CONV_DIM = 32
