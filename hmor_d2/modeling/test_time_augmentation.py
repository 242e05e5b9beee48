"""Flip and multi-scale test: the same boxes in every version of the image, poses averaged."""

import numpy as np
import torch
from detectron2.modeling import DatasetMapperTTA, GeneralizedRCNNWithTTA
from detectron2.modeling.postprocessing import detector_postprocess
from detectron2.structures import Instances

from ..structures import PinholeCameras

__all__ = ["HMORDatasetMapperTTA", "HMORRCNNWithTTA"]


class HMORDatasetMapperTTA(DatasetMapperTTA):
    """Detectron2's mapper, with the intrinsics of each version carried along."""

    def __call__(self, dataset_dict: dict) -> list[dict]:
        """As DatasetMapperTTA; ``intrinsics`` of ``dataset_dict`` are in pixels of its image."""
        augmented = super().__call__(dataset_dict)
        if dataset_dict.get("intrinsics") is None:
            return augmented
        # The transforms begin at the original image, the intrinsics belong to the input image.
        camera = _original_camera(dataset_dict)
        for version in augmented:
            moved, _ = camera.transformed(version["transforms"].apply_coords)
            version["intrinsics"] = moved.tensor[0]
        return augmented


class HMORRCNNWithTTA(GeneralizedRCNNWithTTA):
    """HMORRCNN under test-time augmentation, e.g. the paper's flip test (section 4.2).

    Boxes are detected in every version and merged; poses are estimated in the merged boxes of
    every version.  Joints in pixels, depths and scores are brought back to the original image
    (left and right swapped, x mirrored) and averaged; the mean is back-projected (eq. 4) with
    the camera of the original image, so a principal point off the middle is respected.
    """

    def __init__(self, cfg, model, tta_mapper=None, batch_size: int = 3):
        """Arguments as GeneralizedRCNNWithTTA; ``tta_mapper`` defaults to HMORDatasetMapperTTA."""
        super().__init__(cfg, model, tta_mapper or HMORDatasetMapperTTA(cfg), batch_size)

    def _inference_one_image(self, input: dict) -> dict:
        size = (input["height"], input["width"])
        versions, transforms = self._get_augmented_inputs(input)
        with self._turn_off_roi_heads(["pose_on"]):
            boxes, scores, classes = self._get_augmented_boxes(versions, transforms)
        merged = self._merge_detections(boxes, scores, classes, size)
        known_boxes = self._rescale_detected_boxes(versions, merged, transforms)
        outputs = self._batch_inference(versions, known_boxes)
        if input.get("intrinsics") is None:
            camera = PinholeCameras.from_fov([size], self.model.default_fov_deg)
        else:
            camera = _original_camera(input)
        self._average_poses(merged, outputs, transforms, camera)
        return {"instances": detector_postprocess(merged, *size)}

    def _average_poses(
        self, merged: Instances, outputs: list[Instances], transforms, camera: PinholeCameras
    ) -> None:
        flip_indices = self.model.skeleton.flip_indices.copy()
        keypoints, depths, roots = [], [], []
        for output, transform in zip(outputs, transforms, strict=True):
            points = output.pred_keypoints.clone()
            depth = output.pred_keypoints_cam[..., 2]
            back = transform.inverse().apply_coords(
                points[..., :2].reshape(-1, 2).double().cpu().numpy()
            )
            points[..., :2] = torch.from_numpy(back).reshape(*points.shape[:2], 2).to(points)
            if _is_mirrored(transform):
                points, depth = points[:, flip_indices], depth[:, flip_indices]
            keypoints.append(points)
            depths.append(depth)
            roots.append(output.pred_root_depth)
        merged.pred_keypoints = torch.stack(keypoints).mean(dim=0)
        depth = torch.stack(depths).mean(dim=0)
        camera = camera.to(depth.device)[torch.zeros(len(depth), dtype=torch.long)]
        merged.pred_keypoints_cam = camera.unproject(merged.pred_keypoints[..., :2], depth)
        merged.pred_root_depth = torch.stack(roots).mean(dim=0)


def _original_camera(input: dict) -> PinholeCameras:
    """The camera of the original image, from the intrinsics of the resized one."""
    height, width = input["image"].shape[1:]
    scale = np.array([input["width"] / width, input["height"] / height])
    intrinsics = torch.as_tensor(input["intrinsics"], dtype=torch.float32).reshape(1, 4)
    return PinholeCameras(intrinsics).transformed(lambda points: points * scale)[0]


def _is_mirrored(transform) -> bool:
    ends = transform.apply_coords(np.array([[0.0, 0.0], [1.0, 0.0]]))
    return bool(ends[1, 0] < ends[0, 0])
