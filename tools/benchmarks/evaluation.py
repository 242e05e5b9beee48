"""Time of the evaluators: MuPoTS-3D's protocol, and COCO's beside Detectron2's evaluator.

MuPoTS-3D: all 20 sequences and 8370 frames, reading the annotation files and the protocol apart.
The annotations are the real ones if the environment variable HMOR_REAL_DATA has them as
mupots/MultiPersonTestSet, else made up; predictions are noisy copies of them.

COCO: made-up annotations and predictions of as many images as val2017 has.  Both evaluators get the
same people and take turns; which goes first changes from turn to turn, and a ratio is of the two
times of one turn.  Ours computes pose2d (who was found, and PCK) besides.
"""

import argparse
import contextlib
import copy
import io
import json
import logging
import os
import platform
import tempfile
import time
from pathlib import Path
from unittest import mock

from detectron2.data import DatasetCatalog, MetadataCatalog
from detectron2.evaluation import COCOEvaluator

from benchmarks.evaluation_data import (
    coco_predictions,
    find_mupots,
    make_coco,
    mupots_predictions,
    write_mupots,
)
from benchmarks.inference import count, summary, with_quartiles
from hmor_d2.data import register_coco_keypoints
from hmor_d2.data.datasets.mupots_annotations import MUPOTS_SEQUENCES, read_mupots_sequence
from hmor_d2.evaluation import COCOKeypointEvaluator, mupots
from hmor_d2.skeleton import get_skeleton

OURS, RIVAL = "ours", "Detectron2's"
_DATASET = "benchmark_of_evaluators"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--parts", nargs="+", choices=("mupots", "coco"), default=("mupots", "coco")
    )
    parser.add_argument("--frames", type=count, default=8370, help="of made-up MuPoTS-3D")
    parser.add_argument("--images", type=count, default=5000, help="of COCO")
    parser.add_argument("--predictions", type=count, default=10, help="people an image of COCO")
    parser.add_argument("--repeats", type=count, default=5, help="turns that are timed")
    parser.add_argument("--json", help="file for the figures")


def run(args: argparse.Namespace) -> None:
    where = f"{os.cpu_count()} cores, {platform.processor() or platform.machine()}"
    print(f"{where}, median of {args.repeats} turns (quartiles)")
    figures = {"device": where, "repeats": args.repeats}
    logging.disable(logging.WARNING)
    try:
        if "mupots" in args.parts:
            figures["mupots"] = measure_mupots(args.frames, args.repeats)
        if "coco" in args.parts:
            figures["coco"] = measure_coco(args.images, args.predictions, args.repeats)
    finally:
        logging.disable(logging.NOTSET)
    if args.json:
        Path(args.json).write_text(json.dumps(figures, indent=1) + "\n")
        print(f"\nWrote {args.json}")


def measure_mupots(num_frames: int, repeats: int) -> dict:
    """Print and return the times of MuPoTS-3D's evaluation."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = find_mupots()
        kind = "real" if folder else "made-up"
        if folder is None:
            folder = Path(temporary)
            write_mupots(folder, num_frames)
        predictions = mupots_predictions(folder)
        figures = {
            "annotations": kind,
            "sequences": len(MUPOTS_SEQUENCES),
            "frames": len(predictions.names),
            "predicted_people": len(predictions),
        }
        folders = [str(folder / name) for name in MUPOTS_SEQUENCES]
        sequences, times = {}, {"reading": [], "protocol": []}
        for _ in range(repeats):
            start = time.perf_counter()
            sequences = {path: read_mupots_sequence(path) for path in folders}
            times["reading"].append(time.perf_counter() - start)
            with mock.patch.object(mupots, "read_mupots_sequence", sequences.__getitem__):
                start = time.perf_counter()
                mupots.evaluate_mupots(folder, predictions)
                times["protocol"].append(time.perf_counter() - start)
    print(
        f"\nMuPoTS-3D, {kind} annotations: {figures['frames']} frames of "
        f"{figures['sequences']} sequences, {figures['predicted_people']} predicted people"
    )
    for title in times:
        figures[title] = summary(times[title])
        print(f"  {title:<10}{with_quartiles(figures[title], 3)} s")
    return figures


def measure_coco(num_images: int, per_image: int, repeats: int) -> dict:
    """Print and return the times of both evaluators, and their ratios."""
    skeleton = get_skeleton("coco17")
    content = make_coco(num_images)
    predictions = coco_predictions(content, per_image, list(skeleton.joint_names))
    inputs = [{"image_id": x["id"], "file_name": x["file_name"]} for x in content["images"]]
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary, "person_keypoints.json")
        path.write_text(json.dumps(content))
        register_coco_keypoints(_DATASET, str(path), temporary)
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                evaluators = {
                    OURS: COCOKeypointEvaluator(_DATASET, skeleton, distributed=False),
                    RIVAL: COCOEvaluator(_DATASET, ("bbox", "keypoints"), distributed=False),
                }
                seconds, results = _by_turns(evaluators, inputs, predictions, repeats)
        finally:
            DatasetCatalog.remove(_DATASET)
            MetadataCatalog.remove(_DATASET)
    for task in ("bbox", "keypoints"):
        found, expected = (results[name][task]["AP"] for name in (OURS, RIVAL))
        assert abs(found - expected) < 1e-9, f"{task}: AP {found}, Detectron2 says {expected}"
    ratios = [a / b for a, b in zip(seconds[RIVAL], seconds[OURS], strict=True)]
    figures = {
        "images": num_images,
        "predictions_an_image": per_image,
        "annotated_people": len(content["annotations"]),
        "seconds": {name: summary(times) for name, times in seconds.items()},
        "times_ours": summary(ratios),
        "AP": {task: results[OURS][task]["AP"] for task in ("bbox", "keypoints")},
    }
    print(
        f"\nCOCO: {num_images} images, {len(content['annotations'])} annotated people, {per_image} "
        "predicted an image\n"
        f"  {OURS:<14}{with_quartiles(figures['seconds'][OURS], 3)} s\n"
        f"  {RIVAL:<14}{with_quartiles(figures['seconds'][RIVAL], 3)} s, "
        f"{with_quartiles(figures['times_ours'], 2)} times ours"
    )
    return figures


def _by_turns(evaluators, inputs, predictions, repeats):
    """Seconds of each evaluator's turns by name, and its last results."""
    seconds, results = {name: [] for name in evaluators}, {}
    names = list(evaluators)
    for turn in range(repeats):
        for name in names if turn % 2 == 0 else names[::-1]:
            # Detectron2's evaluator moves the keypoints that it is given.
            outputs = [{"instances": copy.deepcopy(people)} for people in predictions]
            evaluator = evaluators[name]
            start = time.perf_counter()
            evaluator.reset()
            evaluator.process(inputs, outputs)
            results[name] = evaluator.evaluate()
            seconds[name].append(time.perf_counter() - start)
    return seconds, results
