"""Are the 3D poses those of people: lengths of body parts, symmetry, distance?"""

from collections import defaultdict

import numpy as np

from ...skeleton import Skeleton
from .people import People
from .rows import Check, note, skip

__all__ = ["PART_BOUNDS_MM", "BodyCheck", "part_lengths", "part_name"]

# Plausible lengths, mm: segment lengths as fractions of the stature (Drillis and Contini 1966, as
# printed in Winter, Biomechanics and Motor Control of Human Movement, figure 4.1) for statures of
# 0.8 m (a child of two) to 2.1 m, less a quarter and more 30 %, as the joints of every dataset lie
# somewhere else.  The line from pelvis to neck also shortens when somebody bends.
PART_BOUNDS_MM: dict[str, tuple[int, int]] = {
    "neck-head_top": (110, 500),
    "neck-nose": (55, 400),
    "neck-shoulder": (75, 350),
    "shoulder-elbow": (110, 510),
    "elbow-wrist": (85, 400),
    "pelvis-hip": (45, 260),
    "hip-knee": (145, 670),
    "knee-ankle": (145, 670),
    "pelvis-neck": (100, 790),
    "smpl_neck-smpl_head": (30, 200),
    "smpl_neck-shoulder": (75, 350),
    "pelvis-smpl_neck": (100, 790),
}
# Real captures have a few percent of wrong joints (a bad triangulation, a leg behind a desk).
_MAX_OUTSIDE = 0.05
_MAX_ASYMMETRY = 0.15
# Half of a person's joints are farther than the distance measured here.
_DISTANCES_MM = (300.0, 60_000.0)
_MAX_FAR = 0.001


class BodyCheck:
    """Collects lengths, left-right differences and distances over all people."""

    def __init__(self):
        self._lengths: dict[str, list[np.ndarray]] = defaultdict(list)
        self._asymmetry: dict[str, list[np.ndarray]] = defaultdict(list)
        self._distances: list[np.ndarray] = []
        self._valid = self._joints = 0

    def add(self, people: People) -> None:
        measured = people.valid.any(axis=1)
        if not measured.any():
            return
        lengths = part_lengths(people)[measured]
        names = [part_name(people.skeleton, part) for part in range(people.skeleton.num_parts)]
        for column, name in zip(lengths.T, names, strict=True):
            self._lengths[name].append(column[~np.isnan(column)])
        for left, right in _mirrored_parts(people.skeleton):
            a, b = lengths[:, left], lengths[:, right]
            mean = (a + b) / 2
            both = mean > 0  # not where one is NaN
            self._asymmetry[names[left]].append(np.abs(a - b)[both] / mean[both])
        depth = np.where(people.valid[measured], people.joints[measured, :, 2], np.nan)
        self._distances.append(np.nanmedian(depth, axis=1))
        self._valid += int(people.valid[measured].sum())
        self._joints += people.valid[measured].size

    def rows(self) -> list[Check]:
        if not self._distances:
            return [skip("lengths and distances of bodies", "no 3D joints")]
        rows = [note("valid 3D joints", f"{self._valid / self._joints:.1%}"), self._distance_row()]
        for name, parts in self._lengths.items():
            lengths = np.concatenate(parts)
            if len(lengths):
                rows.append(_length_row(name, lengths))
        differences = {name: np.concatenate(parts) for name, parts in self._asymmetry.items()}
        medians = {
            name: float(np.median(found)) for name, found in differences.items() if len(found)
        }
        if medians:
            worst = max(medians, key=medians.__getitem__)
            rows.append(
                Check.judged(
                    "left-right difference, median",
                    f"{medians[worst]:.1%} ({worst}, the largest)",
                    f"<= {_MAX_ASYMMETRY:.0%}",
                    medians[worst] <= _MAX_ASYMMETRY,
                )
            )
        return rows

    def _distance_row(self) -> Check:
        distances = np.concatenate(self._distances)
        low, high = _DISTANCES_MM
        outside = float(((distances < low) | (distances > high)).mean())
        return Check.judged(
            "distance of people",
            f"{distances.min():.0f} to {distances.max():.0f} mm, median {np.median(distances):.0f}",
            f"{low:.0f} to {high:.0f} mm",
            outside <= _MAX_FAR,
        )


def part_lengths(people: People) -> np.ndarray:
    """(P, S) float32 lengths of the skeleton's parts in mm; NaN where an end is not valid."""
    start, end = np.array(people.skeleton.parts).T
    lengths = np.linalg.norm(people.joints[:, end] - people.joints[:, start], axis=-1)
    return np.where(people.valid[:, start] & people.valid[:, end], lengths, np.nan)


def part_name(skeleton: Skeleton, part: int) -> str:
    """The part's joints without their side, e.g. "shoulder-elbow" for either arm."""
    names = (skeleton.joint_names[joint] for joint in skeleton.parts[part])
    return "-".join(name.removeprefix("left_").removeprefix("right_") for name in names)


def _mirrored_parts(skeleton: Skeleton) -> list[tuple[int, int]]:
    """Pairs (left, right) of parts that a mirrored image exchanges."""
    flip = skeleton.flip_indices
    places = {frozenset(part): index for index, part in enumerate(skeleton.parts)}
    pairs = []
    for part, (start, end) in enumerate(skeleton.parts):
        mirrored = places.get(frozenset((int(flip[start]), int(flip[end]))), part)
        if any(skeleton.joint_names[j].startswith("left_") for j in (start, end)) and (
            mirrored != part
        ):
            pairs.append((part, mirrored))
    return pairs


def _length_row(name: str, lengths: np.ndarray) -> Check:
    median = float(np.median(lengths))
    if name not in PART_BOUNDS_MM:
        return note(f"length {name}", f"median {median:.0f} mm")
    low, high = PART_BOUNDS_MM[name]
    outside = float(((lengths < low) | (lengths > high)).mean())
    return Check.judged(
        f"length {name}",
        f"median {median:.0f} mm, {outside:.2%} outside",
        f"{low} to {high} mm, <= {_MAX_OUTSIDE:.0%} outside",
        low <= median <= high and outside <= _MAX_OUTSIDE,
    )
