import torch
from hypothesis import given
from hypothesis import strategies as st

from hmor_d2.structures import decode_roi_poses, encode_roi_poses, equivalent_depth_scale


@given(st.integers(0, 10_000), st.floats(500, 2000))
def test_coding_inverts(seed, depth_range):
    generator = torch.Generator().manual_seed(seed)
    corner = torch.rand(6, 2, generator=generator) * 500
    boxes = torch.cat((corner, corner + 5 + torch.rand(6, 2, generator=generator) * 400), dim=1)
    pixels = torch.rand(6, 17, 2, generator=generator) * 900
    depth = (torch.rand(6, 17, generator=generator) - 0.5) * 3 * depth_range
    coded, inside, in_range = encode_roi_poses(pixels, depth, boxes, depth_range)
    low, high = boxes[:, None, :2], boxes[:, None, 2:]
    margin = ((pixels - low).abs().amin(-1) > 1e-2) & ((pixels - high).abs().amin(-1) > 1e-2)
    expected = ((pixels > low) & (pixels < high)).all(dim=-1)
    assert torch.equal(inside & margin, expected & margin)
    assert torch.equal(in_range, depth.abs() <= depth_range)
    again, relative = decode_roi_poses(coded, boxes, depth_range)
    torch.testing.assert_close(again, pixels, rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(relative, depth, rtol=1e-5, atol=1e-3)


def test_equivalent_depth_does_not_depend_on_distance():
    # A person twice as far away has half the box; its equivalent depth is the same (eq. 14).
    boxes = torch.tensor([[0.0, 0.0, 100.0, 200.0], [30.0, 10.0, 80.0, 110.0]])
    scale = equivalent_depth_scale(boxes, 14.0 * 14.0)
    torch.testing.assert_close(3.0 * scale[0], 6.0 * scale[1])
    torch.testing.assert_close(scale[0], torch.tensor((100 * 200 / 196) ** 0.5))
