"""COCO's box AP, keypoint AP on the joints that a model shares with COCO, and who was found."""

import json
import os
from collections import OrderedDict
from collections.abc import Collection
from typing import Any

import detectron2.utils.comm as comm
import numpy as np
from detectron2.evaluation import COCOEvaluator
from detectron2.structures import BoxMode, Instances
from detectron2.utils.logger import create_small_table
from pycocotools.cocoeval import Params

from ..skeleton import Skeleton, get_skeleton
from .matching import clip_boxes
from .pck import FoundPeople
from .people import check_field, place
from .pose_json import write_json

__all__ = ["COCOKeypointEvaluator"]

_COCO17 = get_skeleton("coco17")


class COCOKeypointEvaluator(COCOEvaluator):
    """Detectron2's COCOEvaluator on the joints that the model and COCO have by name.

    Ground truth and predictions are restricted to these joints, ``num_keypoints`` is counted
    again (people without any of them are ignored, as COCO ignores people without keypoints), and
    object keypoint similarity takes COCO's own sigmas of these joints.  Models with MuCo's joints
    share the 12 of the limbs, those with ``panoptic19`` all 17.  **A keypoint AP on fewer than 17
    joints compares with that of other models on the same joints alone**; the log and
    ``coco_results.json`` name them.

    Predictions in continuous pixels are shifted by -0.5 to COCO's indices; boxes are continuous
    in COCO already.  Both are Detectron2's doing.  Predictions that it is given stay as they are.

    Beside the APs stands ``pose2d``, shares in [0, 1] of who was found at one score threshold:
    ``detection_rate``, ``false_positives_per_person`` and ``PCK@0.2`` with the others of
    :meth:`FoundPeople.figures`.  By descending score, each prediction takes the free person of
    best box IoU; both boxes are clipped to the image.  People without keypoints are to be found
    as well.  Predictions in crowds are no false positives.  PCK is on the joints of the keypoint
    AP.
    """

    task = "pose2d"

    def __init__(
        self,
        dataset_name: str,
        skeleton: Skeleton,
        *,
        distributed: bool = True,
        output_dir: str | None = None,
        iou_threshold: float = 0.5,
        score_threshold: float = 0.0,
        **options: Any,
    ):
        """
        Args:
            dataset_name: registered dataset with ``json_file`` in its metadata, or any that
                Detectron2 can convert to COCO's format.
            skeleton: the model's joints.
            distributed, output_dir: as of COCOEvaluator; the output folder gets
                ``coco_results.json`` besides.
            iou_threshold: of ``pose2d``, least IoU of a match, in (0, 1].
            score_threshold: of ``pose2d``, predictions of a lower score are left out.
            options: others of COCOEvaluator.

        Raises:
            ValueError: if the model has no joint of COCO, for options that are decided here or
                out of range, and for an annotation with another number of keypoints.
        """
        mapping = skeleton.mapping_to(_COCO17)
        if not mapping.known.any():
            raise ValueError(f"skeleton '{skeleton.name}' has no joint of '{_COCO17.name}'")
        decided = {"tasks", "kpt_oks_sigmas"} & options.keys()
        if decided:
            raise ValueError(f"{sorted(decided)} follow from the skeleton, found {options}")
        shared = np.flatnonzero(mapping.known)
        super().__init__(
            dataset_name,
            tasks=("bbox", "keypoints"),
            distributed=distributed,
            output_dir=output_dir,
            kpt_oks_sigmas=Params("keypoints").kpt_oks_sigmas[shared].tolist(),
            **options,
        )
        self._dataset_name = dataset_name
        self._skeleton = skeleton
        self._sources = mapping.sources[shared]
        self._joint_names = [_COCO17.joint_names[i] for i in shared]
        self._iou_threshold = iou_threshold
        self._score_threshold = score_threshold
        self._found = FoundPeople(self._joint_names, iou_threshold)
        self._restrict_annotations(shared)
        self._logger.info(
            f"Keypoint AP on '{dataset_name}' is on {len(shared)} of COCO's 17 joints, those that "
            f"'{skeleton.name}' has: {', '.join(self._joint_names)}."
        )

    def _restrict_annotations(self, shared: np.ndarray) -> None:
        """Keep the shared joints of all annotations, which this evaluator alone holds."""
        for annotation in self._coco_api.anns.values():
            keypoints = np.array(annotation.get("keypoints") or np.zeros(51), dtype=np.float64)
            if keypoints.shape != (51,):
                raise ValueError(
                    f"dataset '{self._dataset_name}', image_id {annotation['image_id']}, "
                    f"annotation {annotation['id']}: 'keypoints' must be 51 numbers, found "
                    f"{keypoints.shape}"
                )
            kept = keypoints.reshape(17, 3)[shared]
            annotation["keypoints"] = kept.ravel().tolist()
            annotation["num_keypoints"] = int((kept[:, 2] > 0).sum())

    def process(self, inputs: list[dict], outputs: list[dict]) -> None:
        """Take the predictions of some images.

        Args:
            inputs: dicts with ``image_id``.
            outputs: dicts with ``instances``, of N people with ``pred_boxes``, ``scores``,
                ``pred_classes`` and ``pred_keypoints`` (N, J, 3: x, y, score).

        Raises:
            ValueError: for an image that the dataset lacks, a missing field, another shape, or a
                value that is not finite; names dataset, image and field.
        """
        restricted = []
        for source, output in zip(inputs, outputs, strict=True):
            where = place(self._dataset_name, source)
            if source["image_id"] not in self._coco_api.imgs:
                raise ValueError(f"{where}: the dataset has no image of this image_id")
            if "instances" not in output:
                raise ValueError(f"{where}: expected output 'instances', found {sorted(output)}")
            restricted.append({"instances": self._restricted(output["instances"], where)})
        super().process(inputs, restricted)

    def _restricted(self, instances: Instances, where: str) -> Instances:
        joints = (self._skeleton.num_joints, 3)
        shapes = {"pred_boxes": (4,), "scores": (), "pred_classes": (), "pred_keypoints": joints}
        for name, shape in shapes.items():
            check_field(instances, name, shape, self._skeleton, where)
        a, b = self._sources.T
        keypoints = instances.pred_keypoints
        restricted = Instances(instances.image_size)
        for name in shapes:
            restricted.set(name, instances.get(name))
        restricted.pred_keypoints = (keypoints[:, a] + keypoints[:, b]) / 2
        return restricted

    def evaluate(self, img_ids: list[int] | None = None) -> dict[str, dict[str, float]]:
        """COCOEvaluator's results; the main process writes them to ``coco_results.json``.

        Args:
            img_ids: images to evaluate on; all where None.

        Returns:
            ``{"bbox": {...}, "keypoints": {...}}`` in percent and ``"pose2d": {...}`` in shares in
            the main process, else ``{}``.
        """
        results = super().evaluate(img_ids)
        if results and self._output_dir and comm.is_main_process():
            header = {
                "dataset": self._dataset_name,
                "skeleton": self._skeleton.name,
                "keypoint_ap_joints": self._joint_names,
                "oks_sigmas": self._kpt_oks_sigmas,
                "pose2d_iou_threshold": self._iou_threshold,
                "pose2d_score_threshold": self._score_threshold,
            }
            finite = {
                task: {k: v if np.isfinite(v) else None for k, v in figures.items()}
                for task, figures in results.items()
            }
            path = os.path.join(self._output_dir, "coco_results.json")
            write_json(path, header, "results", [json.dumps(finite)])
            self._logger.info(f"Wrote {path}")
        return OrderedDict(results)

    def _eval_predictions(
        self, predictions: list[dict], img_ids: Collection[int] | None = None
    ) -> None:
        """COCOEvaluator's step after gathering; adds ``pose2d``."""
        # First, as COCOEvaluator changes what it is given.
        figures = self._pose2d(predictions, img_ids) if self._do_evaluation else None
        super()._eval_predictions(predictions, img_ids)
        if figures is not None:
            self._results[self.task] = figures
            self._logger.info(
                f"People on '{self._dataset_name}'.  Matching: by descending score (at least "
                f"{self._score_threshold}), best free box of IoU >= {self._iou_threshold}.\n"
                f"{self._found.describe_joints()}\n{create_small_table(figures)}"
            )

    def _pose2d(self, predictions: list[dict], img_ids: Collection[int] | None) -> dict[str, float]:
        """Figures of the images asked for; in those without prediction everybody is missed."""
        by_id: dict[int, list[dict]] = {}
        for prediction in predictions:
            by_id.setdefault(prediction["image_id"], prediction["instances"])
        api = self._coco_api
        people_ids = self._metadata.get("thing_dataset_id_to_contiguous_id", {1: 0}).keys()
        self._found = FoundPeople(self._joint_names, self._iou_threshold)
        for image_id in api.imgs if img_ids is None else img_ids:
            image = api.imgs[image_id]
            size = (image["height"], image["width"])
            annotated = [
                a for a in api.imgToAnns.get(image_id, []) if a["category_id"] in people_ids
            ]
            boxes, points = _stack(annotated, len(self._joint_names))
            crowd = np.array([bool(a.get("iscrowd", 0)) for a in annotated], dtype=bool)
            inside = clip_boxes(boxes, size)
            people = (inside[:, 2:] > inside[:, :2]).all(axis=1) & ~crowd
            kept = [p for p in by_id.get(image_id, []) if p["score"] >= self._score_threshold]
            pred_boxes, pred_points = _stack(kept, len(self._joint_names))
            self._found.add(
                pred_boxes,
                np.array([p["score"] for p in kept]),
                pred_points[..., :2],
                boxes[people],
                points[people, :, :2],
                points[people, :, 2] > 0,
                boxes[crowd],
                size,
            )
        return self._found.figures()


def _stack(entries: list[dict], num_joints: int) -> tuple[np.ndarray, np.ndarray]:
    """(N, 4) XYXY boxes and (N, J, 3) keypoints of COCO's annotations or results."""
    boxes = np.array([e["bbox"] for e in entries], dtype=np.float64).reshape(-1, 4)
    boxes = BoxMode.convert(boxes, BoxMode.XYWH_ABS, BoxMode.XYXY_ABS)
    points = np.array([e["keypoints"] for e in entries], dtype=np.float64)
    return boxes, points.reshape(len(entries), num_joints, 3)
