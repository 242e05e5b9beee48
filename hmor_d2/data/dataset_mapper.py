"""Turns a dataset dict into a model input: image, intrinsics and targets, transformed alike."""

import logging

import cv2
import numpy as np
import torch
from detectron2.config import configurable
from detectron2.data import detection_utils as utils
from detectron2.data import transforms as T
from detectron2.structures import Boxes, BoxMode, Instances, Keypoints
from detectron2.utils.logger import log_every_n

from ..skeleton import JointMapping, Skeleton, available_skeletons, get_skeleton
from ..structures import PinholeCameras, Poses3D
from .annotations import check_intrinsics, check_person
from .augmentations import build_augmentations
from .dataset_error import DatasetError, field_error
from .image_file import read_picture

__all__ = ["HMORDatasetMapper"]

# Pixels after resizing: the depth of a person of whom less is in the image would be a guess.
_MIN_BOX_SIDE = 4.0


class HMORDatasetMapper:
    """Maps dataset dicts of 3D and 2D data, for training and test.

    1. Reads the image, and undistorts it where the dict has lens ``distortion``.
    2. Augments it (resize, flip, crop, ...); boxes, joints and intrinsics follow exactly.
    3. In training, brings joints to the model's skeleton and makes ``instances`` with gt_boxes,
       gt_classes, gt_keypoints and gt_poses (all joints invalid for 2D data).

    ``intrinsics`` of the result belong to the resized image; images without them have none.
    A plain Detectron2 COCO-keypoint dict goes through as 2D data.  Left out are crowds, people
    whose box has no size (logged), and in training those with less than 4 pixels in the image.
    """

    @configurable
    def __init__(
        self,
        is_train: bool,
        *,
        augmentations: list[T.Augmentation | T.Transform],
        image_format: str,
        skeleton: Skeleton,
        default_joint_set: str,
        min_pose_in_view: float = 0.0,
    ):
        """
        Args:
            is_train: make targets.
            augmentations: Detectron2 augmentations that keep a pinhole camera upright: resize,
                crop, pad, horizontal flip, and any change of colours.
            image_format: see ``detection_utils.read_image``.
            skeleton: the model's joints.
            default_joint_set: joint order of 2D annotations in dicts without "joint_set".
            min_pose_in_view: share of a person's box that must be in the image for joints and
                pose to count; of others the box alone does.
        """
        self.is_train = is_train
        self.augmentations = T.AugmentationList(augmentations)
        self.image_format = image_format
        self.skeleton = skeleton
        self.default_joint_set = default_joint_set
        self.min_pose_in_view = min_pose_in_view
        self._mappings: dict[str, JointMapping] = {}

    @classmethod
    def from_config(cls, cfg, is_train: bool = True):
        return {
            "is_train": is_train,
            "augmentations": build_augmentations(cfg, is_train),
            "image_format": cfg.INPUT.FORMAT,
            "skeleton": get_skeleton(cfg.MODEL.HMOR.SKELETON),
            "default_joint_set": cfg.INPUT.DEFAULT_JOINT_SET,
            "min_pose_in_view": cfg.INPUT.MIN_POSE_IN_VIEW,
        }

    def __call__(self, dataset_dict: dict) -> dict:
        """Map one dict.

        Raises:
            DatasetError: for an image that does not open or has another size than the dict says,
                and for annotations that do not fit; it names file, image id and field.
        """
        result = {k: v for k, v in dataset_dict.items() if k not in ("annotations", "distortion")}
        image = self._read(dataset_dict, result)
        height, width = image.shape[:2]
        people, boxes = self._people(dataset_dict) if self.is_train else ([], None)
        augmented = T.AugInput(image, boxes=boxes)
        transforms = self.augmentations(augmented)
        image = augmented.image
        result["image"] = torch.as_tensor(np.ascontiguousarray(image.transpose(2, 0, 1)))

        # The transform of an assumed camera tells whether the image is mirrored, also for 2D data.
        intrinsics = dataset_dict.get("intrinsics")
        if intrinsics is None:
            cameras = PinholeCameras.from_fov([(height, width)], fov_deg=60.0)
        else:
            cameras = PinholeCameras(torch.tensor([intrinsics], dtype=torch.float64))
        cameras, mirrored = cameras.transformed(transforms.apply_coords)
        if intrinsics is not None:
            result["intrinsics"] = cameras.tensor[0].float()
        if self.is_train:
            result["instances"] = self._instances(
                dataset_dict,
                people,
                boxes,
                (height, width),
                transforms,
                image.shape[:2],
                bool(mirrored[0]),
            )
        return result

    def _read(self, dataset_dict: dict, result: dict) -> np.ndarray:
        where = f"{dataset_dict['file_name']}, image {dataset_dict.get('image_id')}"
        try:
            size = (dataset_dict["width"], dataset_dict["height"]) if "width" in result else None
            image = read_picture(dataset_dict["file_name"], self.image_format, size)
            utils.check_image_size(result, image)
        except (OSError, ValueError, utils.SizeMismatchError) as error:
            raise DatasetError(f"{where}: cannot use the image: {error}") from error
        intrinsics, distortion = dataset_dict.get("intrinsics"), dataset_dict.get("distortion")
        if intrinsics is not None:
            check_intrinsics(intrinsics, where)
        if distortion is None:
            return image
        if intrinsics is None:
            raise DatasetError(f"{where}: field 'distortion' needs 'intrinsics'")
        if len(distortion) != 5 or not np.isfinite(distortion).all():
            expected = "5 finite numbers k1, k2, p1, p2, k3"
            raise field_error(where, "distortion", distortion, expected)
        fx, fy, cx, cy = intrinsics
        # OpenCV counts pixels by index: the principal point is half a pixel less there.
        matrix = np.array([[fx, 0, cx - 0.5], [0, fy, cy - 0.5], [0, 0, 1]])
        return cv2.undistort(image, matrix, np.asarray(distortion, np.float64))

    def _joint_set(self, dataset_dict: dict) -> str:
        """The dict's joint order; 3D annotations without one are in the model's skeleton."""
        if "joint_set" in dataset_dict:
            return dataset_dict["joint_set"]
        people = dataset_dict.get("annotations", [])
        has_3d = any(a.get("keypoints_cam") is not None for a in people)
        return self.skeleton.name if has_3d else self.default_joint_set

    def _people(self, dataset_dict: dict) -> tuple[list[dict], np.ndarray]:
        """The annotations that train, checked, and their boxes (N, 4) XYXY before the transform."""
        joint_set = self._joint_set(dataset_dict)
        where = f"{dataset_dict['file_name']}, image {dataset_dict.get('image_id')}"
        if joint_set not in available_skeletons():
            raise field_error(where, "joint_set", joint_set, f"one of {available_skeletons()}")
        source = get_skeleton(joint_set)
        people = [
            a
            for a in dataset_dict.get("annotations", [])
            if a.get("iscrowd", 0) == 0 and not self._is_empty(a, where)
        ]
        boxes = np.zeros((len(people), 4))
        for i, annotation in enumerate(people):
            person = f"{where}, person {i}"
            check_person(annotation, source, person)
            if annotation.get("category_id", 0) != 0:
                raise field_error(person, "category_id", annotation["category_id"], "0, a person")
            boxes[i] = BoxMode.convert(
                list(annotation["bbox"]), annotation["bbox_mode"], BoxMode.XYXY_ABS
            )
        return people, boxes

    def _instances(
        self,
        dataset_dict: dict,
        people: list[dict],
        boxes: np.ndarray,
        original_size: tuple[int, int],
        transforms: T.TransformList,
        image_size: tuple[int, int],
        mirrored: bool,
    ) -> Instances:
        joint_set = self._joint_set(dataset_dict)
        source = get_skeleton(joint_set)
        count, joints = len(people), source.num_joints
        keypoints = np.zeros((count, joints, 3))
        poses = np.zeros((count, joints, 3), np.float32)
        valid = np.zeros((count, joints), bool)
        for i, annotation in enumerate(people):
            if annotation.get("keypoints") is not None:
                keypoints[i] = np.reshape(annotation["keypoints"], (joints, 3))
            if annotation.get("keypoints_cam") is not None:
                poses[i] = annotation["keypoints_cam"]
                known = annotation.get("keypoints_cam_valid")
                valid[i] = True if known is None else known
        if valid.any() and dataset_dict.get("intrinsics") is None:
            where = f"{dataset_dict['file_name']}, image {dataset_dict.get('image_id')}"
            expected = "fx, fy, cx, cy: 'keypoints_cam' cannot train without the camera"
            raise field_error(where, "intrinsics", "nothing", expected)

        if joint_set not in self._mappings:
            self._mappings[joint_set] = source.mapping_to(self.skeleton)
        mapping = self._mappings[joint_set]
        pixels, visibility = mapping.apply(keypoints[..., :2], keypoints[..., 2])
        poses, valid = mapping.apply(poses, valid)

        # Clipped to the picture before the transform too, which may pad it.
        height, width = original_size
        whole = Boxes(transforms.apply_box(boxes).reshape(-1, 4)).area()
        boxes = boxes.clip(0, (width, height, width, height))
        boxes = Boxes(transforms.apply_box(boxes).reshape(-1, 4))
        boxes.clip(image_size)
        cut_away = (boxes.area() < self.min_pose_in_view * whole).numpy()
        visibility[cut_away], valid[cut_away] = 0, False

        pixels = transforms.apply_coords(pixels.reshape(-1, 2)).reshape(pixels.shape)
        keypoints = torch.as_tensor(
            np.concatenate((pixels, visibility[..., None]), axis=-1), dtype=torch.float32
        )
        poses = Poses3D(torch.as_tensor(poses, dtype=torch.float32), torch.as_tensor(valid))
        if mirrored:
            keypoints = keypoints[:, self.skeleton.flip_indices.copy()]
            poses = poses.mirrored(self.skeleton.flip_indices)

        instances = Instances(image_size)
        instances.gt_boxes = boxes
        instances.gt_classes = torch.zeros(count, dtype=torch.int64)
        instances.gt_keypoints = Keypoints(keypoints)
        instances.gt_poses = poses
        return instances[instances.gt_boxes.nonempty(threshold=_MIN_BOX_SIDE)]

    def _is_empty(self, annotation: dict, where: str) -> bool:
        """A finite box of no size, as a person of COCO has: left out, as Detectron2 does."""
        try:
            box = list(map(float, annotation["bbox"]))
            box = BoxMode.convert(box, annotation["bbox_mode"], BoxMode.XYXY_ABS)
        except (KeyError, TypeError, ValueError, OverflowError, AssertionError):
            return False  # for check_person to complain about
        x0, y0, x1, y1 = box
        if not np.isfinite(box).all():
            return False
        if x1 > x0 and y1 > y0:
            return False
        log_every_n(logging.WARNING, f"{where}: a person whose box has no size is left out", n=1000)
        return True
