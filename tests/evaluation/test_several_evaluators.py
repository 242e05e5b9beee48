"""Datasets with several evaluators, and box AP where annotations are not COCO's."""

import json

import numpy as np
import pytest
from detectron2.config import get_cfg
from detectron2.data import MetadataCatalog

from hmor_d2 import add_hmor_config
from hmor_d2.evaluation import build_evaluator
from hmor_d2.skeleton import get_skeleton
from tests.evaluation.protocol_scenes import make_instances, make_record

JOINTS = get_skeleton("muco17").num_joints


@pytest.fixture
def scene(register, tmp_path):
    """Six images, their people predicted, and half of the people once more, wrongly."""
    rng = np.random.default_rng(3)
    roots = rng.uniform((-400, -100, 3000), (400, 100, 4000), (12, 3))
    roots[::2, 0] -= 900
    poses = roots[:, None] + rng.uniform(-300, 300, (12, JOINTS, 3))
    valid = np.ones((2, JOINTS), bool)
    name = register(
        [make_record(i, "muco17", p, valid) for i, p in enumerate(poses.reshape(-1, 2, JOINTS, 3))]
    )
    cfg = get_cfg()
    add_hmor_config(cfg)
    cfg.OUTPUT_DIR = str(tmp_path)
    return cfg, name, poses


def run(cfg, name, poses):
    evaluator = build_evaluator(cfg, name)
    evaluator.reset()
    for image_id, people in enumerate(poses.reshape(-1, 2, JOINTS, 3)):
        # The false alarms have lower scores in half of the images, higher ones in the others.
        wrong = people[:1] + np.array([0, 0, 9000])
        scores = np.array([0.9, 0.8, 0.5 if image_id % 2 else 0.95])
        instances = make_instances(np.concatenate((people, wrong)), scores)
        evaluator.process(
            [{"image_id": image_id, "file_name": f"{image_id}.jpg"}], [{"instances": instances}]
        )
    return evaluator.evaluate()


def test_each_evaluator_gives_its_figures(scene, tmp_path):
    cfg, name, poses = scene
    metadata = MetadataCatalog.get(name)
    metadata.evaluator_type = ["pose3d", "boxes"]
    metadata.evaluator_options = {"score_threshold": 0.7}
    metadata.thing_classes = ["person"]
    results = run(cfg, name, poses)
    # Nine of twelve predictions above 0.7 in the images without a high false alarm are right;
    # COCO's AP: 12 people, false alarms ranked 1 to 3 before all of them, 3 after.
    precision = np.maximum.accumulate((np.arange(1, 13) / (np.arange(1, 13) + 3))[::-1])[::-1]
    at = np.searchsorted(np.arange(1, 13) / 12, np.linspace(0, 1, 101))
    assert results["bbox"]["AP50"] == pytest.approx(100 * precision[at].mean(), abs=1e-6)
    assert results["pose3d"]["MPJPE"] < 0.01 and results["pose3d"]["detection_rate"] == 1
    assert results["pose3d"]["false_positives_per_person"] == pytest.approx(3 / 12)
    folder = tmp_path / "inference" / name
    written = json.loads((folder / "pose3d/pose_results.json").read_text())
    assert written["pose3d"]["matched"] == 12
    assert (folder / "boxes/coco_instances_results.json").is_file()


@pytest.mark.parametrize(
    ("types", "options", "message"),
    [
        (["pose3d", "boxes"], {"radius": 3}, r"none of.*pose3d.*boxes.*\['radius'\]"),
        (["pose3d", "bboxes"], {}, "found evaluator_type 'bboxes'"),
    ],
)
def test_options_and_types_that_no_evaluator_has(scene, types, options, message):
    cfg, name, _ = scene
    MetadataCatalog.get(name).set(evaluator_type=types, evaluator_options=options)
    with pytest.raises(ValueError, match=f"'{name}'.*{message}"):
        build_evaluator(cfg, name)
