"""A small model on the packaged backbone, and batches of random scenes for it."""

import pytest
import torch
from detectron2.checkpoint import DetectionCheckpointer
from detectron2.config import get_cfg
from detectron2.modeling import build_model
from detectron2.structures import Boxes, Instances, Keypoints

from hmor_d2 import add_hmor_config
from hmor_d2.structures import PinholeCameras, Poses3D

NUM_JOINTS = 17
ROOT = 14


@pytest.fixture
def small_cfg():
    """The compact config, thinner still."""
    cfg = get_cfg()
    add_hmor_config(cfg)
    cfg.merge_from_file("configs/Base-HMOR-RCNN-R50-half-FPN.yaml")
    cfg.MODEL.DEVICE = "cpu"
    cfg.MODEL.WEIGHTS = "hmor_d2://resnet50_half_width.pth"
    cfg.MODEL.FPN.OUT_CHANNELS = 32
    cfg.MODEL.ROI_BOX_HEAD.FC_DIM = 64
    cfg.MODEL.ROI_POSE_HEAD.BLOCK_DIM = cfg.MODEL.ROI_DEPTH_HEAD.BLOCK_DIM = 16
    cfg.MODEL.ROI_POSE_HEAD.DECONV_DIM = 32
    cfg.MODEL.DEPTH_MAP_HEAD.CONV_DIM = 32
    cfg.MODEL.ROI_HEADS.BATCH_SIZE_PER_IMAGE = 32
    cfg.MODEL.RPN.POST_NMS_TOPK_TRAIN = 100
    cfg.MODEL.RPN.POST_NMS_TOPK_TEST = 30
    return cfg


@pytest.fixture
def small_model(small_cfg):
    torch.manual_seed(0)
    model = build_model(small_cfg)
    DetectionCheckpointer(model).load(small_cfg.MODEL.WEIGHTS)
    return model


def make_input(height, width, people, seed=0, has_3d=True, intrinsics=True):
    """One training input with people in front of a camera of 55 degrees."""
    generator = torch.Generator().manual_seed(seed)
    camera = PinholeCameras.from_fov([(height, width)], 55.0)
    low, span = torch.tensor([-800.0, -300, 3000]), torch.tensor([1600.0, 600, 3000])
    root = low + span * torch.rand(people, 1, 3, generator=generator)
    poses = root + 250 * torch.randn(people, NUM_JOINTS, 3, generator=generator)
    poses[:, ROOT] = root[:, 0]
    pixels = camera[torch.zeros(people, dtype=torch.long)].project(poses)
    instances = Instances((height, width))
    boxes = (
        torch.cat((pixels.amin(dim=1), pixels.amax(dim=1)), dim=1) if people else poses[:, 0, :0]
    )
    instances.gt_boxes = Boxes(boxes.reshape(-1, 4))
    instances.gt_boxes.clip((height, width))
    instances.gt_classes = torch.zeros(people, dtype=torch.long)
    instances.gt_keypoints = Keypoints(
        torch.cat((pixels, torch.full((people, NUM_JOINTS, 1), 2.0)), dim=2)
    )
    instances.gt_poses = Poses3D(poses, torch.full((people, NUM_JOINTS), has_3d))
    image = torch.randint(0, 255, (3, height, width), generator=generator).to(torch.uint8)
    result = {"image": image, "height": height, "width": width, "instances": instances}
    if intrinsics:
        result["intrinsics"] = camera.tensor[0]
    return result
