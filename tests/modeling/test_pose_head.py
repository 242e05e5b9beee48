import numpy as np
import torch
from detectron2.layers import ShapeSpec
from hypothesis import given
from hypothesis import strategies as st

from hmor_d2.modeling.pose_head import HeatmapPoseHead, soft_argmax_3d


def slow_soft_argmax(logits):
    """Expected (u, v, z) of one joint by a loop over all bins."""
    depth, height, width = logits.shape
    p = np.exp(logits - logits.max())
    p /= p.sum()
    expected = np.zeros(3)
    for d in range(depth):
        for i in range(height):
            for j in range(width):
                place = ((j + 0.5) / width, (i + 0.5) / height, 2 * (d + 0.5) / depth - 1)
                expected += p[d, i, j] * np.array(place)
    return expected


def test_soft_argmax_agrees_with_a_loop():
    logits = torch.randn(2, 3, 4, 5, 6, generator=torch.Generator().manual_seed(0)) * 3
    found, scores = soft_argmax_3d(logits)
    for n in range(2):
        for j in range(3):
            expected = slow_soft_argmax(logits[n, j].double().numpy())
            np.testing.assert_allclose(found[n, j], expected, atol=1e-5)
    assert ((scores >= 0) & (scores <= 1 + 1e-6)).all()


@given(st.integers(0, 27), st.integers(0, 27), st.integers(0, 27))
def test_a_sharp_peak_is_its_bins_centre(d, i, j):
    logits = torch.zeros(1, 1, 28, 28, 28)
    logits[0, 0, d, i, j] = 50.0
    found, score = soft_argmax_3d(logits)
    expected = torch.tensor([(j + 0.5) / 28, (i + 0.5) / 28, 2 * (d + 0.5) / 28 - 1])
    torch.testing.assert_close(found[0, 0], expected)
    assert score.item() > 0.999


def test_a_flat_heatmap_is_the_middle_with_a_low_score():
    found, score = soft_argmax_3d(torch.zeros(1, 1, 28, 28, 28))
    torch.testing.assert_close(found[0, 0], torch.tensor([0.5, 0.5, 0.0]), atol=1e-6, rtol=0)
    assert score.item() < 0.05


def test_head_shapes_and_half_precision():
    head = HeatmapPoseHead(
        ShapeSpec(channels=16),
        num_joints=5,
        num_blocks=3,
        block_dim=8,
        deconv_dim=12,
        depth_bins=28,
        norm="BN",
        logit_scale=1.0,
        loss_weight=1.0,
    )
    with torch.autocast("cpu", torch.bfloat16):
        coordinates, scores = head(torch.randn(4, 16, 14, 14))
    assert coordinates.shape == (4, 5, 3) and scores.shape == (4, 5)
    assert coordinates.dtype == torch.float32
    heatmaps = head.predictor(head.deconv(head.blocks(torch.randn(1, 16, 14, 14))))
    assert heatmaps.shape == (1, 5 * 28, 28, 28)
    head.eval()
    assert head(torch.zeros(0, 16, 14, 14))[0].shape == (0, 5, 3)
