"""Evaluate absolute 3D poses of several people on any registered dataset with 3D annotations."""

import itertools
import json
import logging
import os
from collections import OrderedDict
from collections.abc import Iterable
from typing import Any

import detectron2.utils.comm as comm
import numpy as np
from detectron2.data import DatasetCatalog
from detectron2.evaluation import DatasetEvaluator
from detectron2.utils.logger import create_small_table

from ..data.annotations import check_image_size, field_error, require
from ..skeleton import Skeleton
from .matching import clip_boxes, covered_by_crowd, match_boxes
from .metrics import (
    mean_or_nan,
    mpjpe,
    ordinal_accuracy,
    pa_mpjpe,
    pck,
    root_errors,
)
from .people import annotated_people, field_shapes, place, predicted_people, torso_lengths
from .pose_json import json_array, people_to_json, pose_header, write_json

__all__ = ["Pose3DEvaluator"]

# Figures that are numbers of people.
_NUMBERS = ("people", "people_3d", "matched", "matched_3d")


class Pose3DEvaluator(DatasetEvaluator):
    """Pose errors of matched people, and beside them how many were matched.

    **Matching.**  Per image, predictions choose in the order of descending score; each takes
    the person not yet taken whose box has the highest IoU with its own, if that is at least
    ``iou_threshold``.  Both boxes are first clipped to the image.  3D errors play no role.
    Crowd regions are matched with nobody, and predictions inside them are no false positives.
    People whose box lies outside the image are left out.

    **Figures** (lengths in mm, shares in [0, 1], NaN where nobody counts).  3D figures count
    matched people whose root is annotated in 3D; only annotated joints are compared:

    - ``MPJPE``: after subtracting the root joint; mean over joints, root included, then over
      people.  People with no other joint are left out of this mean.
    - ``PA_MPJPE``: after rotation, translation and scale (Procrustes); people with fewer than
      three valid joints off a line are left out of this mean.
    - ``ABS_MPJPE``: without alignment.
    - ``MRPE``: distance of the root joint; ``MRPE_x``, ``MRPE_y``, ``MRPE_z`` its components.
    - ``ORD``: pairs of matched people of an image whose predicted root depths are in the right
      order, among those whose true root depths differ.
    - ``PCK@0.2``: 2D joints nearer to the truth than a fifth of the torso, the annotated
      distance from neck to pelvis in pixels; over all annotated joints of matched people.
    - ``detection_rate``: matched people / annotated people; ``detection_rate_3d`` among those
      with 3D.  The errors above say nothing about people who were missed: read them together.
    - ``false_positives_per_image``: unmatched predictions, over all images of the dataset.
    - ``people``, ``people_3d``, ``matched``, ``matched_3d``: numbers of people.

    No name has a hyphen: Detectron2's ``print_csv_format`` leaves such metrics out.
    """

    def __init__(
        self,
        dataset_name: str,
        skeleton: Skeleton,
        *,
        distributed: bool = True,
        output_dir: str | None = None,
        iou_threshold: float = 0.5,
        score_threshold: float = 0.0,
    ):
        """
        Args:
            dataset_name: registered dataset, of dicts with ``keypoints_cam``.
            skeleton: the model's joints; annotations are mapped to it by name.
            distributed: gather the predictions of all processes in the main one.
            output_dir: where ``pose_predictions.json`` (all predictions, whatever their
                score) and ``pose_results.json`` are written; None writes nothing.
            iou_threshold: least IoU of a match, in (0, 1].
            score_threshold: predictions of a lower score are not evaluated.

        Raises:
            ValueError: if the skeleton has no root or ``iou_threshold`` is out of range.
        """
        if skeleton.root_index is None:
            raise ValueError(f"skeleton '{skeleton.name}' has no root joint to evaluate poses by")
        if not 0 < iou_threshold <= 1:
            raise ValueError(f"iou_threshold must be in (0, 1], found {iou_threshold}")
        self._dataset_name = dataset_name
        self._skeleton = skeleton
        self._distributed = distributed
        self._output_dir = output_dir
        self._iou_threshold = iou_threshold
        self._score_threshold = score_threshold
        self._logger = logging.getLogger(__name__)
        self.reset()

    def reset(self) -> None:
        """Forget the predictions of an earlier round."""
        self._predictions: list[dict[str, Any]] = []

    def process(self, inputs: list[dict], outputs: list[dict]) -> None:
        """Take the predictions of some images.

        Args:
            inputs: dicts with ``image_id`` and ``file_name``.
            outputs: dicts with ``instances``, of N people with ``pred_boxes`` (XYXY px of the
                original image), ``scores``, ``pred_keypoints`` (N, J, 3: x, y, score),
                ``pred_keypoints_cam`` (N, J, 3 mm) and ``pred_root_depth`` (N, mm).

        Raises:
            ValueError: for a missing field, another shape, or a value that is not finite; the
                message names dataset, image and field.
        """
        for source, output in zip(inputs, outputs, strict=True):
            where = place(self._dataset_name, source)
            if "instances" not in output:
                raise ValueError(f"{where}: expected output 'instances', found {sorted(output)}")
            prediction = predicted_people(output["instances"], self._skeleton, where)
            prediction["image_id"] = source["image_id"]
            prediction["file_name"] = source.get("file_name")
            self._predictions.append(prediction)

    def evaluate(self) -> dict[str, dict[str, float]]:
        """Compare with the dataset's annotations, log a table and write the files.

        Images processed twice, by samplers that pad, count once.  Images never processed count
        with all their people missed, and are logged.

        Returns:
            ``{"pose3d": {name: figure}}`` in the main process, ``{}`` in the others.

        Raises:
            ValueError: for annotations that are malformed (a DatasetError) or have no 3D at all,
                and for predictions of an image that the dataset lacks or has in another size.
        """
        predictions = self._predictions
        if self._distributed:
            comm.synchronize()
            predictions = list(itertools.chain(*comm.gather(predictions, dst=0)))
            if not comm.is_main_process():
                return {}
        by_id: dict[Any, dict] = {}
        for prediction in predictions:
            by_id.setdefault(prediction["image_id"], prediction)
        if len(by_id) < len(predictions):
            self._logger.info(
                f"{len(predictions) - len(by_id)} images were predicted more than once; the "
                "first prediction counts."
            )
        figures = self._evaluate_people(self._checked_records(by_id), by_id)
        self._log(figures)
        if self._output_dir:
            os.makedirs(self._output_dir, exist_ok=True)
            images = json_array(people_to_json(prediction) for prediction in by_id.values())
            self._write("pose_predictions.json", "predictions", images)
            finite = {k: v if np.isfinite(v) else None for k, v in figures.items()}
            self._write("pose_results.json", "pose3d", [json.dumps(finite)])
        return OrderedDict(pose3d=figures)

    def _checked_records(self, by_id: dict[Any, dict]) -> dict[Any, dict]:
        """The dataset's records by image id, checked against the predictions."""
        records: dict[Any, dict] = {}
        for record in DatasetCatalog.get(self._dataset_name):
            where = place(self._dataset_name, record)
            size = (require(record, "height", where), require(record, "width", where))
            check_image_size(*size, where)
            if require(record, "image_id", where) in records:
                raise field_error(where, "image_id", "it a second time", "one record an image")
            records[record["image_id"]] = record
        unknown = [i for i in by_id if i not in records]
        if unknown:
            raise ValueError(
                f"dataset '{self._dataset_name}' has no image of image_id {unknown[:5]}, for "
                f"which there are predictions ({len(unknown)} such images)"
            )
        missing = [i for i in records if i not in by_id]
        if missing:
            self._logger.warning(
                f"{len(missing)} of {len(records)} images of '{self._dataset_name}' have no "
                f"prediction, first {missing[:5]}: all their people count as missed."
            )
        for image_id, prediction in by_id.items():
            record = records[image_id]
            size = (record["height"], record["width"])
            if prediction["image_size"] != size:
                raise ValueError(
                    f"{place(self._dataset_name, record)}: the prediction is for an image of "
                    f"(height, width) {prediction['image_size']}, the dataset says {size}"
                )
        return records

    def _evaluate_people(
        self, records: dict[Any, dict], by_id: dict[Any, dict]
    ) -> dict[str, float]:
        """Match image by image, then compute each figure once on all matched people."""
        shapes = field_shapes(self._skeleton)
        nobody = {name: np.zeros((0, *shape)) for name, shape in shapes.items()}
        stacked: dict[str, list[np.ndarray]] = {}
        counts = dict.fromkeys(("people", "people_3d", "false_positives", "outside"), 0)
        root = self._skeleton.root_index
        for index, (image_id, record) in enumerate(records.items()):
            where = place(self._dataset_name, record)
            people, crowd, outside = annotated_people(record, self._skeleton, where)
            counts["people"] += len(people["boxes"])
            counts["people_3d"] += int(people["valid"][:, root].sum())
            counts["outside"] += outside

            pred = by_id.get(image_id, nobody)
            kept = pred["scores"] >= self._score_threshold
            pred = {name: pred[name][kept].astype(np.float64) for name in shapes}
            boxes = clip_boxes(pred["pred_boxes"], (record["height"], record["width"]))
            match = match_boxes(boxes, pred["scores"], people["boxes"], self._iou_threshold)
            crowded = covered_by_crowd(boxes, crowd, self._iou_threshold)
            counts["false_positives"] += int(((match < 0) & ~crowded).sum())

            # In the order of the annotations, so that sums do not depend on the predictions'.
            found = np.argsort(match, kind="stable")[(match < 0).sum() :]
            pairs = {name: values[found] for name, values in pred.items()}
            pairs |= {name: values[match[found]] for name, values in people.items()}
            pairs["image"] = np.full(len(found), index)
            for name, values in pairs.items():
                stacked.setdefault(name, []).append(values)
        if not counts["people_3d"]:
            raise ValueError(
                f"dataset '{self._dataset_name}': no '{self._skeleton.joint_names[root]}' is "
                f"valid in 'keypoints_cam' of its {counts['people']} people, so that 3D poses "
                "cannot be evaluated on it"
            )
        if counts["outside"]:
            self._logger.info(f"{counts['outside']} people outside their image are left out.")
        matched = {name: np.concatenate(values) for name, values in stacked.items()}
        return self._figures(matched, counts, len(records))

    def _figures(
        self, matched: dict[str, np.ndarray], counts: dict[str, int], num_images: int
    ) -> dict[str, float]:
        """Every figure of the class's docstring."""
        root = self._skeleton.root_index
        with_3d = matched["valid"][:, root]
        pred, gt = matched["pred_keypoints_cam"][with_3d], matched["poses"][with_3d]
        valid = matched["valid"][with_3d]
        distance, components = root_errors(pred, gt, valid, root)
        depth = matched["pred_root_depth"][with_3d]
        in_order = ordinal_accuracy(depth, gt[:, root, 2], matched["image"][with_3d])
        correct, joints = pck(
            matched["pred_keypoints"][..., :2],
            matched["pixels"],
            matched["visible"],
            0.2 * torso_lengths(matched["pixels"], matched["visible"], self._skeleton),
        )
        num_matched = len(matched["valid"])
        figures = {
            "MPJPE": mean_or_nan(mpjpe(pred, gt, valid, root)),
            "PA_MPJPE": mean_or_nan(pa_mpjpe(pred, gt, valid)),
            "ABS_MPJPE": mean_or_nan(mpjpe(pred, gt, valid)),
            "MRPE": mean_or_nan(distance),
            "MRPE_x": mean_or_nan(components[:, 0]),
            "MRPE_y": mean_or_nan(components[:, 1]),
            "MRPE_z": mean_or_nan(components[:, 2]),
            "ORD": _ratio(*in_order),
            "PCK@0.2": _ratio(correct.sum(), joints.sum()),
            "detection_rate": _ratio(num_matched, counts["people"]),
            "detection_rate_3d": _ratio(with_3d.sum(), counts["people_3d"]),
            "false_positives_per_image": _ratio(counts["false_positives"], num_images),
            "people": counts["people"],
            "people_3d": counts["people_3d"],
            "matched": num_matched,
            "matched_3d": with_3d.sum(),
        }
        return OrderedDict((name, float(value)) for name, value in figures.items())

    def _log(self, figures: dict[str, float]) -> None:
        shown = {k: int(v) if k in _NUMBERS else v for k, v in figures.items()}
        split = list(shown).index("detection_rate")
        errors = create_small_table(dict(list(shown.items())[:split]))
        counts = create_small_table(dict(list(shown.items())[split:]))
        self._logger.info(
            f"3D poses on '{self._dataset_name}'.  Matching: by descending score (at least "
            f"{self._score_threshold}), best free box of IoU >= {self._iou_threshold}.\n"
            f"Of matched people, mm and shares:\n{errors}\n"
            f"Detection, without which the errors say little:\n{counts}"
        )

    def _write(self, file_name: str, key: str, value: Iterable[str]) -> None:
        path = os.path.join(self._output_dir, file_name)
        header = {
            "dataset": self._dataset_name,
            "iou_threshold": self._iou_threshold,
            "score_threshold": self._score_threshold,
        }
        write_json(path, header | pose_header(self._skeleton), key, value)
        self._logger.info(f"Wrote {path}")


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else float("nan")
