"""The pose evaluator's figures once more, one person and one joint at a time."""

import itertools

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from tests.evaluation.pose_scenes import HEIGHT, WIDTH


def overlap(a, b, over_union=True):
    width = max(0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0, min(a[3], b[3]) - max(a[1], b[1]))
    area = (a[2] - a[0]) * (a[3] - a[1])
    whole = area + (b[2] - b[0]) * (b[3] - b[1]) - width * height if over_union else area
    return width * height / whole if whole > 0 else 0


def clipped(box):
    x0, x1 = (min(max(float(box[k]), 0), WIDTH) for k in (0, 2))
    y0, y1 = (min(max(float(box[k]), 0), HEIGHT) for k in (1, 3))
    return x0, y0, x1, y1


def slow_procrustes(pred, gt):
    """Mean distance after scipy's rotation and the best scale for it."""
    p, g = pred - pred.mean(axis=0), gt - gt.mean(axis=0)
    turned = Rotation.align_vectors(g, p)[0].apply(p)
    turned *= (turned * g).sum() / (p**2).sum()
    return np.linalg.norm(turned - g, axis=1).mean()


def slow_evaluation(records, predictions, iou_threshold, score_threshold):
    """One person and one joint at a time, from the words of the docstring."""
    rows = {k: [] for k in ("MPJPE", "PA_MPJPE", "ABS_MPJPE", "MRPE", "x", "y", "z", "PCK", "ORD")}
    rows |= {"ORD_joint": [], "PCK3D_abs": [], "BIAS_z": [], "apart": [], "known": []}
    all_pairs = all_joints = 0
    people = people_3d = matched = matched_2d = matched_3d = wrong = 0
    for record in records:
        annotated, crowd = [], []
        for a in record["annotations"]:
            x, y, w, h = a["bbox"]
            box = clipped((x, y, x + w, y + h))
            if box[2] > box[0] and box[3] > box[1]:
                (crowd if a["iscrowd"] else annotated).append((box, a))
        people += len(annotated)
        with_3d = [a for _, a in annotated if a.get("keypoints_cam_valid", [0] * 21)[14]]
        people_3d += len(with_3d)
        all_joints += sum(int(sum(a["keypoints_cam_valid"][:17])) for a in with_3d)
        roots = [a["keypoints_cam"][14, 2] for a in with_3d]
        all_pairs += sum(a != b for a, b in itertools.combinations(roots, 2))
        pred = predictions.get(record["image_id"])
        taken, depths, joint_depths = set(), [], []
        order = [] if pred is None else torch.argsort(pred.scores, descending=True).tolist()
        for i in order:
            if pred.scores[i] < score_threshold:
                continue
            box = clipped(pred.pred_boxes.tensor[i])
            ious = [(overlap(box, b), -g) for g, (b, _) in enumerate(annotated) if g not in taken]
            if not ious or max(ious)[0] < iou_threshold:
                wrong += not any(overlap(box, c, False) >= iou_threshold for c, _ in crowd)
                continue
            person = -max(ious)[1]
            taken.add(person)
            matched += 1
            a = annotated[person][1]
            pixels = np.array(a["keypoints"]).reshape(-1, 3)
            # Left shoulder to right hip, else right shoulder to left hip.
            torso = [
                np.linalg.norm(pixels[s, :2] - pixels[h, :2])
                for s, h in ((5, 8), (2, 11))
                if pixels[s, 2] > 0 and pixels[h, 2] > 0
            ]
            matched_2d += bool(torso)
            for j in range(17):
                if pixels[j, 2] > 0 and torso:
                    off = np.linalg.norm(pred.pred_keypoints[i, j, :2].numpy() - pixels[j, :2])
                    rows["PCK"].append(off < 0.2 * torso[0])
            if "keypoints_cam" not in a or not a["keypoints_cam_valid"][14]:
                continue
            matched_3d += 1
            known = [j for j in range(17) if a["keypoints_cam_valid"][j]]
            gt = a["keypoints_cam"].astype(float)
            pose = pred.pred_keypoints_cam[i].double().numpy()
            absolute = [np.linalg.norm(pose[j] - gt[j]) for j in known]
            relative = [np.linalg.norm(pose[j] - pose[14] - gt[j] + gt[14]) for j in known]
            rows["PCK3D_abs"] += [d < 150 for d in absolute]
            joint_depths += [(pose[j, 2], gt[j, 2]) for j in known]
            rows["ABS_MPJPE"].append(np.mean(absolute))
            rows["MPJPE"].append(np.mean(relative))
            rows["PA_MPJPE"].append(slow_procrustes(pose[known], gt[known]))
            rows["MRPE"].append(np.linalg.norm(pose[14] - gt[14]))
            for k, axis in enumerate("xyz"):
                rows[axis].append(abs(pose[14, k] - gt[14, k]))
            rows["known"].append((pose[known], gt[known]))
            rows["BIAS_z"].append(pose[14, 2] - gt[14, 2])
            depths.append((float(pred.pred_root_depth[i]), gt[14, 2]))
        for n, (p1, g1) in enumerate(depths):
            rows["ORD"] += [(p1 - p2) * (g1 - g2) > 0 for p2, g2 in depths[:n] if g1 != g2]
            rows["apart"] += [(p1 - p2, g1 - g2) for p2, g2 in depths[:n]]
        for n, (p1, g1) in enumerate(joint_depths):
            earlier = [(p, g) for p, g in joint_depths[:n] if g != g1]
            rows["ORD_joint"] += [p1 < p if g1 < g else p1 > p for p, g in earlier]
    pred_apart, gt_apart = np.transpose(rows.pop("apart"))
    known = rows.pop("known")
    truth, found = (np.concatenate([k[i].ravel() for k in known]) for i in (1, 0))
    scale = np.linalg.lstsq(found[:, None], truth, rcond=None)[0][0]
    scaled = [np.linalg.norm(scale * pose - gt, axis=1).mean() for pose, gt in known]
    mean = {name: np.mean(values) for name, values in rows.items()}
    return {
        **{k: mean[k] for k in ("MPJPE", "PA_MPJPE", "ABS_MPJPE", "MRPE", "ORD")},
        **{f"MRPE_{axis}": mean[axis] for axis in "xyz"},
        **{k: mean[k] for k in ("ORD_joint", "PCK3D_abs", "BIAS_z")},
        "SCALE": scale,
        "ABS_MPJPE_SCALED": np.mean(scaled),
        "PAIR_SLOPE": np.polynomial.polynomial.polyfit(gt_apart, pred_apart, [1])[1],
        "ORD_all": sum(rows["ORD"]) / all_pairs,
        "PCK3D_abs_all": sum(rows["PCK3D_abs"]) / all_joints,
        "PCK@0.2": mean["PCK"],
        "detection_rate": matched / people,
        "detection_rate_3d": matched_3d / people_3d,
        "false_positives_per_person": wrong / people,
        "false_positives_per_image": wrong / len(records),
        "people": people,
        "people_3d": people_3d,
        "matched": matched,
        "matched_2d": matched_2d,
        "joints_2d": len(rows["PCK"]),
        "matched_3d": matched_3d,
    }
