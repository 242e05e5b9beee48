import copy

import pytest
import torch
from detectron2.layers import Conv2d
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from hmor_d2.modeling import winograd
from hmor_d2.modeling.winograd import WinogradConv2d


def make_conv(inputs, outputs, **options):
    torch.manual_seed(inputs + outputs)
    conv = Conv2d(inputs, outputs, 3, padding=1, **options)
    nn.init.normal_(conv.weight, std=(9 * inputs) ** -0.5)
    return conv.requires_grad_(False)


@settings(max_examples=25, deadline=None)
@given(
    batch=st.integers(0, 3),
    size=st.tuples(st.integers(1, 23), st.integers(1, 23)),
    channels=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    bias=st.booleans(),
    rows=st.integers(1, 3),
)
def test_it_is_the_direct_convolution(batch, size, channels, bias, rows):
    conv = make_conv(*channels, bias=bias).double()
    converted = copy.deepcopy(conv)
    WinogradConv2d.convert(converted)
    x = torch.randn(batch, channels[0], *size, dtype=torch.float64)
    with pytest.MonkeyPatch.context() as patch:  # so that even these are more than one portion
        across = -(-size[1] // 4)
        patch.setattr(winograd, "_PORTION_BYTES", rows * 36 * channels[0] * across * 8)
        found = converted(x)
    torch.testing.assert_close(found, conv(x), rtol=1e-9, atol=1e-9)
    assert converted.state_dict().keys() == conv.state_dict().keys()


def test_rounding_and_activation_in_float32():
    conv = make_conv(256, 256, activation=nn.ReLU(inplace=True))
    assert WinogradConv2d.suits(conv)
    x = torch.rand(1, 256, 30, 41).to(memory_format=torch.channels_last)
    expected = conv(x)
    WinogradConv2d.convert(conv)
    found = conv(x)
    assert found.is_contiguous(memory_format=torch.channels_last)
    assert found.min() == 0 and (found - expected).abs().max() < 1e-3 * expected.std()


@pytest.mark.parametrize(
    "conv",
    [
        Conv2d(256, 256, 1),
        Conv2d(256, 256, 3, padding=1, stride=2),
        Conv2d(256, 256, 3, padding=2, dilation=2),
        Conv2d(256, 256, 3),
        Conv2d(256, 256, 3, padding=1, groups=2),
        Conv2d(256, 128, 3, padding=1),
        Conv2d(256, 256, 3, padding=1, norm=nn.BatchNorm2d(256)),
        nn.Identity(),
    ],
)
def test_others_are_left_alone(conv):
    assert not WinogradConv2d.suits(conv)
