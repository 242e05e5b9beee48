"""Put a study's tables and plot into its document, between two markers."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from . import table
from .plot import plot_study
from .results import MixedStudyError, read_results

__all__ = ["BEGIN", "END", "render", "write_report"]

BEGIN = "<!-- results: written by tools/run_ablation.py -->"
END = "<!-- end of results -->"


def write_report(results_folder: Path, document: Path) -> None:
    """Rewrite what stands between the markers of ``document``, and the plot beside the results.

    Raises:
        MixedStudyError: see :func:`ablation.results.read_results`, and for a document that has
            not both markers once.
    """
    results = read_results(results_folder)
    text = document.read_text()
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(END) < text.index(BEGIN):
        raise MixedStudyError(f"{document}: expected one '{BEGIN}' and one '{END}' after it")
    plots = {}
    for test_set in results[0]["test_sets"]:
        path = results_folder.parent / f"{test_set}.png"
        plot_study(results, test_set, path)
        plots[test_set] = os.path.relpath(path, document.parent)
    folder = os.path.relpath(results_folder, document.parent)
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    document.write_text(f"{before}{BEGIN}\n{render(results, plots, folder)}\n{END}{after}")


def render(results: Sequence[dict[str, Any]], plots: dict[str, str], folder: str) -> str:
    """Markdown: of every test set the tables and the plot, then what they were made with.

    Args:
        results: of one study.
        plots: link to the plot by test set.
        folder: link to the results.
    """
    parts = []
    for test_set in results[0]["test_sets"]:
        people = results[0]["figures"]["given_boxes"][test_set]["people_3d"]
        parts += [
            f"### {test_set}, {people:.0f} people",
            "In given boxes, mean ± standard deviation over seeds, mm and %; the paper's on 3DPW:",
            table.figures(results, test_set),
            f"![Figures of every row and seed]({plots[test_set]})",
            "*A dot is a seed, a bar a row's mean, the red line the baseline's.*",
            "Change against the baseline of the same seed, in given boxes, with the 95% interval "
            "of its mean:",
            table.changes(results, test_set),
            "With each model's own detector:",
            table.found(results, test_set),
        ]
    return "\n".join(["", "\n\n".join([*parts, made_with(results, folder)]), ""])


def made_with(results: Sequence[dict[str, Any]], folder: str) -> str:
    """One paragraph: commits, versions and times."""

    def of(key: str) -> str:
        found = {str(r.get("versions", {}).get(key)) for r in results} - {"None"}
        return ", ".join(sorted(found)) or "unknown"

    minutes = [
        (r["seconds"]["training"] + r["seconds"]["evaluation"]) / 60
        for r in results
        if "seconds" in r and r["row"] != "warm_start"
    ]
    times = f"; {min(minutes):.0f} to {max(minutes):.0f} minutes a training" if minutes else ""
    commit = ", ".join(sorted({c[:10] for c in of("commit").split(", ")}))
    return (
        f"{len(results)} trainings; commit {commit}, torch {of('torch')}, "
        f"Python {of('python')}, {of('processor')}{times}. Every result with its command: "
        f"[{folder}]({folder})."
    )
