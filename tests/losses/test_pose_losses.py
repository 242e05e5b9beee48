import torch

from hmor_d2.losses import absolute_pose_l1_loss, relative_pose_l1_loss


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
