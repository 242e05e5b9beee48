"""Occluders: shapes that cover parts of a picture, and of the people in it."""

from collections.abc import Sequence

import cv2
import numpy as np
from detectron2.data import transforms as T

from .photometric import PixelTransform
from .ranges import check_ranges, log_uniform

__all__ = ["OccludersTransform", "RandomOccluders"]


class OccludersTransform(PixelTransform):
    """Covers parts of an image."""

    def __init__(self, occluders: Sequence[tuple[int, int, np.ndarray, np.ndarray]]):
        """
        Args:
            occluders: x, y of a top left corner, (h, w) bool mask and (h, w, 3) uint8 colours of
                each, inside the image.
        """
        super().__init__()
        self.occluders = occluders

    def apply_image(self, image: np.ndarray) -> np.ndarray:
        image = image.copy()
        for x, y, mask, colours in self.occluders:
            height, width = mask.shape
            region = image[y : y + height, x : x + width]
            np.copyto(region, colours, where=mask[..., None])
        return image


class RandomOccluders(T.Augmentation):
    """Rectangles, ellipses and polygons of a colour, noise or a patch of the same image.

    Annotations stay: what is covered is still to be found.
    """

    def __init__(
        self,
        *,
        prob: float,
        max_count: int,
        person_prob: float,
        area: Sequence[float],
        aspect: Sequence[float],
    ):
        """Args: see INPUT.OCCLUDERS in :mod:`hmor_d2.config`.

        Raises:
            ValueError: for ranges that are not two positive numbers in order.
        """
        super().__init__()
        check_ranges(area=area, aspect=aspect)
        self._init(locals())

    def get_transform(self, image: np.ndarray, boxes: np.ndarray | None) -> T.Transform:
        if self._rand_range() >= self.prob:
            return T.NoOpTransform()
        height, width = image.shape[:2]
        limit = (width, height, width, height)
        boxes = np.zeros((0, 4)) if boxes is None else np.clip(boxes, 0, limit)
        boxes = boxes[(boxes[:, 2:] - boxes[:, :2] >= 1).all(axis=1)]
        occluders = []
        for _ in range(np.random.randint(1, self.max_count + 1)):
            # A person sets the size; without people, a box as large as one might be.
            box = np.array([0, 0, 0.2 * width, 0.5 * height])
            if len(boxes):
                box = boxes[np.random.randint(len(boxes))]
            size = box[2:] - box[:2]
            centre = self._rand_range(0, 1, 2) * (width, height)
            if len(boxes) and self._rand_range() < self.person_prob:
                centre = box[:2] + self._rand_range(0, 1, 2) * size
            area, aspect = self._rand_range(*self.area) * size.prod(), log_uniform(*self.aspect)
            sides = np.sqrt((area * aspect, area / aspect)).clip(1, (width, height))
            x0, y0 = np.floor((centre - sides / 2).clip(0)).astype(int)
            x1, y1 = np.ceil((centre + sides / 2).clip(0, (width, height))).astype(int)
            mask = self._mask(x1 - x0, y1 - y0)
            occluders.append((x0, y0, mask, self._colours(image, boxes, *mask.shape)))
        return OccludersTransform(occluders)

    def _mask(self, width: int, height: int) -> np.ndarray:
        mask = np.zeros((height, width), np.uint8)
        kind = np.random.randint(3)
        if kind == 0:
            return np.ones((height, width), bool)
        corners = 64 if kind == 1 else np.random.randint(3, 9)
        angles = np.sort(self._rand_range(0, 2 * np.pi, corners))
        if kind == 1:
            angles = np.linspace(0, 2 * np.pi, corners, endpoint=False)
        radius = 1.0 if kind == 1 else self._rand_range(0.6, 1.4, corners)
        circle = radius * np.stack((np.cos(angles), np.sin(angles)))
        points = (circle.T + 1) / 2 * (width - 1, height - 1)
        cv2.fillPoly(mask, [np.round(points).astype(np.int32)], 1)
        return mask.astype(bool)

    def _colours(self, image: np.ndarray, boxes: np.ndarray, height: int, width: int) -> np.ndarray:
        full_height, full_width = image.shape[:2]
        kind = np.random.randint(4)
        if kind >= 2:  # a patch, unless it would show most of a person, whom nobody labelled there
            for _ in range(3):
                x = np.random.randint(full_width - width + 1)
                y = np.random.randint(full_height - height + 1)
                patch = np.array([x, y, x + width, y + height])
                overlap = np.minimum(boxes[:, 2:], patch[2:]) - np.maximum(boxes[:, :2], patch[:2])
                covered = overlap.clip(0).prod(axis=1)
                if (covered < 0.3 * (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)).all():
                    return image[y : y + height, x : x + width].copy()
        row, column = np.random.randint(full_height), np.random.randint(full_width)
        colour = image[row, column] if self._rand_range() < 0.5 else np.random.randint(0, 256, 3)
        if kind != 1:
            return np.broadcast_to(colour.astype(np.uint8), (height, width, 3))
        noise = np.random.normal(colour, log_uniform(5, 60), (height, width, 3))
        return noise.clip(0, 255).astype(np.uint8)
