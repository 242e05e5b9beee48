"""HMOR as plain loops over pairs in numpy, written from the paper's equations for the tests.

Shares nothing with the package: float64, one image, one pair and one view at a time.
"""

import itertools
import math

import numpy as np

LEVELS = ("instance", "part", "joint")


def depth_error(pred_a, pred_b, gt_a, gt_b, normal):
    """Equations 5 and 8: (error, wrong, ordered) of one pair in one view."""
    depth_a, depth_b = float(gt_a @ normal), float(gt_b @ normal)
    relation = (depth_a < depth_b) - (depth_b < depth_a)
    violation = max(0.0, relation * float((pred_a - pred_b) @ normal))
    return math.log(1 + violation), violation > 0, relation != 0


def angle_error(pred_a, pred_b, gt_a, gt_b, normal):
    """Equation 7 with the relation taken from the cross product."""
    turn = float(np.cross(gt_a, gt_b) @ normal)
    relation = (turn < 0) - (turn > 0)
    violation = max(0.0, relation * float(np.cross(pred_a, pred_b) @ normal))
    return violation, violation > 0, relation != 0


def mean_over_pairs(pred, gt, normals, error):
    """(loss, wrong, ordered, pairs) of items (M, 3): mean over pairs, then over views."""
    pairs = list(itertools.combinations(range(len(gt)), 2))
    losses, wrong, ordered = [], 0, 0
    for normal in normals:
        total = 0.0
        for a, b in pairs:
            value, is_wrong, is_ordered = error(pred[a], pred[b], gt[a], gt[b], normal)
            total, wrong, ordered = total + value, wrong + is_wrong, ordered + is_ordered
        losses.append(total / len(pairs) if pairs else 0.0)
    return float(np.mean(losses)), wrong, ordered, len(pairs)


def reference_level(
    level, pred, gt, valid, parts, normals, representation="vector", unit_mm=1000.0
):
    """(loss, wrong, ordered, pairs) of one image at one level; arrays as ``hmor_losses`` takes."""
    pred, gt = np.asarray(pred, dtype=np.float64), np.asarray(gt, dtype=np.float64)
    items, error = [], depth_error
    for person in range(len(gt)):
        joints = [j for j in range(gt.shape[1]) if valid[person, j]]
        if level == "joint":
            items += [(pred[person, j], gt[person, j]) for j in joints]
        elif level == "instance" and joints:
            items.append((pred[person, joints].mean(0), gt[person, joints].mean(0)))
        elif level == "part":
            for start, end in parts:
                if not (valid[person, start] and valid[person, end]):
                    continue
                ends = [(pose[person, start], pose[person, end]) for pose in (pred, gt)]
                if representation == "particle":
                    items.append(tuple((a + b) / 2 for a, b in ends))
                else:
                    items.append(tuple(b - a for a, b in ends))
    if level == "part" and representation == "vector":
        error = angle_error
    pred_items = [p / unit_mm for p, _ in items]
    gt_items = [g / unit_mm for _, g in items]
    return mean_over_pairs(pred_items, gt_items, np.asarray(normals, dtype=np.float64), error)


def reference_parts_2d(pred, gt, valid, box_areas, parts):
    """The part level of people known in 2D: pixel vectors over sqrt(area), seen along (0, 0, 1)."""
    pred_items, gt_items = [], []
    for person, area in enumerate(box_areas):
        for start, end in parts:
            if valid[person, start] and valid[person, end]:
                for pose, items in ((pred, pred_items), (gt, gt_items)):
                    vector = np.zeros(3)
                    vector[:2] = (pose[person, end] - pose[person, start]) / math.sqrt(area)
                    items.append(vector)
    return mean_over_pairs(pred_items, gt_items, np.array([[0.0, 0.0, 1.0]]), angle_error)
