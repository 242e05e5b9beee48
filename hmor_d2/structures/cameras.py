"""Pinhole cameras of a batch: projection, back-projection (eq. 4) and image transforms.

Frame: X right, Y down, Z forward, millimetres.  Pixels: continuous coordinates, a pixel's
centre at index + 0.5.
"""

import math
from collections.abc import Callable, Iterator

import numpy as np
import torch

__all__ = ["PinholeCameras"]


class PinholeCameras:
    """N cameras without distortion, stored as one tensor.

    Attributes:
        tensor: (N, 4) float, each row (fx, fy, cx, cy) in pixels.
    """

    def __init__(self, tensor: torch.Tensor):
        """
        Args:
            tensor: (N, 4), or anything that ``torch.as_tensor`` makes into it.
        Raises:
            ValueError: if the shape is not (N, 4).
        """
        if not isinstance(tensor, torch.Tensor):
            tensor = torch.as_tensor(tensor, dtype=torch.float32)
        if tensor.dim() != 2 or tensor.shape[1] != 4:
            raise ValueError(f"intrinsics must have shape (N, 4), found {tuple(tensor.shape)}")
        self.tensor = tensor if tensor.is_floating_point() else tensor.float()

    @classmethod
    def from_fov(cls, image_sizes: list[tuple[int, int]], fov_deg: float) -> "PinholeCameras":
        """Cameras whose larger image side spans ``fov_deg``, principal point in the middle.

        Args:
            image_sizes: N pairs (height, width) in pixels.
            fov_deg: field of view in degrees, in (0, 180).
        """
        sizes = torch.tensor([tuple(size) for size in image_sizes], dtype=torch.float32)
        height, width = sizes.reshape(-1, 2).unbind(1)
        focal = torch.maximum(height, width) / (2 * math.tan(math.radians(fov_deg) / 2))
        return cls(torch.stack((focal, focal, width / 2, height / 2), dim=1))

    @property
    def focal(self) -> torch.Tensor:
        """(N, 2) focal lengths (fx, fy)."""
        return self.tensor[:, :2]

    @property
    def principal_point(self) -> torch.Tensor:
        """(N, 2) principal points (cx, cy)."""
        return self.tensor[:, 2:]

    @property
    def mean_focal(self) -> torch.Tensor:
        """(N,) geometric mean of fx and fy, the normaliser of eq. 12."""
        return (self.tensor[:, 0] * self.tensor[:, 1]).sqrt()

    def project(self, points: torch.Tensor) -> torch.Tensor:
        """Project points of the camera frame.

        Args:
            points: (N, ..., 3) mm, Z not zero.

        Returns:
            (N, ..., 2) pixels.
        """
        focal, center = self._expanded(points)
        return points[..., :2] / points[..., 2:] * focal + center

    def unproject(self, pixels: torch.Tensor, depth: torch.Tensor) -> torch.Tensor:
        """Back-project pixels at known depths, eq. 4.

        Args:
            pixels: (N, ..., 2).
            depth: (N, ...) mm, the Z coordinate.

        Returns:
            (N, ..., 3) mm in the camera frame.
        """
        focal, center = self._expanded(pixels)
        depth = depth.unsqueeze(-1)
        return torch.cat(((pixels - center) / focal * depth, depth), dim=-1)

    def _expanded(self, like: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        index = (slice(None), *(None,) * (like.dim() - 2))
        return self.focal[index], self.principal_point[index]

    def transformed(
        self, apply_coords: Callable[[np.ndarray], np.ndarray]
    ) -> tuple["PinholeCameras", torch.Tensor]:
        """Cameras of the images after a resize, crop, pad, flip or a chain of these.

        Args:
            apply_coords: maps an (M, 2) array of pixels of the old image to the new one, as
                the ``apply_coords`` of Detectron2's transforms.

        Returns:
            the new cameras, focal lengths positive, and (N,) bool: the image is mirrored
            horizontally, so that X changes sign and left and right joints swap.

        Raises:
            ValueError: for rotations, shears and vertical flips, after which no pinhole
                camera with upright axes describes the image.
        """
        center = self.principal_point
        axes = torch.diag_embed(self.focal)
        points = torch.cat((center.unsqueeze(1), center.unsqueeze(1) + axes), dim=1)
        moved = apply_coords(points.reshape(-1, 2).double().cpu().numpy())
        moved = torch.from_numpy(moved).reshape(-1, 3, 2).to(self.tensor)
        new_center = moved[:, 0]
        new_axes = moved[:, 1:] - moved[:, :1]
        new_focal = torch.diagonal(new_axes, dim1=1, dim2=2)
        shear = (new_axes - torch.diag_embed(new_focal)).abs().amax(dim=(1, 2))
        if bool((shear > 1e-4 * new_focal.abs().amax(dim=1)).any() | (new_focal[:, 1] <= 0).any()):
            raise ValueError(
                "an image transform that rotates, shears or flips vertically leaves no pinhole "
                "camera with upright axes; use resize, crop, pad and horizontal flip"
            )
        cameras = PinholeCameras(torch.cat((new_focal.abs(), new_center), dim=1))
        return cameras, new_focal[:, 0] < 0

    def __getitem__(self, item) -> "PinholeCameras":
        """Index as a tensor; an int keeps the batch dimension."""
        if isinstance(item, int):
            return PinholeCameras(self.tensor[item].unsqueeze(0))
        return PinholeCameras(self.tensor[item])

    def __len__(self) -> int:
        return self.tensor.shape[0]

    def __iter__(self) -> Iterator[torch.Tensor]:
        yield from self.tensor

    def __repr__(self) -> str:
        return f"PinholeCameras({self.tensor})"

    @property
    def device(self) -> torch.device:
        return self.tensor.device

    def to(self, *args, **kwargs) -> "PinholeCameras":
        return PinholeCameras(self.tensor.to(*args, **kwargs))

    @classmethod
    def cat(cls, cameras: list["PinholeCameras"]) -> "PinholeCameras":
        """Concatenate; an empty list gives no cameras."""
        if not cameras:
            return cls(torch.empty(0, 4))
        return cls(torch.cat([c.tensor for c in cameras]))
