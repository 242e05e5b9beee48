"""Photographs inside a page: JPEG data of a limited size."""

import base64

import cv2
import numpy as np

__all__ = ["image_budget", "jpeg_base64", "thumbnail_base64"]

# Bytes of JPEG for all pictures of a page.  Base64 adds a third.
_STILLS_BYTES, _VIDEO_BYTES = 6_500_000, 15_000_000
# Long side in pixels and JPEG quality, tried in turn until a picture fits.
_STILL_STEPS = ((1280, 88), (1280, 80), (1280, 70), (1280, 60), (960, 65), (720, 60), (480, 50))
_VIDEO_STEPS = ((720, 82), (720, 72), (640, 68), (480, 65), (360, 55))
_SMALLEST_BYTES = 12_000
_THUMBNAIL_HEIGHT, _THUMBNAIL_MAX_WIDTH = 96, 240


def image_budget(count: int, video: bool) -> int:
    """Bytes of JPEG that each of ``count`` pictures of a page may take."""
    total = _VIDEO_BYTES if video else _STILLS_BYTES
    return max(_SMALLEST_BYTES, total // max(1, count))


def jpeg_base64(image_bgr: np.ndarray, budget: int, video: bool) -> str:
    """A picture as base64 of a JPEG, as large and as good as fits.

    Args:
        image_bgr: (H, W, 3) uint8.
        budget: bytes of JPEG; a picture that has none so small is stored at its smallest.
        video: start from the smaller sizes of a frame of a video.

    Returns:
        ASCII, without the ``data:`` prefix.  The picture is never enlarged.
    """
    for side, quality in _VIDEO_STEPS if video else _STILL_STEPS:
        data = _encode(_shrink(image_bgr, side / max(image_bgr.shape[:2])), quality)
        if len(data) <= budget:
            break
    return base64.b64encode(data).decode("ascii")


def thumbnail_base64(image_bgr: np.ndarray) -> str:
    """A small picture to choose this one by, as base64 of a JPEG."""
    height, width = image_bgr.shape[:2]
    zoom = min(_THUMBNAIL_HEIGHT / height, _THUMBNAIL_MAX_WIDTH / width)
    return base64.b64encode(_encode(_shrink(image_bgr, zoom), 72)).decode("ascii")


def _shrink(image: np.ndarray, zoom: float) -> np.ndarray:
    if zoom >= 1:
        return image
    height, width = image.shape[:2]
    size = max(1, round(width * zoom)), max(1, round(height * zoom))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def _encode(image: np.ndarray, quality: int) -> bytes:
    parameters = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_OPTIMIZE, 1]
    written, data = cv2.imencode(".jpg", np.ascontiguousarray(image), parameters)
    if not written:
        raise ValueError(f"cannot encode a picture of shape {image.shape} as JPEG")
    return data.tobytes()
