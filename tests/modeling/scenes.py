"""Random scenes as the mapper would hand them to a model."""

import torch
from detectron2.structures import Boxes, Instances, Keypoints

from hmor_d2.structures import PinholeCameras, Poses3D

NUM_JOINTS = 17
ROOT = 14


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
