"""tools/benchmark.py training, on a small picture."""

import json

import pytest
import torch
from detectron2.modeling import build_model
from detectron2.structures import Boxes, pairwise_iou
from detectron2.utils.events import EventStorage
from torch import nn

from tests.modeling.scenes import make_input


def test_both_steps_are_timed_on_the_same_people(
    run_benchmark, small_rivals, config_file, tmp_path, capsys
):
    output = tmp_path / "figures.json"
    options = ["--image-size", "96x64", "--people", "2", "--proposals-per-person", "3"]
    options += ["--repeats", "1", "--threads", "1", "--batch", "2", "--profile"]
    run_benchmark("training", *options, "--config-file", config_file, "--json", str(output))
    printed = capsys.readouterr().out
    assert "channels_last" in printed and "by module" in printed
    figures = json.loads(output.read_text())
    assert list(figures["seconds"]) == ["ours", "Keypoint R-CNN"]
    for times in (*figures["seconds"].values(), figures["times_ours"]):
        low, high = times["quartiles"]
        assert 0 < low <= times["median"] <= high
    # Both train on the annotated boxes and on those that were put around them.
    boxes = figures["people_in_heads"]
    assert boxes["ours"] == boxes["Keypoint R-CNN"] > 2 * 2
    for costs in figures["profile"].values():
        assert len(costs) == 5
        shares = [row["share"] for row in costs]
        assert shares == sorted(shares, reverse=True) and 0 < sum(shares) <= 1
    modules = [row["name"] for row in figures["profile"]["module"]]
    assert "backbone.bottom_up" in modules


def test_proposals_surround_people_and_are_given_only_while_asked_for(benchmark, small_cfg):
    scenes = benchmark("training_scenes")
    model = build_model(small_cfg).train()
    picture = make_input(64, 96, 2)
    people = picture["instances"].gt_boxes
    proposals = scenes.proposals_around(people, (64, 96), 8, 30)
    assert len(proposals) == 30
    near = pairwise_iou(people, proposals)[:, :16]
    assert (near[0, :8] > 0.4).float().mean() > 0.5
    assert (near[1, 8:] > 0.4).float().mean() > 0.5
    given = []
    sample = model.roi_heads.label_and_sample_proposals
    model.roi_heads.label_and_sample_proposals = lambda p, t: (
        given.append(p[0].proposal_boxes.tensor.clone()),
        sample(p, t),
    )[1]
    with EventStorage():
        with scenes.FixedProposals(model, [proposals]):
            model([picture])
        model([picture])
    assert torch.equal(given[0], proposals.tensor)
    assert given[1].shape != given[0].shape or not torch.equal(given[1], given[0])
    assert not model.proposal_generator._forward_hooks


def test_the_rival_gets_the_same_boxes_and_17_joints(benchmark):
    scenes = benchmark("training_scenes")
    for joints in (15, 17, 21):
        picture = scenes.make_training_input((64, 96), 3, joints)
        instances = picture["instances"]
        rival = scenes.with_coco_joints(picture)["instances"]
        assert instances.gt_keypoints.tensor.shape == (3, joints, 3)
        assert rival.gt_keypoints.tensor.shape == (3, 17, 3)
        assert torch.equal(rival.gt_boxes.tensor, instances.gt_boxes.tensor)
        assert torch.equal(rival.gt_keypoints.tensor[:, 0], instances.gt_keypoints.tensor[:, 0])
        assert (instances.gt_poses.tensor[..., 2] > 0).float().mean() > 0.95


class TwoParts(nn.Module):
    """A cheap and a dear part, of names that profile_step knows."""

    def __init__(self):
        super().__init__()
        self.backbone = nn.Linear(8, 8)
        self.depth_map_head = nn.Sequential(*(nn.Linear(400, 400) for _ in range(8)))

    def forward(self, small, large):
        return self.backbone(small).sum() + self.depth_map_head(large).sum()


def test_costs_are_those_of_the_parts_forward_and_backward(benchmark):
    model = TwoParts()
    small, large = torch.randn(2, 8), torch.randn(400, 400)
    forward = benchmark("step_profile").profile_step(lambda: model(small, large), model)
    both = benchmark("step_profile").profile_step(lambda: model(small, large).backward(), model)
    for costs in (forward, both):
        assert costs["module"][0]["name"] == "depth_map_head"
        assert costs["module"][0]["share"] > 0.5
        assert sum(row["share"] for row in costs["module"]) == pytest.approx(1)
        assert "aten::addmm" in [row["name"] for row in costs["operator"]]
    calls = {row["name"]: row["calls"] for row in both["operator"]}
    assert calls["aten::addmm"] == 9
    # Backward, each of the eight layers takes matrix products, which count for the same part.
    by_part = [costs["module"][0]["calls"] for costs in (forward, both)]
    assert by_part[1] > by_part[0] + 8
    assert not model.depth_map_head._forward_hooks and not model.depth_map_head._forward_pre_hooks


def test_boxes_anywhere_fill_up(benchmark):
    nobody = Boxes(torch.zeros(0, 4))
    assert len(benchmark("training_scenes").proposals_around(nobody, (64, 96), 8, 30)) == 30
