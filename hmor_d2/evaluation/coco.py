"""COCO's box AP, and keypoint AP on the joints that a model shares with COCO."""

import json
import os
from collections import OrderedDict
from typing import Any

import detectron2.utils.comm as comm
import numpy as np
from detectron2.evaluation import COCOEvaluator
from detectron2.structures import Instances
from pycocotools.cocoeval import Params

from ..skeleton import Skeleton, get_skeleton
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
    """

    def __init__(
        self,
        dataset_name: str,
        skeleton: Skeleton,
        *,
        distributed: bool = True,
        output_dir: str | None = None,
        **options: Any,
    ):
        """
        Args:
            dataset_name: registered dataset with ``json_file`` in its metadata, or any that
                Detectron2 can convert to COCO's format.
            skeleton: the model's joints.
            distributed, output_dir: as of COCOEvaluator; the output folder gets
                ``coco_results.json`` besides.
            options: others of COCOEvaluator.

        Raises:
            ValueError: if the model has no joint of COCO, for options that are decided here, and
                for an annotation with another number of keypoints.
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
            ``{"bbox": {...}, "keypoints": {...}}`` in percent in the main process, else ``{}``.
        """
        results = super().evaluate(img_ids)
        if results and self._output_dir and comm.is_main_process():
            header = {
                "dataset": self._dataset_name,
                "skeleton": self._skeleton.name,
                "keypoint_ap_joints": self._joint_names,
                "oks_sigmas": self._kpt_oks_sigmas,
            }
            finite = {
                task: {k: v if np.isfinite(v) else None for k, v in figures.items()}
                for task, figures in results.items()
            }
            path = os.path.join(self._output_dir, "coco_results.json")
            write_json(path, header, "results", [json.dumps(finite)])
            self._logger.info(f"Wrote {path}")
        return OrderedDict(results)
