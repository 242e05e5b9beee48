"""Focal length of a photograph in pixels, from its EXIF data.

Two ways, the first that is there:

- FocalLengthIn35mmFilm, f35: the focal length that gives the same *diagonal* field of view on
  35 mm film (36 mm x 24 mm, diagonal 43.27 mm; CIPA DCG-001), so
  f = f35 * diagonal of the picture in pixels / 43.27 mm.
- FocalLength in mm times FocalPlaneXResolution and FocalPlaneYResolution, pixels a
  FocalPlaneResolutionUnit on the sensor.

The principal point is taken to be the middle.  Tags: Exif 2.32 (CIPA DC-008), section 4.6.5.
"""

import logging
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hmor_d2.data.image_file import open_picture

logger = logging.getLogger("hmor_d2.demo")

__all__ = ["exif_intrinsics", "intrinsics_from_tags"]

FILM_DIAGONAL_MM = math.hypot(36, 24)
_ORIENTATION, _EXIF_IFD = 0x0112, 0x8769
_FOCAL_LENGTH, _FOCAL_LENGTH_35MM = 0x920A, 0xA405
_PIXEL_X_DIMENSION, _PIXEL_Y_DIMENSION = 0xA002, 0xA003
_FOCAL_PLANE_X_RESOLUTION, _FOCAL_PLANE_Y_RESOLUTION = 0xA20E, 0xA20F
_FOCAL_PLANE_RESOLUTION_UNIT = 0xA210
# Inch and centimetre are Exif's; some makers write 4 and 5 for millimetre and micrometre.
_UNIT_MM = {2: 25.4, 3: 10.0, 4: 1.0, 5: 0.001}
# Orientations whose upright picture has the sensor's columns as rows.
_QUARTER_TURNS = (5, 6, 7, 8)
# Focal length over the larger side: fields of view of 150 and of 1 degree.
_PLAUSIBLE = (0.13, 57.3)
# Sides of a resized picture are rounded, those of a cropped one differ by more than this.
_SAME_SHAPE = 0.02


def exif_intrinsics(path: str | Path, height: int, width: int) -> list[float] | None:
    """[fx, fy, cx, cy] of a photograph in continuous pixels, or None where EXIF does not tell.

    Args:
        path: picture file of any format that Pillow reads.  What is broken is logged, never
            raised.
        height, width: of the picture as it is shown, that is after EXIF's orientation was
            applied, as ``cv2.imread`` does.
    """
    try:
        with open_picture(path) as image:
            exif = image.getexif()
            orientation, tags = exif.get(_ORIENTATION), dict(exif.get_ifd(_EXIF_IFD))
    # Pillow raises whatever parsing arbitrary bytes runs into: struct.error, SyntaxError, ...
    except Exception as error:
        logger.warning("%s: EXIF data is ignored: %s", path, error or type(error).__name__)
        return None
    try:
        return intrinsics_from_tags(tags, orientation, height, width)
    except ValueError as error:
        logger.warning("%s: EXIF data is ignored: %s", path, error)
        return None


def intrinsics_from_tags(
    tags: Mapping[int, Any], orientation: Any, height: int, width: int
) -> list[float] | None:
    """As :func:`exif_intrinsics`, from tags that were read.

    Args:
        tags: values of the Exif IFD by number.
        orientation: value of that tag, 1 to 8; anything else counts as upright.
        height, width: of the upright picture.

    Raises:
        ValueError: if the tags are no numbers, if they tell that the picture was cropped since,
            or if the field of view would be below 1 or above 150 degrees.
    """
    turned = orientation in _QUARTER_TURNS
    stored_height, stored_width = (width, height) if turned else (height, width)
    focal = _focal_from_film(tags, stored_height, stored_width)
    if focal is None:
        focal = _focal_from_sensor(tags, stored_height, stored_width)
    if focal is None:
        return None
    for value in focal:
        if not _PLAUSIBLE[0] <= value / max(height, width) <= _PLAUSIBLE[1]:
            raise ValueError(
                f"found a focal length of {value:.6g} pixels for {width} x {height} pixels, "
                "expected a field of view between 1 and 150 degrees"
            )
    fx, fy = focal[::-1] if turned else focal
    return [fx, fy, width / 2, height / 2]


def _focal_from_film(tags: Mapping[int, Any], height: int, width: int) -> tuple | None:
    equivalent_mm = _number(tags, _FOCAL_LENGTH_35MM, "FocalLengthIn35mmFilm")
    if equivalent_mm is None:
        return None
    _zoom_since_taken(tags, height, width)
    focal = equivalent_mm * math.hypot(width, height) / FILM_DIAGONAL_MM
    return focal, focal


def _focal_from_sensor(tags: Mapping[int, Any], height: int, width: int) -> tuple | None:
    """(along the stored rows, along the stored columns), pixels of the picture as it is now."""
    focal_mm = _number(tags, _FOCAL_LENGTH, "FocalLength")
    across = _number(tags, _FOCAL_PLANE_X_RESOLUTION, "FocalPlaneXResolution")
    down = _number(tags, _FOCAL_PLANE_Y_RESOLUTION, "FocalPlaneYResolution") or across
    if focal_mm is None or across is None or down is None:
        return None
    unit = _number(tags, _FOCAL_PLANE_RESOLUTION_UNIT, "FocalPlaneResolutionUnit") or 2
    if unit not in _UNIT_MM:
        raise ValueError(f"FocalPlaneResolutionUnit: found {unit:g}, expected 2 to 5")
    zoom_x, zoom_y = _zoom_since_taken(tags, height, width)
    focal = focal_mm / _UNIT_MM[unit]
    return focal * across * zoom_x, focal * down * zoom_y


def _zoom_since_taken(tags: Mapping[int, Any], height: int, width: int) -> tuple[float, float]:
    """Factors between the picture as it was taken and as it is stored now."""
    taken_width = _number(tags, _PIXEL_X_DIMENSION, "PixelXDimension")
    taken_height = _number(tags, _PIXEL_Y_DIMENSION, "PixelYDimension")
    if taken_width is None or taken_height is None:
        return 1.0, 1.0
    # Programs that turn the pixels themselves often leave the dimensions as they were.
    for across, down in ((taken_width, taken_height), (taken_height, taken_width)):
        zoom_x, zoom_y = width / across, height / down
        if abs(zoom_x / zoom_y - 1) <= _SAME_SHAPE:
            return zoom_x, zoom_y
    raise ValueError(
        f"it is of {taken_width:g} x {taken_height:g} pixels, the picture has {width} x {height}: "
        "it was cropped since, and its focal length no longer holds"
    )


def _number(tags: Mapping[int, Any], tag: int, name: str) -> float | None:
    """A positive number, or None where the tag is absent or 0 or 0/0, EXIF's "unknown"."""
    value = tags.get(tag)
    if value is None:
        return None
    if isinstance(value, tuple) and len(value) == 1:
        value = value[0]
    try:
        number = float(value)
    except (TypeError, ValueError, ArithmeticError):
        raise ValueError(f"{name}: found {value!r:.60}, expected a number") from None
    if math.isnan(number) or number == 0:
        return None
    if not math.isfinite(number) or number < 0:
        raise ValueError(f"{name}: found {number}, expected a positive number")
    return number
