"""Between the image and what the heads predict: eq. 3, 14, 15 and 17.

Heads see a region of interest (RoI) resized to a fixed grid.  They predict joints as (u, v, z):
u, v in [0, 1] across the box, z in [-1, 1] over a depth range around the root; and root depth
as *equivalent depth*, the depth at which the person would have the size of the RoI grid.
"""

import torch

__all__ = [
    "decode_roi_poses",
    "encode_roi_poses",
    "equivalent_depth_scale",
]


def encode_roi_poses(
    pixels: torch.Tensor, depth: torch.Tensor, boxes: torch.Tensor, depth_range: float
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Joints in RoI coordinates, eq. 3.

    Args:
        pixels: (N, J, 2) joints in the image.
        depth: (N, J) mm relative to the root.
        boxes: (N, 4) XYXY pixels, of positive size.
        depth_range: mm that z = 1 stands for.

    Returns:
        (N, J, 3) of (u, v, z); (N, J) bool, u and v inside the RoI; (N, J) bool, z in range.
    """
    size = boxes[:, 2:] - boxes[:, :2]
    uv = (pixels - boxes[:, None, :2]) / size[:, None]
    z = depth / depth_range
    inside = ((uv >= 0) & (uv <= 1)).all(dim=-1)
    return torch.cat((uv, z.unsqueeze(-1)), dim=-1), inside, z.abs() <= 1


def decode_roi_poses(
    coordinates: torch.Tensor, boxes: torch.Tensor, depth_range: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Inverse of :func:`encode_roi_poses`.

    Args:
        coordinates: (N, J, 3) of (u, v, z).
        boxes: (N, 4) XYXY pixels.
        depth_range: mm that z = 1 stands for.

    Returns:
        (N, J, 2) pixels in the image and (N, J) depths relative to the root in mm.
    """
    size = boxes[:, 2:] - boxes[:, :2]
    pixels = coordinates[..., :2] * size[:, None] + boxes[:, None, :2]
    return pixels, coordinates[..., 2] * depth_range


def equivalent_depth_scale(boxes: torch.Tensor, roi_area: float) -> torch.Tensor:
    """sqrt(A_box / A_RoI), which takes normalised to equivalent depth, eq. 14 and 15.

    Args:
        boxes: (N, 4) XYXY pixels after resizing.
        roi_area: cells of the RoI grid, 14 * 14 in the paper.

    Returns:
        (N,) factors; divide by them to go back, eq. 17.
    """
    width, height = (boxes[:, 2:] - boxes[:, :2]).unbind(dim=1)
    return (width * height / roi_area).sqrt()
