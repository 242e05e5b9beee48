import cv2
import numpy as np
import pytest
import torch
from detectron2.checkpoint import DetectionCheckpointer
from detectron2.engine import DefaultPredictor
from detectron2.modeling import build_model
from detectron2.structures import Boxes, Instances
from detectron2.utils.events import EventStorage
from detectron2.utils.visualizer import Visualizer

from hmor_d2.modeling import HMORRCNN
from hmor_d2.structures import PinholeCameras
from tests.modeling.scenes import make_input

LOSSES = {
    "loss_rpn_cls", "loss_rpn_loc", "loss_cls", "loss_box_reg", "loss_pose", "loss_pose_marginals",
    "loss_depth_init", "loss_depth_refine", "loss_hmor_instance", "loss_hmor_part",
    "loss_hmor_joint",
}  # fmt: skip
FIELDS = {
    "pred_boxes", "scores", "pred_classes", "pred_keypoints", "pred_keypoints_cam",
    "pred_root_depth",
}  # fmt: skip


def train_step(model, batch):
    model.zero_grad()
    with EventStorage() as storage:
        losses = model(batch)
        sum(losses.values()).backward()
        return losses, storage.latest()


BATCHES = {
    "3d": [make_input(160, 224, 3), make_input(128, 128, 2, 1)],
    "2d": [make_input(160, 224, 2, 2, has_3d=False, intrinsics=False)],
    "mixed": [make_input(128, 192, 2, 3), make_input(160, 160, 2, 4, has_3d=False)],
    "one and none": [make_input(128, 160, 1, 5), make_input(128, 128, 0, 6)],
    "nobody": [make_input(128, 160, 0, 7), make_input(160, 128, 0, 8)],
}


@pytest.mark.parametrize("name", BATCHES)
def test_training_step(small_model, name):
    losses, _ = train_step(small_model, BATCHES[name])
    assert set(losses) == LOSSES
    assert all(torch.isfinite(loss) for loss in losses.values())
    for parameter_name, parameter in small_model.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None, parameter_name
            assert parameter.grad.isfinite().all(), parameter_name
    if name == "nobody":
        for loss in LOSSES - {"loss_rpn_cls", "loss_cls"}:
            assert losses[loss] == 0, loss
    if name == "2d":
        assert losses["loss_pose"] > 0
        assert losses["loss_depth_init"] == losses["loss_depth_refine"] == 0
        assert losses["loss_hmor_instance"] == losses["loss_hmor_joint"] == 0
    if name == "3d":
        assert losses["loss_hmor_joint"] > 0


def test_losses_are_of_order_one_at_the_start(small_model):
    losses, logged = train_step(small_model, [make_input(320, 448, 3)])
    assert all(loss < 10 for loss in losses.values()), losses
    # Uniform heatmaps put every joint into one place: about half of the parts are wrong.
    assert 0.2 < logged["hmor/wrong_joint"][0] < 0.8
    assert logged["hmor/pairs_instance"][0] > 0


def test_outputs(small_model):
    small_model.eval()
    batch = [make_input(160, 224, 0), make_input(128, 160, 0, 1, intrinsics=False)]
    for x in batch:
        x.pop("instances")
    batch[0].update(height=320, width=448)
    with torch.no_grad():
        outputs = small_model(batch)
    for x, output in zip(batch, outputs, strict=True):
        instances = output["instances"]
        n = len(instances)
        assert n > 0 and set(instances.get_fields()) == FIELDS
        assert instances.image_size == (x["height"], x["width"])
        assert instances.pred_keypoints.shape == (n, 17, 3)
        assert instances.pred_keypoints_cam.shape == (n, 17, 3)
        assert instances.pred_root_depth.shape == (n,)
        # The absolute pose projects to the 2D joints, in the original image and its camera.
        height, width = x["image"].shape[1:]
        given = x.get("intrinsics", PinholeCameras.from_fov([(height, width)], 55.0).tensor[0])
        camera = PinholeCameras(given[None] * (x["height"] / height))
        projected = camera[torch.zeros(n, dtype=torch.long)].project(instances.pred_keypoints_cam)
        torch.testing.assert_close(
            projected, instances.pred_keypoints[..., :2], rtol=1e-4, atol=1e-2
        )
        root_depth = instances.pred_keypoints_cam[:, 14, 2]
        torch.testing.assert_close(root_depth, instances.pred_root_depth, rtol=1e-5, atol=1e-2)
        # No pose head sees outside its box.
        boxes = instances.pred_boxes.tensor
        assert (instances.pred_keypoints[..., 0] >= boxes[:, None, 0] - 1e-2).all()


def test_a_batch_gives_what_single_images_give(small_model):
    small_model.eval()
    batch = [make_input(128, 160, 0), make_input(128, 160, 0, 1)]
    with torch.no_grad():
        together = small_model(batch)
        alone = [small_model([x])[0] for x in batch]
    for a, b in zip(together, alone, strict=True):
        torch.testing.assert_close(
            a["instances"].pred_keypoints_cam, b["instances"].pred_keypoints_cam,
            rtol=1e-3, atol=1.0,
        )  # fmt: skip


def test_given_boxes_and_nobody(small_model):
    small_model.eval()
    x = make_input(128, 160, 0)
    size = x["image"].shape[1:]
    boxes = torch.tensor([[10.0, 10.0, 90.0, 120.0], [50.0, 20.0, 150.0, 100.0]])
    people = Instances(size, pred_boxes=Boxes(boxes), pred_classes=torch.zeros(2).long())
    with torch.no_grad():
        (found,) = small_model.inference([x], [people], do_postprocess=False)
        (empty,) = small_model.inference([x], [people[:0]], do_postprocess=False)
    assert found.pred_keypoints_cam.shape == (2, 17, 3)
    assert len(empty) == 0 and empty.pred_keypoints_cam.shape == (0, 17, 3)


def test_without_refinement_the_map_is_the_answer(small_cfg):
    small_cfg.MODEL.ROI_DEPTH_HEAD.REFINE = False
    model = build_model(small_cfg)
    losses, _ = train_step(model, BATCHES["3d"])
    assert set(losses) == LOSSES - {"loss_depth_refine"}
    torch.nn.init.zeros_(model.depth_map_head.predictor.weight)
    torch.nn.init.constant_(model.depth_map_head.predictor.bias, 4.0)
    model.eval()
    x = make_input(128, 160, 0)
    with torch.no_grad():
        depths = model([x])[0]["instances"].pred_root_depth
    expected = 4.0 * PinholeCameras(x["intrinsics"][None]).mean_focal
    torch.testing.assert_close(depths, expected.expand_as(depths))


def test_switches_of_the_criterion(small_cfg):
    small_cfg.MODEL.HMOR.LEVELS = ("part",)
    small_cfg.MODEL.HMOR.PART_REPRESENTATION = "particle"
    small_cfg.MODEL.HMOR.ABS_POSE_LOSS_WEIGHT = 0.5
    losses, _ = train_step(build_model(small_cfg), BATCHES["3d"])
    dropped = {"loss_hmor_instance", "loss_hmor_joint"}
    assert set(losses) == LOSSES - dropped | {"loss_abs_pose"}
    small_cfg.MODEL.HMOR.LOSS_WEIGHT = 0.0
    losses, _ = train_step(build_model(small_cfg), BATCHES["3d"])
    assert not any(name.startswith("loss_hmor") for name in losses)
    small_cfg.MODEL.HMOR.LEVELS = ("limb",)
    with pytest.raises(ValueError, match="limb"):
        build_model(small_cfg)


@pytest.mark.parametrize(
    "intrinsics", [1500.0, [1500.0], [0.0, 90.0, 80.0, 60.0], [90.0, float("nan"), 80.0, 60.0]]
)
def test_wrong_intrinsics_are_refused(small_model, intrinsics):
    x = {**make_input(128, 160, 0), "intrinsics": intrinsics, "file_name": "a.jpg"}
    with pytest.raises(ValueError, match=r"a\.jpg.*intrinsics"):
        small_model.eval()([x])


def test_heads_that_would_be_ignored_are_refused(small_cfg):
    small_cfg.MODEL.MASK_ON = True
    with pytest.raises(ValueError, match="MASK_ON"):
        build_model(small_cfg)


def test_bfloat16_on_a_cpu_gives_nearly_the_same(small_cfg, small_model):
    small_cfg.MODEL.CPU_BFLOAT16 = True
    half = build_model(small_cfg)
    half.load_state_dict(small_model.state_dict())
    x = make_input(128, 160, 0)
    boxes = torch.tensor([[10.0, 10.0, 90.0, 120.0], [50.0, 20.0, 150.0, 100.0]])
    people = Instances((128, 160), pred_boxes=Boxes(boxes), pred_classes=torch.zeros(2).long())
    found = []
    for model in (small_model, half):
        model.eval()
        with torch.no_grad():
            found.append(model.inference([x], [people], do_postprocess=False)[0])
            assert model([x])[0]["instances"].scores.dtype == torch.float32
    for name in ("pred_keypoints", "pred_keypoints_cam"):
        assert found[1].get(name).dtype == torch.float32
    torch.testing.assert_close(
        found[0].pred_keypoints[..., :2], found[1].pred_keypoints[..., :2], rtol=0.05, atol=1.0
    )


def test_checkpoints_carry_the_skeleton(small_cfg, small_model, tmp_path):
    DetectionCheckpointer(small_model, str(tmp_path)).save("model")
    again = build_model(small_cfg)
    DetectionCheckpointer(again).load(str(tmp_path / "model.pth"))
    name = "roi_heads.pose_head.predictor.weight"
    assert torch.equal(again.state_dict()[name], small_model.state_dict()[name])
    small_cfg.MODEL.HMOR.SKELETON = "coco17"
    with pytest.raises(ValueError, match=r"coco17.*root"):
        build_model(small_cfg)
    small_cfg.MODEL.HMOR.SKELETON = "panoptic15"
    other = build_model(small_cfg)
    with pytest.raises(ValueError, match=r"muco17.*panoptic15"):
        DetectionCheckpointer(other).load(str(tmp_path / "model.pth"))


def test_default_predictor_and_visualizer(small_cfg, tmp_path):
    small_cfg.MODEL.ROI_HEADS.SCORE_THRESH_TEST = 0.0
    small_cfg.INPUT.MIN_SIZE_TEST = 128
    predictor = DefaultPredictor(small_cfg)
    assert isinstance(predictor.model, HMORRCNN)
    image = np.random.default_rng(0).integers(0, 255, (90, 120, 3), dtype=np.uint8)
    instances = predictor(image)["instances"].to("cpu")
    assert instances.image_size == (90, 120) and len(instances) > 0
    drawn = Visualizer(image[:, :, ::-1]).draw_instance_predictions(instances[:2]).get_image()
    cv2.imwrite(str(tmp_path / "drawn.png"), drawn[:, :, ::-1])
    small_cfg.MODEL.ROI_HEADS.SCORE_THRESH_TEST = 1.0
    nobody = DefaultPredictor(small_cfg)(image)["instances"]
    assert len(nobody) == 0 and nobody.pred_keypoints_cam.shape == (0, 17, 3)
