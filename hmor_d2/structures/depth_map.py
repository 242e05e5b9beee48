"""A batch of normalised depth maps that can be read at any place of their images."""

import torch

__all__ = ["DepthMap"]


class DepthMap:
    """Normalised root depth (eq. 12) over B images.

    Attributes:
        tensor: (B, H, W) mm per pixel; cell (i, j) covers the pixels [j, j + 1) x [i, i + 1)
            times the stride.
        stride: pixels a cell.
    """

    def __init__(self, tensor: torch.Tensor, stride: int):
        if tensor.dim() != 3:
            raise ValueError(f"a depth map must have shape (B, H, W), found {tuple(tensor.shape)}")
        self.tensor = tensor
        self.stride = stride

    def sample(self, image_index: torch.Tensor, pixels: torch.Tensor) -> torch.Tensor:
        """Read bilinearly at one place a person; places outside read the border.

        Args:
            image_index: (N,) image of each person.
            pixels: (N, 2) places (x, y).

        Returns:
            (N,) values, differentiable in the map.
        """
        _, height, width = self.tensor.shape
        cells = pixels / self.stride - 0.5
        x = cells[:, 0].clamp(0, width - 1)
        y = cells[:, 1].clamp(0, height - 1)
        left, top = x.floor(), y.floor()
        weight_x, weight_y = x - left, y - top
        left, top = left.long(), top.long()
        right, bottom = (left + 1).clamp(max=width - 1), (top + 1).clamp(max=height - 1)

        def read(row: torch.Tensor, column: torch.Tensor) -> torch.Tensor:
            return self.tensor[image_index, row, column]

        upper = torch.lerp(read(top, left), read(top, right), weight_x)
        lower = torch.lerp(read(bottom, left), read(bottom, right), weight_x)
        return torch.lerp(upper, lower, weight_y)

    def __len__(self) -> int:
        return self.tensor.shape[0]

    def __repr__(self) -> str:
        return f"DepthMap(shape={tuple(self.tensor.shape)}, stride={self.stride})"
