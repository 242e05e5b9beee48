"""A plot of a study: each seed's figure and the rows' means."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import MaxNLocator

from .rows import ROWS
from .seed_statistics import GIVEN_BOXES, values_by_seed
from .table import ABSOLUTE, RELATIVE, WRONG_JOINTS, WRONG_PEOPLE

__all__ = ["plot_study"]

_PANELS = (
    (ABSOLUTE, "ABS-MPJPE, mm"),
    (WRONG_PEOPLE, "wrong pairs of people, %"),
    (WRONG_JOINTS, "wrong pairs of joints, %"),
    (RELATIVE, "MPJPE, mm"),
)
_SEED, _MEAN, _BASELINE = "#8fa3b8", "#14427a", "#c0504d"


def plot_study(results: Sequence[dict[str, Any]], test_set: str, path: Path) -> None:
    """Write a PNG: a panel a figure, a line a row, a dot a seed, the baseline's mean in red."""
    present = {result["row"] for result in results}
    rows = [row for row in ROWS if row.name in present]
    canvas = Canvas(figsize=(12, 1.2 + 0.32 * len(rows)), layout="constrained")
    axes = np.atleast_1d(canvas.subplots(1, len(_PANELS), sharey=True))
    for axis, (figure, title) in zip(axes, _PANELS, strict=True):
        for place, row in enumerate(rows):
            found = values_by_seed(results, row.name, figure, GIVEN_BOXES, test_set)
            values = list(found.values())
            axis.plot(values, [place] * len(values), "o", color=_SEED, markersize=5)
            axis.plot([np.mean(values)], [place], "|", color=_MEAN, markersize=16, mew=2.5)
            if row is ROWS[0]:
                axis.axvline(np.mean(values), color=_BASELINE, linewidth=1, zorder=0)
        axis.set_title(title, fontsize=10)
        axis.xaxis.set_major_locator(MaxNLocator(4))
        axis.grid(axis="x", color="#e4e4e4")
        axis.set_axisbelow(True)
        axis.spines[["top", "right", "left"]].set_visible(False)
        axis.tick_params(axis="y", length=0)
    axes[0].set_yticks(range(len(rows)), [row.title for row in rows])
    axes[0].set_ylim(len(rows) - 0.5, -0.5)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Without the version of matplotlib: the same figures give the same file.
    canvas.savefig(path, dpi=110, metadata={"Software": None})
