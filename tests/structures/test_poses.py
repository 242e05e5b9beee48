import pytest
import torch
from detectron2.structures import Instances

from hmor_d2.skeleton import get_skeleton
from hmor_d2.structures import Poses3D


def make(n, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return Poses3D(
        torch.randn(n, 17, 3, generator=generator), torch.rand(n, 17, generator=generator) > 0.3
    )


def test_is_a_field_of_instances():
    instances = Instances((10, 10), gt_poses=make(4))
    picked = instances[torch.tensor([3, 1])]
    assert torch.equal(picked.gt_poses.valid, make(4).valid[[3, 1]])
    both = Instances.cat([instances, picked])
    assert len(both.gt_poses) == 6
    assert len(instances[instances.gt_poses.valid.any(dim=1)]) == 4
    assert len(make(4)[-1]) == 1 and torch.equal(make(4)[-1].tensor, make(4).tensor[3:])
    moved = instances.to("cpu").gt_poses.to(torch.float64)
    assert moved.tensor.dtype == torch.float64 and moved.valid.dtype == torch.bool


def test_relative_poses_need_their_root():
    poses = make(5)
    poses.valid[:, 14] = torch.tensor([True, False, True, True, False])
    relative = poses.relative_to(14)
    assert torch.equal(relative.tensor[:, 14], torch.zeros(5, 3))
    assert not relative.valid[[1, 4]].any()
    assert torch.equal(relative.valid[[0, 2, 3]], poses.valid[[0, 2, 3]])


def test_mirroring_twice_changes_nothing():
    poses, flip = make(3), get_skeleton("muco17").flip_indices
    once = poses.mirrored(flip)
    assert torch.equal(once.tensor[:, 2, 0], -poses.tensor[:, 5, 0])
    assert torch.equal(once.tensor[:, 2, 1:], poses.tensor[:, 5, 1:])
    assert torch.equal(once.mirrored(flip).tensor, poses.tensor)
    assert torch.equal(once.mirrored(flip).valid, poses.valid)


def test_wrong_shapes_are_refused():
    with pytest.raises(ValueError, match=r"\(N, J, 3\)"):
        Poses3D(torch.zeros(3, 17, 2))
    with pytest.raises(ValueError, match="validity"):
        Poses3D(torch.zeros(3, 17, 3), torch.ones(3, 16))
