"""Frames of videos and of a webcam, one after another."""

import itertools
import logging
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from sources import SourceError, is_utf8

from hmor_d2.data import image_file

logger = logging.getLogger("hmor_d2.demo")

__all__ = ["Clip", "ClipFrame", "VideoClip", "WebcamClip"]

# Where a video does not tell its rate.
_USUAL_FPS = 30.0
# A container's number of frames may be an estimate; fewer than this share is a broken file.
_COMPLETE = 0.98


@dataclass(frozen=True)
class ClipFrame:
    """One frame: index from 0 in the video or recording, time in s, image (H, W, 3) BGR."""

    index: int
    time_s: float
    image: np.ndarray


class Clip:
    """Frames of a video or a camera, every ``stride``-th, at most ``max_frames``.

    Iterating ends where frames do, or change their size.

    Attributes:
        name: for messages and results.
        fps: of the frames that are taken, or None where only their times tell.
        length: how many frames will be taken, or None where that is not known.
    """

    def __init__(
        self, name: str, capture: cv2.VideoCapture, stride: int = 1, max_frames: int | None = None
    ):
        self.name = name
        self.stride = stride
        self.max_frames = max_frames
        self.fps: float | None = None
        self.length = max_frames
        self._capture = capture

    def __iter__(self) -> Iterator[ClipFrame]:
        return itertools.islice(self._frames(), self.max_frames)

    def _frames(self) -> Iterator[ClipFrame]:
        size = None
        for index in itertools.count():
            if not self._capture.grab():
                self._ended(index)
                return
            time_s = self._time_s(index)  # also of frames that are left out: it is the last one's
            if index % self.stride:
                continue
            decoded, image = self._capture.retrieve()
            if not decoded:
                self._ended(index)
                return
            size = size or image.shape
            if image.shape != size:
                message = "%s: frame %d is of another size, %s after %s: stopped there"
                logger.warning(message, self.name, index, image.shape, size)
                return
            yield ClipFrame(index, time_s, image)

    def _time_s(self, index: int) -> float:
        raise NotImplementedError

    def _ended(self, index: int) -> None:
        """Called where frame ``index`` cannot be read."""

    def close(self) -> None:
        self._capture.release()


class VideoClip(Clip):
    """A video file."""

    def __init__(self, path: Path, stride: int = 1, max_frames: int | None = None):
        """Raises SourceError if the file does not exist or cannot be opened."""
        if not path.exists():
            raise SourceError(f"{path}: does not exist")
        if not path.is_file() or _is_text(path):
            found = "a text, perhaps a list of other files" if path.is_file() else "no file"
            raise SourceError(f"{path}: cannot be opened as a video: found {found}")
        if not is_utf8(path):
            found = "a name that is no UTF-8, as OpenCV needs it; rename the file"
            raise SourceError(f"{path}: cannot be opened as a video: found {found}")
        capture = cv2.VideoCapture(str(path))
        if not capture.isOpened():
            raise SourceError(f"{path}: cannot be opened as a video")
        sides = [capture.get(p) for p in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT)]
        if math.prod(sides) > image_file.MAX_PIXELS:
            capture.release()
            most = f"at most {image_file.MAX_PIXELS} are read"
            found = f"frames of {sides[0]:g} x {sides[1]:g} pixels, {most}"
            raise SourceError(f"{path}: cannot be opened as a video: {found}")
        super().__init__(str(path), capture, stride, max_frames)
        rate, count = (capture.get(p) for p in (cv2.CAP_PROP_FPS, cv2.CAP_PROP_FRAME_COUNT))
        if not (math.isfinite(rate) and 0 < rate <= 1000):
            logger.warning("%s: tells no frame rate, %g a second are assumed", path, _USUAL_FPS)
            rate = _USUAL_FPS
        self._step_s = 1 / rate
        self._last_s = -self._step_s
        self.fps = rate / stride
        self._announced = int(count) if math.isfinite(count) and 0 < count < 1e9 else None
        if self._announced is not None:
            taken = math.ceil(self._announced / stride)
            self.length = taken if max_frames is None else min(taken, max_frames)

    def _time_s(self, index: int) -> float:
        # Phones record at varying rates.  Some formats tell no times, or times that stand still.
        told = self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
        advances = told > self._last_s + 1e-4 and math.isfinite(told)
        self._last_s = told if advances else self._last_s + self._step_s
        return self._last_s

    def _ended(self, index: int) -> None:
        if index == 0:
            raise SourceError(f"{self.name}: no frame can be read")
        if self._announced is not None and index < _COMPLETE * self._announced:
            message = "%s: %d of %d frames can be read"
            logger.warning(message, self.name, index, self._announced)


def _is_text(path: Path) -> bool:
    """Whether a file begins as a playlist does; FFmpeg would open the files it names."""
    with path.open("rb") as file:
        start = file.read(64)
    return len(start) > 0 and all(byte in b"\t\n\r" or 32 <= byte < 127 for byte in start)


class WebcamClip(Clip):
    """A camera; times are those of reading, from 0 at the first frame."""

    def __init__(self, number: int, stride: int = 1, max_frames: int | None = None):
        """Raises SourceError if there is no such camera."""
        capture = cv2.VideoCapture(number)
        if not capture.isOpened():
            raise SourceError(f"webcam {number}: there is none, or it is in use")
        capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)  # recent frames, where the driver lets
        super().__init__(f"webcam {number}", capture, stride, max_frames)
        self._start_s: float | None = None

    def _time_s(self, index: int) -> float:
        now = time.monotonic()
        self._start_s = now if self._start_s is None else self._start_s
        return now - self._start_s

    def _ended(self, index: int) -> None:
        if index == 0:
            raise SourceError(f"{self.name}: gives no pictures")
        logger.warning("%s: gives no more pictures after %d", self.name, index)
