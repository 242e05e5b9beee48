"""Files of a video's results, written frame by frame: annotated video, JSON, page."""

import json
import logging
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from sources import is_utf8

logger = logging.getLogger("hmor_d2.demo")

__all__ = ["FramesFile", "VideoFile"]

# Tried in turn.  OpenCV's packages come without encoders of H.264.
_CODECS = (("mp4v", ".mp4"), ("MJPG", ".avi"))
# Frames of a camera after which the rate of its recording is taken as known.
_MEASURED_FRAMES = 10
_USUAL_FPS = 10.0


class FramesFile:
    """One JSON document whose "frames" are written one a line, as they come."""

    def __init__(self, path: Path, header: dict[str, Any]):
        """Raises OSError if the file cannot be written."""
        self._file = path.open("w", encoding="utf-8")
        self._file.write(json.dumps(header, indent=1).removesuffix("\n}") + ',\n "frames": [')
        self._separator = "\n"

    def write(self, frame: dict[str, Any]) -> None:
        """Add one frame."""
        self._file.write(self._separator + json.dumps(frame, separators=(",", ":")))
        self._separator = ",\n"

    def close(self) -> None:
        self._file.write("\n]}\n")
        self._file.close()


class VideoFile:
    """An annotated video, in the first format that OpenCV can write here.

    Attributes:
        path: the file, or None as long as there is none.
    """

    def __init__(self, stem: Path, fps: float | None):
        """
        Args:
            stem: path without suffix.
            fps: frames a second; None to measure it by the times of the first frames.
        """
        self.path: Path | None = None
        self._stem = stem
        self._fps = fps
        self._writer: cv2.VideoWriter | None = None
        self._waiting: list[tuple[np.ndarray, float]] = []
        self._failed = False

    def write(self, image_bgr: np.ndarray, time_s: float) -> None:
        """Add a frame, (H, W, 3) uint8, all of one size; nothing where no format can be written."""
        if self._failed:
            return
        # Encoders take even sizes; OpenCV would cut a row or column off.
        pad = (0, image_bgr.shape[0] % 2, 0, image_bgr.shape[1] % 2)
        image_bgr = cv2.copyMakeBorder(image_bgr, *pad, cv2.BORDER_REPLICATE)
        if self._writer is not None:
            self._writer.write(image_bgr)
            return
        self._waiting.append((image_bgr, time_s))
        if self._fps is not None or len(self._waiting) >= _MEASURED_FRAMES:
            self._start()

    def _start(self) -> None:
        if self._fps is None:
            duration = self._waiting[-1][1] - self._waiting[0][1]
            self._fps = (len(self._waiting) - 1) / duration if duration > 0 else _USUAL_FPS
        height, width = self._waiting[0][0].shape[:2]
        for codec, suffix in _CODECS if is_utf8(self._stem) else ():
            path = self._stem.with_name(self._stem.name + suffix)
            writer = cv2.VideoWriter(
                str(path), cv2.VideoWriter_fourcc(*codec), self._fps, (width, height)
            )
            if writer.isOpened():
                self.path, self._writer = path, writer
                break
            writer.release()
            path.unlink(missing_ok=True)
        else:
            self._failed = True
            tried = " and ".join(f"{codec} in {suffix}" for codec, suffix in _CODECS)
            logger.warning("%s: no video is written: OpenCV cannot write %s", self._stem, tried)
        for image, _ in self._waiting:
            if self._writer is not None:
                self._writer.write(image)
        self._waiting.clear()

    def close(self) -> None:
        if self._waiting:
            self._start()
        if self._writer is not None:
            self._writer.release()
