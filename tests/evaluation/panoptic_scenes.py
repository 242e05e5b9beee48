"""People of CMU Panoptic's activities, generated and real, and predictions of them."""

import numpy as np

from hmor_d2.data.datasets import load_panoptic
from hmor_d2.skeleton import get_skeleton
from tests.evaluation.protocol_scenes import by_names, make_instances, make_record, random_poses
from tests.real_data import real_data

SEQUENCES = ("160422_haggling1", "160422_mafia2", "160906_pizza1")
ROOT = 2
MUCO17 = get_skeleton("muco17")


def make_scene(seed, num_images=18):
    rng = np.random.default_rng(seed)
    records, predictions = [], {}
    for image_id in range(num_images):
        joint_set = ("panoptic19", "panoptic15")[image_id % 2]
        joints = get_skeleton(joint_set).num_joints
        people = 0 if image_id == 1 else int(rng.integers(1, 5))
        poses = random_poses(rng, people, joints)
        valid = rng.random((people, joints)) < 0.9
        valid[:, ROOT] = rng.random(people) < 0.9
        sequence = SEQUENCES[image_id % 3]
        records.append(make_record(image_id, joint_set, poses, valid, sequence=sequence))
        if image_id == 4:
            continue
        sources = rng.integers(0, people, people + 1) if people else np.zeros(0, dtype=int)
        # Joints that the model lacks are far away, those that only it has are made up.
        pred = by_names(joint_set, "muco17", poses)[sources]
        pred = pred + rng.normal(scale=80, size=pred.shape)
        pred += rng.normal(scale=150, size=(len(pred), 1, 3))
        pred = np.concatenate((pred, random_poses(rng, 1, 17)))
        predictions[image_id] = make_instances(pred, rng.random(len(pred)))
    return records, predictions


def real_scene():
    """Records of the real sample, and of each its people's poses and pixels in MuCo's joints."""
    records = load_panoptic(
        str(real_data("panoptic")), ["demo_haggling"], ["00_03", "00_12", "00_23"]
    )
    mapping = get_skeleton("panoptic19").mapping_to(MUCO17)
    people = []
    for record in records:
        annotations = record["annotations"]
        poses = np.array([a["keypoints_cam"] for a in annotations], dtype=np.float64)
        poses, _ = mapping.apply(poses, np.array([a["keypoints_cam_valid"] for a in annotations]))
        pixels = np.array([a["keypoints"] for a in annotations]).reshape(len(annotations), 19, 3)
        pixels, _ = mapping.apply(pixels[..., :2], pixels[..., 2])
        people.append((poses, pixels))
    return records, people


def hand_made(joint_set="panoptic15"):
    """One person in haggling, one in pizza, the second farther to the right."""
    joints = get_skeleton(joint_set).num_joints
    rng = np.random.default_rng(0)
    poses = rng.normal(scale=200, size=(2, joints, 3)) + np.array([0, 0, 3000])
    poses[1, :, 0] += 300
    valid = np.ones((1, joints), dtype=bool)
    records = [
        make_record(0, joint_set, poses[:1], valid, sequence="160422_haggling1"),
        make_record(1, joint_set, poses[1:], valid, sequence="160906_pizza1"),
    ]
    return records, poses
