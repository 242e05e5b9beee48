"""CMU Panoptic: what the evaluator logs, writes, and refuses."""

import json

import numpy as np
import pytest

from hmor_d2.data.dataset_error import DatasetError
from hmor_d2.evaluation.panoptic import PanopticEvaluator
from hmor_d2.skeleton import get_skeleton
from tests.evaluation.panoptic_scenes import hand_made
from tests.evaluation.protocol_scenes import make_instances, run


def test_files_and_log(register, tmp_path, caplog):
    records, poses = hand_made()
    predictions = {0: make_instances(poses[:1], [0.9])}
    options = {"matching": "smap", "output_dir": str(tmp_path)}
    evaluator = PanopticEvaluator(register(records), get_skeleton("panoptic15"), **options)
    with caplog.at_level("INFO"):
        found = run(evaluator, predictions)
    written = json.loads((tmp_path / "pose_results.json").read_text())
    assert written["matching"] == "smap" and written["panoptic"]["MPJPE_pizza"] is None
    assert written["panoptic"]["MPJPE_haggling"] == found["MPJPE_haggling"]
    images = json.loads((tmp_path / "pose_predictions.json").read_text())["predictions"]
    assert [image["image_id"] for image in images] == [0]
    for text in ("1 of 2 people found", "30 pixels at 832x512", "detection_rate", "pizza"):
        assert text in caplog.text


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r: r[1].pop("sequence"), "image_id 1.*'sequence'"),
        (lambda r: r[1].pop("joint_set"), "image_id 1.*'joint_set'"),
        (lambda r: r[1].update(joint_set="mpi15"), "image_id 1.*unknown skeleton 'mpi15'"),
        (lambda r: r[0]["annotations"][0].update(keypoints_cam=np.zeros((19, 3))), r"\(19, 3\)"),
        (
            lambda r: [a.pop("keypoints_cam") for x in r for a in x["annotations"]],
            "nobody to evaluate in its 2 images.*'keypoints_cam' with a valid 'pelvis'",
        ),
        (lambda r: r.clear(), "nobody to evaluate in its 0 images"),
    ],
)
def test_bad_annotations(register, change, message):
    records, _ = hand_made()
    change(records)
    evaluator = PanopticEvaluator(register(records), get_skeleton("panoptic15"))
    with pytest.raises(ValueError, match=message):
        run(evaluator, {})


def test_predictions_are_kept_whatever_the_annotations(register, tmp_path):
    records, poses = hand_made()
    del records[1]["sequence"]
    evaluator = PanopticEvaluator(
        register(records), get_skeleton("panoptic15"), output_dir=str(tmp_path)
    )
    with pytest.raises(DatasetError, match="'sequence'"):
        run(evaluator, {0: make_instances(poses[:1], [0.9])})
    written = json.loads((tmp_path / "pose_predictions.json").read_text())
    assert len(written["predictions"][0]["people"]) == 1
    assert not (tmp_path / "pose_results.json").exists()


def test_bad_predictions(register):
    records, poses = hand_made()
    name = register(records)
    evaluator = PanopticEvaluator(name, get_skeleton("panoptic15"))
    with pytest.raises(ValueError, match=f"'{name}' has no image of image_id \\[7\\]"):
        run(evaluator, {7: make_instances(poses[:1], [0.9])})
    poses[0, 3, 1] = np.nan
    with pytest.raises(ValueError, match=r"image_id 0.*must be finite"):
        run(evaluator, {0: make_instances(poses[:1], [0.9])})
    with pytest.raises(ValueError, match=r"'pred_keypoints' must have shape \(1, 15, 3\)"):
        run(evaluator, {0: make_instances(poses[1:, :13], [0.9])})


def test_bad_arguments():
    panoptic15 = get_skeleton("panoptic15")
    with pytest.raises(ValueError, match=r"matching must be one of \['hmor'.*found 'hungarian'"):
        PanopticEvaluator("any", panoptic15, matching="hungarian")
    with pytest.raises(ValueError, match="activities must be a list of names, found 'pizza'"):
        PanopticEvaluator("any", panoptic15, activities="pizza")
    with pytest.raises(ValueError, match="'coco17' has no root joint"):
        PanopticEvaluator("any", get_skeleton("coco17"))
