"""The steps of MuPoTS-3D's official evaluation, each vectorised over people, in pure numpy.

Source: ``mpii_mupots_multiperson_eval.m`` (3DMPPE PoseNet's copy, which adds the absolute mode) and
the functions that it calls, whose names stand beside each step.  Joints are those of ``muco17``;
pixels are the dataset's own index coordinates, lengths mm in the camera frame.
"""

import numpy as np

from ..skeleton import get_skeleton

__all__ = [
    "AUC_THRESHOLDS_MM",
    "JOINT_GROUPS",
    "NUM_EVALUATED_JOINTS",
    "PCK_THRESHOLD_MM",
    "joint_errors",
    "map_to_bone_lengths",
    "masked_pck",
    "match_identities",
    "pck_and_auc",
]

#: Scored joints by group (``mpii_get_pck_auc_joint_groups``): pelvis, spine and head are not.
JOINT_GROUPS: dict[str, tuple[int, ...]] = {
    "Head": (0,),
    "Neck": (1,),
    "Shou": (2, 5),
    "Elbow": (3, 6),
    "Wrist": (4, 7),
    "Hip": (8, 11),
    "Knee": (9, 12),
    "Ankle": (10, 13),
}
#: The scored joints are the first 14.
NUM_EVALUATED_JOINTS = 14
PCK_THRESHOLD_MM = 150.0
#: 0:5:150, 31 values.  No error is below 0, so that AUC is at most 100 * 30 / 31 = 96.77.
AUC_THRESHOLDS_MM = np.arange(0, 151, 5, dtype=np.float64)

_PELVIS = get_skeleton("muco17").root_index
# Joints that identities are matched by: the scored ones but the top of the head.
_MATCHED_JOINTS = slice(1, 14)
_MATCHING_DISTANCE_PX = 40.0
# (joint, parent) from the pelvis outwards: ``safe_traversal_order`` with the parents of
# ``mpii_get_joints('relevant')``.
_BONES = (
    *((15, 14), (1, 15), (0, 1), (16, 1), (2, 1), (3, 2), (4, 3), (5, 1), (6, 5), (7, 6)),
    *((8, 14), (9, 8), (10, 9), (11, 14), (12, 11), (13, 12)),
)
# What the masked tables put for an error that is not a number.
_MASKED_NAN_MM = 160.0


def match_identities(
    annot2: np.ndarray, valid: np.ndarray, keypoints: np.ndarray, frame: np.ndarray
) -> np.ndarray:
    """Which prediction stands for which annotated person: by their 2D joints alone.

    Annotated people choose in the order of the file.  Each takes, of the predictions of its frame
    that are still free, the one with the most joints less than 40 px away both in x and in y
    (the first of equals), if there is any such joint.  13 joints count: neck, arms, legs.
    A predicted joint at exactly (0, 0) is one that was not predicted.  Scores play no role, and
    predictions left over cost nothing (``mpii_multiperson_get_identity_matching``).

    Args:
        annot2: (F, P, 17, 2) px.
        valid: (F, P) bool, annotated people.
        keypoints: (N, 17, 2) px, predictions of all frames.
        frame: (N,) frame of each prediction, in [0, F).

    Returns:
        (F, P) index into the N predictions, -1 for none.  Of a frame's predictions the first
        is the one with the lowest index.
    """
    matches = np.full(valid.shape, -1, dtype=np.int64)
    predicted = keypoints[:, _MATCHED_JOINTS]
    given = (predicted != 0).any(axis=-1)
    free = np.ones(len(keypoints), dtype=np.bool_)
    for person in range(valid.shape[1]):
        target = annot2[frame, person, _MATCHED_JOINTS]
        near = (np.abs(target - predicted) < _MATCHING_DISTANCE_PX).all(axis=-1)
        score = (near & given).sum(axis=1) * (free & valid[frame, person])
        best = np.zeros(len(valid), dtype=score.dtype)
        np.maximum.at(best, frame, score)
        candidates = np.flatnonzero((score > 0) & (score == best[frame]))
        # Of each frame the first candidate: np.unique returns first occurrences.
        frames, first = np.unique(frame[candidates], return_index=True)
        matches[frames, person] = candidates[first]
        free[candidates[first]] = False
    return matches


def map_to_bone_lengths(pred: np.ndarray, gt: np.ndarray) -> np.ndarray:
    """Give each predicted bone the length of the true one; directions and the pelvis stay.

    Applied whether poses are compared relative to the pelvis or absolutely
    (``mpii_map_to_gt_bone_lengths``).

    Args:
        pred: (N, 17, 3) mm.
        gt: (N, 17, 3) mm.

    Returns:
        (N, 17, 3) mm.  NaN for joints beyond a predicted bone without length, which has no
        direction.
    """
    mapped = np.array(pred, dtype=np.float64)
    # Joint by joint, not by a product with an ancestor matrix: sums in the original's order.
    with np.errstate(invalid="ignore", divide="ignore"):
        for joint, parent in _BONES:
            bone = pred[:, joint] - pred[:, parent]
            length = np.linalg.norm(gt[:, joint] - gt[:, parent], axis=-1, keepdims=True)
            bone = bone * length / np.linalg.norm(bone, axis=-1, keepdims=True)
            mapped[:, joint] = mapped[:, parent] + bone
    return mapped


def joint_errors(pred: np.ndarray, gt: np.ndarray, relative: bool) -> np.ndarray:
    """Distances of the joints after the bones got their true lengths.

    Args:
        pred: (N, 17, 3) mm.
        gt: (N, 17, 3) mm, ``univ_annot3`` in the official evaluation.
        relative: subtract the pelvis from both poses first.

    Returns:
        (N, 17) mm; NaN beyond predicted bones without length.
    """
    if relative:
        pred = pred - pred[:, _PELVIS, None]
        gt = gt - gt[:, _PELVIS, None]
    return np.linalg.norm(map_to_bone_lengths(pred, gt) - gt, axis=-1)


def pck_and_auc(errors: np.ndarray) -> tuple[dict[str, float], dict[str, float]]:
    """3DPCK and AUC of a sequence (``mpii_compute_3d_pck``).

    A joint is correct if its error is less than the threshold, strictly.  NaN is wrong.

    Args:
        errors: (N, 17) mm, one row a person; a missed person's are infinite.

    Returns:
        3DPCK at 150 mm and AUC, the mean over 0:5:150 mm, in percent, by joint group and as
        "Total", in which joints weigh alike; NaN where N is 0.
    """
    if len(errors) == 0:
        undefined = dict.fromkeys((*JOINT_GROUPS, "Total"), float("nan"))
        return undefined, dict(undefined)
    evaluated = errors[:, :NUM_EVALUATED_JOINTS]
    correct = np.array([(evaluated < t).sum(axis=0) for t in AUC_THRESHOLDS_MM])
    auc = _by_group(100 * correct.mean(axis=0) / len(errors))
    pck = _by_group(100 * (evaluated < PCK_THRESHOLD_MM).sum(axis=0) / len(errors))
    return pck, auc


def _by_group(by_joint: np.ndarray) -> dict[str, float]:
    groups = {name: float(by_joint[list(joints)].mean()) for name, joints in JOINT_GROUPS.items()}
    return groups | {"Total": float(by_joint.mean())}


def masked_pck(errors: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, float, int]:
    """3DPCK of a part of the joints, the visible or the occluded ones, of a sequence.

    Unlike in :func:`pck_and_auc` an error of exactly 150 mm is still correct
    (``mpii_evaluate_multiperson_errors_visibility_mask``).  NaN counts as 160 mm.

    Args:
        errors: (N, 17) mm.
        mask: (N, 17) bool, joints that count.

    Returns:
        (14,) percent by joint, where a joint that never counts has 100 as in the original;
        percent of all counted joints, NaN without any; and their number.
    """
    evaluated = np.where(np.isnan(errors), _MASKED_NAN_MM, errors)[:, :NUM_EVALUATED_JOINTS]
    counted = mask[:, :NUM_EVALUATED_JOINTS]
    wrong = ((evaluated > PCK_THRESHOLD_MM) & counted).sum(axis=0)
    number = counted.sum(axis=0)
    by_joint = 100 * (1 - wrong / np.maximum(number, 1))
    total = int(number.sum())
    return by_joint, 100 * (1 - wrong.sum() / total) if total else float("nan"), total
