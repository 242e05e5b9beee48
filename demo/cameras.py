"""Which camera a picture was taken with: given, told by its EXIF data, or assumed."""

import logging
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from detectron2.utils.logger import log_first_n
from exif_camera import exif_intrinsics

__all__ = ["Camera", "CameraChoice"]


@dataclass(frozen=True)
class Camera:
    """Intrinsics of one picture.

    Attributes:
        intrinsics: (fx, fy, cx, cy) in continuous pixels of the picture.
        source: "given" by the user, read from "exif", or "assumed"; depths then have the
            right proportions, their scale may be wrong.
    """

    intrinsics: tuple[float, float, float, float]
    source: Literal["given", "exif", "assumed"]

    @property
    def mean_focal(self) -> float:
        """Geometric mean of fx and fy, pixels."""
        return math.sqrt(self.intrinsics[0] * self.intrinsics[1])


@dataclass(frozen=True)
class CameraChoice:
    """What the user knows of the camera, and what holds where it is not known.

    The first that is there: ``intrinsics``, ``focal``, EXIF, ``fov_deg``, ``default_fov_deg``.

    Attributes:
        default_fov_deg: field of view on the larger side, degrees, that is assumed.
        intrinsics: (fx, fy, cx, cy) in pixels.
        focal: focal length in pixels, principal point in the middle.
        fov_deg: as ``default_fov_deg``, but given by the user.
        use_exif: whether to read EXIF data.
    """

    default_fov_deg: float
    intrinsics: tuple[float, float, float, float] | None = None
    focal: float | None = None
    fov_deg: float | None = None
    use_exif: bool = True

    def camera(self, height: int, width: int, path: Path | None = None) -> Camera:
        """The camera of a picture of that size, shown upright; ``path`` where it is a file."""
        if self.intrinsics is not None:
            return Camera(tuple(self.intrinsics), "given")
        if self.focal is not None:
            return Camera((self.focal, self.focal, width / 2, height / 2), "given")
        if self.use_exif and path is not None:
            found = exif_intrinsics(path, height, width)
            if found is not None:
                return Camera(tuple(found), "exif")
        fov_deg = self.default_fov_deg if self.fov_deg is None else self.fov_deg
        focal = max(height, width) / (2 * math.tan(math.radians(fov_deg) / 2))
        source = "assumed" if self.fov_deg is None else "given"
        if source == "assumed":
            log_first_n(
                logging.WARNING,
                f"The camera is not known: a field of view of {fov_deg:g} degrees on the larger "
                "side is assumed, so absolute depths are approximate.",
                name="hmor_d2.demo",
            )
        return Camera((focal, focal, width / 2, height / 2), source)
