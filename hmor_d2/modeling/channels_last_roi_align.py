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
        if self.sampling_ratio > 0:
            grids = torch.full_like(sizes, self.sampling_ratio)
        else:
            grids = sizes.ceil()
        first_rows = rois[:, 0].long() * height
        pooled = features.new_zeros(len(rois), *self.output_size, channels)
        # Regions of one grid need equally many pixels.
        for grid in grids.unique(dim=0).tolist():
            if min(grid) < 1:
                continue  # nothing to sample: torchvision leaves zeros
            these = (grids == grids.new_tensor(grid)).all(dim=1).nonzero().squeeze(1)
            rows, row_weights = _axis(starts, sizes, these, 0, bins[0], grid, height)
            columns, column_weights = _axis(starts, sizes, these, 1, bins[1], grid, width)
            rows = (rows + first_rows[these, None, None]) * width
            # (regions, bins in y, bins in x, rows, columns)
            places = rows[:, :, None, :, None] + columns[:, None, :, None, :]
            weights = row_weights[:, :, None, :, None] * column_weights[:, None, :, None, :]
            sums = F.embedding_bag(
                places.flatten(3).flatten(0, 2),
                pixels,
                mode="sum",
                per_sample_weights=weights.flatten(3).flatten(0, 2),
            )
            pooled[these] = sums.view(len(these), *self.output_size, channels)
        return pooled.permute(0, 3, 1, 2)


def _axis(
    starts: Tensor,
    sizes: Tensor,
    these: Tensor,
    axis: int,
    bins: Tensor,
    grid: list[float],
    length: int,
) -> tuple[Tensor, Tensor]:
    """Pixels that make up each bin along one axis, and their weights.

    Args:
        starts, sizes: (N, 2) of regions and of their bins, in pixels, pixel centres at integers.
        these: (R,) regions to treat.
        axis: 0 for y, 1 for x.
        bins: along the axis.
        grid: samples a bin, by axis.
        length: pixels of the features along the axis.

    Returns:
        (R, bins, K) indices and weights; a bin's weights have the sum 1, less what is outside.
    """
    start, size = starts[these, axis], sizes[these, axis]
    samples = int(grid[axis])
    index = torch.arange(samples, device=start.device)
    inside = torch.arange(int(bins), device=start.device)[:, None] + (index + 0.5) / samples
    places = start[:, None, None] + size[:, None, None] * inside  # (R, bins, samples)
    # As in torchvision: a sample more than a pixel outside counts nothing, others are moved in.
    share = ((places >= -1) & (places <= length)) / samples
    places = places.clamp(0, length - 1)
    low = places.floor().clamp(max=max(length - 2, 0))
    upper = places - low
    low = low.long()
    first = low.amin(dim=2, keepdim=True)
    steps = low - first
    span = int(steps.max()) + 2
    weights = places.new_zeros((*places.shape[:2], span))
    weights.scatter_add_(2, steps, share * (1 - upper))
    weights.scatter_add_(2, steps + 1, share * upper)
    indices = first + torch.arange(span, device=start.device)
    return indices.clamp(max=length - 1), weights
