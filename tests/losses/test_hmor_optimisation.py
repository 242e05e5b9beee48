"""Gradient descent on HMOR alone puts free poses into the right order."""

import itertools

import pytest
import torch

from hmor_d2.losses.hmor import hmor_losses, hmor_losses_batched
from hmor_d2.losses.views import sample_view_normals
from hmor_d2.skeleton import get_skeleton
from tests.losses.hmor_scenes import make_scene, tensors

SKELETON = get_skeleton("muco17")


def descend(pred_mm, gt, valid, levels, steps=400):
    """Adam on poses in metres, with fresh virtual views in every step."""
    generator = torch.Generator().manual_seed(0)
    metres = (pred_mm / 1000).requires_grad_()
    optimizer = torch.optim.Adam([metres], lr=0.05)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        normals = sample_view_normals(4, generator, include_camera=True)
        losses = hmor_losses(metres * 1000, gt, valid, SKELETON, normals, levels=levels)
        optimizer.zero_grad()
        sum(losses.values()).backward()
        optimizer.step()
        schedule.step()
    return metres.detach() * 1000


def evaluate(pred, gt, valid):
    """Losses and shares of wrong pairs in 50 views that no step has seen."""
    normals = sample_view_normals(49, torch.Generator().manual_seed(1), include_camera=True)
    arguments = (t.unsqueeze(0) for t in (pred, gt, valid))
    losses, figures = hmor_losses_batched(*arguments, SKELETON, normals.unsqueeze(0))
    return {k: v.item() for k, v in (losses | figures).items()}


def test_all_levels_together_reach_the_right_order():
    _, gt, valid = tensors(make_scene(0, 4, invalid=0.1), torch.float32)
    generator = torch.Generator().manual_seed(2)
    # Everybody at somebody else's place, mirrored in depth, and no pose to begin with.
    places = gt.mean(1, keepdim=True).flip(0) * torch.tensor([1.0, 1.0, -1.0])
    start = places + torch.randn(gt.shape, generator=generator) * 300
    before = evaluate(start, gt, valid)
    assert before["hmor/wrong_instance"] > 0.4
    assert before["hmor/wrong_part"] > 0.4 and before["hmor/wrong_joint"] > 0.4
    after = evaluate(descend(start, gt, valid, ("instance", "part", "joint")), gt, valid)
    assert after["hmor/wrong_instance"] < 0.01
    assert after["hmor/wrong_part"] < 0.005 and after["hmor/wrong_joint"] < 0.005
    for level in ("instance", "part", "joint"):
        assert after[f"loss_hmor_{level}"] < 0.001 * before[f"loss_hmor_{level}"]


def test_the_orders_of_many_views_determine_the_scene_but_for_scale_and_place():
    _, gt, valid = tensors(make_scene(5, 3), torch.float32)
    start = gt.flip(0)[:, torch.randperm(17, generator=torch.Generator().manual_seed(4))]

    def error_mm(pred):
        found, truth = ((p - p.mean((0, 1))).flatten(0, 1) for p in (pred, gt))
        scale = (found * truth).sum() / (found * found).sum()
        return (scale * found - truth).norm(dim=1).mean().item()

    assert error_mm(start) > 500
    assert error_mm(descend(start, gt, valid, ("instance", "part", "joint"))) < 10


@pytest.mark.parametrize("level", ["instance", "part", "joint"])
def test_each_level_reaches_its_own_order(level):
    _, gt, valid = tensors(make_scene(3, 3), torch.float32)
    start = gt.flip(0)[:, torch.randperm(17, generator=torch.Generator().manual_seed(4))]
    before = evaluate(start, gt, valid)[f"hmor/wrong_{level}"]
    after = evaluate(descend(start, gt, valid, (level,), 250), gt, valid)
    assert before > 0.2
    assert after[f"hmor/wrong_{level}"] < 0.1 * before


def test_a_smaller_scene_costs_less():
    _, gt, valid = tensors(make_scene(0, 4), torch.float64)
    _, pred, _ = tensors(make_scene(1, 4), torch.float64)
    normals = sample_view_normals(4, torch.Generator().manual_seed(0), include_camera=True).double()
    by_scale = [
        torch.stack(list(hmor_losses(s * pred, gt, valid, SKELETON, normals).values()))
        for s in (0.0, 0.5, 0.9, 1.0, 1.1)
    ]
    assert (by_scale[0] == 0).all()
    for smaller, larger in itertools.pairwise(by_scale):
        assert (smaller < larger).all()


def test_people_of_uncertain_order_are_drawn_together():
    """Two people whose order is one way in two of three pictures that look the same."""
    _, gt, valid = tensors(make_scene(3, 2), torch.float32)
    mirrored = gt * torch.tensor([1.0, 1.0, -1.0])
    normal = torch.tensor([[0.0, 0.0, 1.0]])
    pred = gt.clone().requires_grad_()
    optimizer = torch.optim.SGD([pred], lr=3e5)
    for step in range(600):
        truth = mirrored if step % 3 == 2 else gt
        loss = hmor_losses(pred, truth, valid, SKELETON, normal, levels=("instance",))
        optimizer.zero_grad()
        loss["loss_hmor_instance"].backward()
        optimizer.step()
    apart = [abs((p[0] - p[1]).mean(dim=0)[2].item()) for p in (gt, pred.detach())]
    assert apart[0] > 300 and apart[1] < 0.1 * apart[0]
