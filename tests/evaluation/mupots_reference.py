"""MuPoTS-3D's evaluation once more, as the MATLAB scripts have it: loops, one-based joint numbers.

Written from the description of the protocol, to compare with; it shares no code with the package
and reads the files by itself.
"""

import math

from scipy.io import loadmat

PARENTS = [2, 16, 2, 3, 4, 2, 6, 7, 15, 9, 10, 15, 12, 13, 15, 15, 2]
TRAVERSAL_ORDER = [15, 16, 2, 1, 17, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14]
GROUPS = [
    ("Head", [1]),
    ("Neck", [2]),
    ("Shou", [3, 6]),
    ("Elbow", [4, 7]),
    ("Wrist", [5, 8]),
    ("Hip", [9, 12]),
    ("Knee", [10, 13]),
    ("Ankle", [11, 14]),
]
MATCHING_JOINTS = range(2, 15)
EVALUATED_JOINTS = range(1, 15)
NAN = float("nan")


def read_frames(folder):
    """For each frame the valid people: (annot2, univ_annot3, occlusion), as lists by joint."""
    cells = loadmat(f"{folder}/annot.mat")["annotations"]
    labels = loadmat(f"{folder}/occlusion.mat")["occlusion_labels"]
    frames = []
    for i in range(cells.shape[0]):
        people = []
        for k in range(cells.shape[1]):
            if cells[i, k]["isValidFrame"][0, 0][0, 0]:
                people.append(
                    (
                        cells[i, k]["annot2"][0, 0].astype(float).T.tolist(),
                        cells[i, k]["univ_annot3"][0, 0].astype(float).T.tolist(),
                        labels[i, k].ravel().tolist(),
                    )
                )
        frames.append(people)
    return frames


def norm(vector):
    return math.sqrt(sum(x * x for x in vector))


def minus(a, b):
    return [x - y for x, y in zip(a, b, strict=True)]


def identity_matching(annotated, predicted, threshold=40):
    """One-based number of the prediction of each annotated person, 0 for none; 2D joints."""
    matching, matched = [0] * len(annotated), [0] * len(predicted)
    for i, person in enumerate(annotated):
        scores = [0] * len(predicted)
        for j, prediction in enumerate(predicted):
            if matched[j]:
                continue
            for joint in MATCHING_JOINTS:
                x, y = prediction[joint - 1]
                visible = not (x == 0 and y == 0)
                dx, dy = abs(person[joint - 1][0] - x), abs(person[joint - 1][1] - y)
                if dx < threshold and dy < threshold and visible:
                    scores[j] += 1
        if scores and max(scores) > 0:
            j = scores.index(max(scores))
            matching[i] = j + 1
            matched[j] = 1
    return matching


def map_to_gt_bone_lengths(pred, gt):
    mapped = [list(point) for point in pred]
    for joint in TRAVERSAL_ORDER[1:]:
        parent = PARENTS[joint - 1]
        true_length = norm(minus(gt[joint - 1], gt[parent - 1]))
        bone = minus(pred[joint - 1], pred[parent - 1])
        length = norm(bone)
        for axis in range(3):
            part = bone[axis] * true_length / length if length > 0 else NAN
            mapped[joint - 1][axis] = mapped[parent - 1][axis] + part
    return mapped


def sequence_errors(frames, predictions, relative, all_people):
    """Errors by joint, occlusion labels by joint, number of undetected, and PCOD's counts.

    ``predictions`` are lists of (keypoints, keypoints_cam) by frame.
    """
    errors, occlusion, undetected, right, pairs = [], [], 0, 0, 0
    for people, predicted in zip(frames, predictions, strict=True):
        matching = identity_matching([p[0] for p in people], [p[0] for p in predicted])
        undetected += sum(m == 0 for m in matching)
        depths = []
        for m, (_, gt, labels) in zip(matching, people, strict=True):
            root_depth = gt[14][2]
            if relative:
                gt = [minus(point, gt[14]) for point in gt]
            if m:
                pose = [list(point) for point in predicted[m - 1][1]]
                depths.append((pose[14][2], root_depth))
                if relative:
                    pose = [minus(point, pose[14]) for point in pose]
                pose = map_to_gt_bone_lengths(pose, gt)
            elif all_people:
                pose = [[100000.0] * 3 for _ in range(17)]
                depths.append((100000.0, root_depth))
            else:
                continue
            errors.append([norm(minus(a, b)) for a, b in zip(pose, gt, strict=True)])
            occlusion.append(labels)
        for a in range(len(depths)):
            for b in range(a + 1, len(depths)):
                pd, gd = depths[b][0] - depths[a][0], depths[b][1] - depths[a][1]
                right += bool(gd * pd > 0 or (abs(gd) < 300 and abs(pd) < 300))
                pairs += 1
    return errors, occlusion, undetected, right, pairs


def pck(errors, joints, threshold):
    """Percent of errors under the threshold; NaN is not."""
    if not errors:
        return NAN
    hits = sum(1 for row in errors for joint in joints if row[joint - 1] < threshold)
    return 100 * hits / (len(joints) * len(errors))


def pck_and_auc_tables(errors):
    """Two tables, group to percent, with "Total"."""
    tables = ({}, {})
    for name, joints in GROUPS:
        tables[0][name] = pck(errors, joints, 150)
        curve = [pck(errors, joints, threshold) for threshold in range(0, 151, 5)]
        tables[1][name] = sum(curve) / len(curve)
    for table in tables:
        weighted = [table[name] * len(joints) for name, joints in GROUPS]
        table["Total"] = sum(weighted) / sum(len(joints) for _, joints in GROUPS)
    return tables


def masked_table(errors, masks):
    """Percent by joint, percent of all, and number of joints, of those whose mask is 1."""
    by_joint, all_wrong, all_number = [], 0, 0
    for joint in EVALUATED_JOINTS:
        wrong = number = 0
        for row, mask in zip(errors, masks, strict=True):
            error = 160 if math.isnan(row[joint - 1]) else row[joint - 1]
            wrong += error * mask[joint - 1] > 150
            number += mask[joint - 1]
        by_joint.append(100 * (1 - wrong / (number + 1e-25)))
        all_wrong += wrong
        all_number += number
    return by_joint, 100 * (1 - all_wrong / all_number) if all_number else NAN, all_number


def evaluate_sequence(frames, predictions):
    """Everything of one sequence, by (relative, all_people)."""
    results = {}
    for relative in (True, False):
        for all_people in (True, False):
            errors, occlusion, undetected, right, pairs = sequence_errors(
                frames, predictions, relative, all_people
            )
            visible = [[1 - label for label in row] for row in occlusion]
            pck_table, auc_table = pck_and_auc_tables(errors)
            results[relative, all_people] = {
                "pck": pck_table,
                "auc": auc_table,
                "visible": masked_table(errors, visible),
                "occluded": masked_table(errors, occlusion),
                "undetected": undetected,
                "people": sum(len(people) for people in frames),
                "pcod": 100 * right / pairs if pairs else NAN,
            }
    return results


def matched_root_offsets(frames, predictions):
    """Differences (dX, dY, dZ) of the pelvis of every matched person."""
    offsets = []
    for people, predicted in zip(frames, predictions, strict=True):
        matching = identity_matching([p[0] for p in people], [p[0] for p in predicted])
        for m, (_, gt, _) in zip(matching, people, strict=True):
            if m:
                offsets.append(minus(predicted[m - 1][1][14], gt[14]))
    return offsets


def root_average_precision(images, threshold=250):
    """RootNet's AP; ``images`` are pairs of predictions (score, root) and annotated roots."""
    output = [
        (score, root, number) for number, (predicted, _) in enumerate(images)
        for score, root in predicted
    ]  # fmt: skip
    output.sort(key=lambda entry: entry[0], reverse=True)
    number_of_people = sum(len(roots) for _, roots in images)
    matched, tp, fp, precision, recall = set(), 0, 0, [], []
    for _, root, number in output:
        roots = images[number][1]
        if not roots:
            continue
        nearest, least = -1, 9999
        for k, gt_root in enumerate(roots):
            distance = norm(minus(root, gt_root))
            if least > distance:
                nearest, least = k, distance
        if nearest >= 0 and least < threshold and (number, nearest) not in matched:
            matched.add((number, nearest))
            tp += 1
        else:
            fp += 1
        precision.append(tp / (tp + fp))
        recall.append(tp / number_of_people)
    steps = range(len(precision) - 1)
    return 100 * sum(precision[n + 1] * (recall[n + 1] - recall[n]) for n in steps)
