"""Training batches of random people, and proposals for them as a trained network makes."""

import torch
from detectron2.modeling import GeneralizedRCNN
from detectron2.structures import Boxes, Instances, Keypoints

from benchmarks.fixed_people import random_boxes
from hmor_d2.structures import PinholeCameras, Poses3D

__all__ = ["FixedProposals", "make_training_input", "proposals_around", "with_coco_joints"]

_COCO_JOINTS = 17


def make_training_input(
    size: tuple[int, int], num_people: int, num_joints: int, seed: int = 0
) -> dict:
    """A dict as HMORDatasetMapper gives it, of random people 3 to 7 m away.

    Args:
        size: (height, width) of the image in pixels; the camera's larger field of view is 55
            degrees.
        num_people, num_joints: annotated.
        seed: the same seed gives the same image and people.
    """
    generator = torch.Generator().manual_seed(seed)
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


def with_coco_joints(picture: dict) -> dict:
    """The same image and people for a model of 17 2D joints: joints repeat or are left out."""
    instances = picture["instances"]
    points = instances.gt_keypoints.tensor
    same = Instances(instances.image_size)
    same.gt_boxes = instances.gt_boxes
    same.gt_classes = instances.gt_classes
    same.gt_keypoints = Keypoints(points[:, torch.arange(_COCO_JOINTS) % points.shape[1]])
    return {"image": picture["image"], "instances": same}


def proposals_around(people: Boxes, size: tuple[int, int], per_person: int, total: int) -> Boxes:
    """Boxes close to people, about three quarters of them of IoU over 0.5, and boxes anywhere.

    Args:
        people: annotated, in an image of (height, width) ``size``.
        per_person: boxes around each person.
        total: of all boxes, those anywhere included.
    """
    generator = torch.Generator().manual_seed(1)
    near = people.tensor.repeat_interleave(per_person, dim=0)[:total]
    sides = (near[:, 2:] - near[:, :2]).repeat(1, 2)
    near = Boxes(near + 0.1 * sides * torch.randn(near.shape, generator=generator))
    near.clip(size)
    return Boxes.cat([near, random_boxes(total - len(near), size)])


class FixedProposals:
    """While entered, an R-CNN's proposals are given ones, after its own work on them."""

    def __init__(self, model: GeneralizedRCNN, proposals: list[Boxes]):
        """
        Args:
            model: in training mode.
            proposals: of each image of the batches that it gets.
        """
        self.model = model
        self.proposals = proposals

    def __enter__(self) -> None:
        def exchange(module, inputs, output):
            found, losses = output
            fixed = []
            for boxes, own in zip(self.proposals, found, strict=True):
                instances = Instances(own.image_size)
                instances.proposal_boxes = boxes.to(own.proposal_boxes.device)
                instances.objectness_logits = instances.proposal_boxes.tensor.new_zeros(len(boxes))
                fixed.append(instances)
            return fixed, losses

        self._hook = self.model.proposal_generator.register_forward_hook(exchange)

    def __exit__(self, *error: object) -> None:
        self._hook.remove()
