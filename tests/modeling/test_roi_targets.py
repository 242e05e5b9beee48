"""Targets of the pose and depth heads."""

import pytest
import torch

from hmor_d2.modeling.people import TrainingPeople
from hmor_d2.modeling.roi_targets import make_roi_targets, places_of_depth
from hmor_d2.structures import Poses3D

ROOT = 0


def make_people(pixels, visible, depths=None, boxes=((0.0, 0.0, 100.0, 200.0),)):
    """One RoI a person; ``depths`` (N, J) mm, or None for people without 3D."""
    pixels, visible = torch.tensor(pixels), torch.tensor(visible)
    count = len(pixels)
    zeros = torch.zeros(count, dtype=torch.long)
    poses = torch.zeros(*pixels.shape[:2], 3)
    if depths is not None:
        poses[..., 2] = torch.tensor(depths)
    valid = torch.full(pixels.shape[:2], depths is not None)
    return TrainingPeople(
        boxes=torch.tensor(boxes),
        box_counts=[count],
        image_index=zeros,
        person_index=torch.arange(count),
        people_per_image=count,
        iou=torch.ones(count),
        pixels=pixels,
        visible=visible,
        poses=Poses3D(poses, valid),
    )


# A root, a joint inside, one outside the RoI, one out of the range of depth, one not annotated.
PIXELS = [[[50.0, 100.0], [25.0, 150.0], [150.0, -20.0], [50.0, 50.0], [10.0, 10.0]]]
VISIBLE = [[True, True, True, True, False]]
DEPTHS = [[3000.0, 3500.0, 2750.0, 4500.0, 3000.0]]


@pytest.mark.parametrize("clamp", [False, True])
def test_what_trains(clamp):
    people = make_people(PIXELS, VISIBLE, DEPTHS)
    targets = make_roi_targets(people, ROOT, 1000.0, clamp)
    expected = torch.tensor([[0.5, 0.5, 0.0], [0.25, 0.75, 0.5]])
    torch.testing.assert_close(targets.coordinates[0, :2], expected)
    assert targets.reachable.tolist() == [[True, True, False, False, False]]
    assert targets.trained.tolist() == [[True, True, clamp, False, False]]
    assert torch.equal(targets.depth_trained, targets.trained)
    outside = [1.0, 0.0, -0.25] if clamp else [1.5, -0.1, -0.25]
    torch.testing.assert_close(targets.coordinates[0, 2], torch.tensor(outside))


def test_people_without_3d_train_their_place_in_the_image_alone():
    targets = make_roi_targets(make_people(PIXELS, VISIBLE), ROOT, 1000.0, False)
    assert targets.trained.tolist() == [[True, True, False, True, False]]
    assert not targets.depth_trained.any()


def test_the_depth_map_is_read_at_roots_inside_the_roi():
    roots = [[[30.0, 40.0]], [[150.0, -20.0]], [[0.0, 0.0]], [[0.0, 0.0]]]
    boxes = ((0.0, 0.0, 100.0, 200.0),) * 4
    people = make_people(roots, [[True], [True], [False], [False]], boxes=boxes)
    predicted = torch.tensor([[[1.0, 1.0]], [[1.0, 1.0]], [[60.0, 70.0]], [[60.0, 270.0]]])
    places = places_of_depth(people, predicted.requires_grad_(), ROOT)
    assert places.tolist() == [[30.0, 40.0], [100.0, 0.0], [60.0, 70.0], [60.0, 200.0]]
    assert not places.requires_grad
