"""The same people in three views: each has its own order of people and turns of parts."""

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hmor_d2.losses.views import plane_basis

from .scene import (
    COLORS,
    FIRST_PART,
    GREY,
    SECOND_PART,
    SKELETON,
    draw_arrow,
    draw_person,
    draw_turn,
    frame,
    make_people,
    part_vector,
)

VIEWS = {
    "camera, n = (0, 0, 1)": (0.0, 0.0, 1.0),
    "virtual, n = (0.8, 0, 0.6)": (0.8, 0.0, 0.6),
    "virtual, n = (-0.95, 0, 0.31)": (-0.95, 0.0, 0.3122),
}


def draw() -> Figure:
    people = make_people()
    figure, panels = plt.subplots(2, 3, figsize=(10.2, 7.0), layout="constrained")
    for (title, normal), above, seen in zip(VIEWS.items(), *panels, strict=True):
        normal = torch.tensor(normal)
        _depths(above, people, normal, title)
        _turns(seen, people, normal)
    return figure


def _depths(axes: Axes, people: torch.Tensor, normal: torch.Tensor, title: str) -> None:
    """People from above, projected onto an axis along the normal."""
    points = people.mean(1)[:, [0, 2]].numpy() / 1000
    n = normal[[0, 2]].numpy()
    depths = points @ n
    middle = points.mean(0)
    beside = np.array([n[1], -n[0]])
    if beside @ (-0.3, -1.0) < 0:
        beside = -beside
    foot = middle + 1.5 * beside
    foot = foot - (foot @ n) * n
    draw_arrow(axes, foot + (depths.min() - 0.4) * n, foot + (depths.max() + 0.45) * n, GREY)
    end = foot + (depths.max() + 0.58) * n
    axes.text(*end, "n", color=GREY, ha="center", va="center")
    for name, point, depth in zip(COLORS, points, depths, strict=True):
        rank = 1 + (depths < depth).sum()
        place = foot + depth * n
        axes.plot(*np.array([point, place]).T, ":", color=COLORS[name], lw=1.2)
        axes.plot(*point, "o", color=COLORS[name], ms=12)
        axes.text(*point, name, color="white", ha="center", va="center", fontsize=8)
        axes.plot(*place, "o", color="white", mec=COLORS[name], ms=13, mew=1.4)
        axes.text(*place, rank, ha="center", va="center", fontsize=8)
    frame(axes, f"{title}\npeople from above", tuple(middle + 0.35 * beside), 3.9)
    order = ", ".join(np.array(list(COLORS))[np.argsort(depths)])
    axes.text(0.97, 0.96, f"order: {order}", transform=axes.transAxes, ha="right", va="top")


def _turns(axes: Axes, people: torch.Tensor, normal: torch.Tensor) -> None:
    """People as seen along the normal, and the turn between the two parts."""
    basis = torch.stack(plane_basis(normal), dim=1)
    seen = (people @ basis).numpy() / 1000
    for color, points in zip(COLORS.values(), seen, strict=True):
        draw_person(axes, points, color, lw=1.8, alpha=0.35)
    for person, *joints in (FIRST_PART, SECOND_PART):
        ends = seen[person, [SKELETON.index(joint) for joint in joints]]
        axes.plot(*ends.T, color=list(COLORS.values())[person], lw=4)
    parts = [part_vector(people, part) for part in (FIRST_PART, SECOND_PART)]
    first, second = ((part @ basis).numpy() / 1000 for part in parts)
    middle = seen[..., 0].mean()
    centre = np.array([middle, -1.95])
    for vector, color, label in ((first, COLORS["A"], "t1"), (second, COLORS["B"], "t2")):
        tip = centre + 2.6 * vector
        draw_arrow(axes, centre, tip, color, lw=2.4)
        tip = tip + 0.14 * vector / np.linalg.norm(vector)
        axes.text(*tip, label, color=color, weight="bold", ha="center", va="center")
    draw_turn(axes, centre, first, second, 0.26, "0.2")
    turn = torch.linalg.cross(*parts) @ normal
    text = "t2 follows t1 " + ("clockwise" if turn > 0 else "anticlockwise")
    axes.text(0.97, 0.96, text, transform=axes.transAxes, ha="right", va="top")
    frame(axes, "seen along n", (middle, -0.65), 3.5, y_down=True)
