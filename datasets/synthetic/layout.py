"""Where people stand: scattered, in pairs that touch or face each other, in rows and queues.

Nobody may overlap anybody by more than ``TOLERANCE`` at any of the moments that are tested.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from .collision import penetration

TOLERANCE = 0.01
ARRANGEMENTS = {
    "scatter": 0.36,
    "facing": 0.14,
    "side_by_side": 0.16,
    "queue": 0.16,
    "circle": 0.08,
    "crowd": 0.10,
}
_TRIES = 24


@dataclass(frozen=True)
class Figure:
    """A posed person before placement: capsule ``ends`` (M, 2, C, 3) at M moments, ``radii``."""

    ends: np.ndarray
    radii: np.ndarray

    def turned(self, heading: float) -> np.ndarray:
        """(M, 2, C, 3) capsule ends at a heading, over the origin."""
        c, s = np.cos(heading), np.sin(heading)
        turn = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
        return self.ends @ turn.T

    def placed(self, place: np.ndarray, heading: float) -> np.ndarray:
        """(M, 2, C, 3) capsule ends in the world."""
        return self.turned(heading) + np.append(place, 0.0)


@dataclass(frozen=True)
class Spot:
    """A place (2,) in metres and a heading in radians; heading 0 faces -Y."""

    place: np.ndarray
    heading: float


def heading_towards(direction: np.ndarray) -> float:
    """The heading of someone who faces a direction (2,) on the ground."""
    return float(np.arctan2(direction[0], -direction[1]))


class _Placed(NamedTuple):
    """A person in the world: capsule ``ends`` (M, 2, C, 3), their ``middles`` (M, 3), ``radii``."""

    ends: np.ndarray
    middles: list[np.ndarray]
    radii: np.ndarray


def _placed(ends: np.ndarray, radii: np.ndarray) -> _Placed:
    return _Placed(ends, [moment.mean(axis=(0, 1)) for moment in ends], radii)


def _overlap(person: _Placed, others: list[_Placed]) -> float:
    """Deepest penetration with anybody placed, over all moments; -inf with nobody."""
    deepest = -np.inf
    for other in others:
        for moment, (a, b) in enumerate(zip(person.middles, other.middles, strict=True)):
            # Far apart on the ground: no need to look at the limbs.
            if max(abs(a[0] - b[0]), abs(a[1] - b[1])) < 2.5:
                ends, other_ends = person.ends[moment], other.ends[moment]
                deepest = max(deepest, penetration(ends, person.radii, other_ends, other.radii))
    return deepest


def _push_out(
    figure: Figure, spot: Spot, direction: np.ndarray, others: list[_Placed], closest: bool
) -> Spot | None:
    """Move a person along a direction until free; ``closest``: until it just touches.

    None if 3 metres do not suffice.
    """

    turned = figure.turned(spot.heading)

    def overlap(distance: float) -> float:
        ends = turned + np.append(spot.place + distance * direction, 0.0)
        return _overlap(_placed(ends, figure.radii), others)

    if overlap(0.0) <= TOLERANCE and not closest:
        return spot
    far = 0.0
    while overlap(far) > TOLERANCE:
        far += 0.15
        if far > 3.0:
            return None
    near = max(far - 0.15, -1.5 if closest else 0.0)
    if closest and far == 0.0:
        # Free from the start: approach until touching, at most 1.5 m.
        while near > -1.5 and overlap(near) <= TOLERANCE:
            far, near = near, near - 0.15
    for _ in range(6):
        middle = (near + far) / 2
        if overlap(middle) > TOLERANCE:
            near = middle
        else:
            far = middle
    return Spot(spot.place + far * direction, spot.heading)


def _unit(angle: float) -> np.ndarray:
    return np.array([np.cos(angle), np.sin(angle)])


def _propose(
    rng: np.random.Generator, kind: str, k: int, count: int, spots: list[Spot], view: float
) -> tuple[Spot, np.ndarray, bool]:
    """A spot for person ``k``, the direction to push along, and whether to close up."""
    any_heading = rng.uniform(0, 2 * np.pi)
    across, towards = _unit(view + np.pi / 2), _unit(view)
    if kind in ("scatter", "crowd") or not spots:
        spread = 0.5 * np.sqrt(count) if kind == "crowd" else 0.75 * np.sqrt(count) + 0.4
        place = spread * rng.normal(0, 0.6, 2)
        if not spots and kind not in ("scatter", "crowd"):
            place = rng.normal(0, 0.1, 2)
        facing = any_heading
        if kind == "side_by_side":
            facing = heading_towards(towards) + rng.normal(0, 0.7)
        elif kind == "queue":
            facing = heading_towards(towards) + rng.choice([0.0, np.pi]) + rng.normal(0, 0.5)
        elif kind == "circle":
            place = 0.35 * count**0.8 * _unit(view)
            facing = heading_towards(-place)
        outward = place / max(np.linalg.norm(place), 1e-6)
        return Spot(place, float(facing)), outward, False
    last = spots[-1]
    if kind == "facing":
        if k % 2:
            direction = _unit(last.heading - np.pi / 2 + rng.normal(0, 0.3))
            heading = heading_towards(-direction) + rng.normal(0, 0.25)
            return Spot(last.place + 0.5 * direction, heading), direction, rng.random() < 0.6
        place = last.place + rng.uniform(0.8, 1.6) * _unit(any_heading)
        return Spot(place, rng.uniform(0, 2 * np.pi)), _unit(any_heading), False
    if kind == "side_by_side":
        step = across * (1 if rng.random() < 0.9 else -1)
        place = spots[-1].place + 0.35 * step + rng.normal(0, 0.08) * towards
        heading = last.heading + rng.normal(0, 0.3)
        return Spot(place, heading), step, rng.random() < 0.6
    if kind == "queue":
        step = -towards + rng.uniform(-0.35, 0.35) * across
        step /= np.linalg.norm(step)
        heading = last.heading + rng.normal(0, 0.4)
        return Spot(last.place + 0.35 * step, heading), step, rng.random() < 0.5
    place = 0.35 * count**0.8 * _unit(view + 2 * np.pi * k / count)
    return Spot(place, heading_towards(-place)), place / np.linalg.norm(place), False


def arrange(
    rng: np.random.Generator, figures: list[Figure], view: float, kind: str | None = None
) -> list[Spot | None]:
    """Places for people; None for one who finds no room.

    Args:
        view: azimuth, radians, from which the first camera looks: queues run along it.
        kind: one of ``ARRANGEMENTS``; drawn where None.
    """
    if kind is None:
        kind = str(rng.choice(list(ARRANGEMENTS), p=list(ARRANGEMENTS.values())))
    result: list[Spot | None] = []
    spots: list[Spot] = []
    placed: list[_Placed] = []
    for k, figure in enumerate(figures):
        found = None
        for _ in range(_TRIES):
            spot, direction, closest = _propose(rng, kind, k, len(figures), spots, view)
            found = _push_out(figure, spot, direction, placed, closest and bool(placed))
            if found is not None:
                break
        result.append(found)
        if found is not None:
            spots.append(found)
            placed.append(_placed(figure.placed(found.place, found.heading), figure.radii))
    return result
