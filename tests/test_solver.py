import pytest
import torch
from detectron2.config import get_cfg

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
