"""Who was found in pictures, and PCK of the 2D joints of those found; numpy alone.

Boxes are (x0, y0, x1, y1) and joints (x, y), in pixels of the original image.
"""

from collections.abc import Sequence

import numpy as np

from .matching import clip_boxes, covered_by_crowd, match_boxes
from .metrics import pck, share

__all__ = ["FoundPeople", "match_people", "torso_diagonals", "torso_pck"]

# The torso's two diagonals; the usual one first.
_DIAGONALS = (("left_shoulder", "right_hip"), ("right_shoulder", "left_hip"))
_FRACTION = 0.2


def match_people(
    pred_boxes: np.ndarray,
    scores: np.ndarray,
    boxes: np.ndarray,
    crowd: np.ndarray,
    image_size: tuple[int, int],
    iou_threshold: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Match an image's predictions to its people by their boxes, all clipped to the image.

    By descending score, each prediction takes the free person of best IoU.

    Args:
        pred_boxes: (N, 4).
        scores: (N,).
        boxes: (P, 4), annotated people.
        crowd: (C, 4), regions of people who are not annotated one by one.
        image_size: (height, width).
        iou_threshold: least IoU of a match, in (0, 1]; also the share of a prediction's own area
            that a crowd covers, for it to belong to the crowd.

    Returns:
        (N,) index of each prediction's person, -1 for none; and (N,) bool, false alarms: those
        with neither a person nor a crowd.
    """
    pred_boxes, boxes, crowd = (clip_boxes(b, image_size) for b in (pred_boxes, boxes, crowd))
    match = match_boxes(pred_boxes, scores, boxes, iou_threshold)
    return match, (match < 0) & ~covered_by_crowd(pred_boxes, crowd, iou_threshold)


def torso_diagonals(
    pixels: np.ndarray, known: np.ndarray, joint_names: Sequence[str]
) -> np.ndarray:
    """Size of people in a picture: the distance from the left shoulder to the right hip.

    Where one of these two is not annotated, from the right shoulder to the left hip.

    Args:
        pixels: (N, J, 2).
        known: (N, J) bool.
        joint_names: names of the J joints.

    Returns:
        (N,) px; NaN for people without either, and for joint sets without these joints.
    """
    lengths = np.full(len(pixels), np.nan)
    for names in _DIAGONALS:
        if not set(names) <= set(joint_names):
            continue
        a, b = (joint_names.index(name) for name in names)
        length = np.linalg.norm(pixels[:, a] - pixels[:, b], axis=-1)
        usable = np.isnan(lengths) & known[:, a] & known[:, b]
        lengths = np.where(usable, length, lengths)
    return lengths


def torso_pck(
    pred: np.ndarray, gt: np.ndarray, known: np.ndarray, joint_names: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
    """PCK@0.2: joints nearer to the truth than a fifth of :func:`torso_diagonals`.

    The measure of Yang and Ramanan (PAMI 2013) with the torso's diagonal as the size, as usual
    on FLIC and LSP.

    Args:
        pred: (N, J, 2) px.
        gt: (N, J, 2) px.
        known: (N, J) bool.
        joint_names: names of the J joints.

    Returns:
        (N,) number of correct joints and (N,) number of counted joints, both 0 for people whose
        torso is not annotated.
    """
    return pck(pred, gt, known, _FRACTION * torso_diagonals(gt, known, joint_names))


class FoundPeople:
    """Adds up images: who was found, false alarms, and the 2D joints of people found.

    Attributes:
        joint_names: names of the J joints.
        iou_threshold: see :func:`match_people`.
    """

    def __init__(self, joint_names: Sequence[str], iou_threshold: float):
        """
        Raises:
            ValueError: if ``iou_threshold`` is not in (0, 1].
        """
        if not 0 < iou_threshold <= 1:
            raise ValueError(f"iou_threshold must be in (0, 1], found {iou_threshold}")
        self.joint_names = tuple(joint_names)
        self.iou_threshold = iou_threshold
        self._annotated = np.zeros(len(self.joint_names), dtype=bool)
        self._counts = dict.fromkeys(
            ("images", "people", "matched", "matched_2d", "false_positives", "correct", "joints"), 0
        )

    def add(
        self,
        pred_boxes: np.ndarray,
        scores: np.ndarray,
        pred_pixels: np.ndarray,
        boxes: np.ndarray,
        pixels: np.ndarray,
        known: np.ndarray,
        crowd: np.ndarray,
        image_size: tuple[int, int],
    ) -> np.ndarray:
        """Take one image.

        Args:
            pred_boxes: (N, 4).
            scores: (N,).
            pred_pixels: (N, J, 2).
            boxes: (P, 4), annotated people; all count as people to be found.
            pixels: (P, J, 2).
            known: (P, J) bool, joints that PCK compares; people may have none.
            crowd: (C, 4).
            image_size: (height, width).

        Returns:
            (N,) index of each prediction's person, -1 for none.
        """
        match, false_positives = match_people(
            pred_boxes, scores, boxes, crowd, image_size, self.iou_threshold
        )
        found = match >= 0
        person = match[found]
        correct, joints = torso_pck(
            pred_pixels[found], pixels[person], known[person], self.joint_names
        )
        image = {
            "images": 1,
            "people": len(boxes),
            "matched": found.sum(),
            "matched_2d": (joints > 0).sum(),
            "false_positives": false_positives.sum(),
            "correct": correct.sum(),
            "joints": joints.sum(),
        }
        for name, number in image.items():
            self._counts[name] += int(number)
        self._annotated |= known.any(axis=0)
        return match

    @property
    def compared_joints(self) -> tuple[str, ...]:
        """Names of the joints that PCK compares: those annotated of anybody so far."""
        return tuple(np.array(self.joint_names)[self._annotated].tolist())

    def figures(self) -> dict[str, float]:
        """Shares in [0, 1], NaN where nobody counts, and numbers.

        Returns:
            ``PCK@0.2`` over the annotated joints of people found whose torso is annotated;
            ``detection_rate``, people found / annotated people;
            ``false_positives_per_person``, false alarms / annotated people, and
            ``false_positives_per_image``;
            ``people``, ``matched`` (found), ``matched_2d`` (found, in PCK) and ``joints_2d``
            (their joints in PCK), numbers: with them, PCK of several datasets is one PCK.
        """
        counts = self._counts
        return {
            "PCK@0.2": share(counts["correct"], counts["joints"]),
            "detection_rate": share(counts["matched"], counts["people"]),
            "false_positives_per_person": share(counts["false_positives"], counts["people"]),
            "false_positives_per_image": share(counts["false_positives"], counts["images"]),
            "people": counts["people"],
            "matched": counts["matched"],
            "matched_2d": counts["matched_2d"],
            "joints_2d": counts["joints"],
        }

    def describe_joints(self) -> str:
        """One line for the log: the joints of PCK, and what distances are measured by."""
        names = self.compared_joints
        return (
            f"PCK@0.2 by the torso (left shoulder to right hip, else the other diagonal), of "
            f"{len(names)} joints: {', '.join(names)}."
        )
