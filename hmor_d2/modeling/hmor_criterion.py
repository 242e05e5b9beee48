"""L_HMOR on the predictions of a batch: picks one RoI a person, draws views, logs statistics."""

import torch
from detectron2.config import configurable
from detectron2.utils.events import get_event_storage

from ..losses import absolute_pose_l1_loss, hmor_losses_batched, sample_view_normals
from ..skeleton import Skeleton, get_skeleton
from .people import TrainingPeople, best_per_person

__all__ = ["HMORCriterion"]


class HMORCriterion:
    """Ordinal relations of a batch (eq. 5 to 10), and the baseline L_abs of Table 4."""

    @configurable
    def __init__(
        self,
        *,
        skeleton: Skeleton,
        levels: tuple[str, ...],
        level_weights: dict[str, float],
        part_representation: str,
        num_virtual_views: int,
        unit_mm: float,
        max_pairs: int,
        loss_weight: float,
        abs_pose_loss_weight: float,
    ):
        """
        Args:
            skeleton: the model's joints and parts.
            levels: any of "instance", "part", "joint".
            level_weights: weight of each level.
            part_representation: "vector" or "particle".
            num_virtual_views: views an image and step besides the camera's own.
            unit_mm: millimetres in the unit of the losses.
            max_pairs: pairs an image and level beyond which they are sampled; 0 for never.
            loss_weight: weight of L_HMOR; 0 for none.
            abs_pose_loss_weight: weight of L_abs; 0 for none.
        """
        unknown = set(levels) - {"instance", "part", "joint"}
        if unknown:
            raise ValueError(f"MODEL.HMOR.LEVELS has unknown levels {sorted(unknown)}")
        self.skeleton = skeleton
        self.levels = tuple(levels)
        self.level_weights = level_weights
        self.part_representation = part_representation
        self.num_virtual_views = num_virtual_views
        self.unit_mm = unit_mm
        self.max_pairs = max_pairs
        self.loss_weight = loss_weight
        self.abs_pose_loss_weight = abs_pose_loss_weight

    @classmethod
    def from_config(cls, cfg):
        hmor = cfg.MODEL.HMOR
        return {
            "skeleton": get_skeleton(hmor.SKELETON),
            "levels": hmor.LEVELS,
            "level_weights": {
                "instance": hmor.INSTANCE_WEIGHT,
                "part": hmor.PART_WEIGHT,
                "joint": hmor.JOINT_WEIGHT,
            },
            "part_representation": hmor.PART_REPRESENTATION,
            "num_virtual_views": hmor.NUM_VIRTUAL_VIEWS,
            "unit_mm": hmor.UNIT_MM,
            "max_pairs": hmor.MAX_PAIRS,
            "loss_weight": hmor.LOSS_WEIGHT,
            "abs_pose_loss_weight": hmor.ABS_POSE_LOSS_WEIGHT,
        }

    def __call__(
        self,
        poses: torch.Tensor,
        pixels: torch.Tensor,
        people: TrainingPeople,
        reachable: torch.Tensor,
    ) -> dict[str, torch.Tensor]:
        """Losses of a batch.

        Args:
            poses: (N, J, 3) predicted absolute poses of the RoIs in mm.
            pixels: (N, J, 2) predicted joints in pixels.
            people: the RoIs with their ground truth.
            reachable: (N, J) bool, joints inside the RoI and the depth range.  Others have no
                relations: no output of the PoseHead could put them right.

        Returns:
            weighted losses, whose mean over processes is the loss of the whole batch; an empty
            dict where all weights are zero.
        """
        shape = (len(people.box_counts), people.people_per_image)
        best, found = best_per_person(people.iou, people.image_index, people.person_index, shape)
        gt = people.poses.tensor[best]
        reachable = reachable[best] & found[..., None]
        valid = people.poses.valid[best] & reachable
        losses = {}
        if self.abs_pose_loss_weight > 0:
            loss = absolute_pose_l1_loss(
                poses[best], gt, valid, self.unit_mm, across_processes=True
            )
            losses["loss_abs_pose"] = self.abs_pose_loss_weight * loss
        if self.loss_weight > 0 and self.levels:
            losses.update(self._ordinal(poses, pixels, people, best, gt, valid, reachable))
        return losses

    def _ordinal(self, poses, pixels, people, best, gt, valid, reachable):
        # People with 2D annotations alone are ordered by the angles of their parts in the image.
        only_2d = ~people.poses.valid[best].any(dim=-1, keepdim=True)
        boxes = people.boxes[best]
        normals = sample_view_normals(
            self.num_virtual_views,
            batch_size=best.shape[0],
            include_camera=True,
            device=poses.device,
        )
        losses, statistics = hmor_losses_batched(
            poses[best],
            gt,
            valid,
            self.skeleton,
            normals,
            levels=self.levels,
            part_representation=self.part_representation,
            unit_mm=self.unit_mm,
            pred_2d=pixels[best],
            gt_2d=people.pixels[best],
            valid_2d=reachable & only_2d,
            box_areas=(boxes[..., 2:] - boxes[..., :2]).prod(dim=-1),
            max_pairs=self.max_pairs,
        )
        storage = get_event_storage()
        for name, value in statistics.items():
            storage.put_scalar(name, float(value))
        return {
            f"loss_hmor_{level}": self.loss_weight
            * self.level_weights[level]
            * losses[f"loss_hmor_{level}"]
            for level in self.levels
        }
