"""Rows of a check's table."""

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Check", "format_checks", "note", "skip"]


@dataclass(frozen=True)
class Check:
    """One row.

    Attributes:
        name: what was measured.
        value: what was found, with its unit.
        limit: what was expected; empty where nothing was.
        status: "ok", "FAIL", "skip" (it could not be measured; ``value`` says why), or "-" (it is
            reported, and judged by nobody).
    """

    name: str
    value: str
    limit: str
    status: str

    @classmethod
    def judged(cls, name: str, value: str, limit: str, good: bool) -> "Check":
        return cls(name, value, limit, "ok" if good else "FAIL")


def note(name: str, value: str) -> Check:
    """A row without a limit."""
    return Check(name, value, "", "-")


def skip(name: str, reason: str) -> Check:
    """A row that could not be measured."""
    return Check(name, reason, "", "skip")


def format_checks(checks: Sequence[Check]) -> str:
    """The rows as a table of text, columns aligned."""
    header = ("check", "value", "limit", "status")
    cells = [header, *((check.name, check.value, check.limit, check.status) for check in checks)]
    widths = [max(len(row[column]) for row in cells) for column in range(3)]
    lines = [
        "  ".join((*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[3]))
        for row in cells
    ]
    lines.insert(1, "-" * max(map(len, lines)))
    return "\n".join(lines)
