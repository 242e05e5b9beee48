"""Virtual views are unit vectors, uniform on the half sphere, and repeatable."""

import numpy as np
import pytest
import torch
from scipy import stats

from hmor_d2.losses.views import plane_basis, sample_view_normals


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def test_unit_vectors_in_front_of_the_camera():
    normals = sample_view_normals(20000, seeded())
    assert normals.shape == (20000, 3) and normals.dtype == torch.float32
    torch.testing.assert_close(normals.norm(dim=1), torch.ones(20000))
    assert (normals[:, 2] >= 0).all()


def test_uniform_on_the_half_sphere():
    x, y, z = sample_view_normals(50000, seeded(), dtype=torch.float64).numpy().T
    assert z.mean() == pytest.approx(0.5, abs=0.006)
    assert stats.kstest(z, "uniform").pvalue > 0.01
    turn = np.arctan2(y, x) / (2 * np.pi) + 0.5
    assert stats.kstest(turn, "uniform").pvalue > 0.01
    assert abs(stats.spearmanr(z, turn)[0]) < 0.02
    # Equal area: as many within 60 degrees of any direction well inside the half sphere.
    for direction in ((0, 0, 1), (0.6, 0, 0.8)):
        near = (np.array([x, y, z]).T @ direction > np.cos(np.radians(25))).mean()
        assert near == pytest.approx(1 - np.cos(np.radians(25)), abs=0.006)


def test_a_seed_gives_the_same_views_and_steps_give_new_ones():
    generator = seeded(7)
    first, second = (sample_view_normals(8, generator, batch_size=3) for _ in range(2))
    again = sample_view_normals(8, seeded(7), batch_size=3)
    assert first.shape == (3, 8, 3)
    assert torch.equal(first, again)
    assert not torch.isclose(first, second).all(-1).any()
    assert len(first.flatten(0, 1).unique(dim=0)) == 24
    precise = sample_view_normals(8, seeded(7), batch_size=3, dtype=torch.float64)
    assert torch.equal(precise.float(), first)
    torch.manual_seed(3)
    default = sample_view_normals(4)
    torch.manual_seed(3)
    assert torch.equal(default, sample_view_normals(4))


@pytest.mark.parametrize("batch_size", [None, 0, 2])
@pytest.mark.parametrize("num_views", [0, 4])
def test_the_camera_comes_first(num_views, batch_size):
    batch = () if batch_size is None else (batch_size,)
    options = {"batch_size": batch_size, "include_camera": True}
    normals = sample_view_normals(num_views, seeded(), **options)
    assert normals.shape == (*batch, num_views + 1, 3)
    assert (normals[..., 0, :] == torch.tensor([0.0, 0.0, 1.0])).all()
    virtual = sample_view_normals(num_views, seeded(), batch_size=batch_size)
    assert torch.equal(normals[..., 1:, :], virtual)


def test_a_negative_number_is_refused():
    with pytest.raises(ValueError, match="-1"):
        sample_view_normals(-1)


def test_plane_basis_is_right_handed_and_orthonormal():
    normals = sample_view_normals(500, seeded(), dtype=torch.float64)
    poles = torch.tensor([[0.0, 0.0, 1.0], [0.0, 0.0, -1.0], [1.0, 0.0, 0.0], [0.0, -1.0, -0.0]])
    normals = torch.cat([normals, -normals, poles.double()])
    first, second = plane_basis(normals)
    frames = torch.stack([first, second, normals], dim=1)
    torch.testing.assert_close(frames @ frames.mT, torch.eye(3).double().expand_as(frames))
    torch.testing.assert_close(torch.linalg.cross(first, second), normals)


def test_plane_basis_of_the_camera_is_the_image_axes():
    first, second = plane_basis(torch.tensor([0.0, 0.0, 1.0]))
    assert first.tolist() == [1, 0, 0] and second.tolist() == [0, 1, 0]
