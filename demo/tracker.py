"""Who is who across the frames of a video: box overlap and distance in space.

Frame by frame, people are assigned to tracks so that the sum of affinities, overlap of boxes plus a
share of nearness in space, is as large as possible (Hungarian algorithm).  Distance tells people
apart whose boxes overlap because one stands behind the other; overlap holds a track whose
estimated depth jumps.  There is no model of appearance: who leaves for longer than a short gap
comes back as somebody else.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

__all__ = ["Tracker", "Tracks", "pairwise_iou"]

# Of nearness beside overlap.  Estimated depths jump by several percent from frame to frame, which
# is more than people walk; boxes do not.
_NEARNESS_WEIGHT = 0.25


def pairwise_iou(boxes_a: np.ndarray, boxes_b: np.ndarray) -> np.ndarray:
    """(N, M) intersection over union of boxes (N, 4) and (M, 4), XYXY; 0 where both are empty."""
    low = np.maximum(boxes_a[:, None, :2], boxes_b[None, :, :2])
    high = np.minimum(boxes_a[:, None, 2:], boxes_b[None, :, 2:])
    common = (high - low).clip(min=0).prod(axis=-1)
    area_a, area_b = ((b[:, 2:] - b[:, :2]).clip(min=0).prod(axis=-1) for b in (boxes_a, boxes_b))
    union = area_a[:, None] + area_b - common
    return np.divide(common, union, out=np.zeros_like(common), where=union > 0)


@dataclass(frozen=True)
class Tracker:
    """Parameters of tracking.  :meth:`start` begins a video.

    Attributes:
        min_iou: overlap above which two boxes may be one person at any distance, in (0, 1].
        max_distance_mm: distance within which two positions may be one person, whatever the
            boxes; it is mostly the uncertainty of depth.
        max_speed_mm_s: what is added to it for each second since the person was last seen.
        max_gap_s: seconds that a person may be unseen and still keep the number.
    """

    min_iou: float = 0.3
    max_distance_mm: float = 1000.0
    max_speed_mm_s: float = 2000.0
    max_gap_s: float = 1.0

    def start(self) -> "Tracks":
        """Nobody known yet; the first number will be 1."""
        return Tracks(self)


class Tracks:
    """The people of one video up to now.

    Attributes:
        ids: (T,) numbers of the people who may still be assigned.
    """

    def __init__(self, tracker: Tracker):
        self.tracker = tracker
        self.ids = np.zeros(0, np.int64)
        self._boxes = np.zeros((0, 4))
        self._positions = np.zeros((0, 3))
        self._seen_s = np.zeros(0)
        self._time_s = -math.inf
        self._next_id = 1

    def update(self, boxes: np.ndarray, poses: np.ndarray, time_s: float) -> np.ndarray:
        """Number the people of the next frame.

        Args:
            boxes: (N, 4) XYXY pixels.
            poses: (N, J, 3) mm in the camera frame.
            time_s: seconds, later than the frame before.

        Returns:
            (N,) int64, each number once; new people get numbers that nobody had.

        Raises:
            ValueError: if time did not advance.
        """
        if not time_s > self._time_s:
            raise ValueError(f"found time {time_s} s after {self._time_s} s, expected a later one")
        self._time_s = time_s
        self._keep(time_s - self._seen_s <= self.tracker.max_gap_s)
        boxes = np.asarray(boxes, np.float64)
        positions = np.asarray(poses, np.float64).mean(axis=1)
        affinity = self._affinity(boxes, positions)
        rows, columns = linear_sum_assignment(affinity, maximize=True)
        matched = affinity[rows, columns] > 0
        rows, columns = rows[matched], columns[matched]

        ids = np.zeros(len(boxes), np.int64)
        ids[columns] = self.ids[rows]
        new = ids == 0
        ids[new] = self._next_id + np.arange(new.sum())
        self._next_id += int(new.sum())

        unseen = np.ones(len(self.ids), bool)
        unseen[rows] = False
        self._keep(unseen)
        self.ids = np.concatenate([self.ids, ids])
        self._boxes = np.concatenate([self._boxes, boxes])
        self._positions = np.concatenate([self._positions, positions])
        self._seen_s = np.concatenate([self._seen_s, np.full(len(ids), time_s)])
        return ids

    def _affinity(self, boxes: np.ndarray, positions: np.ndarray) -> np.ndarray:
        """(T, N) overlap plus nearness; 0 where it cannot be the same person."""
        limits = self.tracker
        iou = pairwise_iou(self._boxes, boxes)
        distance = np.linalg.norm(self._positions[:, None] - positions, axis=-1)
        gap_s = self._time_s - self._seen_s
        reach = (limits.max_distance_mm + limits.max_speed_mm_s * gap_s)[:, None]
        possible = (iou >= limits.min_iou) | (distance < reach)
        nearness = (1 - distance / reach).clip(min=0)
        return np.where(possible, iou + _NEARNESS_WEIGHT * nearness, 0.0)

    def _keep(self, chosen: np.ndarray) -> None:
        self.ids, self._seen_s = self.ids[chosen], self._seen_s[chosen]
        self._boxes, self._positions = self._boxes[chosen], self._positions[chosen]
