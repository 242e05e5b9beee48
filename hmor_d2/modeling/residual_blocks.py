"""The residual blocks at the start of the pose and depth heads."""

from detectron2.modeling.backbone.resnet import BottleneckBlock
from torch import nn

__all__ = ["build_residual_blocks"]


def build_residual_blocks(channels: int, num_blocks: int, block_dim: int, norm: str) -> nn.Module:
    """ResNet bottlenecks (N, channels, H, W) -> the same shape.

    Args:
        channels: in and out.
        num_blocks: how many.
        block_dim: width of their 3x3 convolutions.
        norm: see ``detectron2.layers.get_norm``.
    """
    blocks = (
        BottleneckBlock(channels, channels, bottleneck_channels=block_dim, norm=norm)
        for _ in range(num_blocks)
    )
    return nn.Sequential(*blocks)
