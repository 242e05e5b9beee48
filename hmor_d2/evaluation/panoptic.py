"""CMU Panoptic's monocular protocol (Zanfir et al., CVPR 2018): MPJPE by activity."""

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from tabulate import tabulate

from ..data.dataset_error import field_error, require
from ..skeleton import Skeleton, get_skeleton
from .metrics import mean_or_nan, mpjpe, root_errors, share
from .people import place
from .pose_matching import (
    match_by_keypoints,
    match_by_pixel,
    match_by_position,
    match_by_shape,
)
from .protocol import ImagePeople, MatchedPeople, ProtocolEvaluator

__all__ = ["PANOPTIC_RULES", "PanopticEvaluator", "PanopticRule", "panoptic_errors"]

_PANOPTIC15 = get_skeleton("panoptic15")
# Joint 1 is the top of the head in the older annotations and the nose in joints19.
_JOINTS = Skeleton(
    name="panoptic15, nose",
    joint_names=(*_PANOPTIC15.joint_names, "nose"),
    parts=(),
    flip_pairs=(),
    root_index=_PANOPTIC15.root_index,
)
_ROOT = _PANOPTIC15.root_index
_SMAP_INPUT = (512, 832)  # height, width


@dataclass(frozen=True)
class PanopticRule:
    """How one of the published evaluations matches, counts and averages.

    Attributes:
        description: for the log.
        match: gives (P,) the index of each person's prediction, -1 for none.
        counts: gives (P,) bool, whom the evaluation counts; root and one more joint go without
            saying.
        over_all_joints: unknown joints stay in a person's mean with error 0.
        missed_mm: error of a person without prediction; None leaves them out of the mean.
    """

    description: str
    match: Callable[[ImagePeople], np.ndarray]
    counts: Callable[[ImagePeople], np.ndarray]
    over_all_joints: bool = False
    missed_mm: float | None = None


def _everybody(people: ImagePeople) -> np.ndarray:
    return np.ones(len(people.poses), dtype=bool)


def _match_smap(people: ImagePeople) -> np.ndarray:
    # 30 pixels of the network's input, which shows the image as large as it fits.
    scale = min(size / own for size, own in zip(_SMAP_INPUT, people.image_size, strict=True))
    pred, gt = people.pred_pixels[:, _ROOT], people.pixels[:, _ROOT]
    return match_by_pixel(pred, gt, people.visibility[:, _ROOT] > 0, 30 / scale)


def _romp_counts(people: ImagePeople) -> np.ndarray:
    return (people.visibility == 2).sum(axis=1) > 5


def _match_romp(people: ImagePeople) -> np.ndarray:
    compared = people.compared
    # ROMP leaves the people out before it matches: they take no prediction from others.
    known = (people.visibility[:, compared] > 0) & _romp_counts(people)[:, None]
    return match_by_keypoints(
        people.pred_pixels[:, compared], people.pixels[:, compared], known, min_iou=0.05
    )


#: The four evaluations by name.
PANOPTIC_RULES: Mapping[str, PanopticRule] = {
    "hmor": PanopticRule(
        description="by descending score, the nearest person in absolute position, mean distance "
        "of joints below 500 mm, each person once; people missed are in no mean",
        match=lambda p: match_by_position(p.pred_poses, p.scores, p.poses, p.valid, 500.0),
        counts=_everybody,
    ),
    "crmh": PanopticRule(
        description="each person takes the prediction of the nearest root-relative pose, free or "
        "not; unknown joints count as error 0",
        match=lambda p: match_by_shape(p.pred_poses, p.poses, p.valid, _ROOT),
        counts=_everybody,
        over_all_joints=True,
    ),
    "romp": PanopticRule(
        description="pairs of the nearest 2D poses with IoU >= 0.05; unknown joints count as "
        "error 0, people missed as 150 mm; only people with more than 5 joints in the image",
        match=_match_romp,
        counts=_romp_counts,
        over_all_joints=True,
        missed_mm=150.0,
    ),
    "smap": PanopticRule(
        description="pairs of the nearest pelvises in the image, below 30 pixels at 832x512; only "
        "people whose pelvis is in the image; people missed are in no mean",
        match=_match_smap,
        counts=lambda p: p.visibility[:, _ROOT] == 2,
    ),
}


def panoptic_errors(people: MatchedPeople, rule: PanopticRule) -> np.ndarray:
    """(P,) root-aligned MPJPE in mm of everybody counted, NaN where the rule leaves it out."""
    errors = mpjpe(people.pred, people.gt, people.valid, _ROOT)
    if rule.over_all_joints:
        errors = errors * people.valid.sum(axis=1) / people.compared.sum(axis=1)
    missed = np.nan if rule.missed_mm is None else rule.missed_mm
    return np.where(people.found, errors, missed)


class PanopticEvaluator(ProtocolEvaluator):
    """MPJPE by activity, and beside it how many people were found.

    Poses are compared on the 15 joints of the protocol, matched by name.  The first head joint
    is the nose in sequences with joints19 and the top of the head in older ones; a model that has
    the other of the two is compared on the remaining 14.  The log names the joints.

    **Matching**, by name (``PANOPTIC_RULES`` describes them):

    - ``hmor``, the default: VirtualPose's evaluation on the annotation that the authors of HMOR
      provided.  It alone uses the 15 joints of that annotation and gives each person and each
      prediction one partner at most, so that the detection rate means something.  That the
      paper's own figures were computed this way is likely but not published.
    - ``crmh``, ``romp``, ``smap``: as the code of these methods does.  They differ from it in the
      joints: CRMH's 17 and ROMP's 14 are of a body model's, here it is the 15.  ROMP's shift of
      the annotated joints by 6 cm and 3 cm, which fits them to that model, is left out.

    **Figures** (mm and shares, NaN where nobody counts), for each activity and over all people:
    ``MPJPE_<activity>``, ``MRPE_<activity>``, ``detection_rate_<activity>``; ``MPJPE_activities``,
    the mean of the activities that have people, which papers print; ``MPJPE_people``; ``MRPE``
    with ``MRPE_x``, ``MRPE_y``, ``MRPE_z``, of people found; ``detection_rate``; ``people`` and
    ``matched``, numbers.  MPJPE is root-aligned, with the root in the mean.
    """

    task = "panoptic"

    def __init__(
        self,
        dataset_name: str,
        skeleton: Skeleton,
        *,
        distributed: bool = True,
        output_dir: str | None = None,
        matching: str = "hmor",
        activities: Sequence[str] = ("haggling", "mafia", "ultimatum", "pizza"),
    ):
        """
        Args:
            dataset_name: registered dataset, of dicts with ``sequence``.
            skeleton: the model's joints.
            distributed, output_dir: as of :class:`PredictionCollector`.
            matching: name of one of ``PANOPTIC_RULES``.
            activities: a sequence belongs to the first of these that its name contains.

        Raises:
            ValueError: for an unknown rule, no activity, or a skeleton without pelvis.
        """
        if matching not in PANOPTIC_RULES:
            raise ValueError(f"matching must be one of {list(PANOPTIC_RULES)}, found '{matching}'")
        if isinstance(activities, str) or not activities:
            raise ValueError(f"activities must be a list of names, found {activities!r}")
        super().__init__(
            dataset_name, skeleton, _JOINTS, distributed=distributed, output_dir=output_dir
        )
        self._matching = matching
        self._activities = tuple(activities)

    def _settings(self) -> dict[str, Any]:
        return {"matching": self._matching, "activities": self._activities}

    def _match(self, people: ImagePeople, where: str) -> tuple[np.ndarray, np.ndarray]:
        rule = PANOPTIC_RULES[self._matching]
        return rule.match(people), rule.counts(people)

    def _activity(self, record: dict) -> int:
        where = place(self._dataset_name, record)
        sequence = require(record, "sequence", where)
        for index, name in enumerate(self._activities):
            if name in sequence:
                return index
        raise field_error(where, "sequence", sequence, f"a name with one of {self._activities}")

    def _figures(
        self, records: dict[Any, dict], predictions: dict[Any, dict[str, Any]]
    ) -> dict[str, float]:
        activity_of_image = np.array([self._activity(record) for record in records.values()])
        people = self._matched_people(records, predictions)
        errors = panoptic_errors(people, PANOPTIC_RULES[self._matching])
        known = people.valid & people.found[:, None]
        distance, components = root_errors(people.pred, people.gt, known, _ROOT)
        activity = activity_of_image[people.image]
        figures: dict[str, float] = OrderedDict()
        for index, name in enumerate(self._activities):
            own = activity == index
            figures[f"MPJPE_{name}"] = mean_or_nan(errors[own])
            figures[f"MRPE_{name}"] = mean_or_nan(distance[own])
            figures[f"detection_rate_{name}"] = share(people.found[own].sum(), own.sum())
        shown = [self._activities[index] for index in np.unique(activity)]
        return figures | {
            # NaN where nobody was found in one of them, rather than the mean of the others.
            "MPJPE_activities": np.mean([figures[f"MPJPE_{name}"] for name in shown]),
            "MPJPE_people": mean_or_nan(errors),
            "MRPE": mean_or_nan(distance),
            "MRPE_x": mean_or_nan(components[:, 0]),
            "MRPE_y": mean_or_nan(components[:, 1]),
            "MRPE_z": mean_or_nan(components[:, 2]),
            "detection_rate": share(people.found.sum(), len(people.found)),
            "people": len(people.found),
            "matched": people.found.sum(),
        }

    def _report(self, figures: dict[str, float]) -> str:
        kinds = ("MPJPE", "MRPE", "detection_rate")
        rows = [[a, *(figures[f"{kind}_{a}"] for kind in kinds)] for a in self._activities]
        rows.append(["mean of activities", figures["MPJPE_activities"], None, None])
        rows.append(["all people", *(figures[k] for k in ("MPJPE_people", *kinds[1:]))])
        table = tabulate(rows, headers=["", *kinds], tablefmt="pipe", floatfmt=".3f")
        return (
            f"CMU Panoptic on '{self._dataset_name}', {figures['matched']:.0f} of "
            f"{figures['people']:.0f} people found.  Matching '{self._matching}': "
            f"{PANOPTIC_RULES[self._matching].description}.\n{self._report_joints()}\n{table}"
        )
