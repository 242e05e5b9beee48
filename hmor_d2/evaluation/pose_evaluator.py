"""Evaluate absolute 3D poses of several people on any registered dataset with 3D annotations."""

from typing import Any

import numpy as np
from detectron2.utils.logger import create_small_table

from ..skeleton import Skeleton
from .depth_order import joint_order_accuracy
from .metrics import (
    mean_or_nan,
    mpjpe,
    ordinal_accuracy,
    pa_mpjpe,
    pck,
    root_errors,
    share,
)
from .pck import FoundPeople
from .people import annotated_people, field_shapes, place
from .prediction_collector import PredictionCollector
from .scene_scale import common_scale, pair_depth_slope

__all__ = ["Pose3DEvaluator"]

# Figures that are numbers of people.
_NUMBERS = ("people", "people_3d", "matched", "matched_2d", "joints_2d", "matched_3d")
# 3DPCK's, of Mehta et al. (3DV 2017).
_PCK_RADIUS_MM = 150.0


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
    - ``SCALE``: :func:`~.scene_scale.common_scale` of matched people; ``ABS_MPJPE_SCALED``: without
      alignment but for this one factor, the same for the whole dataset.
    - ``BIAS_z``: mean of predicted minus true root depth; negative: people come out too near.
    - ``PAIR_SLOPE``: :func:`~.scene_scale.pair_depth_slope` of matched people; below 1, people of
      an image come out too close to each other in depth.
    - ``ORD``: pairs of matched people of an image whose predicted root depths are in the right
      order, among those whose true root depths differ; ``ORD_all`` among such pairs of all
      people with 3D, so that a pair with a missed person is wrong.
    - ``ORD_joint``: likewise pairs of joints of matched people, within a person and across.
    - ``PCK3D_abs``: joints less than 150 mm from the truth without alignment, among those of
      matched people; ``PCK3D_abs_all`` among those of all people with 3D, missed ones wrong.
    - ``PCK@0.2``: 2D joints nearer to the truth than a fifth of the torso, the annotated
      distance from left shoulder to right hip in pixels (from right shoulder to left hip where
      one of these is unknown); over all annotated joints of matched people with a torso.  The
      log names the joints, those that the annotations and the model share by name.
    - ``detection_rate``: matched people / annotated people; ``detection_rate_3d`` among those
      with 3D.  The errors above say nothing about people who were missed: read them together.
    - ``false_positives_per_person``: unmatched predictions / annotated people;
      ``false_positives_per_image``: over all images of the dataset.
    - ``people``, ``people_3d``, ``matched``, ``matched_2d`` (with a torso), ``matched_3d``:
      numbers of people; ``joints_2d``: of joints in PCK.

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
        super().__init__(dataset_name, skeleton, distributed=distributed, output_dir=output_dir)
        self._iou_threshold = iou_threshold
        self._score_threshold = score_threshold
        self._found = FoundPeople(skeleton.joint_names, iou_threshold)

    def _settings(self) -> dict[str, Any]:
        return {"iou_threshold": self._iou_threshold, "score_threshold": self._score_threshold}

    def _figures(
        self, records: dict[Any, dict], predictions: dict[Any, dict[str, Any]]
    ) -> dict[str, float]:
        """Match image by image, then compute each figure once on all matched people."""
        shapes = field_shapes(self._skeleton)
        nobody = {name: np.zeros((0, *shape)) for name, shape in shapes.items()}
        stacked: dict[str, list[np.ndarray]] = {}
        self._found = FoundPeople(self._skeleton.joint_names, self._iou_threshold)
        total_outside = 0
        totals = {"people": 0, "pairs": 0, "joints": 0}  # with 3D, found or not
        root = self._skeleton.root_index
        for index, (image_id, record) in enumerate(records.items()):
            where = place(self._dataset_name, record)
            people, crowd, outside = annotated_people(record, self._skeleton, where)
            for name, number in _numbers_3d(people["poses"], people["valid"], root).items():
                totals[name] += number
            total_outside += outside

            pred = predictions.get(image_id, nobody)
            kept = pred["scores"] >= self._score_threshold
            pred = {name: pred[name][kept].astype(np.float64) for name in shapes}
            match = self._found.add(
                pred["pred_boxes"],
                pred["scores"],
                pred["pred_keypoints"][..., :2],
                people["boxes"],
                people["pixels"],
                people["visibility"] > 0,
                crowd,
                (record["height"], record["width"]),
            )

            # In the order of the annotations, so that sums do not depend on the predictions'.
            found = np.argsort(match, kind="stable")[(match < 0).sum() :]
            pairs = {
                "pred": pred["pred_keypoints_cam"][found],
                "depth": pred["pred_root_depth"][found],
                "gt": people["poses"][match[found]],
                "valid": people["valid"][match[found]],
                "image": np.full(len(found), index),
            }
            for name, values in pairs.items():
                stacked.setdefault(name, []).append(values)
        if not totals["people"]:
            raise ValueError(
                f"dataset '{self._dataset_name}': no '{self._skeleton.joint_names[root]}' is "
                "valid in 'keypoints_cam' of anybody, so that 3D poses cannot be evaluated on it"
            )
        if total_outside:
            self._logger.info(f"{total_outside} people outside their image are left out.")
        matched = {name: np.concatenate(values) for name, values in stacked.items()}
        return self._matched_figures(matched, totals)

    def _matched_figures(
        self, matched: dict[str, np.ndarray], totals: dict[str, int]
    ) -> dict[str, float]:
        """Every figure of the class's docstring."""
        root = self._skeleton.root_index
        with_3d = matched["valid"][:, root]
        pred, depth, gt, valid, image = (
            matched[name][with_3d] for name in ("pred", "depth", "gt", "valid", "image")
        )
        distance, components = root_errors(pred, gt, valid, root)
        scale = common_scale(pred, gt, valid)
        right_pairs, pairs = ordinal_accuracy(depth, gt[:, root, 2], image)
        near, joints = (n.sum() for n in pck(pred, gt, valid, np.full(len(gt), _PCK_RADIUS_MM)))
        return {
            "MPJPE": mean_or_nan(mpjpe(pred, gt, valid, root)),
            "PA_MPJPE": mean_or_nan(pa_mpjpe(pred, gt, valid)),
            "ABS_MPJPE": mean_or_nan(mpjpe(pred, gt, valid)),
            "MRPE": mean_or_nan(distance),
            "MRPE_x": mean_or_nan(components[:, 0]),
            "MRPE_y": mean_or_nan(components[:, 1]),
            "MRPE_z": mean_or_nan(components[:, 2]),
            "SCALE": scale,
            "ABS_MPJPE_SCALED": mean_or_nan(mpjpe(scale * pred, gt, valid)),
            "BIAS_z": mean_or_nan(pred[:, root, 2] - gt[:, root, 2]),
            "PAIR_SLOPE": pair_depth_slope(depth, gt[:, root, 2], image),
            "ORD": share(right_pairs, pairs),
            "ORD_all": share(right_pairs, totals["pairs"]),
            "ORD_joint": share(*joint_order_accuracy(pred, gt, valid, image)),
            "PCK3D_abs": share(near, joints),
            "PCK3D_abs_all": share(near, totals["joints"]),
            **self._found.figures(),
            "detection_rate_3d": share(with_3d.sum(), totals["people"]),
            "people_3d": totals["people"],
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
            f"{self._found.describe_joints()}\nOf matched people, mm and shares:\n{errors}\n"
            f"Detection, without which the errors say little:\n{counts}"
        )


def _numbers_3d(poses: np.ndarray, valid: np.ndarray, root: int) -> dict[str, int]:
    """Of an image's people (P, J, 3) whose root is valid (P, J): they, their pairs and joints."""
    rooted = valid[:, root]
    depth = poses[rooted, root, 2]
    _, pairs = ordinal_accuracy(depth, depth, np.zeros(len(depth), dtype=np.int64))
    return {"people": int(rooted.sum()), "pairs": pairs, "joints": int(valid[rooted].sum())}
