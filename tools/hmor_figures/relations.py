"""The three levels in the camera's view, each with pairs in the wrong order."""

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hmor_d2.skeleton import Skeleton

from .scene import (
    CAMERA,
    COLORS,
    FIRST_PART,
    GREY,
    SECOND_PART,
    SKELETON,
    WRONG,
    compare,
    draw_arrow,
    draw_person,
    draw_turn,
    frame,
    make_people,
    part_vector,
)


def draw() -> Figure:
    people = make_people()
    figure, panels = plt.subplots(1, 4, figsize=(13.2, 3.8), layout="constrained")
    for axes, panel in zip(panels, (_image, _instances, _parts, _joints), strict=True):
        panel(axes, people)
    return figure


def _image(axes: Axes, people: torch.Tensor) -> None:
    pixels = (people[..., :2] / people[..., 2:] * 1000).numpy()
    for (name, color), points in zip(COLORS.items(), pixels, strict=True):
        draw_person(axes, points, color, lw=2.2)
        axes.annotate(name, points[0] - (0, 14), ha="center", color=color, weight="bold")
    for (person, *joints), label in ((FIRST_PART, "t1"), (SECOND_PART, "t2")):
        ends = pixels[person, [SKELETON.index(joint) for joint in joints]]
        axes.plot(*ends.T, color=COLORS["ABC"[person]], lw=5.5)
        axes.annotate(label, ends.mean(0) - (28, 4), ha="center", color=COLORS["ABC"[person]])
    frame(axes, "(a) image: x right, y down", (-15, 20), 690, y_down=True)


def _instances(axes: Axes, people: torch.Tensor) -> None:
    pred = people.clone()
    pred[0, :, 2] += 450
    pred[2, :, 2] -= 420
    truth, guess = (p.mean(1)[:, [0, 2]].numpy() / 1000 for p in (people, pred))
    for name, place, moved in zip(COLORS, truth, guess, strict=True):
        color = COLORS[name]
        axes.axhline(place[1], color=color, lw=0.8, ls=":")
        axes.plot(*place, "o", color=color, ms=10)
        axes.text(place[0], place[1] + 0.13, name, color=color, weight="bold", ha="center")
        if not np.allclose(place, moved):
            axes.plot(*moved, "o", mfc="white", mec=color, ms=9, mew=1.8)
            draw_arrow(axes, place, moved, color, shrinkA=6, shrinkB=6, lw=1)
    axes.texts[0].set_position((truth[0, 0] - 0.22, truth[0, 1] + 0.06))
    axes.plot(*guess[[0, 2]].T, color=WRONG, lw=1.5, ls="--", zorder=0)
    loss = compare(pred[[0, 2]], people[[0, 2]])["loss_hmor_instance"]
    text = (
        f"A is closer than C, predicted behind it\n"
        f"by {guess[0, 1] - guess[2, 1]:.2f} m: error log(1 + "
        f"{guess[0, 1] - guess[2, 1]:.2f}) = {loss:.2f}"
    )
    axes.text(0.05, 3.64, text, color=WRONG, fontsize=8, ha="center", va="top")
    draw_arrow(axes, (-1.25, 3.7), (-1.25, 5.75), GREY)
    axes.text(-1.18, 5.72, "n", color=GREY)
    frame(axes, "(b) people from above: depth along n", (0, 4.6), 2.9)


def _parts(axes: Axes, people: torch.Tensor) -> None:
    first, second = (part_vector(people, part) for part in (FIRST_PART, SECOND_PART))
    angle = torch.tensor(70.0).deg2rad()
    length = second[:2].norm()
    guess = torch.stack([length * angle.cos(), length * angle.sin(), second[2]])
    skeleton = Skeleton("pair", ("a", "b", "c"), ((0, 1), (0, 2)), (), None)
    poses = [torch.stack([torch.zeros(3), first, v]).unsqueeze(0) for v in (guess, second)]
    loss = compare(*poses, CAMERA, skeleton)["loss_hmor_part"]
    t1, t2, t2_guess = (vector[:2].numpy() / 1000 for vector in (first, second, guess))
    draw_arrow(axes, (0, 0), t1, COLORS["A"], lw=2.6)
    draw_arrow(axes, (0, 0), t2, COLORS["B"], lw=2.6)
    draw_arrow(axes, (0, 0), t2_guess, COLORS["B"], lw=1.8, ls="--")
    axes.text(*(t1 * 1.06), "t1", color=COLORS["A"], weight="bold", ha="center", va="top")
    axes.text(*(t2 * 1.06), "t2", color=COLORS["B"], weight="bold", ha="right")
    axes.text(*(t2_guess * 1.06), "t2, predicted", color=COLORS["B"], va="top")
    draw_turn(axes, (0, 0), t1, t2, 0.12, "0.25")
    draw_turn(axes, (0, 0), t1, t2_guess, 0.12, WRONG)
    axes.text(
        0,
        -0.03,
        "t2 follows t1 clockwise, predicted\nthe other way: error = area between\n"
        f"t1 and the predicted t2 = {loss:.3f} m²",
        color=WRONG,
        fontsize=8,
        ha="center",
    )
    frame(axes, "(c) parts t1, t2: turn seen along n", (-0.02, 0.1), 0.46, y_down=True)


def _joints(axes: Axes, people: torch.Tensor) -> None:
    gt = people[[0, 2]]
    pred = gt.clone()
    wrist = SKELETON.index("left_wrist")
    pred[1, wrist, 2] -= 600
    side = gt[..., [2, 1]].numpy() / 1000
    for name, points in zip("AC", side, strict=True):
        draw_person(axes, points, COLORS[name], lw=2)
        axes.plot(*points.T, ".", color=COLORS[name], ms=5)
        place = points[0] - (-0.09, 0.02) if name == "A" else points[0] - (0, 0.06)
        axes.text(*place, name, color=COLORS[name], weight="bold", ha="center")
    moved = pred[1, wrist, [2, 1]].numpy() / 1000
    axes.plot(*moved, "o", mfc="white", mec=WRONG, ms=6, mew=1.5)
    draw_arrow(axes, side[1, wrist], moved, WRONG, lw=1.2, shrinkA=3, shrinkB=5)
    result = compare(pred, gt)
    text = (
        f"C's wrist is predicted 0.6 m too near:\n{100 * result['hmor/wrong_joint']:.0f}% of "
        f"{result['hmor/pairs_joint']:.0f} pairs of joints in wrong order"
    )
    axes.text(4.25, 1.02, text, color=WRONG, fontsize=8, ha="center", va="top")
    draw_arrow(axes, (3.3, -0.95), (5.1, -0.95), GREY)
    axes.text(5.15, -0.92, "n", color=GREY)
    frame(axes, "(d) joints of A and C from the side", (4.25, 0.05), 2.6, y_down=True)
