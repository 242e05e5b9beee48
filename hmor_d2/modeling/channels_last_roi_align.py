"""RoIAlign of features in channels_last memory, for CPUs."""

import torch
from detectron2.layers import ROIAlign
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.ops import roi_align

__all__ = ["ChannelsLastROIAlign", "use_channels_last_roi_align"]


def use_channels_last_roi_align(model: nn.Module) -> None:
    """Replace every ROIAlign inside a model, in place."""
    for parent in list(model.modules()):
        for name, child in parent.named_children():
            if isinstance(child, ROIAlign):
                setattr(parent, name, ChannelsLastROIAlign(child))


class ChannelsLastROIAlign(nn.Module):
    """Detectron2's ROIAlign as weighted sums of pixels, each with all of its channels at once.

    torchvision's kernel takes one channel after the other, on one thread, and first copies
    features that are in channels_last memory.  A bin is the mean of bilinear samples on a grid;
    the weight of a pixel is the product of one for its row and one for its column, so that a pixel
    that several samples touch is read once.  Backwards it is several times faster, too.  Features
    elsewhere than on a CPU go to torchvision's kernel.
    """

    def __init__(self, roi_align: ROIAlign):
        super().__init__()
        self.output_size = roi_align.output_size
        self.spatial_scale = roi_align.spatial_scale
        self.sampling_ratio = roi_align.sampling_ratio
        self.aligned = roi_align.aligned

    def forward(self, features: Tensor, rois: Tensor) -> Tensor:
        """Pool regions.

        Args:
            features: (B, C, H, W).
            rois: (N, 5) of the index in the batch, and x1, y1, x2, y2 in pixels of the image.

        Returns:
            (N, C, *output_size); on a CPU in channels_last memory.
        """
        if features.device.type != "cpu":
            return roi_align(
                features,
                rois.to(features.dtype),
                self.output_size,
                self.spatial_scale,
                self.sampling_ratio,
                self.aligned,
            )
        batch, channels, height, width = features.shape
        pixels = features.permute(0, 2, 3, 1).reshape(batch * height * width, channels)
        bins = torch.tensor(self.output_size, device=rois.device)
        rois = rois.to(features.dtype)
        corners = self.spatial_scale * rois[:, 1:] - (0.5 if self.aligned else 0.0)
        starts = corners[:, [1, 0]]  # (N, 2) of y, x, in pixels of the features
        sizes = corners[:, [3, 2]] - starts
        if not self.aligned:
            sizes = sizes.clamp(min=1.0)
        sizes = sizes / bins
        grids = sizes.ceil()
        if self.sampling_ratio > 0:
            grids = torch.full_like(sizes, self.sampling_ratio)
        first_rows = rois[:, 0].long() * height
        pooled = features.new_zeros(len(rois), *self.output_size, channels)
        # All regions of a group are given room for the pixels of its largest: up to 8 samples a
        # bin along an axis nearly all, up to 64 a few that are long, and so on.
        groups = (grids.clamp(min=1).log2() / 3).ceil().clamp(min=1)
        for group in groups.unique(dim=0):
            these = (groups == group).all(dim=1).nonzero().squeeze(1)
            rows, columns = (
                _axis(
                    starts[these, axis], sizes[these, axis], grids[these, axis], bins[axis], length
                )
                for axis, length in enumerate((height, width))
            )
            # (regions, bins in y, bins in x, rows, columns)
            weights = rows[1][:, :, None, :, None] * columns[1][:, None, :, None, :]
            places = (rows[0] + first_rows[these, None, None])[:, :, None, :, None] * width
            places = places + columns[0][:, None, :, None, :]
            used = weights.flatten().nonzero().squeeze(1)
            ends = weights.count_nonzero(dim=(3, 4)).flatten().cumsum(dim=0)
            sums = F.embedding_bag(
                places.flatten()[used],
                pixels,
                torch.cat((ends.new_zeros(1), ends)),
                mode="sum",
                per_sample_weights=weights.flatten()[used],
                include_last_offset=True,
            )
            pooled[these] = sums.view(len(these), *self.output_size, channels)
        return pooled.permute(0, 3, 1, 2)


def _axis(
    start: Tensor, size: Tensor, grid: Tensor, bins: Tensor, length: int
) -> tuple[Tensor, Tensor]:
    """Pixels that make up each bin along one axis, and their weights.

    Args:
        start, size: (N,) of regions and of their bins, in pixels, pixel centres at integers.
        grid: (N,) samples a bin; 0 where there is nothing to sample, as torchvision has it.
        bins: along the axis.
        length: pixels of the features along the axis.

    Returns:
        (N, bins, K) indices and weights; a bin's weights have the sum 1, less what is outside.
    """
    start, size, grid = (values[:, None, None] for values in (start, size, grid))
    index = torch.arange(int(grid.max()), device=start.device)
    samples = grid.clamp(min=1)
    places = start + size * (
        torch.arange(int(bins), device=start.device)[:, None] + (index + 0.5) / samples
    )
    # As in torchvision: a sample more than a pixel outside counts nothing, others are moved in.
    counts = (index < grid) & (places >= -1) & (places <= length)
    share = counts / samples
    places = places.clamp(0, length - 1)
    low = places.floor().clamp(max=max(length - 2, 0))
    upper = places - low
    low = low.long()
    first = low[:, :, :1]
    steps = torch.where(counts, low - first, 0)
    span = int(steps.max()) + 2 if steps.numel() else 0
    weights = places.new_zeros((*places.shape[:2], span))
    weights.scatter_add_(2, steps, share * (1 - upper))
    weights.scatter_add_(2, steps + 1, share * upper)
    indices = first + torch.arange(span, device=start.device)
    return indices.clamp(max=length - 1), weights
