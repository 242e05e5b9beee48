#!/usr/bin/env python
"""What wrong orders of people in depth come from: noise of their depths, or more than that.

Reads what "pose3d" predicted (pose_predictions.json in an inference folder) and prints, of pairs of
found people in a picture, the share in the wrong order by their true distance in depth, and beside
it what the same errors would give if they had nothing to do with the pair: each pair with the
errors of all pairs, in either direction.  Where both agree, order is as good as the depths
are, and can only improve with them.  The correlation tells how much of their error people of a
picture share, which no order suffers from: 0 for errors of each person's own, 1 for a common one.

    python tools/order_noise.py output/inference/synthetic_crowd_test/pose_predictions.json
"""

import argparse
import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from detectron2.data import DatasetCatalog

from hmor_d2.config_file import read_config
from hmor_d2.data import register_custom_datasets
from hmor_d2.data.dataset_error import DatasetError
from hmor_d2.data.json_file import load_json
from hmor_d2.evaluation.matching import clip_boxes, match_boxes
from hmor_d2.evaluation.metrics import pairs_within_groups, share
from hmor_d2.evaluation.people import annotated_people, place
from hmor_d2.skeleton import get_skeleton

LIMITS_MM = (100.0, 200.0, 400.0, 800.0, 1600.0)
_MIN_IOU = 0.5
_FIELDS = ("bbox", "score", "root_depth")


@dataclass(frozen=True)
class Depths:
    """Root depths of found people: ``pred`` and ``gt`` (N,) mm, ``image`` (N,)."""

    pred: np.ndarray
    gt: np.ndarray
    image: np.ndarray

    def pairs(self) -> tuple[np.ndarray, np.ndarray]:
        """True distances of pairs, (P,) mm above 0, and errors of the predicted ones, (P,) mm."""
        a, b = pairs_within_groups(self.image)
        gap, pred = self.gt[a] - self.gt[b], self.pred[a] - self.pred[b]
        ordered = gap != 0
        side = np.sign(gap[ordered])
        return side * gap[ordered], side * (pred - gap)[ordered]

    def correlation(self) -> float:
        """Of the errors of two people in a picture, less the mean error of all."""
        error = self.pred - self.gt
        error = error - error.mean()
        a, b = pairs_within_groups(self.image)
        return share(np.mean(error[a] * error[b]), np.mean(error**2)) if len(a) else float("nan")


def wrong_by_noise(gap: np.ndarray, error: np.ndarray) -> np.ndarray:
    """(P,) probability that a pair's order is wrong with the error of any pair, of either sign.

    Args:
        gap: (P,) mm, positive.
        error: (P,) mm.
    """
    sizes = np.sort(np.abs(error))
    return (len(sizes) - np.searchsorted(sizes, gap, side="left")) / (2 * len(sizes))


def read_depths(file: str) -> tuple[str, Depths]:
    """The dataset's name, and the depths of people of whom a box has an IoU of 0.5 at least.

    Raises:
        DatasetError: for a file that pose3d has not written.
        KeyError: for a dataset that is not registered.
    """
    content = load_json(file)
    try:
        name, skeleton = content["dataset"], get_skeleton(content["skeleton"])
        predictions = {image["image_id"]: image["people"] for image in content["predictions"]}
        columns = {
            image_id: [np.array([p[key] for p in people], float) for key in _FIELDS]
            for image_id, people in predictions.items()
        }
    except (KeyError, TypeError, ValueError) as error:
        raise DatasetError(f"{file}: expected predictions that 'pose3d' wrote: {error}") from error
    pred, gt, image = [], [], []
    for number, record in enumerate(DatasetCatalog.get(name)):
        people, *_ = annotated_people(record, skeleton, place(name, record))
        boxes, scores, depth = columns.get(record["image_id"], [np.zeros(0)] * 3)
        boxes = clip_boxes(boxes.reshape(-1, 4), (record["height"], record["width"]))
        match = match_boxes(boxes, scores, people["boxes"], _MIN_IOU)
        depth, match = depth[match >= 0], match[match >= 0]
        known = people["valid"][match, skeleton.root_index]
        pred.append(depth[known])
        gt.append(people["poses"][match[known], skeleton.root_index, 2])
        image.append(np.full(known.sum(), number))
    return name, Depths(*map(np.concatenate, (pred, gt, image)))


def describe(depths: Depths) -> str:
    """The table of the module's docstring."""
    gap, error = depths.pairs()
    wrong, by_noise = error <= -gap, wrong_by_noise(gap, error)
    own = np.abs(depths.pred - depths.gt).mean()
    lines = [
        f"{len(depths.pred)} people, {len(gap)} pairs; mean error of a depth {own:.0f} mm, of a "
        f"distance {np.abs(error).mean():.0f} mm; correlation {depths.correlation():.2f}",
        f"{'distance, mm':>14}{'pairs':>8}{'wrong, %':>10}{'by noise, %':>13}",
    ]
    edges = [0.0, *LIMITS_MM, np.inf]
    rows = [(f"{low:.0f} to {high:.0f}", low, high) for low, high in itertools.pairwise(edges)]
    for title, low, high in [*rows, ("all", 0.0, np.inf)]:
        inside = (gap >= low) & (gap < high)
        if inside.any():
            figures = 100 * wrong[inside].mean(), 100 * by_noise[inside].mean()
            lines.append(f"{title:>14}{inside.sum():8d}{figures[0]:10.1f}{figures[1]:13.1f}")
    better = 100 * (0.75 * error <= -gap).mean()
    lines.append(f"with every error three quarters as large {better:.1f}% were wrong")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("predictions", nargs="+", help="pose_predictions.json")
    parser.add_argument("--config-file", default="configs/synthetic/datasets.yaml",
                        help="that registers the predictions' dataset")  # fmt: skip
    args = parser.parse_args(arguments)
    try:
        cfg = read_config(args.config_file)
        register_custom_datasets(cfg.DATASETS.CUSTOM)
        for file in args.predictions:
            name, depths = read_depths(file)
            print(f"{file}: {name}\n{describe(depths)}")
    except (ValueError, KeyError, OSError) as error:
        parser.exit(2, f"{parser.prog}: error: {error}\n")


if __name__ == "__main__":
    main()
