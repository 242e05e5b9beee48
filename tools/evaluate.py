#!/usr/bin/env python
"""Evaluate a file of predictions, of any method, by a dataset's official protocol.

  python tools/evaluate.py --dataset mupots --annotations MultiPersonTestSet --predictions FILE.json
  python tools/evaluate.py --dataset mupots --annotations MultiPersonTestSet \\
      --predictions-2d preds_2d_kpt_mupots.mat --predictions-3d preds_3d_kpt_mupots.mat

The JSON file is described in hmor_d2/evaluation/prediction_file.py; .mat files are those that
3DMPPE writes.  Prints tables; --output writes every figure as JSON.
"""

import argparse
import json
import logging
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from hmor_d2.data.datasets.mupots_annotations import MUPOTS_JOINT_SET, MUPOTS_SEQUENCES
from hmor_d2.evaluation.mupots import evaluate_mupots
from hmor_d2.evaluation.mupots_report import mupots_json, mupots_tables
from hmor_d2.evaluation.pose_json import write_json
from hmor_d2.evaluation.prediction_file import (
    PosePredictions,
    read_predictions_json,
    read_predictions_mat,
)
from hmor_d2.skeleton import Skeleton, get_skeleton


def read_predictions(args: argparse.Namespace, skeleton: Skeleton) -> PosePredictions:
    """The predictions that the arguments name, from JSON or from a pair of .mat files."""
    if args.predictions:
        return read_predictions_json(args.predictions, skeleton)
    return read_predictions_mat(args.predictions_2d, args.predictions_3d, skeleton)


def evaluate_on_mupots(args: argparse.Namespace) -> tuple[dict[str, Any], str]:
    predictions = read_predictions(args, get_skeleton(MUPOTS_JOINT_SET))
    sequences = args.sequences or MUPOTS_SEQUENCES
    results = evaluate_mupots(args.annotations, predictions, sequences)
    return mupots_json(results), mupots_tables(results)


# A dataset's function takes the arguments and returns its figures, ready for JSON, and its tables.
EVALUATIONS: dict[str, Callable[[argparse.Namespace], tuple[dict[str, Any], str]]] = {
    "mupots": evaluate_on_mupots,
}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dataset", required=True, choices=sorted(EVALUATIONS))
    parser.add_argument("--annotations", required=True, metavar="DIR", help="the dataset's folder")
    parser.add_argument("--predictions", metavar="FILE.json")
    parser.add_argument("--predictions-2d", metavar="FILE.mat", help="with --predictions-3d")
    parser.add_argument("--predictions-3d", metavar="FILE.mat", help="with --predictions-2d")
    parser.add_argument(
        "--sequences",
        nargs="+",
        metavar="NAME",
        help="these alone; figures are then not those of the whole test set",
    )
    parser.add_argument("--output", type=Path, metavar="FILE.json", help="write every figure")
    args = parser.parse_args(arguments)
    mat = (args.predictions_2d, args.predictions_3d)
    if bool(args.predictions) == any(mat) or any(mat) != all(mat):
        parser.error("give either --predictions, or --predictions-2d and --predictions-3d")
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        figures, tables = EVALUATIONS[args.dataset](args)
        if args.output:
            args.output.parent.mkdir(parents=True, exist_ok=True)
            text = json.dumps(figures, allow_nan=False)
            write_json(str(args.output), {"dataset": args.dataset}, args.dataset, [text])
    except (ValueError, OSError) as error:
        parser.exit(2, f"{parser.prog}: error: {error}\n")
    print(tables)


if __name__ == "__main__":
    main()
