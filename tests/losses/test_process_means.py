"""Means over what is valid, in one process and over several."""

import torch
import torch.distributed as dist

from hmor_d2.losses import (
    absolute_pose_l1_loss,
    depth_map_l1_loss,
    marginal_loss,
    masked_mean,
    refined_depth_l1_loss,
    relative_pose_l1_loss,
    total_over_processes,
)
from tests.launching import run_in_group

SHARES = (slice(0, 5), slice(5, 6), slice(6, 9))  # people of three processes


def test_invalid_values_are_left_out():
    values = torch.tensor([1.0, torch.nan, 4.0], requires_grad=True)
    mean = masked_mean(values, torch.tensor([True, False, True]))
    mean.backward()
    assert mean == 2.5 and values.grad.tolist() == [0.5, 0, 0.5]
    nothing = masked_mean(values, torch.zeros(3, dtype=torch.bool), across_processes=True)
    assert nothing == 0 and nothing.requires_grad
    assert masked_mean(values[:0], torch.zeros(0, dtype=torch.bool)) == 0


def test_one_process_is_its_own_total():
    count = torch.tensor(7)
    assert total_over_processes(count) == (count, 1)


def losses(people):
    """Every loss that is a mean over people, of some of the nine, and its gradient."""
    torch.manual_seed(0)
    scale = torch.ones((), dtype=torch.float64, requires_grad=True)
    pred, target = scale * torch.rand(9, 4, 3).double(), torch.rand(9, 4, 3).double()
    known = torch.rand(9, 4) < 0.5
    known[5] = False  # in the second process nothing is known
    known_z = known & (torch.rand(9, 4) < 0.5)
    marginal = (scale * torch.rand(9, 4, 28).double()).softmax(dim=-1)
    pred, target, marginal = pred[people], target[people], marginal[people]
    uv, z = known[people], known_z[people]
    cells = torch.where(uv, target[..., 0], torch.inf)
    found = torch.stack(
        [
            relative_pose_l1_loss(pred, target, uv, z, across_processes=True),
            marginal_loss(marginal, target[..., :1], uv, across_processes=True),
            absolute_pose_l1_loss(pred, target, z, across_processes=True),
            depth_map_l1_loss(pred[..., 0], cells, across_processes=True),
            refined_depth_l1_loss(
                pred[:, 0, 0], target[:, 0, 0], target[:, 0, 1], uv[:, 0], across_processes=True
            ),
        ]
    )
    gradients = [torch.autograd.grad(loss, scale, retain_graph=True)[0] for loss in found]
    return torch.stack([found.detach(), torch.stack(gradients)])


def worker(rank, folder):
    count = torch.tensor(rank)
    assert total_over_processes(count) == (3, 3) and count == rank
    mean = losses(SHARES[rank])
    dist.all_reduce(mean)
    if rank == 0:
        torch.save(mean / len(SHARES), f"{folder}/mean.pt")


def test_three_processes_average_to_the_mean_of_all(tmp_path):
    run_in_group(worker, len(SHARES), tmp_path)
    expected = losses(slice(0, 9))
    assert (expected.abs() > 1e-4).all()
    torch.testing.assert_close(torch.load(tmp_path / "mean.pt"), expected, rtol=1e-12, atol=0)
