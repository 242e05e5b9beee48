"""How a generated dataset is divided: plans, and pieces that are drawn on their own."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, Protocol


class Piece(NamedTuple):
    """A stretch of images that is drawn and recorded at once.

    ``name``: of its part file; ``sequence``: of takes, else 0; ``first``, ``last``: images, frames
    or moments from ``first`` until before ``last``; ``images``: how many it draws.
    """

    name: str
    sequence: int
    first: int
    last: int
    images: int


class Plan(Protocol):
    """What is to be made in one format: a frozen dataclass, whose fields decide the result."""

    @property
    def folder(self) -> str:
        """Name of the format's folder."""

    def pieces(self) -> list[Piece]:
        """All pieces, in the order of the finished dataset."""

    def draw(self, folder: Path, piece: Piece, seed: int) -> dict[str, Any]:
        """Write a piece's images; returns what ``finish`` needs of it, as JSON has it.

        ``files`` in it lists what was written, relative to the folder.
        """

    def finish(self, folder: Path, parts: Callable[[], Iterable[dict[str, Any]]]) -> None:
        """Write the annotation files from the pieces' parts, in their order."""


def stretches(count: int, length: int) -> Iterator[tuple[int, int]]:
    """(first, last) of the pieces that ``count`` things are divided into."""
    return ((first, min(first + length, count)) for first in range(0, count, length))


def pieces_of_images(images: int, length: int) -> list[Piece]:
    """Pieces of up to ``length`` images that are independent of each other."""
    return [Piece(f"{a:06d}", 0, a, b, b - a) for a, b in stretches(images, length)]


def pieces_of_takes(sequences: int, moments: int, length: int, cameras: int = 1) -> list[Piece]:
    """Pieces of up to ``length`` moments of each of several takes."""
    return [
        Piece(f"{sequence:03d}_{first:06d}", sequence, first, last, cameras * (last - first))
        for sequence in range(sequences)
        for first, last in stretches(moments, length)
    ]
