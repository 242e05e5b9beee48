"""Ranges that random augmentations draw from."""

from collections.abc import Sequence

import numpy as np

__all__ = ["check_ranges", "log_uniform"]


def check_ranges(**ranges: Sequence[float]) -> None:
    """Raise ValueError, naming the range, unless it is two positive numbers in order."""
    for name, bounds in ranges.items():
        if len(bounds) != 2 or not 0 < bounds[0] <= bounds[1]:
            raise ValueError(f"{name} needs two positive numbers, the smaller first: {bounds}")


def log_uniform(low: float, high: float) -> float:
    """A number whose logarithm is uniform between those of two positive bounds."""
    return float(np.exp(np.random.uniform(np.log(low), np.log(high))))
