"""Colours and image quality: what cameras and files do to a picture, drawn at random."""

from collections.abc import Sequence

import cv2
import numpy as np
from detectron2.data import transforms as T
from scipy.special import ndtri

from .ranges import check_ranges, log_uniform

__all__ = ["PhotometricTransform", "PixelTransform", "RandomPhotometric"]

# Quantiles of the normal distribution, one a byte: uniform bytes become Gaussian noise.
_NORMAL = ndtri((np.arange(256) + 0.5) / 256)


class PixelTransform(T.Transform):
    """A transform that changes pixels where they are: coordinates and labels stay."""

    def apply_coords(self, coords: np.ndarray) -> np.ndarray:
        return coords

    def apply_segmentation(self, segmentation: np.ndarray) -> np.ndarray:
        return segmentation


class PhotometricTransform(PixelTransform):
    """Colours, then blur or lost resolution, then noise, then JPEG; None leaves a step out."""

    def __init__(
        self,
        colour_matrix: np.ndarray | None = None,
        tone_curve: np.ndarray | None = None,
        blur_kernel: np.ndarray | None = None,
        blur_sigma: float | None = None,
        downscale: float | None = None,
        noise: tuple[float, bool, int] | None = None,
        jpeg_quality: int | None = None,
    ):
        """
        Args:
            colour_matrix: (3, 3), applied to each pixel.
            tone_curve: (1, 256, 3) uint8, the new value of each old one and channel.
            blur_kernel: (K, K) float32, sum 1.
            blur_sigma: of a Gaussian blur, pixels.
            downscale: factor, below 1, by which the image is shrunk and enlarged again.
            noise: standard deviation in grey levels, whether all channels share it, and a seed.
            jpeg_quality: 1 to 100.
        """
        super().__init__()
        self._set_attributes(locals())

    def apply_image(self, image: np.ndarray) -> np.ndarray:
        height, width = image.shape[:2]
        if self.colour_matrix is not None:
            image = cv2.transform(image, self.colour_matrix)
        if self.tone_curve is not None:
            image = cv2.LUT(image, self.tone_curve)
        if self.blur_kernel is not None:
            image = cv2.filter2D(image, -1, self.blur_kernel)
        if self.blur_sigma is not None:
            image = cv2.GaussianBlur(image, (0, 0), self.blur_sigma)
        if self.downscale is not None:
            small = (max(1, round(width * self.downscale)), max(1, round(height * self.downscale)))
            image = cv2.resize(image, small, interpolation=cv2.INTER_AREA)
            image = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)
        if self.noise is not None:
            image = self._add_noise(image, *self.noise)
        if self.jpeg_quality is not None:
            _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, self.jpeg_quality])
            image = cv2.imdecode(data, cv2.IMREAD_COLOR)
        return image

    @staticmethod
    def _add_noise(image: np.ndarray, sigma: float, shared: bool, seed: int) -> np.ndarray:
        height, width, channels = image.shape
        shape = (height, width) if shared else (height, width, channels)
        generator = np.random.Generator(np.random.PCG64(seed))
        noise = np.frombuffer(generator.bytes(int(np.prod(shape))), np.uint8).reshape(shape)
        if shared:
            noise = cv2.merge([noise] * channels)
        # Saturating uint8 sums are several times faster than a detour through wider numbers.
        offsets = np.round(sigma * _NORMAL)
        brighter = cv2.LUT(noise, offsets.clip(0, 255).astype(np.uint8))
        darker = cv2.LUT(noise, (-offsets).clip(0, 255).astype(np.uint8))
        return cv2.subtract(cv2.add(image, brighter), darker)


class RandomPhotometric(T.Augmentation):
    """Random colours and image quality.  At most one of the three kinds of lost sharpness."""

    def __init__(
        self,
        *,
        colour_prob: float,
        brightness: Sequence[float],
        contrast: Sequence[float],
        gamma: Sequence[float],
        white_balance: float,
        saturation: Sequence[float],
        hue_deg: float,
        grey_prob: float,
        gaussian_blur_prob: float,
        gaussian_blur_sigma: Sequence[float],
        motion_blur_prob: float,
        motion_blur_length: Sequence[int],
        downscale_prob: float,
        downscale: Sequence[float],
        noise_prob: float,
        noise_sigma: Sequence[float],
        jpeg_prob: float,
        jpeg_quality: Sequence[int],
    ):
        """Args: see INPUT.PHOTOMETRIC in :mod:`hmor_d2.config`.

        Raises:
            ValueError: for ranges that are not two positive numbers in order, and probabilities
                of lost sharpness whose sum exceeds 1.
        """
        super().__init__()
        check_ranges(brightness=brightness, contrast=contrast, gamma=gamma, saturation=saturation)
        check_ranges(
            gaussian_blur_sigma=gaussian_blur_sigma,
            motion_blur_length=motion_blur_length,
            downscale=downscale,
            noise_sigma=noise_sigma,
            jpeg_quality=jpeg_quality,
        )
        if gaussian_blur_prob + motion_blur_prob + downscale_prob > 1:
            raise ValueError(
                "the probabilities of Gaussian blur, motion blur and downscaling exclude each "
                f"other: {gaussian_blur_prob} + {motion_blur_prob} + {downscale_prob} > 1"
            )
        self._init(locals())

    def get_transform(self, image: np.ndarray) -> PhotometricTransform:
        steps = {"colour_matrix": self._colour_matrix(), "tone_curve": self._tone_curve()}
        kind = self._rand_range()
        if kind < self.gaussian_blur_prob:
            steps["blur_sigma"] = log_uniform(*self.gaussian_blur_sigma)
        elif (kind := kind - self.gaussian_blur_prob) < self.motion_blur_prob:
            steps["blur_kernel"] = self._motion_kernel()
        elif kind - self.motion_blur_prob < self.downscale_prob:
            steps["downscale"] = log_uniform(*self.downscale)
        if self._rand_range() < self.noise_prob:
            shared = self._rand_range() < 0.5
            seed = np.random.randint(2**31)
            steps["noise"] = (log_uniform(*self.noise_sigma), shared, seed)
        if self._rand_range() < self.jpeg_prob:
            low, high = self.jpeg_quality
            steps["jpeg_quality"] = int(np.random.randint(low, high + 1))
        return PhotometricTransform(**steps)

    def _colour_matrix(self) -> np.ndarray | None:
        """Saturation, and hue as a rotation about the grey axis: the same for BGR and RGB."""
        saturation, angle = 1.0, 0.0
        if self._rand_range() < self.colour_prob:
            saturation = log_uniform(*self.saturation)
        if self._rand_range() < self.colour_prob:
            angle = np.radians(self._rand_range(-self.hue_deg, self.hue_deg))
        if self._rand_range() < self.grey_prob:
            saturation = 0.0
        if saturation == 1 and angle == 0:
            return None
        rotation, _ = cv2.Rodrigues(np.full(3, angle / np.sqrt(3)))
        return saturation * rotation + (1 - saturation) / 3

    def _tone_curve(self) -> np.ndarray | None:
        if self._rand_range() >= self.colour_prob:
            return None
        gain = self._rand_range(1 - self.white_balance, 1 + self.white_balance, 3)
        values = (np.arange(256) / 255) ** log_uniform(*self.gamma)
        values = (values - 0.5) * log_uniform(*self.contrast) + 0.5
        values = values[:, None] * log_uniform(*self.brightness) * gain
        return np.round(255 * values.clip(0, 1)).astype(np.uint8)[None]

    def _motion_kernel(self) -> np.ndarray:
        """A line through the middle, anti-aliased."""
        length, angle = self._rand_range(*self.motion_blur_length), self._rand_range(0, np.pi)
        reach = int(np.ceil(length / 2))
        kernel = np.zeros((2 * reach + 1, 2 * reach + 1), np.float32)
        steps = np.linspace(-length / 2, length / 2, 4 * reach + 1)
        x, y = reach + steps * np.cos(angle), reach + steps * np.sin(angle)
        column, row = np.floor(x).astype(int), np.floor(y).astype(int)
        for i in (0, 1):
            for j in (0, 1):
                weight = np.abs(1 - j - (y - row)) * np.abs(1 - i - (x - column))
                inside = weight > 0
                np.add.at(kernel, ((row + j)[inside], (column + i)[inside]), weight[inside])
        return kernel / kernel.sum()
