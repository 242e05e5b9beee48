"""ROI heads of the integrated model: DetHead, PoseHead, DepthHead, and HMOR in training."""

import torch
from detectron2.config import configurable
from detectron2.layers import ShapeSpec
from detectron2.modeling.poolers import ROIPooler
from detectron2.modeling.roi_heads import ROI_HEADS_REGISTRY, StandardROIHeads
from detectron2.structures import Boxes, ImageList, Instances
from torch import nn

from ..losses import total_over_processes
from ..skeleton import Skeleton, get_skeleton
from ..structures import DepthMap, PinholeCameras, decode_roi_poses, equivalent_depth_scale
from .depth_head import build_depth_head
from .hmor_criterion import HMORCriterion
from .people import image_index_of, sample_training_people
from .pose_head import build_pose_head
from .roi_targets import make_roi_targets, places_of_depth

__all__ = ["HMORROIHeads"]


@ROI_HEADS_REGISTRY.register()
class HMORROIHeads(StandardROIHeads):
    """Boxes as in Detectron2's standard heads; root-relative poses and root depths beside them.

    The pose and the depth head share one RoIAlign.  The depth map and the cameras come from the
    meta-architecture.
    """

    @configurable
    def __init__(
        self,
        *,
        pose_in_features: list[str],
        pose_pooler: ROIPooler,
        pose_head: nn.Module,
        depth_head: nn.Module | None,
        depth_range_mm: float,
        clamp_truncated: bool,
        skeleton: Skeleton,
        pose_batch_size_per_image: int,
        criterion: HMORCriterion,
        **kwargs,
    ):
        """
        Args:
            pose_in_features: feature names for the pooler.
            pose_pooler: RoIAlign of the pose and depth heads.
            pose_head, depth_head: see their registries; no depth head leaves the initial depth
                as the answer (Table 4 d).
            depth_range_mm: depth around the root that z = 1 stands for.
            clamp_truncated: train joints outside the RoI towards its nearest edge.
            skeleton: the model's joints.
            pose_batch_size_per_image: proposals an image that train the pose and depth heads.
            criterion: L_HMOR and L_abs.
            kwargs: see StandardROIHeads.
        """
        super().__init__(**kwargs)
        self.pose_in_features = pose_in_features
        self.pose_pooler = pose_pooler
        self.pose_head = pose_head
        self.depth_head = depth_head
        self.depth_range_mm = depth_range_mm
        self.clamp_truncated = clamp_truncated
        self.skeleton = skeleton
        self.pose_batch_size_per_image = pose_batch_size_per_image
        self.criterion = criterion
        self.pose_on = True  # test-time augmentation detects boxes alone first
        height, width = pose_pooler.output_size
        self.roi_area = float(height * width)

    @classmethod
    def from_config(cls, cfg, input_shape):
        if cfg.MODEL.MASK_ON or cfg.MODEL.KEYPOINT_ON:
            raise ValueError("HMORROIHeads has no use for MODEL.MASK_ON or MODEL.KEYPOINT_ON")
        ret = super().from_config(cfg, input_shape)
        head = cfg.MODEL.ROI_POSE_HEAD
        in_features = cfg.MODEL.ROI_HEADS.IN_FEATURES
        roi_shape = ShapeSpec(
            channels=input_shape[in_features[0]].channels,
            height=head.POOLER_RESOLUTION,
            width=head.POOLER_RESOLUTION,
        )
        ret.update(
            pose_in_features=in_features,
            pose_pooler=ROIPooler(
                output_size=head.POOLER_RESOLUTION,
                scales=tuple(1.0 / input_shape[f].stride for f in in_features),
                sampling_ratio=head.POOLER_SAMPLING_RATIO,
                pooler_type=head.POOLER_TYPE,
            ),
            pose_head=build_pose_head(cfg, roi_shape),
            depth_head=build_depth_head(cfg, roi_shape)
            if cfg.MODEL.ROI_DEPTH_HEAD.REFINE
            else None,
            depth_range_mm=head.DEPTH_RANGE_MM,
            clamp_truncated=head.CLAMP_TRUNCATED,
            skeleton=get_skeleton(cfg.MODEL.HMOR.SKELETON),
            pose_batch_size_per_image=head.BATCH_SIZE_PER_IMAGE,
            criterion=HMORCriterion(cfg),
        )
        return ret

    def forward(
        self,
        images: ImageList,
        features: dict[str, torch.Tensor],
        proposals: list[Instances],
        targets: list[Instances] | None = None,
        *,
        cameras: PinholeCameras,
        depth_map: DepthMap,
    ) -> tuple[list[Instances], dict[str, torch.Tensor]]:
        """As StandardROIHeads, with two more inputs.

        Args:
            images, features, proposals, targets: see ``ROIHeads.forward``; targets also have
                gt_keypoints and gt_poses.
            cameras: B cameras of the resized images.
            depth_map: normalised root depths of the B images.

        Returns:
            in training the sampled proposals and the losses; at test the detections with
            pred_keypoints, pred_keypoints_cam and pred_root_depth, and an empty dict.
        """
        if not self.training:
            instances = self._forward_box(features, proposals)
            if self.pose_on:
                instances = self.forward_with_given_boxes(
                    features, instances, cameras=cameras, depth_map=depth_map
                )
            return instances, {}
        assert targets is not None, "'targets' argument is required during training"
        for target in targets:
            target.gt_person_index = torch.arange(len(target), device=target.gt_classes.device)
        proposals = self.label_and_sample_proposals(proposals, targets)
        losses = self._forward_box(features, proposals)
        people = sample_training_people(
            proposals,
            [len(target) for target in targets],
            self.num_classes,
            self.pose_batch_size_per_image,
            self.skeleton.num_joints,
        )
        losses.update(self._pose_losses(features, people, cameras, depth_map))
        return proposals, losses

    def forward_with_given_boxes(
        self,
        features: dict[str, torch.Tensor],
        instances: list[Instances],
        *,
        cameras: PinholeCameras,
        depth_map: DepthMap,
    ) -> list[Instances]:
        """Predict poses in known boxes, eq. 4 and 17.

        Args:
            features: see ``ROIHeads.forward``.
            instances: B Instances with pred_boxes and pred_classes.
            cameras, depth_map: see :meth:`forward`.

        Returns:
            the same Instances with pred_keypoints (N, J, 3: x, y in pixels of the resized image,
            score), pred_keypoints_cam (N, J, 3 mm) and pred_root_depth (N, mm).
        """
        assert not self.training
        counts = [len(x) for x in instances]
        boxes = [x.pred_boxes for x in instances]
        image_index = image_index_of(counts, boxes[0].device)
        fields = self.predict_poses(features, boxes, image_index, cameras, depth_map)
        names = ("pred_keypoints", "pred_keypoints_cam", "pred_root_depth")
        for name, values in zip(names, fields, strict=True):
            for instances_per_image, value in zip(instances, values.split(counts), strict=True):
                instances_per_image.set(name, value)
        return instances

    def predict_poses(
        self,
        features: dict[str, torch.Tensor],
        boxes: list[Boxes],
        image_index: torch.Tensor,
        cameras: PinholeCameras,
        depth_map: DepthMap,
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """:meth:`forward_with_given_boxes` on tensors alone.

        Args:
            features, cameras, depth_map: see :meth:`forward_with_given_boxes`.
            boxes: N in all, of each of the B images.
            image_index: (N,) which image each is of.

        Returns:
            keypoints (N, J, 3: x, y, score), poses (N, J, 3 mm) and root depths (N,) mm.
        """
        x = self._pool(features, boxes)
        coordinates, scores, *_ = self.pose_head(x)
        boxes = torch.cat([b.tensor for b in boxes])
        pixels, relative_depth = self._decode(coordinates, boxes)
        roots = pixels[:, self.skeleton.root_index]
        scale = equivalent_depth_scale(boxes, self.roi_area)
        *_, root_depth = self._root_depths(x, scale, roots, image_index, cameras, depth_map)
        # Nothing seen is behind the camera, whatever an untrained map may say.
        root_depth = root_depth.clamp(min=1.0)
        depth = (relative_depth + root_depth[:, None]).clamp(min=1.0)
        poses = cameras[image_index].unproject(pixels, depth)
        return torch.cat((pixels, scores.unsqueeze(-1)), dim=-1), poses, root_depth

    def _pool(self, features, boxes):
        # In float32 under autocast too: RoIAlign rounds the boxes to the type of the features.
        return self.pose_pooler([features[f].float() for f in self.pose_in_features], boxes)

    def _forward_box(self, features, proposals):
        result = super()._forward_box({f: x.float() for f, x in features.items()}, proposals)
        if not self.training:
            return result
        # Detectron2 takes means over the proposals of a process.  These are of all processes'.
        device = features[self.box_in_features[0]].device
        count = torch.tensor(sum(len(p) for p in proposals), device=device)
        total, processes = total_over_processes(count)
        if processes == 1:
            return result
        share = count * processes / total.clamp(min=1)
        return {name: loss * share for name, loss in result.items()}

    def _decode(self, coordinates, boxes):
        """Joints in pixels, and depths relative to the predicted root, which is at exactly 0."""
        pixels, depth = decode_roi_poses(coordinates, boxes, self.depth_range_mm)
        root = self.skeleton.root_index
        return pixels, depth - depth[:, root : root + 1]

    def _root_depths(self, x, scale, roots, image_index, cameras, depth_map):
        """Equivalent initial depth (eq. 15), residual, and root depth in mm (eq. 17)."""
        initial = scale * depth_map.sample(image_index, roots)
        # The residual corrects a given initial depth (iterative error feedback): it does not
        # move the map, which L_init and the ordinal relations supervise.
        residual = torch.zeros_like(initial)
        if self.depth_head is not None:
            residual = self.depth_head(x, initial.detach())
        return initial, residual, (initial + residual) / scale * cameras.mean_focal[image_index]

    def _pose_losses(self, features, people, cameras, depth_map):
        root = self.skeleton.root_index
        x = self._pool(features, people.box_list())
        prediction = self.pose_head(x)
        targets = make_roi_targets(people, root, self.depth_range_mm, self.clamp_truncated)
        losses = self.pose_head.losses(
            prediction, targets.coordinates, targets.trained, targets.depth_trained
        )

        pixels, relative_depth = self._decode(prediction.coordinates, people.boxes)
        roots = places_of_depth(people, pixels, root)
        scale = equivalent_depth_scale(people.boxes, self.roi_area)
        initial, residual, root_depth = self._root_depths(
            x, scale, roots, people.image_index, cameras, depth_map
        )
        batch_cameras = cameras[people.image_index]
        if self.depth_head is not None:
            normalized = people.poses.tensor[:, root, 2] / batch_cameras.mean_focal  # eq. 12
            known = people.poses.valid[:, root] & (people.poses.tensor[:, root, 2] > 0)
            losses.update(
                self.depth_head.losses(residual, initial.detach(), scale * normalized, known)
            )
        poses = batch_cameras.unproject(pixels, relative_depth + root_depth[:, None])
        losses.update(self.criterion(poses, pixels, people, targets.reachable))
        return losses
