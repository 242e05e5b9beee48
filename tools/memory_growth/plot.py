"""Draws memory over the steps of a run."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["plot_growth"]


def plot_growth(report: Mapping[str, Any], title: str, path: Path) -> None:
    """Write a PNG of what ``GrowthRecorder.report`` gives; the first tenth is shaded."""
    from matplotlib.figure import Figure

    steps = [sample["step"] for sample in report["samples"]]
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    axes.axvspan(0, steps[-1] / 10, color="0.92", label="first tenth, not judged")
    for field, colour in (("resident", "tab:blue"), ("anonymous", "tab:orange")):
        values = [sample[field] for sample in report["samples"]]
        axes.plot(steps, values, color=colour, linewidth=1.2, label=field)
    axes.set(xlabel="step", ylabel="MiB, all processes", xlim=(0, steps[-1]), title=title)
    axes.set_ylim(bottom=0)
    axes.legend(loc="lower right")
    axes.grid(alpha=0.3)
    figure.savefig(path, dpi=110)
