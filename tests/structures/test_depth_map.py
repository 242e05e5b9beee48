import pytest
import torch
from torch.nn import functional as F

from hmor_d2.structures import DepthMap


def test_sampling_agrees_with_grid_sample():
    generator = torch.Generator().manual_seed(0)
    values = torch.rand(3, 9, 13, generator=generator, dtype=torch.float64)
    stride = 8
    pixels = torch.rand(50, 2, generator=generator, dtype=torch.float64) * 140 - 15
    image_index = torch.randint(0, 3, (50,), generator=generator)
    found = DepthMap(values, stride).sample(image_index, pixels)
    size = torch.tensor([13.0, 9.0], dtype=torch.float64) * stride
    grid = (pixels / size * 2 - 1).reshape(50, 1, 1, 2)
    expected = F.grid_sample(
        values[image_index, None], grid, mode="bilinear", padding_mode="border", align_corners=False
    )
    torch.testing.assert_close(found, expected.flatten())


def test_cell_centres_read_the_cell():
    values = torch.arange(12.0).reshape(1, 3, 4)
    centres = torch.tensor([[4.0, 4.0], [28.0, 20.0], [-50.0, 999.0]])
    found = DepthMap(values, 8).sample(torch.zeros(3, dtype=torch.long), centres)
    assert found.tolist() == [0.0, 11.0, 8.0]


def test_gradient_reaches_the_map():
    values = torch.rand(2, 4, 5, dtype=torch.float64, requires_grad=True)
    index, pixels = torch.tensor([0, 1, 1]), torch.rand(3, 2, dtype=torch.float64) * 60
    assert torch.autograd.gradcheck(lambda v: DepthMap(v, 16).sample(index, pixels), (values,))


def test_wrong_shape():
    with pytest.raises(ValueError, match="B, H, W"):
        DepthMap(torch.zeros(1, 1, 3, 3), 8)
