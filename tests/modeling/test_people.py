import torch
from detectron2.structures import Boxes, Instances, Keypoints
from hypothesis import given
from hypothesis import strategies as st

from hmor_d2.modeling import people as people_module
from hmor_d2.modeling.people import best_per_person, sample_training_people
from hmor_d2.structures import Poses3D


@given(st.integers(0, 10**6), st.integers(1, 40), st.integers(1, 3), st.integers(1, 4))
def test_best_per_person_agrees_with_a_loop(seed, count, images, people):
    generator = torch.Generator().manual_seed(seed)
    iou = torch.randint(0, 5, (count,), generator=generator) / 4  # ties on purpose
    image = torch.randint(0, images, (count,), generator=generator)
    person = torch.randint(0, people, (count,), generator=generator)
    best, found = best_per_person(iou, image, person, (images, people))
    for b in range(images):
        for p in range(people):
            mine = [i for i in range(count) if image[i] == b and person[i] == p]
            assert found[b, p] == bool(mine)
            if mine:
                assert best[b, p] == max(mine, key=lambda i: (iou[i].item(), -i))


def make_proposals(people, foreground, background, offset=0.0):
    """Sampled proposals of an image: foreground ones cycle through the people."""
    total = foreground + background
    person = torch.arange(total) % max(people, 1)
    gt = torch.stack([torch.tensor([p * 50.0, 0.0, p * 50.0 + 40, 80.0]) for p in person])
    shift = torch.arange(total)[:, None] // max(people, 1) + offset
    proposals = Instances((100, 400))
    proposals.proposal_boxes = Boxes(gt + shift)
    proposals.gt_classes = torch.cat(
        (torch.zeros(foreground, dtype=torch.long), torch.ones(background, dtype=torch.long))
    )
    if people:
        proposals.gt_boxes = Boxes(gt)
        proposals.gt_person_index = person
        proposals.gt_keypoints = Keypoints(torch.rand(total, 17, 3))
        proposals.gt_poses = Poses3D(torch.rand(total, 17, 3))
    return proposals


def test_flat_people_of_a_batch():
    proposals = [make_proposals(2, 6, 5), make_proposals(0, 0, 4), make_proposals(3, 3, 9)]
    people = sample_training_people(proposals, [2, 0, 3], 1, 0, 17)
    assert people.box_counts == [6, 0, 3] and len(people) == 9
    assert people.image_index.tolist() == [0] * 6 + [2] * 3
    assert people.person_index.tolist() == [0, 1, 0, 1, 0, 1, 0, 1, 2]
    assert [len(b) for b in people.box_list()] == [6, 0, 3]
    torch.testing.assert_close(people.iou[-3:], torch.ones(3))
    assert people.people_per_image == 3


def test_a_limit_keeps_the_best_of_each_person():
    for seed in range(20):
        torch.manual_seed(seed)
        people = sample_training_people([make_proposals(3, 30, 10)], [3], 1, 5, 17)
        assert len(people) == 5
        assert set(people.person_index[people.iou == 1].tolist()) == {0, 1, 2}
    assert len(sample_training_people([make_proposals(3, 30, 10)], [3], 1, 2, 17)) == 3


def test_people_without_annotated_joints_take_no_roi():
    proposals = make_proposals(3, 30, 10)
    proposals.gt_keypoints.tensor[proposals.gt_person_index != 1, :, 2] = 0
    unseen = proposals.gt_person_index == 2  # the first one's joints are known in 3D alone
    proposals.gt_poses.tensor[unseen] = 0
    proposals.gt_poses.valid[unseen] = False
    for limit in (0, 4):
        people = sample_training_people([proposals], [3], 1, limit, 17)
        assert len(people) == (limit or 20)
        assert set(people.person_index.tolist()) == {0, 1}
        assert people.people_per_image == 3


def test_a_process_without_anybody_has_no_roi_where_another_has(monkeypatch):
    """One RoI would be part of statistics that the processes share."""
    alone = [make_proposals(0, 0, 4), make_proposals(2, 0, 4)]  # people, but no proposal of them
    for total, rank, expected in ((5, 0, 0), (5, 1, 0), (0, 1, 0), (0, 0, 1)):
        monkeypatch.setattr(people_module, "total_over_processes", lambda _, n=total: (n, 2))
        monkeypatch.setattr(people_module.comm, "get_rank", lambda n=rank: n)
        people = sample_training_people(alone, [0, 2], 1, 8, 17)
        assert len(people) == expected and people.box_counts == [expected, 0]
        assert people.poses.tensor.shape == (expected, 17, 3)
        best, found = best_per_person(
            people.iou, people.image_index, people.person_index, (2, people.people_per_image)
        )
        assert best.shape == (2, expected) and found.sum() == expected


def test_a_batch_without_anybody_has_one_invalid_roi():
    people = sample_training_people(
        [make_proposals(0, 0, 4), make_proposals(0, 0, 4)], [0, 0], 1, 8, 17
    )
    assert people.box_counts == [1, 0] and len(people) == 1
    assert people.boxes.tolist() == [[0, 0, 400, 100]]
    assert not people.visible.any() and not people.poses.valid.any()
