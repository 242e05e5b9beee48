"""CMU Panoptic's published matchings and figures, transcribed one person and one joint at a time.

Matchings take lists of people and give {person: prediction}.
"""

import math

import numpy as np

from hmor_d2.skeleton import get_skeleton
from tests.evaluation.protocol_scenes import HEIGHT, WIDTH


def norm(vector):
    return math.sqrt(sum(float(x) ** 2 for x in vector))


def slow_crmh(pred, gt, valid, root):
    rooted = [p for p in range(len(gt)) if valid[p][root]]
    joints = [j for j in range(pred.shape[1]) if all(valid[p][j] for p in rooted)]
    matches = {}
    for p in rooted:
        best = math.inf
        for n in range(len(pred)):
            total = sum(
                norm(pred[n][j] - pred[n][root] - gt[p][j] + gt[p][root]) ** 2 for j in joints
            )
            if math.sqrt(total) < best:
                best, matches[p] = math.sqrt(total), n
    return matches


def slow_hmor(pred, scores, gt, valid, limit):
    items = []
    for n in range(len(pred)):
        distances = []
        for p in range(len(gt)):
            known = [j for j in range(pred.shape[1]) if valid[p][j]]
            total = sum(norm(pred[n][j] - gt[p][j]) for j in known)
            distances.append(total / len(known) if known else math.inf)
        if distances:
            items.append((scores[n], min(distances), distances.index(min(distances)), n))
    items.sort(key=lambda item: item[0], reverse=True)
    matches = {}
    for _, distance, p, n in items:
        if distance < limit and p not in matches:
            matches[p] = n
    return matches


def slow_smap(pred, gt, known, limit):
    table = [[norm(a - b) if k else 2**15 for b in pred] for a, k in zip(gt, known, strict=True)]
    matches = {}
    while len(pred) and len(gt) and min(map(min, table)) < limit:
        least = min(map(min, table))
        for p in range(len(gt)):
            for n in range(len(pred)):
                if table[p][n] == least:
                    table[p][n] = 2**15
                    if p not in matches and n not in matches.values():
                        matches[p] = n
    return matches


def slow_romp(pred, gt, known, threshold):
    """match_2d_greedy, with its early end."""
    people = [p for p in range(len(gt)) if any(known[p])]

    def box(points):
        return (*np.min(points, axis=0), *np.max(points, axis=0))

    def iou(a, b):
        w = max(0, min(a[2], b[2]) - max(a[0], b[0]) + 1)
        h = max(0, min(a[3], b[3]) - max(a[1], b[1]) + 1)
        area_a = (a[2] - a[0] + 1) * (a[3] - a[1] + 1)
        area_b = (b[2] - b[0] + 1) * (b[3] - b[1] + 1)
        return w * h / (area_a + area_b - w * h)

    pairs = []
    for n in range(len(pred)):
        for p in people:
            mask = np.array(known[p])
            overlap = iou(box(pred[n][mask]), box(gt[p][mask]))
            pairs.append([np.linalg.norm(pred[n][mask] - gt[p][mask]), n, p, overlap])
    matches, false_positives = {}, 0
    while len(matches) < len(people) and len(matches) + false_positives < len(pred):
        pair = min(pairs, key=lambda entry: entry[0])
        _, n, p, overlap = pair
        pair[0] = math.inf
        if p not in matches and n not in matches.values() and overlap >= threshold:
            matches[p] = n
        elif overlap < threshold:
            false_positives += 1
    return matches


def slow_evaluation(records, predictions, rule):
    """From the words of the class and the rules."""
    muco = get_skeleton("muco17").joint_names
    errors, roots, found_by = {}, [], {}
    for record in records:
        source = get_skeleton(record["joint_set"]).joint_names
        names = [n for n in get_skeleton("panoptic15").joint_names if n in source]
        annotated = []
        for a in record["annotations"]:
            x0, y0, x1, y1 = a["bbox"]
            if x1 > 0 and y1 > 0 and x0 < WIDTH and y0 < HEIGHT:
                annotated.append(a)
        index = [source.index(n) for n in names]
        gt = np.array([a["keypoints_cam"] for a in annotated]).reshape(-1, len(source), 3)[:, index]
        valid = np.array([a["keypoints_cam_valid"] for a in annotated]).reshape(-1, len(source))
        valid = valid[:, index]
        points = np.array([a["keypoints"] for a in annotated]).reshape(-1, len(source), 3)[:, index]
        root = names.index("pelvis")
        instances = predictions.get(record["image_id"])
        columns = [muco.index(n) for n in names]
        if instances is None:
            pred, pixels, scores = np.zeros((0, len(names), 3)), np.zeros((0, len(names), 2)), []
        else:
            pred = instances.pred_keypoints_cam.double().numpy()[:, columns]
            pixels = instances.pred_keypoints.double().numpy()[:, columns, :2]
            scores = instances.scores.double().numpy()
        known = points[..., 2] > 0
        counted = [p for p in range(len(gt)) if valid[p, root] and valid[p].sum() > 1]
        if rule == "crmh":
            matches = slow_crmh(pred, gt, valid, root)
        elif rule == "hmor":
            matches = slow_hmor(pred, scores, gt, valid, 500)
        elif rule == "smap":
            # The input shows 960x540 at 832 / 960.
            limit = 30 * WIDTH / 832
            matches = slow_smap(pixels[:, root], points[:, root, :2], known[:, root], limit)
            counted = [p for p in counted if points[p, root, 2] == 2]
        else:
            # load_gts keeps nobody else, so that they take no prediction.
            in_image = (points[..., 2] == 2).sum(axis=1) > 5
            matches = slow_romp(pixels, points[..., :2], known & in_image[:, None], 0.05)
            counted = [p for p in counted if in_image[p]]
        activity = next(a for a in ("haggling", "mafia", "pizza") if a in record["sequence"])
        for p in counted:
            found_by.setdefault(activity, []).append(p in matches)
            if p not in matches:
                errors.setdefault(activity, []).extend([150.0] if rule == "romp" else [])
                continue
            n = matches[p]
            joints = [j for j in range(len(names)) if valid[p, j]]
            offset = pred[n, root] - gt[p, root]
            total = sum(norm(pred[n, j] - gt[p, j] - offset) for j in joints)
            number = len(names) if rule in ("crmh", "romp") else len(joints)
            errors.setdefault(activity, []).append(total / number)
            roots.append(np.abs(offset))
    every = [e for values in errors.values() for e in values]
    found = [f for values in found_by.values() for f in values]
    figures = {f"MPJPE_{a}": np.mean(values) for a, values in errors.items()}
    figures |= {f"detection_rate_{a}": np.mean(values) for a, values in found_by.items()}
    figures |= dict(zip(("MRPE_x", "MRPE_y", "MRPE_z"), np.mean(roots, axis=0), strict=True))
    return figures | {
        "MPJPE_activities": np.mean([np.mean(values) for values in errors.values()]),
        "MPJPE_people": np.mean(every),
        "MRPE": np.mean([norm(r) for r in roots]),
        "detection_rate": np.mean(found),
        "people": len(found),
        "matched": sum(found),
    }
