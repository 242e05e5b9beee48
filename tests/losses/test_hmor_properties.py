"""What must hold for every scene: zero at the truth, and what a level does not depend on."""

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from hmor_d2.losses.hmor import hmor_losses, hmor_losses_batched
from hmor_d2.losses.views import plane_basis
from hmor_d2.skeleton import Skeleton

LEVELS = ("instance", "part", "joint")
NUM_JOINTS = 5
SKELETON = Skeleton("five", tuple("abcde"), ((0, 1), (1, 2), (1, 3), (3, 4)), (), None)
NAN = float("nan")

check = settings(max_examples=60, deadline=None)
directions = hnp.arrays(np.float64, 3, elements=st.floats(-1, 1)).filter(
    lambda v: np.linalg.norm(v) > 0.05
)
normals_of_views = st.lists(directions, min_size=1, max_size=3).map(
    lambda views: torch.as_tensor(np.array([v / np.linalg.norm(v) for v in views]))
)
# Whole millimetres: depths and parts tie now and then, and sums are exact.
millimetres = st.integers(-3000, 3000).map(float)


def poses(num_people, elements=millimetres):
    shape = (num_people, NUM_JOINTS, 3)
    return hnp.arrays(np.float64, shape, elements=elements).map(torch.as_tensor)


def masks(num_people):
    return hnp.arrays(np.bool_, (num_people, NUM_JOINTS)).map(torch.as_tensor)


@st.composite
def scenes(draw, min_people=1, max_people=4, elements=millimetres, all_valid=False):
    """(pred, gt, valid)."""
    num_people = draw(st.integers(min_people, max_people))
    pred, gt = draw(poses(num_people, elements)), draw(poses(num_people, elements))
    return pred, gt, torch.ones_like(gt[..., 0]).bool() if all_valid else draw(masks(num_people))


def losses(pred, gt, valid, normals, levels=LEVELS, **options):
    values = hmor_losses(pred, gt, valid, SKELETON, normals, levels=levels, **options)
    return torch.stack(list(values.values()))


def generic_scene(seed, num_people=3):
    """Poses without ties, for properties that rounding may break where something ties."""
    rng = np.random.default_rng(seed)
    pred, gt = (rng.normal(size=(num_people, NUM_JOINTS, 3)) * 1000 for _ in range(2))
    return torch.as_tensor(pred), torch.as_tensor(gt), torch.ones(num_people, NUM_JOINTS).bool()


def perpendicular(vectors, normal):
    return vectors - (vectors @ normal).unsqueeze(-1) * normal


@check
@given(
    scene=scenes(elements=st.floats(-1e5, 1e5, width=32)),
    views=normals_of_views,
    dtype=st.sampled_from([torch.float32, torch.float64]),
    representation=st.sampled_from(["vector", "particle"]),
    max_pairs=st.sampled_from([0, 3]),
)
def test_exactly_zero_at_the_ground_truth(scene, views, dtype, representation, max_pairs):
    _, gt, valid = scene
    gt = gt.to(dtype).unsqueeze(0)
    values, figures = hmor_losses_batched(
        torch.where(valid.unsqueeze(-1), gt, NAN),
        gt,
        valid.unsqueeze(0),
        SKELETON,
        views.to(dtype).unsqueeze(0),
        part_representation=representation,
        max_pairs=max_pairs,
        pred_2d=gt[..., :2],
        gt_2d=gt[..., :2],
        valid_2d=valid.unsqueeze(0),
        box_areas=gt[..., 0, 0].abs(),
    )
    for level in LEVELS:
        assert values[f"loss_hmor_{level}"].item() == 0
        assert figures[f"hmor/wrong_{level}"].item() == 0


@check
@given(scene=scenes(), views=normals_of_views, data=st.data())
def test_order_of_people_does_not_matter(scene, views, data):
    order = data.draw(st.permutations(range(len(scene[0]))))
    torch.testing.assert_close(losses(*(t[order] for t in scene), views), losses(*scene, views))


@check
@given(scene=scenes(), views=normals_of_views, data=st.data())
def test_invalid_people_and_joints_do_not_matter(scene, views, data):
    expected = losses(*scene, views)
    place = data.draw(st.integers(0, len(scene[0])))
    with_person = (
        torch.cat([t[:place], torch.full_like(t[:1], fill), t[place:]])
        for t, fill in zip(scene, (NAN, NAN, False), strict=True)
    )
    torch.testing.assert_close(losses(*with_person, views), expected)
    with_joint = (
        torch.cat([t, torch.full_like(t[:, :1], fill)], dim=1)
        for t, fill in zip(scene, (NAN, 1e9, False), strict=True)
    )
    torch.testing.assert_close(losses(*with_joint, views), expected)


@check
@given(
    scene=scenes(min_people=2, max_people=2, all_valid=True),
    views=normals_of_views,
    slope=st.floats(0.01, 5),
    shift=st.floats(-3000, 3000),
    aside=poses(2),
)
def test_zero_for_any_prediction_with_the_right_depth_order(scene, views, slope, shift, aside):
    _, gt, valid = scene
    normal = views[0]

    def reorder(depths):
        return slope * depths + shift + 1e-6 * depths**3

    depths = gt @ normal
    pred = gt + (reorder(depths) - depths).unsqueeze(-1) * normal + perpendicular(aside, normal)
    assert losses(pred, gt, valid, views[:1], ("joint",)).max() < 1e-9
    depths = gt.mean(1, keepdim=True) @ normal
    pred = gt + (reorder(depths) - depths).unsqueeze(-1) * normal
    pred += aside - aside.mean(1, keepdim=True)
    assert losses(pred, gt, valid, views[:1], ("instance",)).max() < 1e-9


@check
@given(
    scene=scenes(min_people=2, max_people=2, all_valid=True),
    views=normals_of_views,
    scale=st.tuples(st.floats(0.1, 5), st.floats(0.1, 5)),
    turn=st.floats(-4, 4),
    along=hnp.arrays(np.float64, (2, NUM_JOINTS, 1), elements=millimetres),
)
def test_zero_for_any_prediction_with_the_right_angles(scene, views, scale, turn, along):
    _, gt, valid = scene
    normal = views[0]
    turned = gt @ rotation_about(normal, turn).T
    pred = turned * torch.tensor(scale, dtype=gt.dtype).view(2, 1, 1)
    pred = pred + torch.as_tensor(along) * normal
    assert losses(pred, gt, valid, views[:1], ("part",)).max() < 1e-9


@check
@given(scene=scenes(min_people=2, max_people=2, all_valid=True), normal=normals_of_views)
def test_positive_when_a_pair_is_swapped(scene, normal):
    _, gt, valid = scene
    normal = normal[:1]
    swapped = gt.flip(0)
    mean_depths = gt.mean(1) @ normal[0]
    if (mean_depths[0] - mean_depths[1]).abs() > 1:
        assert losses(swapped, gt, valid, normal, ("instance",)) > 1e-7
    one_joint = gt.clone()
    one_joint[0, 2], one_joint[1, 4] = gt[1, 4], gt[0, 2]
    if ((gt[0, 2] - gt[1, 4]) @ normal[0]).abs() > 1:
        assert losses(one_joint, gt, valid, normal, ("joint",)) > 1e-7
    parts = gt[:, 1] - gt[:, 0]
    if (torch.linalg.cross(parts[0], parts[1]) @ normal[0]).abs() > 1000:
        assert losses(swapped, gt, valid, normal, ("part",)) > 1e-7


@check
@given(scene=scenes(), views=normals_of_views, moves=poses(2))
def test_depth_levels_ignore_moves_perpendicular_to_the_view(scene, views, moves):
    pred, gt, valid = scene
    assume(not near_ties(gt, valid, views[0]))
    move = perpendicular(moves[0, 0], views[0])
    for level in ("instance", "joint"):
        expected = losses(pred, gt, valid, views[:1], (level,))
        for moved in ((pred + move, gt), (pred + move, gt + move)):
            actual = losses(*moved, valid, views[:1], (level,))
            torch.testing.assert_close(actual, expected, rtol=1e-7, atol=1e-9)


def near_ties(gt, valid, normal):
    """Whether people or joints have nearly equal depths, which rounding may reorder."""
    people = torch.stack(
        [p[v].mean(0) for p, v in zip(gt, valid, strict=True) if v.any()] or [gt[0, 0]]
    )
    for points in (gt[valid], people):
        depths = (points @ normal).sort().values
        if (depths.diff() < 1e-3).any():
            return True
    return False


@check
@given(
    scene=scenes(),
    views=normals_of_views,
    move_pred=poses(4),
    move_gt=poses(4),
    powers=st.lists(st.integers(-2, 3), min_size=4, max_size=4),
)
def test_angles_ignore_places_of_people_and_sizes_of_the_truth(
    scene, views, move_pred, move_gt, powers
):
    pred, gt, valid = scene
    expected = losses(pred, gt, valid, views, ("part",))
    moved = (t + m[: len(t), :1] for t, m in ((pred, move_pred), (gt, move_gt)))
    torch.testing.assert_close(losses(*moved, valid, views, ("part",)), expected)
    scale = 2.0 ** torch.tensor(powers[: len(gt)]).view(-1, 1, 1)
    torch.testing.assert_close(losses(pred, gt * scale, valid, views, ("part",)), expected)


def rotation_about(normal, angle):
    """Rodrigues' rotation about a unit normal."""
    x, y, z = normal.tolist()
    skew = torch.tensor([[0, -z, y], [z, 0, -x], [-y, x, 0]], dtype=torch.float64)
    return torch.linalg.matrix_exp(angle * skew)


@check
@given(seed=st.integers(0, 10**6), views=normals_of_views, angle=st.floats(-7, 7))
def test_turning_everything_about_the_view_changes_nothing(seed, views, angle):
    pred, gt, valid = generic_scene(seed)
    turn = rotation_about(views[0], angle).T
    expected = losses(pred, gt, valid, views[:1])
    torch.testing.assert_close(losses(pred @ turn, gt @ turn, valid, views[:1]), expected)


@pytest.mark.parametrize("middle", np.linspace(-180, 180, 25))
def test_arguments_on_both_sides_of_the_cut_compare_as_anywhere_else(middle):
    def scene(first_deg, second_deg):
        """Two parts at these principal arguments, seen by the camera."""
        pose = torch.zeros(1, NUM_JOINTS, 3)
        for joint, degrees in ((0, first_deg), (2, second_deg)):
            direction = torch.deg2rad(torch.tensor(degrees))
            pose[0, joint, :2] = 500 * torch.stack([direction.cos(), direction.sin()])
        return pose

    skeleton = Skeleton("two", tuple("abc"), ((1, 0), (1, 2)), (), None)
    valid = torch.ones(1, NUM_JOINTS).bool()
    camera = torch.tensor([[0.0, 0.0, 1.0]])
    gt = scene(middle - 20, middle + 20)
    for pred, expected in (
        (scene(middle - 5, middle + 60), 0.0),
        (scene(middle + 15, middle - 15), 0.25 * np.sin(np.radians(30))),
    ):
        loss = hmor_losses(pred, gt, valid, skeleton, camera, levels=("part",))["loss_hmor_part"]
        assert loss.item() == pytest.approx(expected, abs=1e-6)


def test_principal_arguments_misorder_a_quarter_of_random_pairs():
    generator = torch.Generator().manual_seed(0)
    gt = torch.randn(40000, NUM_JOINTS, 3, generator=generator)
    normal = torch.tensor([0.6, 0.0, 0.8])
    first, second = plane_basis(normal)
    parts = (gt[:, 1] - gt[:, 0], gt[:, 4] - gt[:, 3])
    arguments = [torch.atan2(part @ second, part @ first) for part in parts]
    literal = torch.sign(arguments[1] - arguments[0])
    turn = torch.sign(torch.linalg.cross(*parts) @ normal)
    assert (literal != turn).float().mean().item() == pytest.approx(0.25, abs=0.01)
    # The pairs that differ are those whose arguments are more than half a turn apart.
    far = (arguments[1] - arguments[0]).abs() > torch.pi
    assert torch.equal(literal != turn, far)
