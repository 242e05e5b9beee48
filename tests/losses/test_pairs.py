"""Pairs of items: every unordered pair once, and samples of them that are exact or unbiased."""

import itertools

import numpy as np
import pytest
import torch

from hmor_d2.losses.hmor import hmor_losses_batched
from hmor_d2.losses.pairs import ItemPairs
from hmor_d2.skeleton import get_skeleton
from tests.losses.hmor_scenes import make_normals, make_scene, tensors

SKELETON = get_skeleton("muco17")


def weight_of_pairs(pairs, num_items):
    """(B, M, M) total weight with which each pair occurs, in the upper triangle."""
    batch = len(pairs.weight)
    numbers = torch.arange(num_items).expand(batch, 1, num_items)
    first, second = torch.broadcast_tensors(*pairs.ends(numbers))
    low, high = torch.minimum(first, second), torch.maximum(first, second)
    totals = torch.zeros(batch, num_items * num_items)
    totals.scatter_add_(1, (low * num_items + high).flatten(1), pairs.weight.flatten(1))
    return totals.view(batch, num_items, num_items)


@pytest.mark.parametrize("num_items", [2, 3, 4, 5, 8, 11])
def test_every_pair_of_valid_items_occurs_once(num_items):
    masks = itertools.product((False, True), repeat=min(num_items, 6))
    valid = torch.tensor(list(masks))
    valid = torch.cat([valid, valid[:, : num_items - valid.shape[1]].flip(0)], dim=1)
    pairs = ItemPairs.of(valid, torch.float32)
    expected = (valid.unsqueeze(1) & valid.unsqueeze(2)).triu(1)
    assert torch.equal(weight_of_pairs(pairs, num_items), expected.float())
    assert torch.equal(pairs.count, expected.sum((1, 2)).float())


def test_all_pairs_take_half_a_matrix():
    for num_items in (7, 8, 136):
        pairs = ItemPairs.of(torch.ones(1, num_items, dtype=torch.bool), torch.float32)
        assert pairs.weight.numel() == num_items * (num_items // 2)


@pytest.mark.parametrize("slots", [1, 4, 7, 20])
def test_samples_weigh_each_pair_once_in_expectation(slots):
    mask = [True, False, True, True, False, True, True, True, False, True]  # 21 of 45 pairs
    valid = torch.tensor(mask).expand(20000, -1)
    generator = torch.Generator().manual_seed(slots)
    pairs = ItemPairs.of(valid, torch.float32, slots, generator)
    assert pairs.weight.shape == (20000, 1, slots)
    totals = weight_of_pairs(pairs, len(mask))
    assert torch.allclose(totals.sum((1, 2)), torch.tensor(21.0))
    expected = (valid[0].unsqueeze(0) & valid[0].unsqueeze(1)).triu(1)
    assert (totals[:, ~expected] == 0).all()
    # A pair occurs in about one of 21 / slots images, then with weight 21 / slots.
    deviation = (21 / slots / 20000) ** 0.5
    assert ((totals.mean(0)[expected] - 1).abs() < 4.5 * deviation).all()


def test_samples_take_all_pairs_of_images_where_they_fit():
    valid = torch.zeros(3, 30, dtype=torch.bool)
    valid[0, ::3] = True  # 45 pairs
    valid[1, 5:7] = True
    pairs = ItemPairs.of(valid, torch.float32, 45)
    expected = (valid.unsqueeze(1) & valid.unsqueeze(2)).triu(1)
    assert torch.equal(weight_of_pairs(pairs, 30), expected.float())


def test_sampling_is_exact_where_pairs_fit_and_unbiased_where_not():
    pred, gt, valid = make_scene(1, 3, invalid=0.3)
    few = np.zeros_like(valid)
    few[:, :3] = True
    copies = 600
    batch = [np.stack([a] * copies) for a in (pred, gt)]
    normals = torch.as_tensor(make_normals(2, 2)).expand(copies, 2, 3)

    def losses(valid, **options):
        arguments = *tensors(batch), torch.as_tensor(np.stack([valid] * copies)), SKELETON
        return hmor_losses_batched(*arguments, normals, **options)

    # 9 valid joints have 36 pairs, the padded 51 have 1275.
    exact, exact_figures = losses(few, levels=("joint",))
    fitting, figures = losses(few, levels=("joint",), max_pairs=36)
    torch.testing.assert_close(fitting, exact)
    torch.testing.assert_close(figures, exact_figures)

    exact, exact_figures = losses(valid)
    generator = torch.Generator().manual_seed(0)
    sampled, figures = losses(valid, max_pairs=60, generator=generator)
    for level in ("part", "joint"):
        key = f"loss_hmor_{level}"
        assert sampled[key].item() != exact[key].item()
        assert sampled[key].item() == pytest.approx(exact[key].item(), rel=0.02)
        key = f"hmor/wrong_{level}"
        assert figures[key].item() == pytest.approx(exact_figures[key].item(), rel=0.02)
        assert figures[f"hmor/pairs_{level}"] == exact_figures[f"hmor/pairs_{level}"]
    again, _ = losses(valid, max_pairs=60, generator=torch.Generator().manual_seed(0))
    assert again == sampled
