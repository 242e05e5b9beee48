"""The optimiser: Detectron2's parameter groups, SGD or AdamW, gradients clipped as a whole."""

import itertools
from typing import Any

import torch
from detectron2.config import CfgNode
from detectron2.solver.build import get_default_optimizer_params

__all__ = ["build_hmor_optimizer"]

_OPTIMIZERS = {"SGD": torch.optim.SGD, "AdamW": torch.optim.AdamW}


def build_hmor_optimizer(cfg: CfgNode, model: torch.nn.Module) -> torch.optim.Optimizer:
    """Build the optimiser named by SOLVER.OPTIMIZER.

    SOLVER.CLIP_GRADIENTS clips the norm of all gradients together (its CLIP_TYPE is not used);
    Detectron2's own clips every tensor by itself, which lets a diverging step pass.

    SOLVER.BACKBONE_MULTIPLIER scales the learning rate of ``backbone.bottom_up``.

    Raises:
        ValueError: for an optimiser that is neither "SGD" nor "AdamW".
    """
    solver = cfg.SOLVER
    if solver.OPTIMIZER not in _OPTIMIZERS:
        known = sorted(_OPTIMIZERS)
        raise ValueError(f"SOLVER.OPTIMIZER is '{solver.OPTIMIZER}', expected one of {known}")
    parameters = get_default_optimizer_params(
        model,
        base_lr=solver.BASE_LR,
        weight_decay_norm=solver.WEIGHT_DECAY_NORM,
        bias_lr_factor=solver.BIAS_LR_FACTOR,
        weight_decay_bias=solver.WEIGHT_DECAY_BIAS,
    )
    if solver.BACKBONE_MULTIPLIER != 1.0:
        parameters = _scaled_backbone(parameters, model, solver.BACKBONE_MULTIPLIER)
    options = {"lr": solver.BASE_LR, "weight_decay": solver.WEIGHT_DECAY}
    if solver.OPTIMIZER == "SGD":
        options.update(momentum=solver.MOMENTUM, nesterov=solver.NESTEROV)
    else:
        options.update(betas=tuple(solver.BETAS))
    kind = _OPTIMIZERS[solver.OPTIMIZER]
    if solver.CLIP_GRADIENTS.ENABLED:
        kind = _clipped(kind, solver.CLIP_GRADIENTS.CLIP_VALUE, solver.CLIP_GRADIENTS.NORM_TYPE)
    return kind(parameters, **options)


def _scaled_backbone(
    groups: list[dict[str, Any]], model: torch.nn.Module, multiplier: float
) -> list[dict[str, Any]]:
    """Groups of parameters, those of ``bottom_up`` with their own learning rate.

    Detectron2 v0.6 has no ``lr_factor_func``; the groups and their order are those that it gives
    in later versions, so that saved states of the optimiser fit.
    """
    backbone = {p for name, p in model.named_parameters() if ".bottom_up." in name}
    places = {p: i for i, p in enumerate(model.parameters())}
    split = []
    for group in groups:
        for factor, is_backbone in ((multiplier, True), (1.0, False)):
            members = [p for p in group["params"] if (p in backbone) == is_backbone]
            if members:
                split.append({**group, "lr": group["lr"] * factor, "params": members})
    return sorted(split, key=lambda group: places[group["params"][0]])


def _clipped(
    kind: type[torch.optim.Optimizer], max_norm: float, norm_type: float
) -> type[torch.optim.Optimizer]:
    def step(self, closure=None):
        parameters = itertools.chain(*(group["params"] for group in self.param_groups))
        torch.nn.utils.clip_grad_norm_(list(parameters), max_norm, norm_type)
        return kind.step(self, closure)

    return type(f"{kind.__name__}WithGradientClipping", (kind,), {"step": step})
