"""Where comparing principal arguments, eq. 7 read literally, disagrees with the turn."""

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .scene import COLORS, GREY, WRONG, draw_arrow, frame

NUM_PAIRS = 200_000
NUM_SHOWN = 6000


def draw() -> Figure:
    figure, (example, plane) = plt.subplots(1, 2, figsize=(8.6, 3.9), layout="constrained")
    _example(example)
    _plane(plane)
    return figure


def _example(axes: Axes) -> None:
    for degrees, name, color in ((160, "t1", COLORS["A"]), (-160, "t2", COLORS["B"])):
        tip = np.array([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))])
        draw_arrow(axes, (0, 0), tip, color, lw=2.4)
        axes.text(
            *(tip * 1.1 + (0.22, 0.1 * np.sign(tip[1]))),
            f"{name}, argument {degrees}°",
            color=color,
            ha="center",
            va="center",
        )
    shorter, longer = np.linspace(160, 200, 30), np.linspace(160, -160, 60)
    for degrees, radius, color in ((shorter, 0.55, "0.25"), (longer, 0.4, WRONG)):
        angles = np.radians(degrees)
        arc = radius * np.array([np.cos(angles), np.sin(angles)]).T
        axes.plot(*arc.T, color=color, lw=1.5)
        draw_arrow(axes, arc[-4], arc[-1], color, lw=1.2, mutation_scale=10)
    axes.plot([-1.7, 0], [0, 0], color="0.6", lw=1, ls="--", zorder=0)
    axes.text(-1.68, -0.05, "±180°", fontsize=8, color=GREY)
    axes.text(0.48, 0, "arguments:\n-160° < 160°,\nt2 comes first", color=WRONG, va="center")
    axes.text(-1.62, 0.85, "cross product:\nt2 comes 40° after t1", color="0.25", va="center")
    frame(axes, "two parts beside the cut (y down)", (-0.05, 0.1), 3.5, y_down=True)


def _plane(axes: Axes) -> None:
    generator = torch.Generator().manual_seed(0)
    first, second = torch.randn(2, NUM_PAIRS, 2, generator=generator)
    arguments = [torch.atan2(vectors[:, 1], vectors[:, 0]) for vectors in (first, second)]
    turn = first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]
    differs = torch.sign(arguments[1] - arguments[0]) != torch.sign(turn)
    shown = torch.rad2deg(torch.stack(arguments))[:, :NUM_SHOWN].numpy()
    for mask, color, label in (
        (~differs, "0.75", "same order"),
        (differs, WRONG, "opposite order"),
    ):
        points = shown[:, mask[:NUM_SHOWN].numpy()]
        axes.plot(*points, ".", ms=2.6, mew=0, color=color, label=label)
    axes.set_xlabel("argument of t1, degrees")
    axes.set_ylabel("argument of t2, degrees")
    axes.set_xticks(range(-180, 181, 90))
    axes.set_yticks(range(-180, 181, 90))
    axes.set_aspect("equal")
    share = 100 * differs.float().mean().item()
    title = (
        f"arguments against cross product:\nopposite in {share:.1f}% of {NUM_PAIRS} random pairs"
    )
    axes.set_title(title, fontsize=10, loc="left")
