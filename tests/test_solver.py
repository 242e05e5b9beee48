import inspect

import pytest
import torch
from detectron2.config import get_cfg
from detectron2.modeling import build_model
from detectron2.solver.build import get_default_optimizer_params

from hmor_d2 import add_hmor_config
from hmor_d2.solver import build_hmor_optimizer


def make_cfg(optimizer, clip):
    cfg = get_cfg()
    add_hmor_config(cfg)
    cfg.SOLVER.OPTIMIZER = optimizer
    cfg.SOLVER.BASE_LR = 0.1
    cfg.SOLVER.MOMENTUM = 0.0
    cfg.SOLVER.WEIGHT_DECAY = cfg.SOLVER.WEIGHT_DECAY_NORM = 0.0
    cfg.SOLVER.CLIP_GRADIENTS.ENABLED = clip > 0
    cfg.SOLVER.CLIP_GRADIENTS.CLIP_VALUE = float(clip)
    return cfg


@pytest.mark.parametrize("clip", [0, 1])
def test_gradients_are_clipped_together(clip):
    model = torch.nn.Linear(4, 3)
    before = [p.detach().clone() for p in model.parameters()]
    optimizer = build_hmor_optimizer(make_cfg("SGD", clip), model)
    for p in model.parameters():
        p.grad = torch.full_like(p, 2.0)
    optimizer.step()
    steps = [b - p for b, p in zip(before, model.parameters(), strict=True)]
    norm = torch.cat([s.flatten() for s in steps]).norm().item()
    assert norm == pytest.approx(0.1 if clip else 0.1 * 2 * 15**0.5, rel=1e-4)


def test_the_backbone_has_its_own_rate():
    model = torch.nn.ModuleDict(
        {
            "top": torch.nn.Linear(2, 2),
            "backbone": torch.nn.ModuleDict(
                {"bottom_up": torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.BatchNorm1d(2))}
            ),
            "norm": torch.nn.BatchNorm1d(2),
        }
    )
    cfg = make_cfg("SGD", 0)
    cfg.SOLVER.BACKBONE_MULTIPLIER = 0.5
    cfg.SOLVER.WEIGHT_DECAY = 0.2
    names = {p: name for name, p in model.named_parameters()}
    groups = [
        ([names[p] for p in group["params"]], group["lr"], group["weight_decay"])
        for group in build_hmor_optimizer(cfg, model).param_groups
    ]
    assert groups == [
        (["top.weight", "top.bias"], 0.1, 0.2),
        (["backbone.bottom_up.0.weight", "backbone.bottom_up.0.bias"], 0.05, 0.2),
        (["backbone.bottom_up.1.weight", "backbone.bottom_up.1.bias"], 0.05, 0.0),
        (["norm.weight", "norm.bias"], 0.1, 0.0),
    ]


@pytest.mark.skipif(
    "lr_factor_func" not in inspect.signature(get_default_optimizer_params).parameters,
    reason="Detectron2 v0.6 has no lr_factor_func",
)
def test_the_groups_are_those_of_detectron2():
    cfg = make_cfg("SGD", 0)
    cfg.merge_from_file("configs/toy/hmor_rcnn_R_50_half_FPN_toy.yaml")
    cfg.SOLVER.BACKBONE_MULTIPLIER = 0.3
    model = build_model(cfg)
    expected = get_default_optimizer_params(
        model,
        base_lr=cfg.SOLVER.BASE_LR,
        weight_decay_norm=cfg.SOLVER.WEIGHT_DECAY_NORM,
        bias_lr_factor=cfg.SOLVER.BIAS_LR_FACTOR,
        weight_decay_bias=cfg.SOLVER.WEIGHT_DECAY_BIAS,
        lr_factor_func=lambda name: 0.3 if ".bottom_up." in name else 1.0,
    )
    found = build_hmor_optimizer(cfg, model).param_groups
    assert len(found) == len(expected) > 2
    for group, other in zip(found, expected, strict=True):
        assert group["lr"] == other["lr"]
        assert group["weight_decay"] == other.get("weight_decay", cfg.SOLVER.WEIGHT_DECAY)
        assert all(p is q for p, q in zip(group["params"], other["params"], strict=True))


def test_adamw_and_unknown():
    model = torch.nn.Linear(4, 3)
    cfg = make_cfg("AdamW", 1)
    cfg.SOLVER.BETAS = (0.8, 0.95)
    optimizer = build_hmor_optimizer(cfg, model)
    assert isinstance(optimizer, torch.optim.AdamW)
    assert {group["betas"] for group in optimizer.param_groups} == {(0.8, 0.95)}
    optimizer.load_state_dict(optimizer.state_dict())
    with pytest.raises(ValueError, match=r"Adagrad.*AdamW"):
        build_hmor_optimizer(make_cfg("Adagrad", 1), model)
