"""Gradient descent on free poses with HMOR alone, with and without virtual views."""

import matplotlib.pyplot as plt
import torch
from matplotlib.figure import Figure

from hmor_d2.losses.hmor import hmor_losses
from hmor_d2.losses.views import sample_view_normals

from .scene import COLORS, LEVELS, SKELETON, compare, draw_person, frame, make_people

NUM_STEPS = 300


def draw() -> Figure:
    gt = make_people()
    generator = torch.Generator().manual_seed(0)
    start = gt.flip(0) + torch.randn(gt.shape, generator=generator) * 250
    figure, (before, after, curves) = plt.subplots(
        1, 3, figsize=(11.4, 3.7), width_ratios=(1, 1, 1.25), layout="constrained"
    )
    for num_virtual, style, label in ((8, "-", "9 views"), (0, "--", "camera alone")):
        found, history = _descend(start, gt, num_virtual)
        if num_virtual:
            _draw_from_above(before, start, gt, "start, from above (truth in grey)")
            error = f"{_error_but_for_scale(found, gt):.0f} mm off but for scale and place"
            after.set_xlabel(error)
            _draw_from_above(after, found, gt, f"after {NUM_STEPS} steps with 9 views")
        for level, color in zip(LEVELS, COLORS.values(), strict=True):
            shares = [100 * step[f"hmor/wrong_{level}"] for step in history]
            curves.plot(shares, style, color=color, lw=1.5, label=f"{level}s, {label}")
    curves.set_xlabel("step")
    curves.set_ylabel("wrong pairs in 51 views, %")
    curves.set_ylim(0, 100)
    curves.set_xlim(0, NUM_STEPS)
    curves.grid(color="0.9")
    curves.legend(frameon=False, fontsize=8, ncols=2, loc="upper right")
    return figure


def _descend(
    start: torch.Tensor, gt: torch.Tensor, num_virtual: int
) -> tuple[torch.Tensor, list[dict[str, float]]]:
    """Adam on the poses themselves, fresh views in every step: (poses in mm, history)."""
    generator = torch.Generator().manual_seed(1)
    others = sample_view_normals(50, generator, include_camera=True)
    valid = torch.ones(gt.shape[:2], dtype=torch.bool)
    metres = (start / 1000).requires_grad_()
    optimizer = torch.optim.Adam([metres], lr=0.05)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, NUM_STEPS)
    history = []
    for _ in range(NUM_STEPS):
        history.append(compare(metres.detach() * 1000, gt, others))
        normals = sample_view_normals(num_virtual, generator, include_camera=True)
        losses = hmor_losses(metres * 1000, gt, valid, SKELETON, normals)
        optimizer.zero_grad()
        sum(losses.values()).backward()
        optimizer.step()
        schedule.step()
    return metres.detach() * 1000, history


def _error_but_for_scale(poses: torch.Tensor, gt: torch.Tensor) -> float:
    """Mean distance to the truth, mm, of the whole scene at the best scale and place."""
    found, truth = ((p - p.mean((0, 1))).flatten(0, 1) for p in (poses, gt))
    scale = (found * truth).sum() / (found * found).sum()
    return (scale * found - truth).norm(dim=1).mean().item()


def _draw_from_above(axes, poses: torch.Tensor, gt: torch.Tensor, title: str) -> None:
    for color, truth, pose in zip(COLORS.values(), gt, poses, strict=True):
        draw_person(axes, truth[:, [0, 2]].numpy() / 1000, "0.8", lw=6)
        draw_person(axes, pose[:, [0, 2]].numpy() / 1000, color, lw=1.6)
    frame(axes, title, (0.0, 4.6), 3.6)
