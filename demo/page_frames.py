"""Pictures and frames kept, small, for the interactive page that is written at the end."""

import logging
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from cameras import Camera
from results import People

from hmor_d2.skeleton import Skeleton
from hmor_d2.visualization.page import PageFrame, write_page

logger = logging.getLogger("hmor_d2.demo")

__all__ = ["PageFrames"]

# Long side of what is kept: pages show no more.
_LONG_SIDE = 1280


@dataclass(frozen=True)
class _Kept:
    """A frame of the page, its picture as JPEG: hundreds of photographs would fill the memory."""

    name: str
    time_s: float
    jpeg: np.ndarray
    camera: Camera
    zoom: tuple[float, float]
    people: People


class PageFrames:
    """Collects what a page shows; a sequence of PageFrame, decoded one by one."""

    def __init__(self, limit: int | None = None, expected: int | None = None):
        """
        Args:
            limit: frames at most; then every k-th is kept.  None: all.
            expected: how many will be added, so that k is right from the start; None where it
                is not known: k doubles whenever there are too many.
        """
        self._limit = limit
        self._every = math.ceil(expected / limit) if limit and expected else 1
        self._added = 0
        self._kept: list[_Kept] = []

    def add(
        self, name: str, image_bgr: np.ndarray, camera: Camera, people: People, time_s: float = 0.0
    ) -> None:
        """Add a picture with its people, in pixels of this picture."""
        wanted = self._added % self._every == 0
        self._added += 1
        if not wanted:
            return
        height, width = image_bgr.shape[:2]
        zoom = min(1.0, _LONG_SIDE / max(height, width))
        if zoom < 1:
            size = max(1, round(width * zoom)), max(1, round(height * zoom))
            image_bgr = cv2.resize(image_bgr, size, interpolation=cv2.INTER_AREA)
        zooms = image_bgr.shape[1] / width, image_bgr.shape[0] / height
        _, jpeg = cv2.imencode(".jpg", image_bgr, [cv2.IMWRITE_JPEG_QUALITY, 93])
        self._kept.append(_Kept(name, time_s, jpeg, camera, zooms, people))
        if self._limit and len(self._kept) > self._limit:
            self._kept, self._every = self._kept[::2], 2 * self._every

    def __len__(self) -> int:
        return len(self._kept)

    def __getitem__(self, index: int) -> PageFrame:
        kept = self._kept[index]
        x, y = kept.zoom
        people = kept.people
        return PageFrame(
            name=kept.name,
            image=cv2.imdecode(kept.jpeg, cv2.IMREAD_COLOR),
            intrinsics=tuple(np.multiply(kept.camera.intrinsics, (x, y, x, y)).tolist()),
            intrinsics_assumed=kept.camera.source == "assumed",
            boxes=people.boxes * (x, y, x, y),
            keypoints=people.keypoints * (x, y, 1),
            poses=people.poses,
            scores=people.scores,
            ids=people.ids,
        )

    def __iter__(self) -> Iterator[PageFrame]:
        return (self[i] for i in range(len(self)))

    def write(self, path: Path, skeleton: Skeleton, title: str, video: bool = False) -> None:
        """Write the page, where there is anything to show and plotly is installed."""
        if not self._kept:
            return
        options = {}
        duration = self._kept[-1].time_s - self._kept[0].time_s
        if video and duration > 0:
            options["fps"] = (len(self) - 1) / duration
        try:
            write_page(path, self, skeleton, title=title, video=video, **options)
        except ImportError as error:
            logger.warning("%s is not written: %s", path, error)
