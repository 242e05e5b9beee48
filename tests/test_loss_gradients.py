"""tools/loss_gradients.py against gradients known by hand."""

import importlib
import math
from pathlib import Path

import pytest
import torch
from torch import nn


@pytest.fixture
def tool(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "tools"))
    return importlib.import_module("loss_gradients")


class TwoParts(nn.Module):
    """Losses that are linear in the weights, so that gradients are the batch's numbers."""

    def __init__(self):
        super().__init__()
        self.backbone = nn.Linear(2, 1, bias=False)
        self.depth_map_head = nn.Linear(1, 1, bias=False)
        self.frozen = nn.Linear(1, 1)

    def forward(self, batch):
        shared, own = self.backbone.weight[0], self.depth_map_head.weight[0, 0]
        return {
            "loss_a": (shared * torch.tensor(batch)).sum(),
            "loss_b": 3 * shared[0] + 2 * own,
            "loss_c": (self.frozen.weight * 0).sum() + 7,
        }


def test_norms_and_cosines(tool):
    model = TwoParts()
    before = [p.clone() for p in model.parameters()]
    found = tool.loss_gradients(model, [[3.0, 4.0], [0.0, 1.0]])
    assert list(found) == ["loss_a", "loss_b", "loss_c"]
    # Of (3, 4) and (0, 1): norms 5 and 1, cosines with (3, 0) of 0.6 and 0.
    assert found["loss_a"]["parts"]["ResNet-FPN"] == pytest.approx((3.0, 0.3))
    assert found["loss_b"]["parts"]["ResNet-FPN"] == pytest.approx((3.0, 0.3))
    norm, cosine = found["loss_b"]["parts"]["depth map"]
    assert norm == pytest.approx(2.0) and math.isnan(cosine)
    assert found["loss_c"]["parts"]["ResNet-FPN"][0] == 0 and found["loss_c"]["value"] == 7
    assert set(found["loss_a"]["parts"]) == {"ResNet-FPN", "depth map"}
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
    assert all(p.grad is None for p in model.parameters())
