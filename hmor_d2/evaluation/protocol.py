"""Base of the evaluators of a dataset's own protocol: everybody annotated, and who was found."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..data.dataset_error import require
from ..skeleton import Skeleton, get_skeleton
from .people import annotated_people, field_shapes, place
from .prediction_collector import PredictionCollector

__all__ = ["ImagePeople", "MatchedPeople", "ProtocolEvaluator"]


@dataclass(frozen=True)
class ImagePeople:
    """Annotated (P) and predicted (N) people of one image, in the J joints of a protocol.

    Attributes:
        poses: (P, J, 3) mm.
        valid: (P, J) bool, joints of ``poses`` that are annotated and that the model has.
        pixels: (P, J, 2).
        visibility: (P, J) 0, 1 or 2 of ``pixels``, 0 for joints that the model lacks.
        boxes: (P, 4) XYXY px, clipped to the image.
        pred_poses: (N, J, 3) mm, zero for joints that the model lacks.
        pred_pixels: (N, J, 2).
        pred_boxes: (N, 4) XYXY px.
        scores: (N,).
        compared: (J,) bool, joints that the annotation's joint set and the model share.
        image_size: (height, width).
    """

    poses: np.ndarray
    valid: np.ndarray
    pixels: np.ndarray
    visibility: np.ndarray
    boxes: np.ndarray
    pred_poses: np.ndarray
    pred_pixels: np.ndarray
    pred_boxes: np.ndarray
    scores: np.ndarray
    compared: np.ndarray
    image_size: tuple[int, int]


@dataclass(frozen=True)
class MatchedPeople:
    """The P annotated people of a dataset that a protocol counts, in the dataset's order.

    Attributes:
        gt: (P, J, 3) mm.
        valid: (P, J) bool.
        pred: (P, J, 3) mm, zero for people who were missed.
        found: (P,) bool.
        compared: (P, J) bool, joints that the person's joint set and the model share.
        image: (P,) index of the person's record.
    """

    gt: np.ndarray
    valid: np.ndarray
    pred: np.ndarray
    found: np.ndarray
    compared: np.ndarray
    image: np.ndarray


class ProtocolEvaluator(PredictionCollector):
    """Maps both sides to a protocol's joints by name and matches them image by image.

    A subclass defines ``_match`` besides what :class:`PredictionCollector` asks for.  Crowds and
    people whose box lies outside the image are left out.  A person is counted if the root and one
    more joint can be compared.
    """

    def __init__(
        self,
        dataset_name: str,
        skeleton: Skeleton,
        joints: Skeleton,
        *,
        distributed: bool = True,
        output_dir: str | None = None,
    ):
        """
        Args:
            dataset_name: registered dataset; its dicts have ``joint_set`` and ``keypoints_cam``.
            skeleton: the model's joints.
            joints: the protocol's joints, with a root.
            distributed, output_dir: as of :class:`PredictionCollector`.

        Raises:
            ValueError: if the model lacks the protocol's root.
        """
        super().__init__(dataset_name, skeleton, distributed=distributed, output_dir=output_dir)
        self._joints = joints
        self._mapping = skeleton.mapping_to(joints)
        self._compared: dict[str, tuple[str, ...]] = {}
        if not self._mapping.known[joints.root_index]:
            root = joints.joint_names[joints.root_index]
            raise ValueError(f"skeleton '{skeleton.name}' has no '{root}' to align poses at")

    @abstractmethod
    def _match(self, people: ImagePeople, where: str) -> tuple[np.ndarray, np.ndarray]:
        """The protocol's matching of one image; ``where`` is its place, for messages.

        Returns:
            (P,) index of each person's prediction, -1 for none; and (P,) bool, whom the protocol
            counts.
        """

    def _matched_people(
        self, records: dict[Any, dict], predictions: dict[Any, dict[str, Any]]
    ) -> MatchedPeople:
        """Everybody whom the protocol counts.

        Raises:
            ValueError: if it is nobody; the message says what was looked for.
        """
        root = self._joints.root_index
        rows: dict[str, list[np.ndarray]] = {}
        self._compared = {}
        for index, (image_id, record) in enumerate(records.items()):
            where = place(self._dataset_name, record)
            people = self._image_people(record, predictions.get(image_id), where)
            match, counted = self._match(people, where)
            counted = counted & people.valid[:, root] & (people.valid.sum(axis=1) > 1)
            match, number = match[counted], int(counted.sum())
            pred = np.zeros((number, *people.poses.shape[1:]))
            pred[match >= 0] = people.pred_poses[match[match >= 0]]
            row = {
                "gt": people.poses[counted],
                "valid": people.valid[counted],
                "pred": pred,
                "found": match >= 0,
                "compared": np.tile(people.compared, (number, 1)),
                "image": np.full(number, index),
            }
            for name, values in row.items():
                rows.setdefault(name, []).append(values)
        if not sum(map(len, rows.get("found", []))):
            raise ValueError(
                f"dataset '{self._dataset_name}' has nobody to evaluate in its {len(records)} "
                f"images: expected 'keypoints_cam' with a valid "
                f"'{self._joints.joint_names[root]}' and another joint of the model's"
            )
        return MatchedPeople(**{name: np.concatenate(values) for name, values in rows.items()})

    def _image_people(
        self, record: dict, prediction: dict[str, Any] | None, where: str
    ) -> ImagePeople:
        joint_set = require(record, "joint_set", where)
        people, _, _ = annotated_people(record, self._joints, where)
        if joint_set not in self._compared:
            self._compared[joint_set] = self._compared_names(joint_set)
        compared = np.isin(self._joints.joint_names, self._compared[joint_set])
        shapes = field_shapes(self._skeleton)
        if prediction is None:
            prediction = {name: np.zeros((0, *shape)) for name, shape in shapes.items()}
        pred = {name: prediction[name].astype(np.float64) for name in shapes}
        everything = np.ones(pred["pred_keypoints"].shape[:2], dtype=bool)
        pred_poses, _ = self._mapping.apply(pred["pred_keypoints_cam"], everything)
        pred_pixels, _ = self._mapping.apply(pred["pred_keypoints"][..., :2], everything)
        return ImagePeople(
            poses=people["poses"],
            valid=people["valid"] & self._mapping.known,
            pixels=people["pixels"],
            visibility=people["visibility"] * self._mapping.known,
            boxes=people["boxes"],
            pred_poses=pred_poses,
            pred_pixels=pred_pixels,
            pred_boxes=pred["pred_boxes"],
            scores=pred["scores"],
            compared=compared,
            image_size=(record["height"], record["width"]),
        )

    def _compared_names(self, joint_set: str) -> tuple[str, ...]:
        """Names of the protocol's joints that an annotation's joint set and the model share."""
        annotated = get_skeleton(joint_set).mapping_to(self._joints).known
        shared = self._mapping.known & annotated
        names = self._joints.joint_names
        return tuple(name for name, known in zip(names, shared, strict=True) if known)

    def _report_joints(self) -> str:
        """Which joints were compared, by joint set of the annotations."""
        lines = [
            f"{len(names)} joints compared with '{joint_set}': {', '.join(names)}."
            for joint_set, names in self._compared.items()
        ]
        return "\n".join(lines)
