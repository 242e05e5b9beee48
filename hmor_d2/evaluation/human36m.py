"""Human3.6M's two protocols as 3DMPPE (Moon et al., ICCV 2019) computes them, by action."""

from collections import OrderedDict
from collections.abc import Collection
from typing import Any

import numpy as np
from tabulate import tabulate

from ..data.dataset_error import DatasetError, field_error, require
from ..skeleton import Skeleton, get_skeleton
from .metrics import align_procrustes, mean_or_nan, mpjpe, pa_mpjpe, root_errors, share
from .people import place
from .protocol import ImagePeople, ProtocolEvaluator

__all__ = ["ACTIONS", "Human36MEvaluator", "protocol_errors"]

#: Names of the actions 2 to 16, in order.
ACTIONS = (
    *("Directions", "Discussion", "Eating", "Greeting", "Phoning", "Posing", "Purchases"),
    *("Sitting", "SittingDown", "Smoking", "Photo", "Waiting", "Walking", "WalkDog"),
    "WalkTogether",
)
_FIRST_ACTION = 2
_H36M17 = get_skeleton("h36m17")
_ROOT = _H36M17.root_index
_SHOULDERS = [_H36M17.index(f"{side}_shoulder") for side in ("left", "right")]
_KINDS = ("P1", "P1_scaled", "P2")


def protocol_errors(
    pred: np.ndarray, gt: np.ndarray, valid: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Errors of N people by both protocols (``evaluate`` of 3DMPPE PoseNet's Human36M.py).

    Args:
        pred: (N, 17, 3) mm.
        gt: (N, 17, 3) mm.
        valid: (N, 17) bool.

    Returns:
        (N,) each, mm, means over the valid of the 17 joints.  P1: after a rotation and translation
        fitted on them and on the thorax, the middle of the shoulders, which is not in the mean.
        P1 with scale: after a similarity fitted on the 17, as most papers' PA-MPJPE.  P2: after
        subtracting the pelvis, which stays in the mean with error 0.
    """
    thorax_valid = valid[:, _SHOULDERS].all(axis=1, keepdims=True)
    fitted = np.concatenate((valid, thorax_valid), axis=1)
    aligned = align_procrustes(_with_thorax(pred), _with_thorax(gt), fitted, with_scale=False)
    p1 = mpjpe(aligned[:, :-1], gt, valid)
    return p1, pa_mpjpe(pred, gt, valid), mpjpe(pred, gt, valid, _ROOT)


def _with_thorax(poses: np.ndarray) -> np.ndarray:
    thorax = poses[:, _SHOULDERS].mean(axis=1, keepdims=True)
    return np.concatenate((poses, thorax), axis=1)


class Human36MEvaluator(ProtocolEvaluator):
    """Protocol 1 and 2 of one person an image, by action, and how many were found.

    **Matching.**  The prediction of the highest score in an image, wherever it is.  Images without
    prediction are in no mean; ``detection_rate`` counts them.

    **Figures** (mm, NaN where nobody counts), means over images found:

    - ``P1``: rotation and translation alone, as 3DMPPE aligns; ``P1_scaled``: with scale, as most
      papers' PA-MPJPE.  Both over the subjects ``p1_subjects`` (11 in Protocol 1).
    - ``P2``: root-aligned MPJPE, over all subjects of the dataset (9 and 11 in Protocol 2).
    - ``<kind>_actions``: the mean of the actions that were found, as some papers average;
      ``<kind>_<action>``: one action.
    - ``MRPE``, over all subjects; ``detection_rate``; ``people`` and ``matched``, numbers.

    Both protocols in one run are right for a model trained without subject 9.  Protocol 1 trains
    with it: evaluate such a model on subject 11 and read P1.
    """

    task = "human36m"

    def __init__(
        self,
        dataset_name: str,
        skeleton: Skeleton,
        *,
        distributed: bool = True,
        output_dir: str | None = None,
        p1_subjects: Collection[int] = (11,),
    ):
        """
        Args:
            dataset_name: registered dataset, of dicts with ``subject`` and ``action`` (2 to 16).
            skeleton: the model's joints.
            distributed, output_dir: as of :class:`PredictionCollector`.
            p1_subjects: numbers of the subjects that P1 is averaged over.

        Raises:
            ValueError: for a skeleton without pelvis.
        """
        super().__init__(
            dataset_name, skeleton, _H36M17, distributed=distributed, output_dir=output_dir
        )
        self._p1_subjects = tuple(p1_subjects)
        self._subjects: list[int] = []

    def _settings(self) -> dict[str, Any]:
        return {"p1_subjects": self._p1_subjects}

    def _match(self, people: ImagePeople, where: str) -> tuple[np.ndarray, np.ndarray]:
        number = len(people.poses)
        if number > 1:
            raise DatasetError(f"{where}: found {number} annotated people, expected one")
        best = int(people.scores.argmax()) if len(people.scores) else -1
        return np.full(number, best), np.ones(number, dtype=bool)

    def _action(self, record: dict) -> int:
        where = place(self._dataset_name, record)
        action = require(record, "action", where)
        last = _FIRST_ACTION + len(ACTIONS) - 1
        if not isinstance(action, int) or not _FIRST_ACTION <= action <= last:
            raise field_error(where, "action", action, f"a number from {_FIRST_ACTION} to {last}")
        return action - _FIRST_ACTION

    def _figures(
        self, records: dict[Any, dict], predictions: dict[Any, dict[str, Any]]
    ) -> dict[str, float]:
        actions = np.array([self._action(record) for record in records.values()])
        subjects = np.array(
            [require(r, "subject", place(self._dataset_name, r)) for r in records.values()]
        )
        self._subjects = np.unique(subjects).tolist()
        people = self._matched_people(records, predictions)
        found = people.found
        pred, gt, valid = people.pred[found], people.gt[found], people.valid[found]
        action, subject = actions[people.image[found]], subjects[people.image[found]]
        errors = dict(zip(_KINDS, protocol_errors(pred, gt, valid), strict=True))
        for kind in ("P1", "P1_scaled"):
            errors[kind] = np.where(np.isin(subject, self._p1_subjects), errors[kind], np.nan)
        figures = OrderedDict((kind, mean_or_nan(errors[kind])) for kind in _KINDS)
        for kind in _KINDS:
            by_action = [mean_or_nan(errors[kind][action == a]) for a in range(len(ACTIONS))]
            figures[f"{kind}_actions"] = mean_or_nan(np.array(by_action))
            names = (f"{kind}_{name}" for name in ACTIONS)
            figures |= zip(names, by_action, strict=True)
        return figures | {
            "MRPE": mean_or_nan(root_errors(pred, gt, valid, _ROOT)[0]),
            "detection_rate": share(found.sum(), len(found)),
            "people": len(found),
            "matched": found.sum(),
        }

    def _report(self, figures: dict[str, float]) -> str:
        rows = [[name, *(figures[f"{kind}_{name}"] for kind in _KINDS)] for name in ACTIONS]
        rows.append(["mean of actions", *(figures[f"{kind}_actions"] for kind in _KINDS)])
        rows.append(["all images", *(figures[kind] for kind in _KINDS)])
        table = tabulate(rows, headers=["", *_KINDS], tablefmt="pipe", floatfmt=".3f")
        return (
            f"Human3.6M on '{self._dataset_name}', subjects {self._subjects}, P1 over those of "
            f"{list(self._p1_subjects)}, mm; {figures['matched']:.0f} of {figures['people']:.0f} "
            f"images with a prediction, whose highest score counts; MRPE {figures['MRPE']:.3f}.\n"
            f"{self._report_joints()}\n{table}"
        )
