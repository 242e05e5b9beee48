"""Reads picture files that are not trusted: what one claims is looked at before it is decoded."""

import contextlib
import functools
import os
from collections.abc import Iterator

import cv2
import numpy as np
from detectron2.data import detection_utils
from detectron2.utils.file_io import PathManager
from PIL import Image

__all__ = ["MAX_PIXELS", "PICTURE_FORMATS", "open_picture", "read_picture"]

#: Pixels of a picture, 537 MB when decoded: from here on Pillow, too, calls it a bomb.
MAX_PIXELS = 178_956_970
#: Pillow's names, as far as it was built with them; JPEG includes its multi-picture form.  Its
#: others are not asked for: one of them would start Ghostscript.
PICTURE_FORMATS = (
    "JPEG",
    "PNG",
    "BMP",
    "DIB",
    "WEBP",
    "TIFF",
    "GIF",
    "PPM",
    "AVIF",
    "JPEG2000",
)


@functools.cache
def _formats() -> list[str]:
    Image.init()
    return [name for name in PICTURE_FORMATS if name in Image.OPEN]


@contextlib.contextmanager
def open_picture(
    path: str | os.PathLike, size: tuple[int, int] | None = None
) -> Iterator[Image.Image]:
    """Open a picture and read its header; nothing is decoded yet.

    Args:
        path: of a file; also a path of Detectron2's PathManager.
        size: (width, height) that it should have, perhaps after a quarter turn.

    Raises:
        OSError: if it cannot be opened, or is no file but a folder, pipe or device.
        ValueError: for another format than :data:`PICTURE_FORMATS`, a broken header, another
            size, or more than :data:`MAX_PIXELS`.  The text does not name the file.
    """
    path = os.fspath(path)
    if os.path.exists(path) and not os.path.isfile(path):
        raise OSError("found no file but a folder, pipe or device")
    with PathManager.open(path, "rb") as file:
        try:
            picture = Image.open(file, formats=_formats())
            width, height = picture.size
        except Image.DecompressionBombError as error:
            raise ValueError(f"{error}; at most {MAX_PIXELS} pixels are read") from error
        except Exception as error:  # Pillow raises whatever parsing arbitrary bytes runs into
            raise ValueError(str(error) or type(error).__name__) from error
        if not 0 < width * height <= MAX_PIXELS:
            raise ValueError(f"{width} x {height} pixels, at most {MAX_PIXELS} are read")
        if size is not None and size not in ((width, height), (height, width)):
            expected = f"{size[0]} x {size[1]} (width/height)"
            raise ValueError(f"found {width} x {height} pixels, expected {expected}")
        yield picture


def read_picture(
    path: str | os.PathLike, picture_format: str | None, size: tuple[int, int] | None = None
) -> np.ndarray:
    """Read a picture as ``detection_utils.read_image`` does, upright by EXIF's orientation.

    Args:
        path, size: as in :func:`open_picture`.
        picture_format: see ``detection_utils.read_image``.

    Returns:
        (H, W, C) uint8, or as that function says.

    Raises:
        OSError, ValueError: as :func:`open_picture`, and for a file that cannot be decoded.
    """
    with open_picture(path, size) as picture:
        try:
            upright = detection_utils._apply_exif_orientation(picture)
            if picture_format != "BGR":
                return detection_utils.convert_PIL_to_numpy(upright, picture_format)
            # Detectron2 gives a view of RGB in reverse, slow to read wherever it is used.
            rgb = detection_utils.convert_PIL_to_numpy(upright, "RGB")
            return cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)
        except Exception as error:
            raise ValueError(str(error) or type(error).__name__) from error
