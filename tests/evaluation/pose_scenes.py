"""People who stand about, and predictions of them, for the tests of the pose evaluator."""

import numpy as np
from detectron2.structures import BoxMode

from hmor_d2.evaluation.pose_evaluator import Pose3DEvaluator
from hmor_d2.skeleton import get_skeleton
from tests.evaluation import protocol_scenes
from tests.evaluation.protocol_scenes import extents, fill_instances

HEIGHT, WIDTH, FOCAL = 480, 640, 600.0
MUCO17 = get_skeleton("muco17")
FIELDS = ("pred_boxes", "scores", "pred_keypoints", "pred_keypoints_cam", "pred_root_depth")


def project(poses):
    return poses[..., :2] / poses[..., 2:] * FOCAL + [WIDTH / 2, HEIGHT / 2]


def make_records(seed, num_images=12, joint_set="muco21"):
    """People who stand about, some partly or wholly outside the image, some joints unknown."""
    rng = np.random.default_rng(seed)
    joints = get_skeleton(joint_set).num_joints
    records = []
    for image_id in range(num_images):
        people = 0 if image_id == 1 else int(rng.integers(2, 7))
        root = np.array([rng.uniform(-1400, 1400, people), rng.uniform(-300, 300, people)])
        root = np.concatenate((root, rng.uniform(2500, 5000, (1, people)))).T
        poses = root[:, None] + rng.normal(scale=220, size=(people, joints, 3))
        if image_id == 2:
            poses[0] = poses[0] - poses[0].mean(axis=0) + [9000, 0, 3000]
        pixels = project(poses)
        annotations = []
        for box, pose, points in zip(extents(pixels), poses, pixels, strict=True):
            visible = rng.integers(0, 3, joints).astype(float)
            visible[1], visible[14] = 2, 2 * (rng.random() < 0.8)
            valid = rng.random(joints) < 0.8
            valid[14] = rng.random() < 0.85
            annotation = {
                "bbox": [*box[:2], *(box[2:] - box[:2])],
                "bbox_mode": BoxMode.XYWH_ABS,
                "category_id": 0,
                "iscrowd": int(rng.random() < 0.1),
                "keypoints": np.column_stack((points, visible)).ravel().tolist(),
                "keypoints_cam": np.where(valid[:, None], pose, -1e6).astype(np.float32),
                "keypoints_cam_valid": valid,
            }
            if rng.random() < 0.1:
                del annotation["keypoints_cam"], annotation["keypoints_cam_valid"]
            annotations.append(annotation)
        records.append(
            {
                "file_name": f"images/{image_id}.jpg",
                "image_id": image_id,
                "height": HEIGHT,
                "width": WIDTH,
                "joint_set": joint_set,
                "annotations": annotations,
            }
        )
    return records


def make_instances(boxes, scores, pixels, poses, depth=None, size=(HEIGHT, WIDTH)):
    depth = poses[:, MUCO17.root_index, 2] if depth is None else depth
    return fill_instances(boxes, scores, pixels, poses, depth, size)


def noisy_predictions(records, seed):
    """Several noisy predictions a person, and some of nobody; joints as MuCo's first 17."""
    rng = np.random.default_rng(seed)
    predictions = {}
    for record in records:
        people = record["annotations"]
        sources = rng.integers(0, len(people), 2 * len(people)) if people else []
        poses = [rng.normal([0, 0, 3000], 200, (2, 17, 3))]
        boxes = [rng.uniform([0, 0, 200, 200], [200, 200, 400, 400], (2, 4))]
        for i in sources:
            x, y, w, h = people[i]["bbox"]
            pose = people[i].get("keypoints_cam", np.zeros((21, 3)))[:17]
            pose = np.where(pose[:, 2:] > 0, pose, [0, 0, 3000])
            poses.append((pose + rng.normal(scale=100, size=(17, 3)))[None])
            boxes.append(np.array([[x, y, x + w, y + h]]) + rng.normal(scale=12, size=4))
        poses, boxes = np.concatenate(poses), np.concatenate(boxes)
        pixels = project(poses) + rng.normal(scale=6, size=(len(poses), 17, 2))
        depth = poses[:, 14, 2] + rng.normal(scale=500, size=len(poses))
        scores = rng.random(len(poses))
        predictions[record["image_id"]] = make_instances(boxes, scores, pixels, poses, depth)
    return predictions


def perfect_predictions(records):
    """Every annotated person exactly; for tests whose joints are all known."""
    predictions = {}
    for record in records:
        people = record["annotations"]
        boxes = np.array([a["bbox"] for a in people]).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        poses = np.array([a["keypoints_cam"][:17] for a in people]).reshape(-1, 17, 3)
        pixels = np.array([a["keypoints"][: 17 * 3] for a in people]).reshape(-1, 17, 3)
        scores = np.linspace(0.9, 0.5, len(people))
        predictions[record["image_id"]] = make_instances(boxes, scores, pixels[..., :2], poses)
    return predictions


def know_everything(records):
    for record in records:
        for a in record["annotations"]:
            a["iscrowd"] = 0
            pixels = np.array(a["keypoints"]).reshape(-1, 3)
            pixels[:, 2] = 2
            a["keypoints"] = pixels.ravel().tolist()
            # Depths are free: the boxes and pixels stay as they are.
            depth = np.random.default_rng(0).uniform(2500, 5000, len(pixels))
            a["keypoints_cam"] = np.column_stack((pixels[:, :2], depth)).astype(np.float32)
            a["keypoints_cam_valid"] = np.ones(len(pixels), dtype=bool)
            a["keypoints_cam"][14, 2] += a["bbox"][0]
    return records


def run(name, predictions, **options):
    return protocol_scenes.run(Pose3DEvaluator(name, MUCO17, **options), predictions)
