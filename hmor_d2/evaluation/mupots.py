"""The official evaluation of MuPoTS-3D, of predictions of any method, without MATLAB.

Variants in the literature that are *not* this protocol, and whose figures must not stand beside
these: root-aligned ``annot3`` as ground truth instead of ``univ_annot3``; Procrustes alignment;
AUC over 0:5:195 or 0:5:200; matching by Hungarian assignment or by 3D distance; SMAP's 15 joints,
which put the neck's bone at the pelvis; averages over people instead of sequences.
"""

import logging
import os
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..data.dataset_error import DatasetError, field_error
from ..data.datasets.mupots_annotations import (
    MUPOTS_JOINT_SET,
    MUPOTS_SEQUENCES,
    MuPoTSSequence,
    read_mupots_sequence,
)
from ..skeleton import get_skeleton
from .metrics import mean_or_nan
from .mupots_sequence import SequencePeople, evaluate_sequence, mean_root_errors
from .prediction_file import PosePredictions, stack_predictions
from .root_ap import root_average_precision

__all__ = ["MUPOTS_FIGURES", "evaluate_mupots"]

#: 3DPCK and AUC, relative and absolute, of all annotated people and of the matched ones.
MUPOTS_FIGURES: tuple[str, ...] = tuple(
    f"{figure}_{mode}{people}"
    for people in ("", "_matched")
    for mode in ("rel", "abs")
    for figure in ("3DPCK", "AUC")
)

_IMAGE_NAME = re.compile(r"([^/\\]+)/img_([0-9]{6})\.jpg")

logger = logging.getLogger(__name__)


def evaluate_mupots(
    annotation_dir: str | os.PathLike,
    predictions: Mapping[str, Sequence[Mapping[str, Any]]] | PosePredictions,
    sequences: Sequence[str] = MUPOTS_SEQUENCES,
) -> dict[str, Any]:
    """Evaluate predictions as ``mpii_mupots_multiperson_eval`` does.

    Annotated people are matched to predictions by their 2D joints
    (:func:`~.mupots_protocol.match_identities`), the predicted bones get the lengths of the true
    ones, and joints less than 150 mm from ``univ_annot3`` are correct.  ``_rel`` compares after
    subtracting the pelvis, ``_abs`` as they are.  All joints of a missed person are wrong;
    figures with ``_matched`` leave missed people out, and say nothing without ``unmatched``.
    Predictions left over cost nothing but AP.

    Args:
        annotation_dir: folder that holds ``TS1`` to ``TS20``, with ``annot.mat`` and
            ``occlusion.mat`` each.
        predictions: ``"TS1/img_000000.jpg"`` to a list of people, dicts with ``keypoints``
            (17, 2) px, ``keypoints_cam`` (17, 3) mm and ``score``, in the dataset's own pixels
            (index coordinates) and joints (``muco17``); or a file that was read
            (:mod:`.prediction_file`), whose people are checked already.  The people of images
            without an entry count as missed; images of sequences that are not evaluated are
            left out, whether the folder has them or not.
        sequences: names of folders; others than the 20 give means of another set.

    Returns:
        Figures in percent; means over sequences, unweighted, where not said otherwise.

        - ``3DPCK_rel``, ``AUC_rel``, ``3DPCK_abs``, ``AUC_abs``, and each with ``_matched``.
        - ``AP_root_25``: see :func:`~.root_ap.root_average_precision`; over all images at once.
        - ``MRPE``, ``MRPE_x``, ``MRPE_y``, ``MRPE_z``: mm, mean over all matched people of the
          distance of the pelvis, and of its absolute differences along each axis.
        - ``PCOD``: see :func:`~.root_ap.ordinal_depth_pairs`; a missed person counts as standing
          at 100 m, as in SMAP's script.  ``PCOD_matched``: pairs of matched people alone.
        - ``people``, ``unmatched``: numbers of annotated people and of those missed.
        - ``per_joint_group``: for each of the eight figures, by group of joints.
        - ``visible``, ``occluded``: 3DPCK of these joints alone (``3DPCK_rel`` ...), and their
          number, ``joints`` and ``joints_matched``.
        - ``per_sequence``: ``names``, and for every key above but ``AP_root_25`` the same with
          arrays of one value a sequence.  ``per_joint`` in its ``visible`` and ``occluded`` holds
          (sequences, 14) tables; a joint that never occurs in one has 100, as in the original.

        NaN where a figure is undefined: matched people where nobody matched.  Means leave
        such sequences out, and a warning names them.

    Raises:
        DatasetError: for annotations or predictions that are malformed, images that the dataset
            does not have, and lengths that cannot be millimetres; names file, image, person
            and field.
    """
    if not isinstance(predictions, PosePredictions):
        predictions = stack_predictions(predictions, get_skeleton(MUPOTS_JOINT_SET))
    folder = os.fspath(annotation_dir)
    annotations = _read_annotations(folder, sequences)
    frames = {name: len(annotation.valid) for name, annotation in annotations.items()}
    image_sequence, image_frame = _locate_images(predictions, frames, folder)
    sequence, frame = image_sequence[predictions.image], image_frame[predictions.image]
    # By sequence and frame: so ties of scores do not depend on the order of the images.
    order = np.lexsort((frame, sequence))
    bounds = np.searchsorted(sequence[order], np.arange(len(frames) + 1))
    rows, people = [], []
    for index, annotation in enumerate(annotations.values()):
        chosen = order[bounds[index] : bounds[index + 1]]
        row, part = evaluate_sequence(
            annotation,
            predictions.keypoints[chosen],
            predictions.keypoints_cam[chosen],
            predictions.scores[chosen],
            frame[chosen],
        )
        rows.append(row)
        people.append(part)
    _warn_of_sequences_without_match(list(frames), rows, people)
    return _summarise(list(frames), rows) | _figures_of_all_people(people, list(frames.values()))


def _read_annotations(folder: str, sequences: Sequence[str]) -> dict[str, MuPoTSSequence]:
    names = [sequences] if isinstance(sequences, str) else list(sequences)
    if not names or len(set(names)) < len(names):
        raise ValueError(f"sequences: found {names}, expected names, each once")
    missing = [name for name in names if not os.path.isdir(os.path.join(folder, name))]
    if missing:
        raise DatasetError(
            f"{folder}: found no folder {', '.join(missing)}, expected one for each of the "
            f"{len(names)} sequences to evaluate"
        )
    return {name: read_mupots_sequence(os.path.join(folder, name)) for name in names}


def _locate_images(
    predictions: PosePredictions, frames: Mapping[str, int], folder: str
) -> tuple[np.ndarray, np.ndarray]:
    """(I,) index of sequence, -1 for those that are not evaluated, and (I,) frame of images."""
    index = {name: i for i, name in enumerate(frames)}
    sequence = np.full(len(predictions.names), -1, dtype=np.int64)
    frame = np.zeros(len(predictions.names), dtype=np.int64)
    others = set()
    for i, image in enumerate(predictions.names):
        found = _IMAGE_NAME.fullmatch(str(image))
        if not found or found[1] in (".", ".."):
            expected = f"'{next(iter(frames))}/img_000000.jpg' and the like"
            raise field_error(f"{predictions.source}, image {image}", "image", str(image), expected)
        name, frame[i] = found[1], int(found[2])
        if name in index and frame[i] < frames[name]:
            sequence[i] = index[name]
        elif name in index:
            expected = f"one of the {frames[name]} frames of {name}, from 000000"
            raise field_error(f"{predictions.source}, image {image}", "frame", found[2], expected)
        elif (
            name in others or name in MUPOTS_SEQUENCES or os.path.isdir(os.path.join(folder, name))
        ):
            others.add(name)
        else:
            expected = f"a sequence of MuPoTS-3D, or in {folder}"
            raise field_error(f"{predictions.source}, image {image}", "sequence", name, expected)
    used, total = int((sequence >= 0).sum()), sum(frames.values())
    if others:
        logger.info("%d images of other sequences are left out.", len(sequence) - used)
    if used < total:
        missing = f"{total - used} of {total} images have no prediction"
        logger.warning("%s: all their people count as missed.", missing)
    return sequence, frame


def _warn_of_sequences_without_match(
    names: list[str], rows: list[dict[str, Any]], people: list[SequencePeople]
) -> None:
    empty = [n for n, row in zip(names, rows, strict=True) if row["people"] == row["unmatched"]]
    if empty:
        left = "means of matched people are over the other sequences"
        if len(empty) == len(names):
            left = "figures of matched people are NaN"
        logger.warning("Nobody is matched in %s: %s.", ", ".join(empty), left)
    if len(empty) == len(names) and any(len(part.scores) for part in people):
        logger.warning(
            "No annotated person has a predicted joint within 40 pixels.  Are 'keypoints' in "
            "pixels of the original images, and joints in the order of %s?",
            MUPOTS_JOINT_SET,
        )


def _summarise(names: list[str], rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Means over sequences, sums of numbers, and ``per_sequence``."""
    per_sequence = _stack(rows)
    results = {name: _over_sequences(name, values) for name, values in per_sequence.items()}
    for part in ("visible", "occluded"):
        results[part].pop("per_joint")  # a table of each sequence alone, as in the original
    return results | {"per_sequence": {"names": names} | per_sequence}


def _stack(rows: Sequence[Any]) -> Any:
    if isinstance(rows[0], dict):
        return {name: _stack([row[name] for row in rows]) for name in rows[0]}
    return np.array(rows)


def _over_sequences(name: str, values: Any) -> Any:
    if isinstance(values, dict):
        return {inner: _over_sequences(inner, part) for inner, part in values.items()}
    return int(values.sum()) if values.dtype.kind == "i" else mean_or_nan(values)


def _figures_of_all_people(people: list[SequencePeople], num_frames: list[int]) -> dict[str, float]:
    """AP and MRPE, which people and not sequences are averaged for."""
    # Frames of all sequences are numbered together.
    starts = np.cumsum([0, *num_frames[:-1]])
    average_precision = root_average_precision(
        np.concatenate([part.roots for part in people]),
        np.concatenate([part.scores for part in people]),
        np.concatenate([start + p.frame for start, p in zip(starts, people, strict=True)]),
        np.concatenate([part.gt_roots for part in people]),
        np.concatenate([start + p.gt_frame for start, p in zip(starts, people, strict=True)]),
    )
    offsets = np.concatenate([part.root_offsets for part in people])
    return {"AP_root_25": average_precision} | mean_root_errors(offsets)
