"""Figures of MuPoTS-3D as tables for readers and as JSON for programs."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from tabulate import tabulate

from .mupots import MUPOTS_FIGURES
from .mupots_protocol import JOINT_GROUPS

__all__ = ["flat_mupots_figures", "mupots_json", "mupots_tables"]

_PEOPLE = {"all annotated": "", "matched": "_matched"}
_COLUMNS = ("3DPCK_rel", "AUC_rel", "3DPCK_abs", "AUC_abs")
_PCK = ("3DPCK_rel", "3DPCK_abs")
_MRPE = ("MRPE", "MRPE_x", "MRPE_y", "MRPE_z")


def mupots_tables(results: Mapping[str, Any]) -> str:
    """Tables of what :func:`~.mupots.evaluate_mupots` returns, ready to print.

    Percent and mm; "nan" where a figure is undefined.
    """
    sequences = results["per_sequence"]
    overall = [
        [people, *(results[f"{c}{suffix}"] for c in _COLUMNS), results[f"PCOD{suffix}"]]
        for people, suffix in _PEOPLE.items()
    ]
    groups = [
        [f"{column}{suffix}", *results["per_joint_group"][f"{column}{suffix}"].values()]
        for suffix in _PEOPLE.values()
        for column in _COLUMNS
    ]
    parts = [
        [
            part,
            *(results[part][f"{pck}{suffix}"] for suffix in _PEOPLE.values() for pck in _PCK),
            results[part]["joints"],
        ]
        for part in ("visible", "occluded")
    ]
    rows = zip(
        sequences["names"],
        *(sequences[column].tolist() for column in (*_COLUMNS, *MUPOTS_FIGURES[4:])),
        sequences["people"].tolist(),
        sequences["unmatched"].tolist(),
        strict=True,
    )
    missed = f"{results['unmatched']} of {results['people']} annotated people have no prediction"
    roots = ", ".join(f"{name} {results[name]:.1f}" for name in _MRPE)
    return "\n\n".join(
        (
            f"MuPoTS-3D, mean of {len(sequences['names'])} sequences, percent:\n"
            + _table(overall, ["people", *_COLUMNS, "PCOD"]),
            f"{missed}.  Of the matched ones, mm: {roots}.  AP_root_25 {results['AP_root_25']:.2f}",
            "By group of joints:\n" + _table(groups, ["", *JOINT_GROUPS]),
            "Visible and occluded joints alone:\n"
            + _table(parts, ["joints", *_PCK, *(f"{pck}_matched" for pck in _PCK), "number"]),
            "By sequence:\n" + _table(list(rows), ["", *MUPOTS_FIGURES, "people", "unmatched"]),
        )
    )


def _table(rows: list[list[Any]], headers: list[str]) -> str:
    return tabulate(rows, headers=headers, floatfmt=".2f", tablefmt="pipe")


def flat_mupots_figures(results: Mapping[str, Any]) -> dict[str, float]:
    """The figures over all sequences, one level deep: ``3DPCK_rel_visible`` and the like."""
    figures = {name: value for name, value in results.items() if not isinstance(value, dict)}
    for part in ("visible", "occluded"):
        figures |= {f"{name}_{part}": value for name, value in results[part].items()}
    return {name: float(value) for name, value in figures.items()}


def mupots_json(results: Any) -> Any:
    """Results with lists for arrays and None for figures that are undefined."""
    if isinstance(results, Mapping):
        return {name: mupots_json(value) for name, value in results.items()}
    if isinstance(results, np.ndarray):
        results = results.tolist()
    if isinstance(results, list):
        return [mupots_json(value) for value in results]
    return None if isinstance(results, float) and not np.isfinite(results) else results
