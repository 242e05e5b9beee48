"""The datasets registered at import: metadata, splits, and what is missing on the disk."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from detectron2.data import DatasetCatalog, MetadataCatalog
from detectron2.data.detection_utils import create_keypoint_hflip_indices
from detectron2.utils.visualizer import Visualizer

from hmor_d2.skeleton import get_skeleton

# Joint set, evaluator, and the path whose absence is reported.
BUILTIN = {
    "muco_train": ("muco21", "pose3d", "muco/MuCo-3DHP.json"),
    "muco_train_augmented": ("muco21", "pose3d", "muco/MuCo-3DHP.json"),
    "mupots_test": ("muco17", "mupots", "mupots/MultiPersonTestSet/TS1"),
    "mupots_test_json": ("muco17", "mupots", "mupots/MuPoTS-3D.json"),
    "coco_person_keypoints_2017_train": (
        "coco17",
        "coco",
        "coco/annotations/person_keypoints_train2017.json",
    ),
    "coco_person_keypoints_2017_val": (
        "coco17",
        "coco",
        "coco/annotations/person_keypoints_val2017.json",
    ),
    "panoptic_train": ("panoptic19", "pose3d", "panoptic/160224_haggling1"),
    "panoptic_test": ("panoptic19", "panoptic", "panoptic/160422_haggling1"),
    "3dpw_train": ("smpl24", "3dpw", "3dpw/sequenceFiles/train"),
    "3dpw_validation": ("smpl24", "3dpw", "3dpw/sequenceFiles/validation"),
    "3dpw_test": ("smpl24", "3dpw", "3dpw/sequenceFiles/test"),
    "human36m_p1_train": ("h36m17", "human36m", "human36m/annotations/Human36M_subject1"),
    "human36m_p1_test": ("h36m17", "human36m", "human36m/annotations/Human36M_subject11"),
    "human36m_p2_train": ("h36m17", "human36m", "human36m/annotations/Human36M_subject1"),
    "human36m_p2_test": ("h36m17", "human36m", "human36m/annotations/Human36M_subject9"),
}


@pytest.mark.parametrize("dataset", BUILTIN)
def test_metadata(dataset):
    metadata, skeleton = MetadataCatalog.get(dataset), get_skeleton(BUILTIN[dataset][0])
    assert metadata.thing_classes == ["person"]
    assert metadata.joint_set == skeleton.name
    assert metadata.keypoint_names == skeleton.joint_names
    flips = create_keypoint_hflip_indices(dataset)
    np.testing.assert_array_equal(flips, skeleton.flip_indices)
    assert all(left.startswith("left_") for left, _ in metadata.keypoint_flip_map)
    assert [rule[:2] for rule in metadata.keypoint_connection_rules] == [
        tuple(skeleton.joint_names[joint] for joint in part) for part in skeleton.parts
    ]
    assert metadata.evaluator_type == BUILTIN[dataset][1]
    assert hasattr(metadata, "json_file") == dataset.startswith("coco")
    assert metadata.image_root


def test_connection_rules_colour_the_sides_apart():
    rules = MetadataCatalog.get("muco_train").keypoint_connection_rules
    colours = {side: {rule[2] for rule in rules if side in rule[1]} for side in ("left_", "right_")}
    assert all(len(found) == 1 for found in colours.values())
    assert colours["left_"] != colours["right_"]


@pytest.mark.parametrize("dataset", ["muco_train", "panoptic_train"])
def test_visualizer_of_detectron2_draws_with_the_metadata(dataset):
    skeleton = get_skeleton(BUILTIN[dataset][0])
    keypoints = np.random.default_rng(0).uniform(10, 90, (1, skeleton.num_joints, 3))
    keypoints[..., 2] = 1
    image = np.zeros((100, 100, 3), np.uint8)
    visualizer = Visualizer(image, MetadataCatalog.get(dataset))
    drawn = visualizer.overlay_instances(keypoints=keypoints).get_image()
    assert (drawn.max(axis=-1) > 50).sum() > 300


def test_registration_needs_no_disk_and_loading_names_what_is_missing(tmp_path):
    """In a process of its own, as the folder is read when the module is imported."""
    code = (
        "import json, hmor_d2.data.builtin\n"
        "from detectron2.data import DatasetCatalog, MetadataCatalog\n"
        "messages = {}\n"
        f"for name in {list(BUILTIN)}:\n"
        "    try:\n"
        "        DatasetCatalog.get(name)\n"
        "    except ValueError as error:\n"
        "        messages[name] = str(error)\n"
        "print(json.dumps(messages))\n"
    )
    root = tmp_path / "absent"
    environment = os.environ | {"DETECTRON2_DATASETS": str(root)}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        env=environment,
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    messages = json.loads(done.stdout.splitlines()[-1])
    expected = {name: path for name, (_, _, path) in BUILTIN.items()}
    assert messages.keys() == expected.keys()
    for dataset, path in expected.items():
        assert messages[dataset].startswith(str(root / path))
        assert "DETECTRON2_DATASETS" in messages[dataset]


def test_panoptic_splits_share_no_sequence():
    train, test = (DatasetCatalog[f"panoptic_{split}"].keywords for split in ("train", "test"))
    assert train["cameras"] == test["cameras"] == ("00_16", "00_30")
    assert not set(train["sequences"]) & set(test["sequences"])
    assert test["num_frames"] * len(test["cameras"]) * len(test["sequences"]) == 9600


def test_large_training_sets_are_compact():
    for dataset in ("muco_train", "muco_train_augmented", "panoptic_train"):
        assert DatasetCatalog[dataset].keywords["compact"] is True
