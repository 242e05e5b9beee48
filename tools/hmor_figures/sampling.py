"""Where sampled normals lie, and how many pairs they order unlike the camera."""

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.figure import Figure

from hmor_d2.losses.hmor import hmor_losses_batched
from hmor_d2.losses.views import plane_basis, sample_view_normals

from .scene import CAMERA, COLORS, LEVELS, SKELETON, WRONG, frame

NUM_NORMALS = 1000
NUM_SCENES = 300


def draw() -> Figure:
    generator = torch.Generator().manual_seed(0)
    figure, (disk, shares) = plt.subplots(
        1, 2, figsize=(9.0, 3.6), width_ratios=(1, 1.5), layout="constrained"
    )
    normals = sample_view_normals(NUM_NORMALS, generator)
    # Lambert's projection keeps areas: uniform directions fill the disk evenly.
    points = normals[:, :2] / torch.sqrt(1 + normals[:, 2:])
    disk.plot(*points.T.numpy(), ".", ms=3.5, color=COLORS["A"], mew=0)
    for degrees in (30, 60, 90):
        radius = np.sqrt(1 - np.cos(np.radians(degrees)))
        disk.add_patch(plt.Circle((0, 0), radius, fill=False, color="0.6", lw=0.8))
        label = disk.text(0, -radius, f"{degrees}°", ha="center", va="center", fontsize=8)
        label.set_bbox({"facecolor": "white", "edgecolor": "none", "pad": 1.0})
    disk.plot(0, 0, "+", color=WRONG, ms=10, mew=2)
    frame(disk, f"{NUM_NORMALS} normals around the camera's (+)", (0, 0), 2.3, y_down=True)

    angles = torch.arange(0.0, 91.0, 5.0)
    curves = np.array([_shares(angle.deg2rad(), generator) for angle in angles]).T
    for level, curve, color in zip(LEVELS, curves, COLORS.values(), strict=True):
        shares.plot(angles, curve, color=color, lw=2, label=f"{level}s")
    shares.set_xlabel("angle between the virtual and the camera normal, degrees")
    shares.set_ylabel("pairs ordered unlike\nin the camera's view, %")
    shares.set_xticks(range(0, 91, 15))
    shares.set_xlim(0, 90)
    shares.set_ylim(0, 55)
    shares.grid(color="0.9")
    shares.legend(frameon=False)
    shares.set_title(f"{NUM_SCENES} random scenes of 4 people", fontsize=10, loc="left")
    return figure


def _shares(angle: torch.Tensor, generator: torch.Generator) -> list[float]:
    """Percentages of pairs, for each level, whose order differs at this angle, in random scenes."""
    gt = torch.randn(NUM_SCENES, 4, 17, 3, generator=generator) * 350
    room = torch.tensor([4000.0, 300.0, 4000.0])
    gt += (torch.rand(NUM_SCENES, 4, 1, 3, generator=generator) - 0.5) * room
    turn = 2 * torch.pi * torch.rand(NUM_SCENES, generator=generator)
    across = angle.sin() * torch.stack([turn.cos(), turn.sin()])
    normals = torch.stack([*across, angle.cos().expand(NUM_SCENES)], dim=1)
    # Turned so that the virtual normal becomes the camera's, the scene is its own prediction.
    turns = torch.stack([*plane_basis(normals), normals], dim=1)
    turned = torch.einsum("bij,bnkj->bnki", turns, gt)
    valid = torch.ones(gt.shape[:3], dtype=torch.bool)
    camera = CAMERA.expand(NUM_SCENES, 1, 3)
    _, figures = hmor_losses_batched(turned, gt, valid, SKELETON, camera)
    return [100 * figures[f"hmor/wrong_{level}"].item() for level in LEVELS]
