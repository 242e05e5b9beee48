"""Figures of rows over seeds, and their paired differences."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

__all__ = ["DETECTIONS", "GIVEN_BOXES", "Figure", "interval", "paired_changes", "values_by_seed"]

GIVEN_BOXES, DETECTIONS = "given_boxes", "detections"


@dataclass(frozen=True)
class Figure:
    """A column: its ``title``, and how it is computed from an evaluator's figures."""

    title: str
    of: Callable[[dict[str, Any]], float]

    def __call__(self, figures: dict[str, Any]) -> float:
        """NaN where a figure that it needs is not defined."""
        defined = {key: np.nan if value is None else value for key, value in figures.items()}
        return float(self.of(defined))


def values_by_seed(
    results: Sequence[dict[str, Any]], row: str, figure: Figure, protocol: str, test_set: str
) -> dict[int, float]:
    """A row's figure by seed, in the order of seeds."""
    found = {
        result["seed"]: figure(result["figures"][protocol][test_set])
        for result in results
        if result["row"] == row
    }
    return dict(sorted(found.items()))


def paired_changes(values: dict[int, float], reference: dict[int, float]) -> np.ndarray:
    """Relative changes in %, of each seed that both have: the same pictures in the same order."""
    seeds = [seed for seed in values if seed in reference]
    return np.array([100 * (values[seed] / reference[seed] - 1) for seed in seeds])


def interval(values: Sequence[float]) -> tuple[float, float]:
    """95% confidence interval of the mean (Student's t); (-inf, inf) of fewer than two values."""
    values = np.asarray(values, dtype=float)
    if len(values) < 2:
        return -np.inf, np.inf
    half = stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return float(values.mean() - half), float(values.mean() + half)
