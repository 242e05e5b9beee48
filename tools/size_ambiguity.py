#!/usr/bin/env python
"""How far not knowing people's sizes alone takes MuPoTS-3D's absolute figures down.

One picture does not tell a tall person far away from a small one near by.  Here the true poses are
scaled about the camera, which no pixel shows, and evaluated by the official protocol: what a method
would reach that is perfect in all but people's sizes.  "mean" gives everybody the mean size of the
annotated people; "X%" errs in each person's size by X% (standard deviation of a normal
distribution).  The size is the sum of a person's bone lengths.

    python tools/size_ambiguity.py --annotations datasets/synthetic/mupots
    python tools/size_ambiguity.py --annotations datasets/mupots --errors 2 5 10
"""

import argparse
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hmor_d2.data.datasets.mupots_annotations import (
    MUPOTS_JOINT_SET,
    MuPoTSSequence,
    read_mupots_sequence,
)
from hmor_d2.evaluation.mupots import evaluate_mupots
from hmor_d2.skeleton import get_skeleton

FIGURES = ("3DPCK_rel", "3DPCK_abs", "AUC_abs", "MRPE", "MRPE_z")
_FOLDER = re.compile(r"TS\d+")


@dataclass(frozen=True)
class Person:
    """One annotated person of a sequence: ``index`` in it, ``size`` mm."""

    sequence: MuPoTSSequence
    index: int
    size: float


def read_people(folder: str) -> list[Person]:
    """All people of all sequences in a folder.

    Raises:
        FileNotFoundError: if the folder has no sequence.
        DatasetError: for annotations that cannot be read.
    """
    names = sorted(name for name in os.listdir(folder) if _FOLDER.fullmatch(name))
    if not names:
        raise FileNotFoundError(f"{folder}: found no folder TS1, TS2, ...")
    people = []
    for name in names:
        sequence = read_mupots_sequence(os.path.join(folder, name))
        start, end = np.array(get_skeleton(MUPOTS_JOINT_SET).parts).T
        bones = np.linalg.norm(sequence.annot3[:, :, start] - sequence.annot3[:, :, end], axis=-1)
        for index in np.flatnonzero(sequence.valid.any(axis=0)):
            size = bones[sequence.valid[:, index], index].sum(axis=-1).mean()
            people.append(Person(sequence, int(index), float(size)))
    return people


def evaluate_scaled(
    folder: str, people: Sequence[Person], scales: np.ndarray
) -> dict[str, float | None]:
    """The protocol's figures of true poses, each person's scaled about the camera.

    Args:
        folder: that :func:`read_people` read.
        people: P people.
        scales: (P,).
    """
    predictions: dict[str, list[dict[str, Any]]] = {}
    for person, scale in zip(people, scales, strict=True):
        sequence, index = person.sequence, person.index
        for frame in np.flatnonzero(sequence.valid[:, index]):
            predictions.setdefault(f"{sequence.name}/img_{frame:06d}.jpg", []).append(
                {
                    "keypoints": sequence.annot2[frame, index],
                    "keypoints_cam": sequence.annot3[frame, index] * scale,
                    "score": 1.0,
                }
            )
    names = list(dict.fromkeys(person.sequence.name for person in people))
    results = evaluate_mupots(folder, predictions, names)
    return {name: results[name] for name in FIGURES}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--annotations", required=True, metavar="DIR", help="folder of TS1, TS2, ...")
    add("--errors", type=float, nargs="+", default=[3.0, 6.0], metavar="PERCENT")
    add("--seed", type=int, default=0, help="of the errors")
    args = parser.parse_args(arguments)
    try:
        people = read_people(args.annotations)
    except (ValueError, OSError) as error:
        parser.exit(2, f"{parser.prog}: error: {error}\n")
    sizes = np.array([person.size for person in people])
    relative = sizes / sizes.mean()
    print(
        f"{len(people)} people, sizes {relative.min():.2f} to {relative.max():.2f} of the mean "
        f"one, standard deviation {relative.std():.1%}"
    )
    rng = np.random.default_rng(args.seed)
    rows = {"mean": 1.0 / relative}
    for error in args.errors:
        rows[f"{error:g}%"] = 1.0 + error / 100 * rng.standard_normal(len(people))
    print("sizes " + "".join(f"{name:>10}" for name in FIGURES))
    for title, scales in rows.items():
        figures = evaluate_scaled(args.annotations, people, scales)
        print(f"{title:6}" + "".join(f"{figures[name]:10.1f}" for name in FIGURES))


if __name__ == "__main__":
    main()
