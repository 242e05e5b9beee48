"""The global depth map: a dense branch on the FPN that initialises root depths (eq. 12, 13)."""

import torch
from detectron2.config import configurable
from detectron2.layers import Conv2d, ShapeSpec, get_norm
from detectron2.utils.registry import Registry
from torch import nn
from torch.nn import functional as F

from ..losses import depth_map_l1_loss, depth_map_targets
from ..structures import DepthMap

__all__ = [
    "DEPTH_MAP_HEAD_REGISTRY",
    "FPNDepthMapHead",
    "build_depth_map_head",
]

DEPTH_MAP_HEAD_REGISTRY = Registry("DEPTH_MAP_HEAD")
DEPTH_MAP_HEAD_REGISTRY.__doc__ = """
Registry for depth-map heads.  The registered object is called with ``obj(cfg, input_shape)``,
``input_shape`` a dict of :class:`ShapeSpec` by feature name.  It maps a dict of features to a
:class:`DepthMap`, and has ``losses``.
"""


def build_depth_map_head(cfg, input_shape: dict[str, ShapeSpec]) -> nn.Module:
    """Build the head named by ``cfg.MODEL.DEPTH_MAP_HEAD.NAME``."""
    return DEPTH_MAP_HEAD_REGISTRY.get(cfg.MODEL.DEPTH_MAP_HEAD.NAME)(cfg, input_shape)


@DEPTH_MAP_HEAD_REGISTRY.register()
class FPNDepthMapHead(nn.Module):
    """Sums FPN levels at the finest of them, then convolutions to one channel."""

    @configurable
    def __init__(
        self,
        input_shape: dict[str, ShapeSpec],
        *,
        conv_dim: int,
        num_conv: int,
        norm: str,
        prior: float,
        target_radius: int,
        loss_weight: float,
    ):
        """
        Args:
            input_shape: channels and stride of the levels to sum.
            conv_dim: channels of the convolutions.
            num_conv: 3x3 convolutions after the sum.
            norm: their normalisation, see ``detectron2.layers.get_norm``.
            prior: the map's value before training, mm per pixel.
            target_radius: see ``losses.depth_map_targets``.
            loss_weight: weight of L_init.
        """
        super().__init__()
        self.in_features = sorted(input_shape, key=lambda name: input_shape[name].stride)
        self.stride = input_shape[self.in_features[0]].stride
        self.target_radius = target_radius
        self.loss_weight = loss_weight

        def conv(in_channels, kernel_size):
            return Conv2d(
                in_channels,
                conv_dim,
                kernel_size=kernel_size,
                padding=kernel_size // 2,
                bias=norm == "",
                norm=get_norm(norm, conv_dim),
                activation=F.relu,
            )

        self.laterals = nn.ModuleList(conv(input_shape[f].channels, 1) for f in self.in_features)
        self.convs = nn.Sequential(*(conv(conv_dim, 3) for _ in range(num_conv)))
        self.predictor = Conv2d(conv_dim, 1, kernel_size=1)
        for layer in (*self.laterals, *self.convs):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
        nn.init.normal_(self.predictor.weight, std=0.001)
        nn.init.constant_(self.predictor.bias, prior)

    @classmethod
    def from_config(cls, cfg, input_shape):
        head = cfg.MODEL.DEPTH_MAP_HEAD
        return {
            "input_shape": {name: input_shape[name] for name in head.IN_FEATURES},
            "conv_dim": head.CONV_DIM,
            "num_conv": head.NUM_CONV,
            "norm": head.NORM,
            "prior": head.PRIOR,
            "target_radius": head.TARGET_RADIUS,
            "loss_weight": head.LOSS_WEIGHT,
        }

    def forward(self, features: dict[str, torch.Tensor]) -> DepthMap:
        """Return the map of normalised root depth, mm per pixel, in float32."""
        finest, *coarser = (
            lateral(features[name])
            for name, lateral in zip(self.in_features, self.laterals, strict=True)
        )
        for level in coarser:
            finest = finest + F.interpolate(
                level, size=finest.shape[-2:], mode="bilinear", align_corners=False
            )
        return DepthMap(self.predictor(self.convs(finest)).squeeze(1).float(), self.stride)

    def losses(
        self,
        depth_map: DepthMap,
        roots: torch.Tensor,
        depths: torch.Tensor,
        image_index: torch.Tensor,
    ) -> dict[str, torch.Tensor]:
        """L_init, a mean over the cells of all processes.

        Args:
            depth_map: the output of :meth:`forward`.
            roots: (N, 2) root joints in pixels of the people whose depth is known.
            depths: (N,) their normalised depths, eq. 12.
            image_index: (N,) their images.
        """
        values = depth_map.tensor
        target = depth_map_targets(
            roots, depths, image_index, tuple(values.shape), depth_map.stride, self.target_radius
        )
        loss = depth_map_l1_loss(values, target, across_processes=True)
        return {"loss_depth_init": self.loss_weight * loss}
