import numpy as np
import pytest
import torch
from detectron2.layers import ShapeSpec
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from hmor_d2.losses import marginal_loss
from hmor_d2.modeling.pose_head import HeatmapPoseHead
from hmor_d2.modeling.soft_argmax import soft_argmax_3d


def small_head(**changes):
    arguments = {
        "num_joints": 5,
        "num_blocks": 1,
        "block_dim": 8,
        "deconv_dim": 12,
        "depth_bins": 28,
        "norm": "BN",
        "logit_scale": 1.0,
        "loss_weight": 1.0,
    }
    return HeatmapPoseHead(ShapeSpec(channels=16), **(arguments | changes))


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
    found, scores, *_ = soft_argmax_3d(logits)
    for n in range(2):
        for j in range(3):
            expected = slow_soft_argmax(logits[n, j].double().numpy())
            np.testing.assert_allclose(found[n, j], expected, atol=1e-5)
    assert ((scores >= 0) & (scores <= 1 + 1e-6)).all()


@given(st.integers(0, 27), st.integers(0, 27), st.integers(0, 27))
def test_a_sharp_peak_is_its_bins_centre(d, i, j):
    logits = torch.zeros(1, 1, 28, 28, 28)
    logits[0, 0, d, i, j] = 50.0
    found, score, *_ = soft_argmax_3d(logits)
    expected = torch.tensor([(j + 0.5) / 28, (i + 0.5) / 28, 2 * (d + 0.5) / 28 - 1])
    torch.testing.assert_close(found[0, 0], expected)
    assert score.item() > 0.999


def test_a_flat_heatmap_is_the_middle_with_a_low_score():
    found, score, image, depth = soft_argmax_3d(torch.zeros(1, 1, 14, 28, 28))
    torch.testing.assert_close(found[0, 0], torch.tensor([0.5, 0.5, 0.0]), atol=1e-6, rtol=0)
    assert score.item() < 0.05
    torch.testing.assert_close(image, torch.full((1, 1, 28, 28), 1 / 28**2))
    torch.testing.assert_close(depth, torch.full((1, 1, 14), 1 / 14))


@given(
    st.tuples(*[st.floats(6.0, 22.0)] * 2 + [st.floats(4.0, 10.0)]),
    st.floats(0.02, 0.2),
)
def test_near_its_peak_a_symmetric_heatmap_has_its_centre(centre, sigma):
    # Sizes differ, so that axes cannot be taken for each other.
    sizes = (28, 30, 14)
    axes = [
        -0.5 * ((torch.arange(n) + 0.5 - c) / 1.5) ** 2 for n, c in zip(sizes, centre, strict=True)
    ]
    logits = axes[2][:, None, None] + axes[1][:, None] + axes[0]
    found, score, *_ = soft_argmax_3d(logits[None, None], sigma)
    u, v, z = (c / n for n, c in zip(sizes, centre, strict=True))
    # One mean-shift step of a Gaussian from the nearest bin leaves at most half a bin.
    error = (found[0, 0] - torch.tensor([u, v, 2 * z - 1])).abs()
    assert (error <= torch.tensor([0.5 / 28, 0.5 / 30, 1.0 / 14]) + 1e-5).all()
    assert score > 0.2


def test_the_lower_of_two_peaks_draws_the_mean_but_not_the_peak():
    logits = torch.full((1, 1, 28, 28, 28), -20.0)
    logits[0, 0, 5, 20, 4] = 1.0
    logits[0, 0, 25, 2, 24] = 0.0
    mean = soft_argmax_3d(logits).coordinates[0, 0]
    peak = soft_argmax_3d(logits, 0.1).coordinates[0, 0]
    high = torch.tensor([4.5 / 28, 20.5 / 28, 2 * 5.5 / 28 - 1])
    torch.testing.assert_close(peak, high, atol=1e-3, rtol=0)
    assert (mean - high).abs().min() > 0.1


def test_a_head_takes_the_peak_at_test_alone():
    head = small_head(test_peak_sigma=0.1)
    x = torch.randn(3, 16, 14, 14)
    for training in (True, False):
        head.train(training)
        nn.init.normal_(head.predictor.weight)
        with torch.no_grad():
            heatmaps = head.predictor(torch.relu(head.deconv_norm(head.deconv(head.blocks(x)))))
            found = head(x).coordinates
        volume = heatmaps.unflatten(1, (5, 28))
        mean, peak = soft_argmax_3d(volume), soft_argmax_3d(volume, 0.1)
        expected, other = (mean, peak) if training else (peak, mean)
        torch.testing.assert_close(found, expected.coordinates, atol=1e-4, rtol=1e-4)
        assert (found - other.coordinates).abs().max() > 0.01


def test_head_shapes_and_half_precision():
    head = small_head(num_blocks=3)
    with torch.autocast("cpu", torch.bfloat16):
        coordinates, scores, *_ = head(torch.randn(4, 16, 14, 14))
    assert coordinates.shape == (4, 5, 3) and scores.shape == (4, 5)
    assert coordinates.dtype == torch.float32
    heatmaps = head.predictor(head.deconv(head.blocks(torch.randn(1, 16, 14, 14))))
    assert heatmaps.shape == (1, 5 * 28, 28, 28)
    head.eval()
    assert head(torch.zeros(0, 16, 14, 14))[0].shape == (0, 5, 3)


def test_marginals_are_sums_of_the_volume():
    logits = torch.randn(2, 3, 4, 5, 6, generator=torch.Generator().manual_seed(1))
    volume = logits.flatten(2).softmax(-1).view(logits.shape)
    _, _, image, depth = soft_argmax_3d(logits)
    torch.testing.assert_close(image, volume.sum(2))
    torch.testing.assert_close(depth, volume.sum((3, 4)))


def test_the_loss_on_marginals_is_added_where_asked_for():
    torch.manual_seed(0)
    head = small_head(marginal_loss_weight=2.0)
    prediction = head(torch.randn(4, 16, 14, 14))
    target = torch.rand(4, 5, 3)
    target[..., 2] = 2 * target[..., 2] - 1
    valid = torch.ones(4, 5, dtype=torch.bool)
    losses = head.losses(prediction, target, valid, valid)
    assert set(losses) == {"loss_pose", "loss_pose_marginals"}
    expected = 2.0 * (
        marginal_loss(prediction.image, target[..., :2], valid)
        + marginal_loss(prediction.depth, target[..., 2:] / 2 + 0.5, valid)
    )
    torch.testing.assert_close(losses["loss_pose_marginals"], expected)
    assert set(small_head().losses(prediction, target, valid, valid)) == {"loss_pose"}


def volume_logits(seed, scale=3.0):
    """In channels_last memory, as a convolution there gives them, and in contiguous memory."""
    generator = torch.Generator().manual_seed(seed)
    heatmaps = scale * torch.randn(3, 5 * 6, 7, 8, generator=generator)
    packed = heatmaps.contiguous(memory_format=torch.channels_last).unflatten(1, (5, 6))
    return packed, heatmaps.unflatten(1, (5, 6))


def test_both_kinds_of_memory_give_the_same_prediction():
    # The last overflows unless the largest logit is subtracted; from 30 on exponentials underflow.
    for scale in (0.0, 3.0, 30.0, 1e4):
        packed, contiguous = volume_logits(2, scale)
        found, expected = soft_argmax_3d(packed), soft_argmax_3d(contiguous)
        torch.testing.assert_close(found.coordinates, expected.coordinates, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(found.scores, expected.scores, rtol=1e-5, atol=1e-6)
        for a, b in zip(found[2:], expected[2:], strict=True):
            assert a.shape == b.shape
            torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("scale", [3.0, 30.0])
def test_both_kinds_of_memory_give_the_same_gradient(scale):
    gradients = []
    for logits in volume_logits(3, scale):
        logits = logits.detach().requires_grad_()
        coordinates, _, image, depth = soft_argmax_3d(logits)
        loss = (coordinates * torch.arange(3)).sum() + (image**2).sum() + (depth**2).sum()
        loss.backward()
        gradients.append(logits.grad)
    assert gradients[1].abs().max() > 1e-3
    torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-5)


def test_people_in_groups_are_the_same_as_all_at_once():
    """At test on a CPU the heatmaps are made for few people at a time."""
    torch.manual_seed(0)
    head = small_head(logit_scale=10.0)
    nn.init.normal_(head.predictor.weight, std=0.2)
    x = torch.randn(5, 16, 14, 14)
    head(x)  # running statistics other than the untrained ones
    head.eval()
    sizes = []
    head.predictor.register_forward_hook(lambda module, inputs, y: sizes.append(len(y)))
    with torch.no_grad():
        found, expected = (
            head(x),
            head._predict(head.deconv_norm(head.deconv(head.blocks(x))).relu()),
        )
    assert sizes == [2, 2, 1, 5]
    assert expected.coordinates.std() > 0.01
    for a, b in zip((*found[:2], *found[2]), (*expected[:2], *expected[2]), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)
    head.train()
    head(x)
    assert sizes[4:] == [5]
