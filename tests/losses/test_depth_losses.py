import numpy as np
import torch

from hmor_d2.losses import depth_map_l1_loss, depth_map_targets, refined_depth_l1_loss


def slow_targets(roots, depths, image_index, shape, stride, radius):
    target = np.full(shape, np.inf)
    for (x, y), depth, image in zip(roots, depths, image_index, strict=True):
        column, row = int(np.floor(x / stride)), int(np.floor(y / stride))
        for i in range(shape[1]):
            for j in range(shape[2]):
                if (i - row) ** 2 + (j - column) ** 2 <= radius**2:
                    target[image, i, j] = min(target[image, i, j], depth)
    return target


def test_targets_agree_with_a_loop():
    generator = np.random.default_rng(0)
    for radius in (0, 1, 2, 3):
        shape = (3, 15, 20)
        roots = generator.uniform(-20, 180, size=(12, 2))
        depths = generator.uniform(1, 9, size=12)
        image_index = generator.integers(0, 3, size=12)
        found = depth_map_targets(
            torch.tensor(roots), torch.tensor(depths), torch.tensor(image_index), shape, 8, radius
        )
        expected = slow_targets(roots, depths, image_index, shape, 8, radius)
        np.testing.assert_array_equal(found.numpy(), expected)


def test_the_nearer_person_wins():
    roots = torch.tensor([[20.0, 20.0], [20.0, 20.0]])
    target = depth_map_targets(
        roots, torch.tensor([5.0, 2.0]), torch.tensor([0, 0]), (1, 8, 8), 8, 1
    )
    assert target[target.isfinite()].unique().tolist() == [2.0]


def test_map_loss_averages_supervised_cells():
    depth_map = torch.zeros(1, 2, 2, requires_grad=True)
    target = torch.tensor([[[3.0, torch.inf], [1.0, torch.inf]]])
    loss = depth_map_l1_loss(depth_map, target)
    loss.backward()
    assert loss.item() == 2.0
    assert depth_map.grad.tolist() == [[[-0.5, 0.0], [-0.5, 0.0]]]


def test_nothing_supervised_is_zero_with_a_gradient():
    depth_map = torch.rand(2, 3, 3, requires_grad=True)
    nobody = torch.zeros(0)
    target = depth_map_targets(torch.zeros(0, 2), nobody, nobody.long(), (2, 3, 3), 8, 2)
    residual = torch.rand(2, requires_grad=True)
    loss = depth_map_l1_loss(depth_map, target) + refined_depth_l1_loss(
        residual, torch.rand(2), torch.rand(2), torch.zeros(2, dtype=torch.bool)
    )
    loss.backward()
    assert loss.item() == 0 and not depth_map.grad.any() and not residual.grad.any()


def test_refinement_by_hand():
    loss = refined_depth_l1_loss(
        torch.tensor([1.0, 5.0, -2.0]),
        torch.tensor([60.0, 70.0, 80.0]),
        torch.tensor([62.0, 0.0, 78.0]),
        torch.tensor([True, False, True]),
    )
    assert loss.item() == 0.5
