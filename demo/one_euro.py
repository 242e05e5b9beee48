"""One-Euro filter: less jitter at rest, little delay in motion.

Casiez, Roussel, Vogel: "1 EUR filter: a simple speed-based low-pass filter for noisy input in
interactive systems", CHI 2012, algorithm 1.  Each coordinate of each joint has a filter of its
own, so that depth, which is noisier than the other two, is smoothed more.
"""

import math
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

__all__ = ["OneEuro", "OneEuroFilter", "PoseSmoother"]


@dataclass(frozen=True)
class OneEuro:
    """Parameters of the filter.

    Attributes:
        min_cutoff_hz: cutoff frequency at rest; lower is smoother and slower.
        beta: growth of the cutoff with speed, Hz for each unit of speed; higher follows motion
            more closely.
        derivative_cutoff_hz: cutoff frequency of the speed.
    """

    min_cutoff_hz: float = 1.0
    beta: float = 10.0
    derivative_cutoff_hz: float = 1.0


class OneEuroFilter:
    """Filters an array of independent values over time."""

    def __init__(self, parameters: OneEuro):
        self.parameters = parameters
        self._time_s: float | None = None
        self._value = self._speed = np.zeros(0)

    def __call__(self, values: np.ndarray, time_s: float, unit: float = 1.0) -> np.ndarray:
        """The next values, smoothed.

        Args:
            values: of any shape, the same each time.
            time_s: seconds, later than the time before; steps may differ.
            unit: how many of the values' units are one unit of ``beta``'s speed.

        Returns:
            float64 of the values' shape.

        Raises:
            ValueError: if time did not advance.
        """
        values = np.asarray(values, np.float64)
        if self._time_s is None:
            self._value, self._speed = values, np.zeros_like(values)
        else:
            step_s = time_s - self._time_s
            if not step_s > 0:
                raise ValueError(f"found a time step of {step_s} s, expected a positive one")
            p = self.parameters
            speed = (values - self._value) / step_s
            self._speed = _blend(self._speed, speed, p.derivative_cutoff_hz, step_s)
            cutoff = p.min_cutoff_hz + p.beta * np.abs(self._speed) / unit
            self._value = _blend(self._value, values, cutoff, step_s)
        self._time_s = time_s
        return self._value


def _blend(old: np.ndarray, new: np.ndarray, cutoff_hz: np.ndarray | float, step_s: float):
    """First-order low-pass: alpha = 1 / (1 + tau / step), tau = 1 / (2 pi cutoff)."""
    alpha = 1 / (1 + 1 / (2 * math.pi * cutoff_hz * step_s))
    return old + alpha * (new - old)


class PoseSmoother:
    """Filters of everyone in a video, in space and in the picture.

    Both filters read speeds as metres a second, in the picture at the person's depth, so one set
    of parameters serves people near and far, and pictures of any size.
    """

    def __init__(self, parameters: OneEuro):
        self.parameters = parameters
        self._filters: dict[int, tuple[OneEuroFilter, OneEuroFilter]] = {}

    def __call__(
        self,
        ids: np.ndarray,
        keypoints: np.ndarray,
        poses: np.ndarray,
        time_s: float,
        focal_px: float,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Smooth the people of the next frame.

        Args:
            ids: (N,) who they are.
            keypoints: (N, J, 3) x, y in pixels, and a score, which is left as it is.
            poses: (N, J, 3) mm in the camera frame.
            time_s: seconds, later than the frame before.
            focal_px: focal length, pixels.

        Returns:
            keypoints and poses, float64.
        """
        keypoints, poses = np.array(keypoints, np.float64), np.array(poses, np.float64)
        for i, person in enumerate(np.asarray(ids).tolist()):
            if person not in self._filters:
                pair = OneEuroFilter(self.parameters), OneEuroFilter(self.parameters)
                self._filters[person] = pair
            in_picture, in_space = self._filters[person]
            depth_m = max(float(np.median(poses[i, :, 2])) / 1000, 0.1)
            keypoints[i, :, :2] = in_picture(keypoints[i, :, :2], time_s, focal_px / depth_m)
            poses[i] = in_space(poses[i], time_s, 1000.0)
        return keypoints, poses

    def forget_all_but(self, ids: Collection[int]) -> None:
        """Drop the filters of people who will not come back."""
        known = {int(person) for person in ids}
        self._filters = {person: f for person, f in self._filters.items() if person in known}
