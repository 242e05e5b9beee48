"""Two processes give the loss and the gradients of one with the whole batch."""

import torch
import torch.distributed as dist

from hmor_d2.losses.hmor import hmor_losses_batched
from hmor_d2.skeleton import get_skeleton
from tests.launching import run_in_group
from tests.losses.hmor_scenes import make_normals, make_scene, padded

NUM_PEOPLE = (4, 0, 1, 2)  # a batch in which images differ, and one is empty


def losses_and_gradient(images):
    """Losses and figures of some of the images, and the gradient of a parameter all share."""
    # Padded to the people of these images alone, as a process of its own would.
    pred, gt, valid = padded([make_scene(i, NUM_PEOPLE[i], invalid=0.2) for i in images])
    normals = torch.stack([torch.as_tensor(make_normals(i, 3)) for i in images])
    offset = torch.zeros(17, 3, dtype=torch.float64, requires_grad=True)
    skeleton = get_skeleton("muco17")
    losses, _ = hmor_losses_batched(pred + offset, gt, valid, skeleton, normals)
    (gradient,) = torch.autograd.grad(sum(losses.values()), offset)
    return torch.stack(list(losses.values())).detach(), gradient


def worker(rank, folder):
    results = losses_and_gradient(((0, 1), (2, 3))[rank])
    for tensor in results:
        dist.all_reduce(tensor)
        tensor /= 2
    torch.save(results, f"{folder}/rank{rank}.pt")


def test_two_processes_equal_one_with_the_whole_batch(tmp_path):
    run_in_group(worker, 2, tmp_path)
    expected = losses_and_gradient((0, 1, 2, 3))
    assert (expected[0] > 1e-3).all() and expected[1].abs().max() > 0
    for rank in range(2):
        results = torch.load(tmp_path / f"rank{rank}.pt")
        for tensor, reference in zip(results, expected, strict=True):
            torch.testing.assert_close(tensor, reference, rtol=1e-10, atol=1e-15)
