"""What the pose and depth heads are trained towards in each RoI."""

from dataclasses import dataclass

import torch

from ..structures import encode_roi_poses
from .people import TrainingPeople

__all__ = ["RoITargets", "make_roi_targets", "places_of_depth"]


@dataclass
class RoITargets:
    """Joints of N people in the coordinates of their RoIs.

    Attributes:
        coordinates: (N, J, 3) of u, v, z.
        trained: (N, J) bool, joints whose u and v train.
        depth_trained: (N, J) bool, joints whose z trains.
        reachable: (N, J) bool, joints that the heatmaps can answer: inside the RoI and its range.
    """

    coordinates: torch.Tensor
    trained: torch.Tensor
    depth_trained: torch.Tensor
    reachable: torch.Tensor


def make_roi_targets(
    people: TrainingPeople, root_index: int, depth_range_mm: float, clamp_truncated: bool
) -> RoITargets:
    """Targets of L_pose, eq. 11.

    Args:
        people: sampled RoIs with their ground truth.
        root_index: the joint that depths are relative to.
        depth_range_mm: depth around the root that z = 1 stands for.
        clamp_truncated: train joints outside the RoI towards its nearest edge; otherwise they do
            not train.
    """
    relative = people.poses.relative_to(root_index)
    coordinates, inside, in_range = encode_roi_poses(
        people.pixels, relative.tensor[..., 2], people.boxes, depth_range_mm
    )
    trained = people.visible & (in_range | ~relative.valid)
    reachable = trained & inside
    if clamp_truncated:
        coordinates = torch.cat((coordinates[..., :2].clamp(0, 1), coordinates[..., 2:]), dim=-1)
    else:
        trained = reachable
    return RoITargets(coordinates, trained, trained & relative.valid, reachable)


def places_of_depth(
    people: TrainingPeople, predicted: torch.Tensor, root_index: int
) -> torch.Tensor:
    """Where the depth map is read: at the annotated root, or the nearest place of the RoI.

    Args:
        people: sampled RoIs with their ground truth.
        predicted: (N, J, 2) joints in pixels, for people whose root has no annotation.
        root_index: the root joint.

    Returns:
        (N, 2) pixels, without gradient.
    """
    known = people.visible[:, root_index, None]
    roots = torch.where(known, people.pixels[:, root_index], predicted[:, root_index].detach())
    return torch.minimum(torch.maximum(roots, people.boxes[:, :2]), people.boxes[:, 2:])
