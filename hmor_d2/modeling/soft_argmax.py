"""The place of a joint in a 3D heatmap: the paper's soft-argmax (eq. 11), or the heatmap's peak."""

from typing import NamedTuple

import torch

__all__ = ["PosePrediction", "soft_argmax_3d"]

# Below the largest logit: what is lower adds nothing, but its exponentials, numbers smaller than
# float32 can normalise, take a processor many times as long.
_LEAST_LOGIT = -87.0


class PosePrediction(NamedTuple):
    """What a pose head says of N people.

    Attributes:
        coordinates: (N, J, 3) of u, v in [0, 1] across the RoI and z in [-1, 1].
        scores: (N, J) in [0, 1], without gradient.
        image: (N, J, H, W) probabilities of a joint's place in the RoI, whatever its depth.
        depth: (N, J, D) probabilities of its depth, wherever it is.
    """

    coordinates: torch.Tensor
    scores: torch.Tensor
    image: torch.Tensor
    depth: torch.Tensor


def soft_argmax_3d(logits: torch.Tensor, peak_sigma: float = 0.0) -> PosePrediction:
    """Expected place under a 3D softmax, from its marginals.

    The mean of a wide heatmap, or of one with two peaks, lies off both, towards the middle of the
    RoI.  With ``peak_sigma`` it is taken near the highest peak alone: the highest place of the
    heatmap smoothed with a Gaussian, moved by one mean-shift step of the same Gaussian.

    Args:
        logits: (N, J, D, H, W).
        peak_sigma: the Gaussian's sigma as a share of the heatmap's sides; 0: eq. 11's mean.

    Returns:
        the prediction; bin i of n has its centre at (i + 0.5) / n of the range.  A score is the
        probability within 1.5 bins of u times that of v, near 1 for a sharp heatmap.
    """
    # float32 whatever autocast says: half precision cannot sum 28^3 probabilities.
    image, depth = _marginals(logits.float())
    marginals = (image.sum(dim=2), image.sum(dim=3), depth)
    near = marginals if peak_sigma == 0 else _near_peak(image, depth, peak_sigma)
    means, masses = [], []
    for probabilities, marginal in zip(near, marginals, strict=True):
        bins = marginal.shape[2]
        centers = torch.arange(bins, device=marginal.device, dtype=marginal.dtype) + 0.5
        mean = (probabilities * centers).sum(dim=2)
        at_mean = (centers - mean.detach().unsqueeze(2)).abs() <= 1.5
        means.append(mean / bins)
        masses.append((marginal * at_mean).sum(dim=2))
    u, v, z = means
    coordinates = torch.stack((u, v, 2 * z - 1), dim=-1)
    return PosePrediction(coordinates, (masses[0] * masses[1]).detach(), image, depth)


def _near_peak(image: torch.Tensor, depth: torch.Tensor, sigma: float) -> tuple[torch.Tensor, ...]:
    """Marginals along u, v and z of the probabilities near the peaks, which sum to 1 again."""
    image = image * _around_peak(image, sigma)
    depth = depth.unsqueeze(3)
    depth = (depth * _around_peak(depth, sigma)).squeeze(3)
    marginals = (image.sum(dim=2), image.sum(dim=3), depth)
    return tuple(marginal / marginal.sum(dim=2, keepdim=True) for marginal in marginals)


def _around_peak(heatmap: torch.Tensor, sigma: float) -> torch.Tensor:
    """Gaussian weights, 1 at the highest place of the smoothed (N, J, H, W) heatmap."""
    height, width = heatmap.shape[2:]
    rows = _gaussians(height, sigma * height, heatmap)
    columns = _gaussians(width, sigma * width, heatmap)
    top = (rows @ heatmap @ columns).flatten(2).argmax(dim=2)
    return rows[top // width].unsqueeze(3) * columns[top % width].unsqueeze(2)


def _gaussians(bins: int, sigma: float, like: torch.Tensor) -> torch.Tensor:
    """(bins, bins) of a Gaussian around each bin."""
    places = torch.arange(bins, device=like.device, dtype=like.dtype) / sigma
    return torch.exp(-0.5 * (places.unsqueeze(1) - places) ** 2)


def _marginals(logits: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Sums of the softmax over the volume: (N, J, H, W) and (N, J, D)."""
    n, joints, bins, height, width = logits.shape
    places = logits.permute(0, 3, 4, 1, 2)
    if not places.is_contiguous():
        volume = logits.flatten(2).softmax(dim=2).unflatten(2, logits.shape[2:])
        return volume.sum(dim=2), volume.sum(dim=(3, 4))
    # In channels_last memory softmax would copy the volume twice.  Here it is read in order, all
    # joints and depths of a place at once, and divided by its sum only as marginals.
    volume = places.reshape(n, height, width, joints * bins)
    top = volume.detach().amax(dim=(1, 2)).view(n, joints, bins).amax(dim=2)
    volume = volume - top.repeat_interleave(bins, dim=1)[:, None, None]
    volume.detach().clamp_(min=_LEAST_LOGIT)
    volume = volume.exp_()
    image = volume.view(n, height, width, joints, bins).sum(dim=4).permute(0, 3, 1, 2)
    depth = volume.sum(dim=(1, 2)).view(n, joints, bins)
    total = depth.sum(dim=2, keepdim=True)
    return image / total.unsqueeze(3), depth / total
