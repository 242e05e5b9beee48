"""optimize_for_inference: the same network in less time."""

import copy

import pytest
import torch
from detectron2 import model_zoo
from detectron2.layers import FrozenBatchNorm2d, ROIAlign
from detectron2.modeling import build_model
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from hmor_d2.modeling import has_bfloat16_units, inference, optimize_for_inference, winograd
from hmor_d2.modeling.channels_last_roi_align import ChannelsLastROIAlign
from tests.modeling.scenes import make_input


def draw_statistics(model, generator):
    """Batch norms of a trained model are not the identity: neither shall these be."""
    for module in model.modules():
        if isinstance(module, FrozenBatchNorm2d | _BatchNorm):
            shape = module.running_mean.shape
            with torch.no_grad():
                module.running_mean += 0.2 * torch.randn(shape, generator=generator)
                module.running_var *= 0.5 + torch.rand(shape, generator=generator)
                module.weight *= 0.8 + 0.4 * torch.rand(shape, generator=generator)
                module.bias += 0.2 * torch.randn(shape, generator=generator)


@pytest.fixture
def model(small_model):
    """With poses that are not all the same: the untrained predictors' weights are tiny."""
    generator = torch.Generator().manual_seed(3)
    draw_statistics(small_model, generator)
    heads = small_model.roi_heads
    heads.pose_head.logit_scale = 1.5
    for predictor, std in (
        (heads.pose_head.predictor, 0.02),
        (heads.depth_head.predictor, 1e-5),  # larger residuals put people behind the camera
        (small_model.depth_map_head.predictor, 0.1),
    ):
        predictor.weight.data.normal_(std=std, generator=generator)
    return small_model.eval()


BATCH = [make_input(160, 224, 0), make_input(128, 192, 0, 1)]
for picture in BATCH:
    picture.pop("instances")


def detect(model):
    with torch.inference_mode():
        return [output["instances"] for output in model(copy.deepcopy(BATCH))]


def assert_same_people(found, expected, joint_mm, pixels):
    for a, b in zip(found, expected, strict=True):
        assert len(a) == len(b) > 3
        torch.testing.assert_close(a.pred_boxes.tensor, b.pred_boxes.tensor, rtol=0, atol=pixels)
        torch.testing.assert_close(a.scores, b.scores, rtol=0, atol=1e-2)
        distances = (a.pred_keypoints_cam - b.pred_keypoints_cam).norm(dim=2)
        assert distances.mean() < joint_mm
        # People differ by far more: the agreement is not that of constant answers.
        assert b.pred_root_depth.min() > 1000
        assert b.pred_keypoints_cam.flatten(1).std(dim=0).mean() > 50 * joint_mm


@pytest.mark.parametrize("min_channels", [10_000, 1])  # all 3x3 convolutions direct; all Winograd's
def test_the_same_people_in_float32(model, monkeypatch, min_channels):
    monkeypatch.setattr(winograd, "_MIN_CHANNELS", min_channels)
    expected = detect(model)
    fast = optimize_for_inference(model, bfloat16=False)
    assert fast is not model
    replaced = sum(isinstance(module, winograd.WinogradConv2d) for module in fast.modules())
    assert replaced == 0 if min_channels > 1 else replaced > 10
    assert_same_people(detect(fast), expected, joint_mm=0.1, pixels=1e-2)
    # The model itself is as it was.
    for a, b in zip(detect(model), expected, strict=True):
        assert torch.equal(a.pred_keypoints_cam, b.pred_keypoints_cam)


def test_nearly_the_same_people_in_bfloat16(model):
    """In given boxes: random scores are so close that bfloat16 puts them into another order."""
    given = detect(model)
    with torch.inference_mode():
        expected = model.inference(copy.deepcopy(BATCH), copy.deepcopy(given))
        fast = optimize_for_inference(model, bfloat16=True)
        found = fast.inference(copy.deepcopy(BATCH), copy.deepcopy(given))
    found, expected = ([x["instances"] for x in outputs] for outputs in (found, expected))
    assert_same_people(found, expected, joint_mm=2.0, pixels=1e-3)
    differences = [
        (a.pred_keypoints_cam - b.pred_keypoints_cam).abs().max()
        for a, b in zip(found, expected, strict=True)
    ]
    assert max(differences) > 1e-3  # it did run in bfloat16


def test_what_is_folded(model):
    fast = optimize_for_inference(model, inplace=True, bfloat16=False)
    assert fast is model
    kinds = [type(module) for module in fast.modules()]
    assert not any(issubclass(kind, FrozenBatchNorm2d | _BatchNorm | ROIAlign) for kind in kinds)
    assert nn.GroupNorm in kinds and ChannelsLastROIAlign in kinds  # the depth map's norms stay
    assert not any(parameter.requires_grad for parameter in fast.parameters())
    conv = fast.backbone.bottom_up.res3[0].conv2
    assert conv.weight.is_contiguous(memory_format=torch.channels_last)
    assert fast.roi_heads.pose_head.logit_scale == 1.0


@pytest.mark.parametrize("kind", [FrozenBatchNorm2d, nn.BatchNorm2d, nn.SyncBatchNorm])
@pytest.mark.parametrize("conv_kind", [nn.Conv2d, nn.ConvTranspose2d])
@pytest.mark.parametrize("bias", [False, True])
def test_a_folded_norm_gives_what_both_gave(kind, conv_kind, bias):
    generator = torch.Generator().manual_seed(0)
    conv, norm = conv_kind(5, 7, 3, stride=2, padding=1, bias=bias), kind(7).eval()
    draw_statistics(norm, generator)
    x = torch.randn(2, 5, 9, 8, generator=generator)
    with torch.no_grad():
        alone = conv(x)
        # SyncBatchNorm itself runs on GPUs alone.
        expected = (
            norm(alone)
            if kind is not nn.SyncBatchNorm
            else nn.functional.batch_norm(
                alone, norm.running_mean, norm.running_var, norm.weight, norm.bias, eps=norm.eps
            )
        )
        assert inference._fold_norm(conv, norm) is None
        torch.testing.assert_close(conv(x), expected, rtol=1e-5, atol=1e-5)
    assert (alone - expected).abs().max() > 0.1


def test_norms_that_depend_on_the_input_are_left():
    conv = nn.Conv2d(4, 4, 1)
    for norm in (nn.GroupNorm(2, 4), nn.BatchNorm2d(4, track_running_stats=False), None):
        assert inference._fold_norm(conv, norm) is norm


def test_a_model_in_training_mode_is_refused(small_model):
    with pytest.raises(ValueError, match=r"model\.eval\(\)"):
        optimize_for_inference(small_model.train())


def test_other_models_of_detectron2():
    """A Keypoint R-CNN without anything of this project."""
    cfg = model_zoo.get_config("COCO-Keypoints/keypoint_rcnn_R_50_FPN_1x.yaml")
    cfg.MODEL.DEVICE = "cpu"
    cfg.MODEL.PIXEL_STD = [57.375, 57.12, 58.395]
    cfg.MODEL.RESNETS.WIDTH_PER_GROUP = 8
    cfg.MODEL.RESNETS.STEM_OUT_CHANNELS = 8
    cfg.MODEL.RESNETS.RES2_OUT_CHANNELS = 16
    cfg.MODEL.FPN.OUT_CHANNELS = 16
    cfg.MODEL.ROI_BOX_HEAD.FC_DIM = 32
    cfg.MODEL.ROI_KEYPOINT_HEAD.CONV_DIMS = (16,)
    cfg.MODEL.ROI_HEADS.SCORE_THRESH_TEST = 0.0
    cfg.TEST.DETECTIONS_PER_IMAGE = 5
    torch.manual_seed(0)
    stock = build_model(cfg).eval()
    # Random boxes and heatmaps of random features overflow.
    nn.init.zeros_(stock.proposal_generator.rpn_head.anchor_deltas.weight)
    nn.init.normal_(stock.roi_heads.keypoint_head.score_lowres.weight, std=1e-4)
    expected = detect(stock)
    found = detect(optimize_for_inference(stock, bfloat16=False))
    for a, b in zip(found, expected, strict=True):
        assert len(a) == len(b) > 0
        torch.testing.assert_close(a.pred_boxes.tensor, b.pred_boxes.tensor, rtol=1e-3, atol=0.1)


def test_bfloat16_is_used_where_it_is_fast(monkeypatch, model):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": True}, raising=False)
    assert has_bfloat16_units()
    fast = optimize_for_inference(model)
    assert fast.proposal_generator.rpn_head.conv.weight.dtype == torch.bfloat16
    assert fast.backbone.fpn_output2.weight.dtype == torch.bfloat16
    assert fast.roi_heads.box_head.fc1.weight.dtype == torch.bfloat16
    # Rounding here would move people by more than two millimetres.
    assert fast.backbone.fpn_lateral2.weight.dtype == torch.float32
    assert fast.depth_map_head.predictor.weight.dtype == torch.float32
    for name, expected in (("AMD EPYC", True), ("Intel(R) Xeon(R)", False)):
        told = {"avx512_bf16": True, "cpu_name": name}
        monkeypatch.setattr(torch.cpu, "get_capabilities", told.copy)
        assert has_bfloat16_units() is expected
    monkeypatch.delattr(torch.cpu, "get_capabilities")
    assert not has_bfloat16_units()
    fast = optimize_for_inference(model)
    assert fast.proposal_generator.rpn_head.conv.weight.dtype == torch.float32
