"""ChannelsLastROIAlign against torchvision's kernel."""

import pytest
import torch
from detectron2.layers import ROIAlign
from torchvision.ops import roi_align

from hmor_d2.modeling.channels_last_roi_align import ChannelsLastROIAlign

HEIGHT, WIDTH, SCALE = 20, 31, 0.25


def regions():
    """Around and across the borders, of no size, of one pixel, and very long ones."""
    generator = torch.Generator().manual_seed(1)
    corners = torch.rand(60, 2, generator=generator) * 140 - 20
    sizes = 140 * torch.rand(60, 2, generator=generator) ** 2
    sizes[0] = 0
    sizes[1] = torch.tensor([1.0, 1.0])
    sizes[2], sizes[3] = torch.tensor([300.0, 2.0]), torch.tensor([2.0, 300.0])
    corners[4] = torch.tensor([500.0, 500.0])  # outside
    image = torch.randint(0, 2, (60, 1), generator=generator)
    return torch.cat((image, corners, corners + sizes), dim=1)


@pytest.mark.parametrize("aligned", [True, False])
@pytest.mark.parametrize("sampling_ratio", [0, 1, 2])
@pytest.mark.parametrize("output_size", [(7, 7), (3, 5)])
def test_it_agrees_with_torchvision(aligned, sampling_ratio, output_size):
    generator = torch.Generator().manual_seed(2)
    features = torch.randn(2, 6, HEIGHT, WIDTH, generator=generator)
    rois = regions()
    expected = roi_align(features, rois, output_size, SCALE, sampling_ratio, aligned)
    stock = ROIAlign(output_size, SCALE, sampling_ratio, aligned)
    features = features.contiguous(memory_format=torch.channels_last)
    found = ChannelsLastROIAlign(stock)(features, rois)
    assert found.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(found, expected, rtol=0, atol=5e-5)
    assert expected.abs().max() > 1


@pytest.mark.parametrize("sampling_ratio", [0, 2])
def test_gradients_agree_with_torchvision(sampling_ratio):
    generator = torch.Generator().manual_seed(3)
    rois = regions()
    gradients = []
    for stock in (True, False):
        features = torch.randn(2, 6, HEIGHT, WIDTH, generator=generator.manual_seed(4))
        features.requires_grad_(True)
        pool = ROIAlign((7, 7), SCALE, sampling_ratio)
        pooled = (pool if stock else ChannelsLastROIAlign(pool))(features, rois)
        (pooled * torch.randn(pooled.shape, generator=generator.manual_seed(5))).sum().backward()
        gradients.append(features.grad)
    torch.testing.assert_close(gradients[1], gradients[0], rtol=1e-4, atol=1e-4)
    assert gradients[0].abs().max() > 1


def test_features_one_pixel_high_and_no_regions():
    features = torch.arange(8.0).view(1, 1, 1, 8)
    pool = ChannelsLastROIAlign(ROIAlign((1, 2), 1.0, 0))
    rois = torch.tensor([[0.0, 2.0, 0.0, 6.0, 1.0]])
    # Bins of [2, 4) and [4, 6): pixels 2, 3 and 4, 5, whose centres are at index + 0.5.
    torch.testing.assert_close(pool(features, rois), torch.tensor([[[[2.5, 4.5]]]]))
    assert pool(features, rois[:0]).shape == (0, 1, 1, 2)
