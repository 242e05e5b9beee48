"""Joints outside the RoI: they do not train, as in the paper, or train towards its edge."""

import pytest
import torch
from detectron2.modeling import build_model
from detectron2.structures import Boxes
from detectron2.utils.events import EventStorage

from hmor_d2.structures import encode_roi_poses
from tests.modeling.scenes import ROOT, make_input


def truncated_input():
    """People whose boxes hold the upper half of their joints' extent."""
    x = make_input(160, 224, 3, seed=2)
    boxes = x["instances"].gt_boxes.tensor.clone()
    boxes[:, 3] = (boxes[:, 1] + boxes[:, 3]) / 2
    x["instances"].gt_boxes = Boxes(boxes)
    return x


@pytest.mark.parametrize("clamp", [False, True])
def test_what_the_pose_head_is_told(small_cfg, clamp, monkeypatch):
    small_cfg.MODEL.ROI_POSE_HEAD.CLAMP_TRUNCATED = clamp
    small_cfg.MODEL.ROI_POSE_HEAD.MARGINAL_LOSS_WEIGHT = 0.0
    torch.manual_seed(0)
    model = build_model(small_cfg)
    heads = model.roi_heads
    told, people = [], []
    losses, pose_losses = heads.pose_head.losses, heads._pose_losses
    monkeypatch.setattr(
        heads.pose_head, "losses", lambda *args: told.append(args[1:]) or losses(*args)
    )
    monkeypatch.setattr(
        heads, "_pose_losses", lambda f, p, *rest: people.append(p) or pose_losses(f, p, *rest)
    )
    with EventStorage():
        model([truncated_input()])
    (target, trained_uv, trained_z), (rois,) = told[0], people
    depths = rois.poses.relative_to(ROOT).tensor[..., 2]
    wanted, inside, in_range = encode_roi_poses(rois.pixels, depths, rois.boxes, 1000.0)
    outside = ~inside & in_range
    assert outside.any() and (inside & in_range).any()
    assert torch.equal(trained_uv, trained_z)
    assert torch.equal(target[inside], wanted[inside])
    assert not trained_uv[~in_range].any()
    if clamp:
        assert torch.equal(trained_uv, in_range)
        # The nearest point of the RoI, and the depth as it is.
        assert torch.equal(target[outside][:, :2], wanted[outside][:, :2].clamp(0, 1))
        assert torch.equal(target[outside][:, 2], wanted[outside][:, 2])
    else:
        assert torch.equal(trained_uv, inside & in_range)
