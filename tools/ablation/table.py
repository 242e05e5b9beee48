"""Markdown tables of a study beside the paper's figures."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from .rows import ROWS, WARM_START, Row
from .seed_statistics import (
    DETECTIONS,
    GIVEN_BOXES,
    Figure,
    interval,
    paired_changes,
    values_by_seed,
)

__all__ = ["ABSOLUTE", "RELATIVE", "WRONG_JOINTS", "WRONG_PEOPLE", "changes", "figures", "found"]

RELATIVE = Figure("MPJPE", lambda f: f["MPJPE"])
ABSOLUTE = Figure("ABS-MPJPE", lambda f: f["ABS_MPJPE"])
WRONG_PEOPLE = Figure("wrong pairs of people, %", lambda f: 100 * (1 - f["ORD"]))
WRONG_JOINTS = Figure("wrong pairs of joints, %", lambda f: 100 * (1 - f["ORD_joint"]))
_PROCRUSTES = Figure("PA-MPJPE", lambda f: f["PA_MPJPE"])
_NEAR = Figure("3DPCK_abs, %", lambda f: 100 * f["PCK3D_abs_all"])
_SCALED = Figure("ABS-MPJPE after one scale", lambda f: f["ABS_MPJPE_SCALED"])
_BIAS = Figure("depth's bias", lambda f: f["BIAS_z"])
_SLOPE = Figure("slope of pairs' depths, %", lambda f: 100 * f["PAIR_SLOPE"])
_OF_ALL = (
    RELATIVE,
    _PROCRUSTES,
    ABSOLUTE,
    _SCALED,
    _BIAS,
    _SLOPE,
    _NEAR,
    WRONG_PEOPLE,
    WRONG_JOINTS,
)
_DETECTED = (
    Figure("found, %", lambda f: 100 * f["detection_rate_3d"]),
    RELATIVE,
    _PROCRUSTES,
    ABSOLUTE,
    _NEAR,
    WRONG_PEOPLE,
    Figure("wrong or not found, %", lambda f: 100 * (1 - f["ORD_all"])),
)


def figures(results: Sequence[dict[str, Any]], test_set: str) -> str:
    """All figures in given boxes, mean and standard deviation over seeds, beside the paper's."""
    head = ["", "seeds", *(f.title for f in _OF_ALL)]
    head += ["paper: MPJPE", "PA-MPJPE", "ABS-MPJPE"]
    lines = [
        [*cells, *([f"{v:.1f}" for v in (r.mpjpe, r.pa, r.absolute)] if r else ["", "", ""])]
        for r, cells in _rows(results, _OF_ALL, GIVEN_BOXES, test_set)
    ]
    return _markdown(head, lines)


def found(results: Sequence[dict[str, Any]], test_set: str) -> str:
    """The same of people whom each model's own detector finds, and how many that are."""
    head = ["", "seeds", *(f.title for f in _DETECTED)]
    return _markdown(head, [c for _, c in _rows(results, _DETECTED, DETECTIONS, test_set)])


def changes(results: Sequence[dict[str, Any]], test_set: str) -> str:
    """Changes against the baseline of the same seed, in given boxes, with 95% intervals."""
    columns = (ABSOLUTE, WRONG_PEOPLE, WRONG_JOINTS, RELATIVE)
    head = ["change, %", "seeds", "ABS-MPJPE", "wrong pairs of people", "wrong pairs of joints"]
    head += ["MPJPE", "paper: ABS-MPJPE", "MPJPE"]
    final, without = ROWS[-2], ROWS[-1]
    pairs = [(row, ROWS[0], row.title) for row in ROWS[1:]]
    pairs.append((final, without, "refinement: (c) against (d)"))
    lines = []
    for row, reference, title in pairs:
        by_column = [
            paired_changes(
                *(
                    values_by_seed(results, r.name, f, GIVEN_BOXES, test_set)
                    for r in (row, reference)
                )
            )
            for f in columns
        ]
        if len(by_column[0]):
            paper = (row.absolute / reference.absolute, row.mpjpe / reference.mpjpe)
            cells = [_change(values) for values in by_column]
            cells += [f"{100 * (ratio - 1):+.1f}" for ratio in paper]
            lines.append([title, f"{len(by_column[0])}", *cells])
    return _markdown(head, lines)


def _rows(
    results: Sequence[dict[str, Any]], columns: Sequence[Figure], protocol: str, test_set: str
) -> list[tuple[Row | None, list[str]]]:
    """Of every row that has results: the row, None for the warm start, and its cells."""
    lines = []
    titles = [(None, WARM_START, "before: the weights that all start from")]
    titles += [(row, row.name, row.title) for row in ROWS]
    for row, name, title in titles:
        by_column = [values_by_seed(results, name, f, protocol, test_set) for f in columns]
        if by_column[0]:
            cells = [_spread(list(values.values())) for values in by_column]
            lines.append((row, [title, f"{len(by_column[0])}", *cells]))
    return lines


def _spread(values: Sequence[float]) -> str:
    if not np.isfinite(values).all():
        return "-"
    spread = f" ± {np.std(values, ddof=1):.1f}" if len(values) > 1 else ""
    return f"{np.mean(values):.1f}{spread}"


def _change(values: np.ndarray) -> str:
    if not np.isfinite(values).all():
        return "-"
    low, high = interval(values)
    limits = f" ({low:+.1f} to {high:+.1f})" if np.isfinite(low) else ""
    return f"{values.mean():+.1f}{limits}"


def _markdown(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    rule = ["---", *["--:"] * (len(head) - 1)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, rule, *lines))
