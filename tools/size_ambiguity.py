#!/usr/bin/env python
"""How far not knowing people's sizes alone takes absolute figures down.

One picture does not tell a tall person far away from a small one near by.  Here the true poses are
scaled about the camera, which no pixel shows, and evaluated: what a method would reach that is
perfect in all but people's sizes.  "mean" gives everybody the mean size of the annotated people;
"X%" errs in each person's size by X% (standard deviation of a normal distribution).  The size is
the sum of a person's bone lengths.

MuPoTS-3D is evaluated by its protocol, any other dataset of a config as "pose3d" evaluates it:

    python tools/size_ambiguity.py --annotations datasets/mupots/MultiPersonTestSet
    python tools/size_ambiguity.py --dataset synthetic_crowd_test \\
        --config-file configs/synthetic/datasets.yaml
"""

import argparse
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from detectron2.data import DatasetCatalog

from hmor_d2.config_file import read_config
from hmor_d2.data import register_custom_datasets
from hmor_d2.data.datasets.mupots_annotations import (
    MUPOTS_JOINT_SET,
    MuPoTSSequence,
    read_mupots_sequence,
)
from hmor_d2.evaluation.metrics import mean_or_nan, mpjpe, ordinal_accuracy, pck, root_errors, share
from hmor_d2.evaluation.mupots import evaluate_mupots
from hmor_d2.evaluation.people import annotated_people
from hmor_d2.skeleton import Skeleton, get_skeleton

FIGURES = ("3DPCK_rel", "3DPCK_abs", "AUC_abs", "MRPE", "MRPE_z")
_SKELETON = get_skeleton("muco17")
_PCK_RADIUS_MM = 150.0
Evaluation = Callable[[np.ndarray], dict[str, float | None]]
_FOLDER = re.compile(r"TS\d+")


@dataclass(frozen=True)
class Person:
    """One annotated person of a sequence: ``index`` in it, ``size`` mm."""

    sequence: MuPoTSSequence
    index: int
    size: float


def bone_lengths(poses: np.ndarray, skeleton: Skeleton) -> np.ndarray:
    """(..., parts) mm of (..., J, 3) poses."""
    start, end = np.array(skeleton.parts).T
    return np.linalg.norm(poses[..., start, :] - poses[..., end, :], axis=-1)


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
        bones = bone_lengths(sequence.annot3, get_skeleton(MUPOTS_JOINT_SET))
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


@dataclass(frozen=True)
class Poses:
    """Everybody with a whole annotated pose: ``poses`` (N, J, 3) mm; ``image`` (N,)."""

    poses: np.ndarray
    image: np.ndarray

    def evaluate(self, scales: np.ndarray) -> dict[str, float]:
        """Figures of the poses, each person's scaled about the camera.

        Args:
            scales: (N,).
        """
        pred, valid = self.poses * scales[:, None, None], np.ones(self.poses.shape[:2], bool)
        root = _SKELETON.root_index
        distance, components = root_errors(pred, self.poses, valid, root)
        right, pairs = ordinal_accuracy(pred[:, root, 2], self.poses[:, root, 2], self.image)
        radii = np.full(len(pred), _PCK_RADIUS_MM)
        near, joints = (n.sum() for n in pck(pred, self.poses, valid, radii))
        return {
            "MPJPE": mean_or_nan(mpjpe(pred, self.poses, valid, root)),
            "ABS_MPJPE": mean_or_nan(mpjpe(pred, self.poses, valid)),
            "MRPE": mean_or_nan(distance),
            "MRPE_z": mean_or_nan(components[:, 2]),
            "3DPCK_abs": 100 * share(near, joints),
            "wrong_pairs": 100 * (1 - share(right, pairs)),
        }


def read_dataset(config_file: str, name: str) -> Poses:
    """Everybody of a dataset that a config registers, or that is registered anyway.

    Raises:
        KeyError: for a dataset that is not.
        ConfigError, DatasetError, OSError: for files that cannot be read.
    """
    cfg = read_config(config_file)
    register_custom_datasets(cfg.DATASETS.CUSTOM)
    poses, images = [], []
    for number, record in enumerate(DatasetCatalog.get(name)):
        people, *_ = annotated_people(record, _SKELETON, f"{name}, image {record['image_id']}")
        whole = people["poses"][people["valid"].all(axis=1)]
        poses.append(whole)
        images.append(np.full(len(whole), number))
    return Poses(np.concatenate(poses), np.concatenate(images))


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--config-file", default="configs/synthetic/datasets.yaml", help="that registers --dataset")
    add("--errors", type=float, nargs="+", default=[3.0, 6.0], metavar="PERCENT")
    add("--seed", type=int, default=0, help="of the errors")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--annotations", metavar="DIR", help="MuPoTS-3D's folder of TS1, TS2, ...")
    source.add_argument("--dataset", metavar="NAME", help="any dataset with 3D poses")
    args = parser.parse_args(arguments)
    try:
        sizes, evaluate = read_source(args)
    except (ValueError, KeyError, OSError) as error:
        parser.exit(2, f"{parser.prog}: error: {error}\n")
    relative = sizes / sizes.mean()
    print(
        f"{len(sizes)} people, sizes {relative.min():.2f} to {relative.max():.2f} of the mean "
        f"one, standard deviation {relative.std():.1%}"
    )
    rng = np.random.default_rng(args.seed)
    rows = {"mean": 1.0 / relative}
    for error in args.errors:
        rows[f"{error:g}%"] = 1.0 + error / 100 * rng.standard_normal(len(sizes))
    figures = {title: evaluate(scales) for title, scales in rows.items()}
    print("sizes " + "".join(f"{name:>12}" for name in figures["mean"]))
    for title, row in figures.items():
        print(f"{title:6}" + "".join(f"{value:12.1f}" for value in row.values()))


def read_source(args: argparse.Namespace) -> tuple[np.ndarray, Evaluation]:
    """Everybody's size in mm, and what evaluates their poses scaled."""
    if args.annotations:
        people = read_people(args.annotations)
        sizes = np.array([person.size for person in people])
        return sizes, lambda scales: evaluate_scaled(args.annotations, people, scales)
    everybody = read_dataset(args.config_file, args.dataset)
    return bone_lengths(everybody.poses, _SKELETON).sum(axis=1), everybody.evaluate


if __name__ == "__main__":
    main()
