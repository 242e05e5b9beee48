"""DepthHead: corrects the equivalent initial depth of a RoI (eq. 15 to 17)."""

import torch
from detectron2.config import configurable
from detectron2.layers import ShapeSpec
from detectron2.utils.registry import Registry
from torch import nn
from torch.nn import functional as F

from ..losses import refined_depth_l1_loss
from .residual_blocks import build_residual_blocks

__all__ = ["DEPTH_HEAD_REGISTRY", "ResidualDepthHead", "build_depth_head"]

DEPTH_HEAD_REGISTRY = Registry("DEPTH_HEAD")
DEPTH_HEAD_REGISTRY.__doc__ = """
Registry for depth heads.  The registered object is called with ``obj(cfg, input_shape)``.  It maps
(N, C, H, W) RoI features and (N,) equivalent initial depths in mm to (N,) residuals in mm, and
has ``losses``.
"""


def build_depth_head(cfg, input_shape: ShapeSpec) -> nn.Module:
    """Build the head named by ``cfg.MODEL.ROI_DEPTH_HEAD.NAME``."""
    return DEPTH_HEAD_REGISTRY.get(cfg.MODEL.ROI_DEPTH_HEAD.NAME)(cfg, input_shape)


@DEPTH_HEAD_REGISTRY.register()
class ResidualDepthHead(nn.Module):
    """Residual blocks, average pooling, the initial depth concatenated, two linear layers."""

    @configurable
    def __init__(
        self,
        input_shape: ShapeSpec,
        *,
        num_blocks: int,
        block_dim: int,
        fc_dim: int,
        norm: str,
        unit_mm: float,
        loss_weight: float,
    ):
        """
        Args:
            input_shape: channels of the RoI features.
            num_blocks, block_dim: residual blocks and the width of their 3x3 convolutions.
            fc_dim: neurons of the hidden linear layer.
            norm: see ``detectron2.layers.get_norm``.
            unit_mm: equivalent depths are divided by this inside the head and its loss.
            loss_weight: weight of L_refine.
        """
        super().__init__()
        channels = input_shape.channels
        self.unit_mm = unit_mm
        self.loss_weight = loss_weight
        self.blocks = build_residual_blocks(channels, num_blocks, block_dim, norm)
        self.fc = nn.Linear(channels + 1, fc_dim)
        self.predictor = nn.Linear(fc_dim, 1)
        nn.init.kaiming_normal_(self.fc.weight, nonlinearity="relu")
        nn.init.zeros_(self.fc.bias)
        # The untrained head leaves the initial depth as it is.
        nn.init.normal_(self.predictor.weight, std=0.001)
        nn.init.zeros_(self.predictor.bias)

    @classmethod
    def from_config(cls, cfg, input_shape):
        head = cfg.MODEL.ROI_DEPTH_HEAD
        return {
            "input_shape": input_shape,
            "num_blocks": head.NUM_BLOCKS,
            "block_dim": head.BLOCK_DIM,
            "fc_dim": head.FC_DIM,
            "norm": head.NORM,
            "unit_mm": head.UNIT_MM,
            "loss_weight": head.LOSS_WEIGHT,
        }

    def forward(self, x: torch.Tensor, initial: torch.Tensor) -> torch.Tensor:
        """Predict the residual of the equivalent depth.

        Args:
            x: (N, C, H, W) RoI features.
            initial: (N,) equivalent initial depths, mm (eq. 15).

        Returns:
            (N,) residuals in mm, float32; add them to ``initial`` for the refined depth.
        """
        pooled = self.blocks(x).mean(dim=(2, 3))
        pooled = torch.cat((pooled, (initial / self.unit_mm).unsqueeze(1).to(pooled)), dim=1)
        return self.predictor(F.relu(self.fc(pooled))).squeeze(1).float() * self.unit_mm

    def losses(
        self,
        residual: torch.Tensor,
        initial: torch.Tensor,
        target: torch.Tensor,
        valid: torch.Tensor,
    ) -> dict[str, torch.Tensor]:
        """L_refine, a mean over the people of all processes.

        Arguments in mm as in ``losses.refined_depth_l1_loss``.
        """
        loss = refined_depth_l1_loss(residual, initial, target, valid, across_processes=True)
        return {"loss_depth_refine": self.loss_weight * loss / self.unit_mm}
