"""Resident memory of this process and its children, read from /proc."""

import os
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

__all__ = ["GrowthRecorder", "Sample", "growth_percent", "resident_memory"]

# Fewer samples make no tenths.
MIN_SAMPLES = 20


@dataclass(frozen=True)
class Sample:
    """Memory after ``step`` steps, MiB, of all processes together.

    Attributes:
        resident: what the processes have in memory; pages that they share count in each.
        anonymous: without files, such as libraries, that the system may drop and read again.
        processes: how many there were.
    """

    step: int
    resident: float
    anonymous: float
    processes: int


def resident_memory(step: int) -> Sample:
    """Of this process and all below it, such as a data loader's workers."""
    resident = anonymous = processes = 0
    for process in _tree(os.getpid()):
        try:
            status = Path(f"/proc/{process}/status").read_text()
        except OSError:  # it ended meanwhile
            continue
        sizes = dict(
            line.split(":", 1) for line in status.splitlines() if line.startswith(("Vm", "Rss"))
        )
        if "VmRSS" not in sizes:  # it has ended, and waits for its parent
            continue
        resident += _kib(sizes["VmRSS"])
        anonymous += _kib(sizes["RssAnon"]) + _kib(sizes["RssShmem"])
        processes += 1
    return Sample(step, resident / 1024, anonymous / 1024, processes)


def growth_percent(resident: list[float]) -> float:
    """Growth after the first tenth: median of the last tenth over that of the second, percent.

    Raises:
        ValueError: for fewer than 20 samples.
    """
    count = len(resident)
    if count < MIN_SAMPLES:
        raise ValueError(f"found {count} samples, expected {MIN_SAMPLES} or more")
    tenth = count // 10
    before = np.median(resident[tenth : 2 * tenth])
    return 100 * (float(np.median(resident[-tenth:]) / before) - 1)


class GrowthRecorder:
    """Takes samples, at most ``limit``, evenly over ``steps``."""

    def __init__(self, steps: int, limit: int = 400):
        """Raises ValueError for fewer than 20 steps."""
        if steps < MIN_SAMPLES:
            raise ValueError(f"found {steps} steps, expected {MIN_SAMPLES} or more")
        self._every = -(-steps // limit)
        self.samples: list[Sample] = []

    def after(self, step: int) -> None:
        """Call after each step, numbered from 1."""
        if step % self._every == 0:
            self.samples.append(resident_memory(step))

    def report(self) -> dict:
        """Growth and samples, for JSON."""
        resident = [sample.resident for sample in self.samples]
        return {
            "growth_percent": growth_percent(resident),
            "anonymous_growth_percent": growth_percent([s.anonymous for s in self.samples]),
            "peak_mib": max(resident),
            "samples": [asdict(sample) for sample in self.samples],
        }


def _tree(root: int) -> list[int]:
    """``root`` and the processes below it."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal():
            continue
        try:
            # The name, in parentheses, may hold anything; then come the state and the parent.
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
        except (OSError, IndexError, ValueError):
            continue
        children.setdefault(parent, []).append(int(entry.name))
    found = [root]
    for process in found:
        found += children.get(process, [])
    return found


def _kib(text: str) -> int:
    return int(text.split()[0])
