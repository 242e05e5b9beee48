"""HMOR losses against the loop-over-pairs reference; gradients, garbage, bad arguments."""

import itertools

import numpy as np
import pytest
import torch

from hmor_d2.losses.hmor import hmor_losses, hmor_losses_batched
from hmor_d2.skeleton import Skeleton, get_skeleton
from tests.losses.hmor_reference import LEVELS, reference_level, reference_parts_2d
from tests.losses.hmor_scenes import make_normals, make_scene, make_scene_2d, padded, tensors

SKELETON = get_skeleton("muco17")
SCENES = {
    "plain": {"num_people": 4},
    "invalid joints": {"num_people": 4, "invalid": 0.4},
    "nearly all invalid": {"num_people": 3, "invalid": 0.95},
    "ties": {"num_people": 6, "ties": True},
    "ties and invalid joints": {"num_people": 4, "ties": True, "invalid": 0.3},
    "one person": {"num_people": 1},
    "nobody": {"num_people": 0},
    "far": {"num_people": 3, "depth_mm": 40000.0},
    "near": {"num_people": 3, "depth_mm": 600.0},
    "odd number of items": {"num_people": 3, "invalid": 0.2},
}


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("name", SCENES)
def test_equals_the_reference(name, dtype):
    scene = make_scene(3, **SCENES[name])
    normals = make_normals(4, num_views=3)
    arrays = *tensors(scene, dtype), SKELETON, *tensors([normals], dtype)
    losses = hmor_losses(*arrays)
    batch = [a if a is SKELETON else a.unsqueeze(0) for a in arrays]
    batched, figures = hmor_losses_batched(*batch)
    assert batched == losses
    for level in LEVELS:
        loss, wrong, ordered, pairs = reference_level(level, *scene, SKELETON.parts, normals)
        assert losses[f"loss_hmor_{level}"].item() == pytest.approx(loss, rel=1e-5, abs=1e-12)
        share = figures[f"hmor/wrong_{level}"].item()
        assert share == pytest.approx(wrong / max(ordered, 1), rel=1e-5)
        assert figures[f"hmor/pairs_{level}"].item() == pairs


def test_scenes_have_what_their_names_say():
    normals = make_normals(4, num_views=3)
    for name, level in itertools.product(SCENES, LEVELS):
        pred, gt, valid = make_scene(3, **SCENES[name])
        loss, _, ordered, pairs = reference_level(level, pred, gt, valid, SKELETON.parts, normals)
        assert (ordered < 3 * pairs) == ("ties" in name), (name, level)
        if name in ("plain", "invalid joints", "ties", "near", "far"):
            assert loss > 1e-3, (name, level)


@pytest.mark.parametrize("unit_mm", [1.0, 1000.0])
def test_particle_parts_and_units_equal_the_reference(unit_mm):
    pred, gt, valid = make_scene(5, 3, invalid=0.2)
    normals = make_normals(6, num_views=2)
    arguments = *tensors((pred, gt, valid)), SKELETON, *tensors([normals])
    for representation in ("vector", "particle"):
        losses = hmor_losses(*arguments, part_representation=representation, unit_mm=unit_mm)
        for level in LEVELS:
            expected, *_ = reference_level(
                level, pred, gt, valid, SKELETON.parts, normals, representation, unit_mm
            )
            assert losses[f"loss_hmor_{level}"].item() == pytest.approx(expected, rel=1e-9)


def test_subsets_of_levels():
    scene, normals = tensors(make_scene(7, 3)), tensors([make_normals(8, 2)])[0]
    complete = hmor_losses(*scene, SKELETON, normals)
    for size in range(4):
        for levels in itertools.combinations(LEVELS, size):
            losses = hmor_losses(*scene, SKELETON, normals, levels=levels)
            assert losses == {f"loss_hmor_{v}": complete[f"loss_hmor_{v}"] for v in levels}


def test_mixed_batch_equals_the_mean_of_the_references():
    scenes = [make_scene(s, n, invalid=0.3) for s, n in enumerate((4, 0, 1, 2))]
    scenes_2d = [make_scene_2d(9, 0), make_scene_2d(10, 3), make_scene_2d(11, 0)]
    scenes_2d.append(make_scene_2d(12, 2))
    normals = np.stack([make_normals(20 + i, 3) for i in range(4)])
    losses, figures = hmor_losses_batched(
        *padded(scenes),
        SKELETON,
        torch.as_tensor(normals),
        **dict(zip(("pred_2d", "gt_2d", "valid_2d", "box_areas"), padded(scenes_2d), strict=True)),
    )
    for level in LEVELS:
        images = [
            reference_level(level, *scene, SKELETON.parts, views)
            for scene, views in zip(scenes, normals, strict=True)
        ]
        if level == "part":
            images += [reference_parts_2d(*scene, SKELETON.parts) for scene in scenes_2d]
        loss, wrong, ordered, pairs = np.sum(images, axis=0)
        assert losses[f"loss_hmor_{level}"].item() == pytest.approx(loss / 4, rel=1e-9)
        assert figures[f"hmor/wrong_{level}"].item() == pytest.approx(wrong / ordered, rel=1e-12)
        assert figures[f"hmor/pairs_{level}"].item() == pairs
        assert not figures[f"hmor/wrong_{level}"].requires_grad


def test_2d_people_add_nothing_as_particles_or_without_the_part_level():
    people_2d = [t.unsqueeze(0) for t in tensors(make_scene_2d(1, 3))]
    people_2d = dict(zip(("pred_2d", "gt_2d", "valid_2d", "box_areas"), people_2d, strict=True))
    scene = [t.unsqueeze(0) for t in tensors(make_scene(2, 2))]
    normals = torch.as_tensor(make_normals(3, 2)).unsqueeze(0)
    for options in ({"part_representation": "particle"}, {"levels": ("instance", "joint")}):
        without, _ = hmor_losses_batched(*scene, SKELETON, normals, **options)
        with_2d, _ = hmor_losses_batched(*scene, SKELETON, normals, **options, **people_2d)
        assert with_2d == without


@pytest.mark.parametrize("garbage", [float("nan"), float("inf"), -1e30])
@pytest.mark.parametrize("representation", ["vector", "particle"])
def test_garbage_where_invalid_touches_neither_loss_nor_gradient(garbage, representation):
    names = ("pred_2d", "gt_2d", "valid_2d", "box_areas")
    results = []
    for fill in (0.0, garbage):
        scenes = [make_scene(s, n, invalid=0.3) for s, n in ((1, 3), (2, 1), (3, 0))]
        scenes_2d = [make_scene_2d(s, n) for s, n in ((4, 0), (5, 2), (6, 3))]
        pred, gt, valid = padded(scenes, torch.float32, fill)
        people_2d = dict(zip(names, padded(scenes_2d, torch.float32, fill), strict=True))
        for poses, known in (
            (pred, valid),
            (gt, valid),
            (people_2d["pred_2d"], people_2d["valid_2d"]),
            (people_2d["gt_2d"], people_2d["valid_2d"]),
        ):
            poses[~known] = fill
        inputs = pred.requires_grad_(), people_2d["pred_2d"].requires_grad_()
        losses, figures = hmor_losses_batched(
            pred,
            gt,
            valid,
            SKELETON,
            torch.as_tensor(make_normals(7, 2)).expand(3, 2, 3),
            part_representation=representation,
            **people_2d,
        )
        gradients = torch.autograd.grad(sum(losses.values()), inputs, materialize_grads=True)
        for gradient, known in zip(gradients, (valid, people_2d["valid_2d"]), strict=True):
            assert (gradient[~known] == 0).all()
        results.append([*losses.values(), *figures.values(), *gradients])
    for clean, dirty in zip(*results, strict=True):
        assert torch.equal(clean, dirty)
    assert results[0][-2].abs().sum() > 0


@pytest.mark.parametrize("shape", [(0, 0), (0, 2), (2, 0), (2, 1), (2, 3)])
def test_without_pairs_the_loss_is_a_zero_with_a_gradient(shape):
    pred = torch.full((*shape, 17, 3), float("nan"), requires_grad=True)
    valid = torch.zeros(pred.shape[:3], dtype=torch.bool)
    normals = torch.tensor([0.0, 0.0, 1.0]).expand(shape[0], 1, 3)
    losses, figures = hmor_losses_batched(pred, pred.detach(), valid, SKELETON, normals)
    for level in LEVELS:
        assert losses[f"loss_hmor_{level}"].item() == 0
        (gradient,) = torch.autograd.grad(losses[f"loss_hmor_{level}"], pred, retain_graph=True)
        assert torch.equal(gradient, torch.zeros_like(pred))
        assert figures[f"hmor/wrong_{level}"].item() == figures[f"hmor/pairs_{level}"].item() == 0


@pytest.mark.parametrize(
    "options", [{}, {"part_representation": "particle"}, {"max_pairs": 8}], ids=str
)
def test_gradients_are_right(options):
    skeleton = Skeleton("five", tuple("abcde"), ((0, 1), (1, 2), (1, 3), (3, 4)), (), None)
    scenes = [make_scene(s, n, 5, invalid=0.2) for s, n in ((1, 2), (2, 3))]
    pred, gt, valid = padded(scenes, fill=0.0)
    normals = torch.as_tensor(np.stack([make_normals(i, 2) for i in (7, 8)]))

    def losses(pred, pred_2d):
        values, _ = hmor_losses_batched(
            1000 * pred,
            gt,
            valid,
            skeleton,
            normals,
            pred_2d=1000 * pred_2d,
            gt_2d=gt[..., 1:],
            valid_2d=valid,
            box_areas=torch.full(valid.shape[:2], 1e6),
            generator=torch.Generator().manual_seed(0),
            **options,
        )
        return tuple(values.values())

    inputs = [(p / 1000).requires_grad_() for p in (pred, pred[..., :2])]
    assert torch.autograd.gradcheck(losses, inputs, eps=1e-7, atol=1e-6)


def test_bad_arguments_are_named():
    pred, gt, valid = (t.unsqueeze(0) for t in tensors(make_scene(0, 2), torch.float32))
    normals = torch.tensor([[[0.0, 0.0, 1.0]]])

    def message(pred=pred, gt=gt, valid=valid, normals=normals, **options):
        with pytest.raises(ValueError) as error:
            hmor_losses_batched(pred, gt, valid, SKELETON, normals, **options)
        return str(error.value)

    assert "'limb'" in message(levels=("limb",))
    assert "'part'" in message(levels="part")
    assert "'angle'" in message(part_representation="angle")
    assert "gt" in message(gt=gt[:, :1])
    assert "valid" in message(valid=valid[..., None])
    assert "bool" in message(valid=valid.float())
    assert "V >= 1" in message(normals=normals[:, :0])
    assert "(B, N, J, 3)" in message(pred=pred[..., :2])
    assert "15 joints, found 5" in message(
        pred=pred[:, :, :5], gt=gt[:, :, :5], valid=valid[:, :, :5]
    )
    assert "together" in message(pred_2d=pred[..., :2])
    people_2d = {"pred_2d": pred[..., :2], "gt_2d": gt[..., :2], "valid_2d": valid}
    assert "box_areas" in message(box_areas=torch.ones(1, 3), **people_2d)
