"""The same network, arranged for inference on a CPU."""

import copy

import torch
from detectron2.layers import Conv2d, FrozenBatchNorm2d
from detectron2.modeling import FPN
from detectron2.modeling.proposal_generator.rpn import StandardRPNHead
from detectron2.modeling.roi_heads.box_head import FastRCNNConvFCHead
from torch import nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils.fusion import fuse_conv_bn_weights

from .channels_last_roi_align import use_channels_last_roi_align
from .pose_head import HeatmapPoseHead
from .winograd import WinogradConv2d

__all__ = ["fold_norms", "has_bfloat16_units", "optimize_for_inference", "run_in_bfloat16"]


def optimize_for_inference(
    model: nn.Module, *, inplace: bool = False, bfloat16: bool | None = None
) -> nn.Module:
    """A trained model that finds the same people in less time.

    Batch norms are folded into the convolutions before them, ReLUs after convolutions overwrite
    their input, and all is kept in channels_last memory.  On a CPU RoIAlign reads that, and wide
    3x3 convolutions are Winograd's.  Results differ by the rounding of float32.  Call the result
    in ``torch.inference_mode()``; it cannot be trained, and its state dict does not fit ``model``.

    Args:
        model: any Detectron2 model, in evaluation mode.
        inplace: change ``model`` itself, not a copy.
        bfloat16: on a CPU, run the 3x3 convolutions of FPN's outputs and of the RPN and the linear
            layers of the box head in bfloat16, more than half of all operations.  No rounding adds
            up over layers then, as it does with MODEL.CPU_BFLOAT16: joints move by less than a
            millimetre on average, not by centimetres.
            None: where the processor is faster at it, see :func:`has_bfloat16_units`.

    Raises:
        ValueError: if the model is in training mode.
    """
    if model.training:
        raise ValueError("the model is in training mode; call model.eval() first")
    on_cpu = all(parameter.device.type == "cpu" for parameter in model.parameters())
    if bfloat16 is None:
        bfloat16 = has_bfloat16_units()
    model = (model if inplace else copy.deepcopy(model)).requires_grad_(False)
    fold_norms(model)
    for parent in list(model.modules()):
        if isinstance(parent, Conv2d):
            if parent.activation is F.relu or isinstance(parent.activation, nn.ReLU):
                parent.activation = nn.ReLU(inplace=True)
        elif isinstance(parent, HeatmapPoseHead):
            parent.predictor.weight *= parent.logit_scale
            parent.predictor.bias *= parent.logit_scale
            parent.logit_scale = 1.0
    if on_cpu:
        use_channels_last_roi_align(model)
    if on_cpu and bfloat16:
        for module in list(model.modules()):
            if isinstance(module, FPN):
                for conv in module.output_convs:
                    run_in_bfloat16(conv)
            elif isinstance(module, StandardRPNHead):
                run_in_bfloat16(module.conv)
            elif isinstance(module, FastRCNNConvFCHead):
                run_in_bfloat16(module)
    if on_cpu:
        for module in model.modules():
            if WinogradConv2d.suits(module):
                WinogradConv2d.convert(module)
    return model.to(memory_format=torch.channels_last)


def has_bfloat16_units() -> bool:
    """Whether the processor multiplies in bfloat16 at twice the speed of float32 or more.

    Intel's matrix units (AMX) do, and AVX512-BF16 of AMD (Zen 4 and later; ``tools/benchmark.py
    machine`` measures it).  Intel's AVX512-BF16 alone, and PyTorch's other tests, say that bfloat16
    runs, not that it is faster.  False for versions of PyTorch that do not tell.
    """
    capabilities = getattr(torch.cpu, "get_capabilities", dict)()
    if capabilities.get("amx_bf16", False):
        return True
    is_amd = str(capabilities.get("cpu_name", "")).startswith("AMD")
    return is_amd and bool(capabilities.get("avx512_bf16", False))


def fold_norms(model: nn.Module) -> None:
    """Put every batch norm of a model in evaluation mode into the convolution before it."""
    for parent in list(model.modules()):
        if isinstance(parent, Conv2d):
            parent.norm = _fold_norm(parent, parent.norm)
        elif isinstance(parent, HeatmapPoseHead):
            parent.deconv_norm = _fold_norm(parent.deconv, parent.deconv_norm) or nn.Identity()


def _fold_norm(conv: nn.Conv2d | nn.ConvTranspose2d, norm: nn.Module | None) -> nn.Module | None:
    """Put a batch norm into the convolution before it.  Returns the norm that is left."""
    if not isinstance(norm, FrozenBatchNorm2d | _BatchNorm) or norm.running_mean is None:
        return norm
    conv.weight, conv.bias = fuse_conv_bn_weights(
        conv.weight,
        conv.bias,
        norm.running_mean,
        norm.running_var,
        norm.eps,
        norm.weight,
        norm.bias,
        transpose=isinstance(conv, nn.ConvTranspose2d),
    )
    return None


def run_in_bfloat16(module: nn.Module) -> None:
    """Let a module of one input compute in bfloat16 between float32 inputs and outputs."""
    module.to(torch.bfloat16)
    module.register_forward_pre_hook(lambda module, inputs: (inputs[0].bfloat16(),))
    module.register_forward_hook(lambda module, inputs, output: output.float())
