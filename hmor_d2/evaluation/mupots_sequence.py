"""The figures of one sequence of MuPoTS-3D, and the people that figures over all are made of."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..data.datasets.mupots_annotations import MUPOTS_JOINT_SET, MuPoTSSequence
from ..skeleton import get_skeleton
from .metrics import mean_or_nan
from .mupots_protocol import joint_errors, masked_pck, match_identities, pck_and_auc
from .root_ap import ordinal_depth_pairs

__all__ = ["SequencePeople", "evaluate_sequence", "mean_root_errors"]

_SKELETON = get_skeleton(MUPOTS_JOINT_SET)
_PELVIS = _SKELETON.root_index
# Where a missed person stands, as far as the order of depths goes: the original's prediction for
# whom nobody is matched to.
_MISSED_DEPTH_MM = 100_000.0


@dataclass(frozen=True)
class SequencePeople:
    """The roots of a sequence: N predicted people, M annotated, K matched.

    Attributes:
        roots: (N, 3) mm.
        scores: (N,).
        frame: (N,).
        gt_roots: (M, 3) mm.
        gt_frame: (M,).
        root_offsets: (K, 3) mm, absolute differences along X, Y and Z.
    """

    roots: np.ndarray
    scores: np.ndarray
    frame: np.ndarray
    gt_roots: np.ndarray
    gt_frame: np.ndarray
    root_offsets: np.ndarray


def evaluate_sequence(
    annotation: MuPoTSSequence,
    keypoints: np.ndarray,
    keypoints_cam: np.ndarray,
    scores: np.ndarray,
    frame: np.ndarray,
) -> tuple[dict[str, Any], SequencePeople]:
    """Evaluate the predictions of one sequence.

    Args:
        annotation: of F frames.
        keypoints: (N, 17, 2) px of all frames' predictions, in the dataset's index coordinates.
        keypoints_cam: (N, 17, 3) mm.
        scores: (N,).
        frame: (N,) in [0, F).

    Returns:
        the figures that :func:`~.mupots.evaluate_mupots` lists under ``per_sequence``, each of
        this sequence alone; and the people that AP and MRPE over all sequences need.
    """
    valid = annotation.valid
    match = match_identities(annotation.annot2, valid, keypoints, frame)[valid]
    matched = match >= 0
    pred, gt = keypoints_cam[match[matched]], annotation.univ_annot3[valid]
    gt_frame = np.nonzero(valid)[0]
    offsets = np.abs(pred[:, _PELVIS] - gt[matched, _PELVIS])
    people = SequencePeople(
        keypoints_cam[:, _PELVIS], scores, frame, gt[:, _PELVIS], gt_frame, offsets
    )

    figures: dict[str, Any] = {}
    tables: dict[str, Any] = {"per_joint_group": {}, "visible": {}, "occluded": {}}
    occluded = annotation.occluded[valid]
    masks = {"visible": ~occluded, "occluded": occluded}
    # With all annotated people, or with the matched ones alone.
    for suffix, counted in (("", np.ones_like(matched)), ("_matched", matched)):
        for mode in ("rel", "abs"):
            # Missed people: any error over the thresholds and under infinity is as good.
            errors = np.full((len(match), _SKELETON.num_joints), np.inf)
            errors[matched] = joint_errors(pred, gt[matched], relative=mode == "rel")
            pck_name, auc_name = f"3DPCK_{mode}{suffix}", f"AUC_{mode}{suffix}"
            pck, auc = pck_and_auc(errors[counted])
            figures[pck_name], figures[auc_name] = pck.pop("Total"), auc.pop("Total")
            tables["per_joint_group"] |= {pck_name: pck, auc_name: auc}
            for name, mask in masks.items():
                by_joint, total, number = masked_pck(errors[counted], mask[counted])
                tables[name] |= {pck_name: total, f"joints{suffix}": number}
                tables[name].setdefault("per_joint", {})[pck_name] = by_joint

    depth = np.full(len(match), _MISSED_DEPTH_MM)
    depth[matched] = pred[:, _PELVIS, 2]
    for suffix, counted in (("", np.ones_like(matched)), ("_matched", matched)):
        right, pairs = ordinal_depth_pairs(
            depth[counted], gt[counted, _PELVIS, 2], gt_frame[counted]
        )
        figures[f"PCOD{suffix}"] = 100 * right / pairs if pairs else float("nan")
    figures |= mean_root_errors(offsets)
    figures |= {"people": len(match), "unmatched": int((~matched).sum())}
    return figures | tables, people


def mean_root_errors(offsets: np.ndarray) -> dict[str, float]:
    """MRPE and its components.

    Args:
        offsets: (N, 3) mm, absolute differences of roots.

    Returns:
        ``MRPE``, ``MRPE_x``, ``MRPE_y``, ``MRPE_z``, mm; NaN where N is 0.
    """
    errors = {"MRPE": np.linalg.norm(offsets, axis=1)}
    errors |= {f"MRPE_{axis}": offsets[:, i] for i, axis in enumerate("xyz")}
    return {name: mean_or_nan(values) for name, values in errors.items()}
