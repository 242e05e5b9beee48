#!/usr/bin/env python
"""Draw the losses of a training, or of the stages of one, from Detectron2's metrics.json.

  python tools/plot_training.py output/people output/final --output curves.png

Each loss has a panel: values as logged, and their running median.  Stages follow one another in the
order given, with a line between them.  An iteration that was logged again after a resume counts
once, as it was last.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from scipy.ndimage import median_filter

RUNNING = 11  # logged values the median is of
COLUMNS = 4


class MetricsError(ValueError):
    """A file that is not a training's metrics; the message names it."""


def read_losses(path: Path) -> dict[str, dict[int, float]]:
    """Losses of a metrics.json, or of the one in a folder: name to iteration to value.

    Raises:
        OSError: where it cannot be read.
        MetricsError: where a line is no JSON object, or no line has losses.
    """
    file = path / "metrics.json" if path.is_dir() else path
    losses: dict[str, dict[int, float]] = {}
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        try:
            values = json.loads(line)
            iteration = int(values["iteration"])
        except (ValueError, TypeError, KeyError) as error:
            raise MetricsError(f"{file}, line {number}: no metrics of an iteration") from error
        for name, value in values.items():
            if name.startswith("loss_"):
                losses.setdefault(name, {})[iteration] = float(value)
    if not losses:
        raise MetricsError(f"{file}: no losses in it")
    return losses


def plot_losses(stages: Sequence[dict[str, dict[int, float]]], output: Path) -> None:
    """Write a PNG with a panel for each loss of the stages."""
    ends = np.cumsum([1 + max(max(values) for values in stage.values()) for stage in stages])
    starts = [0, *ends[:-1]]
    names = list(dict.fromkeys(name for stage in stages for name in stage))
    rows = -(-len(names) // COLUMNS)
    figure = Figure(figsize=(3.2 * COLUMNS, 2.3 * rows), layout="constrained")
    panels = figure.subplots(rows, COLUMNS, sharex=True, squeeze=False).ravel()
    for panel, name in zip(panels, names, strict=False):
        for start, stage in zip(starts, stages, strict=True):
            values = dict(sorted(stage.get(name, {}).items()))
            x, y = start + np.array(list(values), int), np.array(list(values.values()))
            panel.plot(x, y, color="#c3cfdd", linewidth=0.8)
            if y.size:
                panel.plot(x, median_filter(y, RUNNING, mode="nearest"), color="#14427a")
        for end in ends[:-1]:
            panel.axvline(end, color="#c0504d", linewidth=0.8)
        panel.set_title(name.removeprefix("loss_"), fontsize=10)
        panel.grid(axis="y", color="#e4e4e4")
        panel.spines[["top", "right"]].set_visible(False)
    for panel in panels[len(names) :]:
        panel.set_axis_off()
    figure.supxlabel("iterations", fontsize=10)
    output.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(output, dpi=100, metadata={"Software": None})


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("stages", nargs="+", type=Path, help="metrics.json, or folders with one")
    parser.add_argument("--output", required=True, type=Path, metavar="FILE", help="a picture")
    args = parser.parse_args(arguments)
    try:
        plot_losses([read_losses(stage) for stage in args.stages], args.output)
    except (OSError, MetricsError) as error:
        sys.exit(f"error: {error}")
    print(f"wrote {args.output}")


if __name__ == "__main__":
    main()
