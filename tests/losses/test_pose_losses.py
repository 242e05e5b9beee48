import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import entropy

from hmor_d2.losses import absolute_pose_l1_loss, marginal_loss, relative_pose_l1_loss


def test_relative_loss_by_hand():
    pred = torch.tensor([[[0.5, 0.5, 0.0], [0.2, 0.1, 0.5]]])
    target = torch.tensor([[[0.4, 0.8, 0.3], [9.0, 9.0, 9.0]]])
    both = torch.tensor([[True, False]])
    torch.testing.assert_close(
        relative_pose_l1_loss(pred, target, both, both), torch.tensor(0.1 + 0.3 + 0.3)
    )
    none = torch.zeros_like(both)
    torch.testing.assert_close(
        relative_pose_l1_loss(pred, target, both, none), torch.tensor(0.1 + 0.3)
    )


def test_2d_people_do_not_dilute_depth():
    torch.manual_seed(0)
    pred, target = torch.rand(4, 17, 3), torch.rand(4, 17, 3)
    all_valid = torch.ones(4, 17, dtype=torch.bool)
    some_3d = all_valid.clone()
    some_3d[2:] = False
    mixed = relative_pose_l1_loss(pred, target, all_valid, some_3d)
    expected = (pred - target)[..., :2].abs().sum(-1).mean() + (pred - target)[
        :2, :, 2
    ].abs().mean()
    torch.testing.assert_close(mixed, expected)


def test_invalid_entries_have_no_gradient_and_nothing_is_zero():
    pred = torch.rand(2, 3, 3, requires_grad=True)
    target = torch.full((2, 3, 3), torch.nan)
    none = torch.zeros(2, 3, dtype=torch.bool)
    loss = relative_pose_l1_loss(pred, target, none, none)
    loss = loss + absolute_pose_l1_loss(pred, target.nan_to_num(), none)
    loss.backward()
    assert loss.item() == 0.0 and torch.equal(pred.grad, torch.zeros_like(pred))


def test_absolute_loss_is_in_metres():
    pred, gt = torch.zeros(1, 2, 3), torch.tensor([[[500.0, 0.0, 0.0], [0.0, 250.0, 250.0]]])
    valid = torch.ones(1, 2, dtype=torch.bool)
    torch.testing.assert_close(absolute_pose_l1_loss(pred, gt, valid), torch.tensor(0.5))


def gaussian(place, bins=28):
    centers = torch.arange(bins, dtype=torch.float64) + 0.5
    return (-0.5 * (centers - place * bins) ** 2).softmax(dim=-1)


def test_marginal_loss_by_scipy():
    marginal = torch.rand(3, 2, 28, generator=torch.Generator().manual_seed(0)).softmax(dim=-1)
    target = torch.tensor([[0.1, 0.5], [0.0, 1.0], [0.33, 0.9]])
    valid = torch.tensor([[True, True], [True, False], [True, True]])
    divergences = [
        entropy(gaussian(target[n, j]).numpy(), marginal[n, j].double().numpy())
        for n, j in valid.nonzero().tolist()
    ]
    found = marginal_loss(marginal, target.unsqueeze(-1), valid)
    np.testing.assert_allclose(found.item(), np.mean(divergences), rtol=1e-4)


def test_marginal_loss_of_an_image_by_scipy():
    image = torch.rand(2, 2, 20 * 24, generator=torch.Generator().manual_seed(1)).softmax(dim=-1)
    target = torch.tensor([[[0.1, 0.5], [0.0, 1.0]], [[0.33, 0.9], [0.7, 0.2]]])
    valid = torch.tensor([[True, True], [False, True]])
    divergences = []
    for n, j in valid.nonzero().tolist():
        u, v = target[n, j]
        wanted = torch.outer(gaussian(v, 20), gaussian(u, 24))
        divergences.append(entropy(wanted.flatten().numpy(), image[n, j].double().numpy()))
    found = marginal_loss(image.view(2, 2, 20, 24), target, valid)
    np.testing.assert_allclose(found.item(), np.mean(divergences), rtol=1e-4)


@given(st.floats(0, 1))
def test_marginal_loss_is_zero_at_its_gaussian_and_nowhere_else(place):
    marginal = gaussian(torch.tensor(place, dtype=torch.float64)).float().expand(1, 1, 28)
    valid, target = torch.ones(1, 1, dtype=torch.bool), torch.tensor([[[place]]])
    assert abs(marginal_loss(marginal, target, valid).item()) < 1e-5
    assert marginal_loss(marginal.flip(-1), target, valid).item() > -1e-5
    assert marginal_loss(marginal.roll(3, -1), target, valid).item() > 0.1


def test_a_marginal_on_a_wrong_bin_is_let_out_again():
    """Eq. 11 alone leaves a heatmap that has shrunk to one bin where it is."""
    logits = torch.zeros(1, 1, 28)
    logits[..., 3] = 20.0
    logits.requires_grad_()
    valid, target = torch.ones(1, 1, dtype=torch.bool), torch.tensor([[0.75]])
    marginal = logits.softmax(dim=-1)
    expected = (marginal * (torch.arange(28) + 0.5)).sum(dim=-1) / 28
    (alone,) = torch.autograd.grad((expected - target).abs().sum(), logits, retain_graph=True)
    (with_marginal,) = torch.autograd.grad(
        marginal_loss(marginal, target[..., None], valid), logits
    )
    assert alone.abs().max() < 1e-6
    assert with_marginal[0, 0, 20] < -0.1 and with_marginal[0, 0, 3] > 0.5


def test_marginal_loss_of_nothing_is_zero_with_a_graph():
    logits = torch.zeros(2, 3, 28, requires_grad=True)
    none, target = torch.zeros(2, 3, dtype=torch.bool), torch.full((2, 3, 1), torch.nan)
    loss = marginal_loss(logits.softmax(dim=-1), target, none)
    loss.backward()
    assert loss.item() == 0 and torch.equal(logits.grad, torch.zeros_like(logits))
