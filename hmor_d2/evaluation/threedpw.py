"""3DPW (von Marcard et al., ECCV 2018) by its SMPL joints: MPJPE, PA-MPJPE and ABS-MPJPE."""

from collections import OrderedDict
from typing import Any

import numpy as np
from tabulate import tabulate

from ..skeleton import Skeleton, get_skeleton
from .matching import clip_boxes, match_boxes
from .metrics import joint_distances, mean_or_nan, mpjpe, pa_mpjpe, root_errors, share
from .protocol import ImagePeople, ProtocolEvaluator

__all__ = ["JOINT_SETS", "ThreeDPWEvaluator", "limb_pck_and_auc", "set_errors"]

_SMPL24 = get_skeleton("smpl24")
_ROOT = _SMPL24.root_index
_LIMBS = tuple(
    f"{side}_{joint}"
    for side in ("right", "left")
    for joint in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
)
#: Joints of SMPL-24 by name of the set: all, and the 14 of the LSP kind, without the pelvis.
JOINT_SETS: dict[str, tuple[str, ...]] = {
    "smpl24": _SMPL24.joint_names,
    "lsp14": (*_LIMBS, "smpl_neck", "smpl_head"),
}
# The challenge's thresholds: 0, 1, ..., 199 mm.
_AUC_THRESHOLDS_MM = np.arange(0.0, 200.0)
_PCK_THRESHOLD_MM = 50.0


def _members(names: tuple[str, ...]) -> np.ndarray:
    return np.isin(_SMPL24.joint_names, names)


def set_errors(
    pred: np.ndarray, gt: np.ndarray, valid: np.ndarray, members: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Errors over a set of joints.

    Args:
        pred: (N, 24, 3) mm.
        gt: (N, 24, 3) mm.
        valid: (N, 24) bool, the pelvis among them.
        members: (24,) bool, joints of the set, with or without the pelvis.

    Returns:
        (N,) MPJPE after subtracting the pelvis, whether or not it is of the set; (N,) MPJPE after
        a similarity fitted on the set; (N,) MPJPE without alignment; mm, NaN where not defined.
    """
    counted = valid & members
    root = slice(_ROOT, _ROOT + 1)
    relative = mpjpe(pred - pred[:, root], gt - gt[:, root], counted)
    return relative, pa_mpjpe(pred, gt, counted), mpjpe(pred, gt, counted)


def limb_pck_and_auc(
    pred: np.ndarray, gt: np.ndarray, valid: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """PCK and AUC of the 3DPW challenge: pelvis-aligned, over the 12 joints of the limbs.

    Args:
        pred, gt, valid: as of :func:`set_errors`.

    Returns:
        (N,) share of a person's limb joints within 50 mm, and (N,) area under the share's curve
        over 0, 1, ..., 199 mm, the range scaled to 1.  An error equal to a threshold counts as
        correct.  NaN for people without a valid limb joint.
    """
    root = slice(_ROOT, _ROOT + 1)
    limbs = _members(_LIMBS)
    counted = valid[:, limbs]
    errors = joint_distances(pred - pred[:, root], gt - gt[:, root], valid)[:, limbs]
    number = counted.sum(axis=1)
    # The curve of one joint steps from 0 to 1 at its error, rounded up to a threshold.  By the
    # trapezoidal rule the first threshold and the last weigh half.
    step = np.ceil(np.where(counted, errors, np.inf))
    last = _AUC_THRESHOLDS_MM[-1]
    area = np.where(step <= last, last + 0.5 - step, 0) - 0.5 * (step == 0)
    within = np.where(counted, errors, np.inf) <= _PCK_THRESHOLD_MM
    defined = number > 0
    number = np.maximum(number, 1)
    pck = np.where(defined, within.sum(axis=1) / number, np.nan)
    return pck, np.where(defined, area.sum(axis=1) / last / number, np.nan)


class ThreeDPWEvaluator(ProtocolEvaluator):
    """Errors of the people whom 3DPW annotates, and how many of them were found.

    The truth is ``jointPositions``, the SMPL joints that the dataset gives; no body model is
    needed.  Poses are compared on the joints of SMPL-24 that the model has by name, in two sets:

    - ``smpl24``: all, as in the 3DPW challenge;
    - ``lsp14``: the 12 joints of the limbs, SMPL's neck and SMPL's head.

    ``joints_<set>`` says how many are compared.  Figures are comparable with those of others where
    it is 24 or 14: a model with MuCo's joints has 13 and 12, as its neck and head are other places
    than SMPL's.  Papers that regress 14 joints from SMPL's mesh measure other joints again.

    **Matching.**  By descending score, each prediction takes the free person of best box IoU of at
    least ``iou_threshold``, both boxes clipped to the image.  Bystanders are not annotated, so
    that predictions without partner are not errors; people missed are in no mean.

    **Figures** (mm and shares, NaN where nobody counts), means over people found:
    ``MPJPE_<set>`` after subtracting the pelvis, in the mean of smpl24 alone;
    ``PA_MPJPE_<set>`` after a similarity fitted on the set; ``ABS_MPJPE_<set>``; ``PCK_50mm`` and
    ``AUC_200mm`` of the challenge, of the limbs after subtracting the pelvis; ``MRPE``;
    ``detection_rate``; ``people`` and ``matched``, numbers.
    """

    task = "3dpw"

    def __init__(
        self,
        dataset_name: str,
        skeleton: Skeleton,
        *,
        distributed: bool = True,
        output_dir: str | None = None,
        iou_threshold: float = 0.5,
    ):
        """
        Args:
            dataset_name: registered dataset, of dicts with 3D joints of set ``smpl24``.
            skeleton: the model's joints.
            distributed, output_dir: as of :class:`PredictionCollector`.
            iou_threshold: least IoU of a match, in (0, 1].

        Raises:
            ValueError: for a threshold out of range or a skeleton without pelvis.
        """
        if not 0 < iou_threshold <= 1:
            raise ValueError(f"iou_threshold must be in (0, 1], found {iou_threshold}")
        super().__init__(
            dataset_name, skeleton, _SMPL24, distributed=distributed, output_dir=output_dir
        )
        self._iou_threshold = iou_threshold

    def _settings(self) -> dict[str, Any]:
        return {"iou_threshold": self._iou_threshold}

    def _match(self, people: ImagePeople, where: str) -> tuple[np.ndarray, np.ndarray]:
        boxes = clip_boxes(people.pred_boxes, people.image_size)
        person = match_boxes(boxes, people.scores, people.boxes, self._iou_threshold)
        match = np.full(len(people.poses), -1, dtype=np.int64)
        match[person[person >= 0]] = np.flatnonzero(person >= 0)
        return match, np.ones(len(people.poses), dtype=bool)

    def _figures(
        self, records: dict[Any, dict], predictions: dict[Any, dict[str, Any]]
    ) -> dict[str, float]:
        people = self._matched_people(records, predictions)
        found = people.found
        pred, gt, valid = people.pred[found], people.gt[found], people.valid[found]
        figures: dict[str, float] = OrderedDict()
        for name, joints in JOINT_SETS.items():
            relative, aligned, absolute = set_errors(pred, gt, valid, _members(joints))
            figures[f"MPJPE_{name}"] = mean_or_nan(relative)
            figures[f"PA_MPJPE_{name}"] = mean_or_nan(aligned)
            figures[f"ABS_MPJPE_{name}"] = mean_or_nan(absolute)
            figures[f"joints_{name}"] = (people.compared & _members(joints)).sum(axis=1).max()
        pck, auc = limb_pck_and_auc(pred, gt, valid)
        return figures | {
            "PCK_50mm": mean_or_nan(pck),
            "AUC_200mm": mean_or_nan(auc),
            "MRPE": mean_or_nan(root_errors(pred, gt, valid, _ROOT)[0]),
            "detection_rate": share(found.sum(), len(found)),
            "people": len(found),
            "matched": found.sum(),
        }

    def _report(self, figures: dict[str, float]) -> str:
        kinds = ("MPJPE", "PA_MPJPE", "ABS_MPJPE")
        rows = [
            [
                name,
                f"{figures[f'joints_{name}']:.0f} of {len(joints)}",
                *(figures[f"{kind}_{name}"] for kind in kinds),
            ]
            for name, joints in JOINT_SETS.items()
        ]
        table = tabulate(rows, ("set", "joints", *kinds), tablefmt="pipe", floatfmt=".3f")
        kinds = ("PCK_50mm", "AUC_200mm", "MRPE", "detection_rate")
        beside = tabulate([[figures[k] for k in kinds]], kinds, tablefmt="pipe", floatfmt=".3f")
        return (
            f"3DPW on '{self._dataset_name}', {figures['matched']:.0f} of "
            f"{figures['people']:.0f} people found.  Matching: by descending score, best free "
            f"box of IoU >= {self._iou_threshold}; people missed are in no mean.\n"
            f"{self._report_joints()}\n{table}\n{beside}"
        )
