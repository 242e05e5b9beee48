"""Time of a training step of the full model, on random pictures of people."""

import time

import torch
from detectron2.config import get_cfg
from detectron2.modeling import build_model
from detectron2.structures import Boxes, Instances, Keypoints
from detectron2.utils.events import EventStorage

from hmor_d2 import add_hmor_config
from hmor_d2.structures import PinholeCameras, Poses3D

CONFIG = "configs/muco_coco/hmor_rcnn_R_50_FPN.yaml"


def training_step_seconds(
    num_people: int, device: str, size: tuple[int, int] = (800, 1333)
) -> float:
    """Seconds of forward and backward on one image, after one step to warm up.

    Args:
        num_people: annotated people in the image.
        device: where the model runs.
        size: (height, width) of the image in pixels.
    """
    cfg = get_cfg()
    add_hmor_config(cfg)
    cfg.merge_from_file(CONFIG)
    cfg.MODEL.DEVICE = device
    model = build_model(cfg)
    batch = [_make_input(size, num_people, len(model.skeleton.joint_names))]
    seconds = 0.0
    for _ in range(2):
        start = time.perf_counter()
        with EventStorage():
            sum(model(batch).values()).backward()
        if device != "cpu":
            torch.cuda.synchronize()
        seconds = time.perf_counter() - start
    return seconds


def _make_input(size: tuple[int, int], num_people: int, num_joints: int) -> dict:
    generator = torch.Generator().manual_seed(0)
    camera = PinholeCameras.from_fov([size], 55.0)
    low, span = torch.tensor([-1500.0, -500.0, 3000.0]), torch.tensor([3000.0, 1000.0, 4000.0])
    roots = low + span * torch.rand(num_people, 1, 3, generator=generator)
    poses = roots + 300 * torch.randn(num_people, num_joints, 3, generator=generator)
    pixels = camera[torch.zeros(num_people, dtype=torch.long)].project(poses)
    instances = Instances(size)
    instances.gt_boxes = Boxes(torch.cat((pixels.amin(dim=1), pixels.amax(dim=1)), dim=1))
    instances.gt_boxes.clip(size)
    instances.gt_classes = torch.zeros(num_people, dtype=torch.long)
    visible = torch.full((num_people, num_joints, 1), 2.0)
    instances.gt_keypoints = Keypoints(torch.cat((pixels, visible), dim=2))
    instances.gt_poses = Poses3D(poses)
    image = torch.randint(0, 255, (3, *size), generator=generator).to(torch.uint8)
    return {"image": image, "instances": instances, "intrinsics": camera.tensor[0]}
