"""Evaluate absolute 3D poses of several people on any registered dataset with 3D annotations."""

from typing import Any

import numpy as np
from detectron2.utils.logger import create_small_table

from ..skeleton import Skeleton
from .matching import clip_boxes, covered_by_crowd, match_boxes
from .metrics import (
    mean_or_nan,
    mpjpe,
    ordinal_accuracy,
    pa_mpjpe,
    pck,
    root_errors,
    share,
)
from .people import annotated_people, field_shapes, place, torso_lengths
from .prediction_collector import PredictionCollector

__all__ = ["Pose3DEvaluator"]

# Figures that are numbers of people.
_NUMBERS = ("people", "people_3d", "matched", "matched_3d")


class Pose3DEvaluator(PredictionCollector):
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

    task = "pose3d"

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
        if not 0 < iou_threshold <= 1:
            raise ValueError(f"iou_threshold must be in (0, 1], found {iou_threshold}")
        super().__init__(dataset_name, skeleton, distributed=distributed, output_dir=output_dir)
        self._iou_threshold = iou_threshold
        self._score_threshold = score_threshold

    def _settings(self) -> dict[str, Any]:
        return {"iou_threshold": self._iou_threshold, "score_threshold": self._score_threshold}

    def _figures(
        self, records: dict[Any, dict], predictions: dict[Any, dict[str, Any]]
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

            pred = predictions.get(image_id, nobody)
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
        return self._matched_figures(matched, counts, len(records))

    def _matched_figures(
        self, matched: dict[str, np.ndarray], counts: dict[str, int], num_images: int
    ) -> dict[str, float]:
        """Every figure of the class's docstring."""
        root = self._skeleton.root_index
        with_3d = matched["valid"][:, root]
        pred, gt = matched["pred_keypoints_cam"][with_3d], matched["poses"][with_3d]
        valid = matched["valid"][with_3d]
        distance, components = root_errors(pred, gt, valid, root)
        depth = matched["pred_root_depth"][with_3d]
        visible = matched["visibility"] > 0
        in_order = ordinal_accuracy(depth, gt[:, root, 2], matched["image"][with_3d])
        correct, joints = pck(
            matched["pred_keypoints"][..., :2],
            matched["pixels"],
            visible,
            0.2 * torso_lengths(matched["pixels"], visible, self._skeleton),
        )
        num_matched = len(matched["valid"])
        return {
            "MPJPE": mean_or_nan(mpjpe(pred, gt, valid, root)),
            "PA_MPJPE": mean_or_nan(pa_mpjpe(pred, gt, valid)),
            "ABS_MPJPE": mean_or_nan(mpjpe(pred, gt, valid)),
            "MRPE": mean_or_nan(distance),
            "MRPE_x": mean_or_nan(components[:, 0]),
            "MRPE_y": mean_or_nan(components[:, 1]),
            "MRPE_z": mean_or_nan(components[:, 2]),
            "ORD": share(*in_order),
            "PCK@0.2": share(correct.sum(), joints.sum()),
            "detection_rate": share(num_matched, counts["people"]),
            "detection_rate_3d": share(with_3d.sum(), counts["people_3d"]),
            "false_positives_per_image": share(counts["false_positives"], num_images),
            "people": counts["people"],
            "people_3d": counts["people_3d"],
            "matched": num_matched,
            "matched_3d": with_3d.sum(),
        }

    def _report(self, figures: dict[str, float]) -> str:
        shown = {k: int(v) if k in _NUMBERS else v for k, v in figures.items()}
        split = list(shown).index("detection_rate")
        errors = create_small_table(dict(list(shown.items())[:split]))
        counts = create_small_table(dict(list(shown.items())[split:]))
        return (
            f"3D poses on '{self._dataset_name}'.  Matching: by descending score (at least "
            f"{self._score_threshold}), best free box of IoU >= {self._iou_threshold}.\n"
            f"Of matched people, mm and shares:\n{errors}\n"
            f"Detection, without which the errors say little:\n{counts}"
        )
