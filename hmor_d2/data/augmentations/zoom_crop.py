"""A zooming crop of fixed size: people of any size, near the border and cut by it."""

from collections.abc import Sequence

import numpy as np
from detectron2.data import transforms as T
from PIL import Image

from .ranges import check_ranges, log_uniform

__all__ = ["RandomZoomCrop", "ZoomCropTransform"]


class ZoomCropTransform(T.Transform):
    """The image scaled by one factor, in a window of fixed size, padded where it ends."""

    def __init__(
        self,
        scale: float,
        origin: tuple[float, float],
        image_size: tuple[int, int],
        size: tuple[int, int],
        pad_value: Sequence[float] = (0, 0, 0),
    ):
        """
        Args:
            scale: pixels of the window a pixel of the image.
            origin: x, y in the image of the window's top left corner.
            image_size, size: width, height of the image and of the window.
            pad_value: colour where the window shows no image.
        """
        super().__init__()
        self._set_attributes(locals())

    def apply_coords(self, coords: np.ndarray) -> np.ndarray:
        return (coords - np.asarray(self.origin)) * self.scale

    def apply_image(self, image: np.ndarray) -> np.ndarray:
        # PIL, as in Detectron2's resize at test: its shrinking does not alias.
        return self._window(image, np.round(self.pad_value).astype(np.uint8), Image.BILINEAR)

    def apply_segmentation(self, segmentation: np.ndarray) -> np.ndarray:
        return self._window(segmentation, 255, Image.NEAREST)

    def _window(self, image: np.ndarray, fill, interpolation: int) -> np.ndarray:
        origin = np.asarray(self.origin)
        # Whole pixels of the window that show the image, and what of the image they show.
        start = np.ceil((-origin * self.scale).clip(0) - 1e-6).astype(int)
        end = (np.asarray(self.image_size) - origin) * self.scale
        end = np.floor(np.minimum(end, self.size) + 1e-6).astype(int)
        window = np.empty((self.size[1], self.size[0], *image.shape[2:]), image.dtype)
        window[:] = fill
        if (end > start).all():
            box = np.concatenate((origin + start / self.scale, origin + end / self.scale))
            box = np.clip(box, 0, np.tile(self.image_size, 2)).tolist()
            shown = Image.fromarray(image).resize((end - start).tolist(), interpolation, box)
            window[start[1] : end[1], start[0] : end[0]] = np.asarray(shown)
        return window


class RandomZoomCrop(T.Augmentation):
    """Large-scale jitter with a fixed output size, around a person more often than by chance.

    The window is kept inside the image where it is the smaller one.
    """

    def __init__(
        self,
        *,
        size: Sequence[int],
        scale: Sequence[float],
        person_prob: float,
        person_size: Sequence[float],
        max_upscale: float,
        pad_value: Sequence[float] = (0, 0, 0),
    ):
        """Args: see INPUT.ZOOM_CROP in :mod:`hmor_d2.config`.

        Raises:
            ValueError: for ranges that are not two positive numbers in order, and a size that is
                not two whole positive numbers.
        """
        super().__init__()
        check_ranges(scale=scale, person_size=person_size)
        if len(size) != 2 or min(size) < 1 or any(int(side) != side for side in size):
            raise ValueError(f"size needs a width and a height, whole and positive: {size}")
        self._init(locals())

    def get_transform(self, image: np.ndarray, boxes: np.ndarray | None) -> ZoomCropTransform:
        full, size = np.array(image.shape[1::-1]), np.array(self.size)
        fit = (size / full).min()
        low, high = fit * self.scale[0], fit * self.scale[1]
        boxes = np.zeros((0, 4)) if boxes is None else np.clip(boxes, 0, np.tile(full, 2))
        boxes = boxes[(boxes[:, 2:] - boxes[:, :2] >= 1).all(axis=1)]
        person = None
        if len(boxes) and self._rand_range() < self.person_prob:
            person = boxes[np.random.randint(len(boxes))]
            unit = size[1] / (person[2:] - person[:2]).max()
            low, high = max(low, unit * self.person_size[0]), unit * self.person_size[1]
        high = min(high, self.max_upscale)
        scale = log_uniform(min(low, high), high)
        slack = full - size / scale  # negative where the whole image is in the window
        if person is None:
            origin = self._rand_range(0, 1, 2) * slack
        else:
            point = person[:2] + self._rand_range(0.2, 0.8, 2) * (person[2:] - person[:2])
            origin = point - self._rand_range(0.1, 0.9, 2) * size / scale
            anywhere = self._rand_range(0, 1, 2) * slack
            origin = np.where(slack < 0, anywhere, origin.clip(0, slack.clip(0)))
        return ZoomCropTransform(scale, tuple(origin), tuple(full), tuple(size), self.pad_value)
