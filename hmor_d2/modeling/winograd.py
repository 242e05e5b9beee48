"""3x3 convolutions by Winograd's F(4x4, 3x3), for inference on a CPU."""

import torch
from detectron2.layers import Conv2d
from torch import Tensor
from torch.nn import functional as F

__all__ = ["WinogradConv2d"]

# Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks" (2016), section 4.3: with
# tiles d of 6x6 inputs and kernels g, the 4x4 outputs are A^T [(G g G^T) * (B^T d B)] A.
_TILE, _STEP = 6, 4
_INPUT = torch.tensor(
    [
        [4, 0, -5, 0, 1, 0],
        [0, -4, -4, 1, 1, 0],
        [0, 4, -4, -1, 1, 0],
        [0, -2, -1, 2, 1, 0],
        [0, 2, -1, -2, 1, 0],
        [0, 4, 0, -5, 0, 1],
    ],
    dtype=torch.float64,
)
_KERNEL = torch.tensor(
    [
        [1 / 4, 0, 0],
        [-1 / 6, -1 / 6, -1 / 6],
        [-1 / 6, 1 / 6, -1 / 6],
        [1 / 24, 1 / 12, 1 / 6],
        [1 / 24, -1 / 12, 1 / 6],
        [0, 0, 1],
    ],
    dtype=torch.float64,
)
_OUTPUT = torch.tensor(
    [[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]],
    dtype=torch.float64,
)
# Tiles are treated in portions of this many bytes, to stay in the processor's cache.
_PORTION_BYTES = 8e6
# With fewer channels, reading and writing tiles costs more than the multiplications saved.
_MIN_CHANNELS = 256


class WinogradConv2d(Conv2d):
    """A 3x3 convolution with a quarter of the multiplications; all of it is matrix products.

    Results differ from the direct ones by rounding, about 1e-4 of their standard deviation.
    There are no gradients, and the state dict is that of the convolution it was.
    """

    @staticmethod
    def suits(conv: torch.nn.Module) -> bool:
        """Whether a layer is a convolution that this one does sooner."""
        return (
            type(conv) is Conv2d
            and conv.norm is None
            and conv.weight.dtype is torch.float32
            and conv.kernel_size == (3, 3)
            and conv.stride == conv.dilation == (1, 1)
            and conv.padding == (1, 1)
            and conv.padding_mode == "zeros"
            and conv.groups == 1
            and min(conv.in_channels, conv.out_channels) >= _MIN_CHANNELS
        )

    @classmethod
    def convert(cls, conv: Conv2d) -> None:
        """Make a convolution one of this class, in place, as modules may refer to it twice."""
        conv.__class__ = cls
        kernels = conv.weight.detach().double()
        kernels = torch.einsum("ai,kcij,bj->abck", _KERNEL, kernels, _KERNEL)
        kernels = kernels.flatten(0, 1).to(conv.weight.dtype).contiguous()
        conv.register_buffer("kernels", kernels, persistent=False)
        for name, matrix in (("to_tiles", _INPUT), ("from_tiles", _OUTPUT)):
            both_axes = torch.kron(matrix, matrix).to(conv.weight.dtype)
            conv.register_buffer(name, both_axes, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, K, H, W), in channels_last memory."""
        batch, channels, height, width = x.shape
        down, across = -(-height // _STEP), -(-width // _STEP)
        x = F.pad(x, (1, across * _STEP + 1 - width, 1, down * _STEP + 1 - height))
        x = x.permute(0, 2, 3, 1).contiguous()
        row, column = x.stride()[1:3]
        out = x.new_empty(batch, down, _STEP, across, _STEP, self.out_channels)
        portion = int(_PORTION_BYTES / (_TILE**2 * channels * across * x.element_size()))
        for image, target in zip(x, out, strict=True):
            for first in range(0, down, max(portion, 1)):
                part = target[first : first + max(portion, 1)]
                tiles = image[first * _STEP :].as_strided(
                    (_TILE, _TILE, len(part), across, channels),
                    (row, column, _STEP * row, _STEP * column, 1),
                )
                tiles = torch.mm(self.to_tiles, tiles.reshape(_TILE**2, -1))
                tiles = torch.bmm(tiles.view(_TILE**2, -1, channels), self.kernels)
                outputs = torch.mm(self.from_tiles, tiles.flatten(1))
                outputs = outputs.view(_STEP, _STEP, len(part), across, self.out_channels)
                part.copy_(outputs.permute(2, 0, 3, 1, 4))
        out = out.flatten(3, 4).flatten(1, 2)[:, :height, :width].contiguous()
        if self.bias is not None:
            out += self.bias
        out = out.permute(0, 3, 1, 2)
        return out if self.activation is None else self.activation(out)
