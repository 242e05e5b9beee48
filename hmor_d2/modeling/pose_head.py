"""PoseHead: 3D heatmaps of a RoI, and the joints' places in them (the paper's section 3.3)."""

import torch
from detectron2.config import configurable
from detectron2.layers import Conv2d, ConvTranspose2d, ShapeSpec, get_norm
from detectron2.utils.registry import Registry
from torch import nn
from torch.nn import functional as F

from ..losses import marginal_loss, relative_pose_l1_loss
from ..skeleton import get_skeleton
from .residual_blocks import build_residual_blocks
from .soft_argmax import PosePrediction, soft_argmax_3d

__all__ = [
    "POSE_HEAD_REGISTRY",
    "HeatmapPoseHead",
    "build_pose_head",
]

# At test on a CPU: heatmaps of more people do not fit into its caches (1.5 MB a person).
_PEOPLE_AT_ONCE = 2

POSE_HEAD_REGISTRY = Registry("POSE_HEAD")
POSE_HEAD_REGISTRY.__doc__ = """
Registry for pose heads.  The registered object is called with ``obj(cfg, input_shape)``.  It maps
(N, C, H, W) RoI features to a PosePrediction, and has ``losses`` of it.
"""


def build_pose_head(cfg, input_shape: ShapeSpec) -> nn.Module:
    """Build the head named by ``cfg.MODEL.ROI_POSE_HEAD.NAME``."""
    return POSE_HEAD_REGISTRY.get(cfg.MODEL.ROI_POSE_HEAD.NAME)(cfg, input_shape)


@POSE_HEAD_REGISTRY.register()
class HeatmapPoseHead(nn.Module):
    """Residual blocks, a transposed convolution, norm, ReLU and a 1x1 convolution."""

    @configurable
    def __init__(
        self,
        input_shape: ShapeSpec,
        *,
        num_joints: int,
        num_blocks: int,
        block_dim: int,
        deconv_dim: int,
        depth_bins: int,
        norm: str,
        logit_scale: float,
        loss_weight: float,
        marginal_loss_weight: float = 0.0,
        test_peak_sigma: float = 0.0,
    ):
        """
        Args:
            input_shape: channels of the RoI features.
            num_joints: J.
            num_blocks, block_dim: residual blocks and the width of their 3x3 convolutions.
            deconv_dim: channels after the transposed convolution, which doubles the resolution.
            depth_bins: D, heatmap bins along depth.
            norm: see ``detectron2.layers.get_norm``.
            logit_scale: factor from the last convolution's output to the heatmaps' logits.
            loss_weight: weight of L_pose.
            marginal_loss_weight: weight of the loss on the heatmaps' marginals; 0 for none.
            test_peak_sigma: at test, see :func:`soft_argmax_3d`.
        """
        super().__init__()
        channels = input_shape.channels
        self.num_joints = num_joints
        self.depth_bins = depth_bins
        self.logit_scale = logit_scale
        self.loss_weight = loss_weight
        self.marginal_loss_weight = marginal_loss_weight
        self.test_peak_sigma = test_peak_sigma
        self.blocks = build_residual_blocks(channels, num_blocks, block_dim, norm)
        self.deconv = ConvTranspose2d(
            channels, deconv_dim, kernel_size=4, stride=2, padding=1, bias=norm == ""
        )
        self.deconv_norm = get_norm(norm, deconv_dim) or nn.Identity()
        self.predictor = Conv2d(deconv_dim, num_joints * depth_bins, kernel_size=1)
        nn.init.kaiming_normal_(self.deconv.weight, mode="fan_out", nonlinearity="relu")
        nn.init.normal_(self.predictor.weight, std=0.001)
        nn.init.zeros_(self.predictor.bias)

    @classmethod
    def from_config(cls, cfg, input_shape):
        head = cfg.MODEL.ROI_POSE_HEAD
        return {
            "input_shape": input_shape,
            "num_joints": get_skeleton(cfg.MODEL.HMOR.SKELETON).num_joints,
            "num_blocks": head.NUM_BLOCKS,
            "block_dim": head.BLOCK_DIM,
            "deconv_dim": head.DECONV_DIM,
            "depth_bins": head.DEPTH_BINS,
            "norm": head.NORM,
            "logit_scale": head.LOGIT_SCALE,
            "loss_weight": head.LOSS_WEIGHT,
            "marginal_loss_weight": head.MARGINAL_LOSS_WEIGHT,
            "test_peak_sigma": head.TEST_PEAK_SIGMA,
        }

    def forward(self, x: torch.Tensor) -> PosePrediction:
        """Map (N, C, H, W) RoI features to poses, see :func:`soft_argmax_3d`."""
        x = F.relu_(self.deconv_norm(self.deconv(self.blocks(x))))
        if self.training or x.device.type != "cpu" or torch.jit.is_tracing():
            return self._predict(x)
        parts = [self._predict(people) for people in x.split(_PEOPLE_AT_ONCE)]
        return PosePrediction(*(torch.cat(part) for part in zip(*parts, strict=True)))

    def _predict(self, x: torch.Tensor) -> PosePrediction:
        logits = self.predictor(x)
        if self.logit_scale != 1.0:
            logits = self.logit_scale * logits
        logits = logits.unflatten(1, (self.num_joints, self.depth_bins))
        return soft_argmax_3d(logits, 0.0 if self.training else self.test_peak_sigma)

    def losses(
        self,
        prediction: PosePrediction,
        target: torch.Tensor,
        valid_uv: torch.Tensor,
        valid_z: torch.Tensor,
    ) -> dict[str, torch.Tensor]:
        """L_pose, and the marginals' loss; targets as in ``losses.relative_pose_l1_loss``.

        They are means over the people of all processes.
        """
        loss = relative_pose_l1_loss(
            prediction.coordinates, target, valid_uv, valid_z, across_processes=True
        )
        losses = {"loss_pose": self.loss_weight * loss}
        if self.marginal_loss_weight > 0:
            loss = marginal_loss(prediction.image, target[..., :2], valid_uv, across_processes=True)
            depth = (target[..., 2:] + 1) / 2
            loss = loss + marginal_loss(prediction.depth, depth, valid_z, across_processes=True)
            losses["loss_pose_marginals"] = self.marginal_loss_weight * loss
        return losses
