"""What the pose evaluator logs and writes, also where predictions or whole images are missing."""

import json
import logging
import math

import numpy as np
import pytest

from hmor_d2.evaluation.pose_evaluator import Pose3DEvaluator
from tests.evaluation.pose_reference import slow_evaluation
from tests.evaluation.pose_scenes import FIELDS, MUCO17, make_records, noisy_predictions, run


def test_missing_and_repeated_images(register, caplog):
    records = make_records(6)
    name, predictions = register(records), noisy_predictions(records, 6)
    del predictions[5], predictions[7]
    expected = slow_evaluation(records, predictions, 0.5, 0.0)
    evaluator = Pose3DEvaluator(name, MUCO17)
    with caplog.at_level(logging.INFO):
        for image_id, prediction in predictions.items():
            evaluator.process([records[image_id]], [{"instances": prediction}])
        for image_id in (0, 3, 4):
            evaluator.process([records[image_id]], [{"instances": predictions[image_id][:0]}])
        found = evaluator.evaluate()["pose3d"]
    assert found == pytest.approx(expected, rel=1e-6)
    assert "2 of 12 images" in caplog.text and "[5, 7]" in caplog.text
    assert "3 images were predicted more than once" in caplog.text
    assert "IoU >= 0.5" in caplog.text and "detection_rate" in caplog.text
    assert f"17 joints: {', '.join(MUCO17.joint_names)}" in caplog.text


def test_no_predictions_at_all(register, tmp_path):
    records = make_records(6)
    found = run(register(records), {}, output_dir=str(tmp_path))
    assert found["detection_rate"] == found["matched"] == found["false_positives_per_image"] == 0
    for name in ("MPJPE", "PA_MPJPE", "ABS_MPJPE", "MRPE", "MRPE_z", "ORD", "PCK@0.2"):
        assert math.isnan(found[name])
    written = json.loads((tmp_path / "pose_results.json").read_text())
    assert written["pose3d"]["MPJPE"] is None and written["pose3d"]["detection_rate"] == 0


def test_files(register, tmp_path):
    records = make_records(2)
    name, predictions = register(records), noisy_predictions(records, 2)
    found = run(name, predictions, output_dir=str(tmp_path / "new"), score_threshold=0.3)
    assert sorted(p.name for p in (tmp_path / "new").iterdir()) == [
        "pose_predictions.json",
        "pose_results.json",
    ]
    results = json.loads((tmp_path / "new/pose_results.json").read_text())
    assert results["pose3d"] == found and results["score_threshold"] == 0.3
    written = json.loads((tmp_path / "new/pose_predictions.json").read_text())
    assert written["joint_names"] == list(MUCO17.joint_names)
    assert written["units"]["keypoints_cam"].startswith("mm") and "Y down" in written["frame"]
    assert [image["image_id"] for image in written["predictions"]] == list(predictions)
    for image in written["predictions"]:
        prediction = predictions[image["image_id"]]
        assert image["file_name"] == f"images/{image['image_id']}.jpg"
        # Those under the score threshold are written as well.
        assert len(image["people"]) == len(prediction)
        keys = ("bbox", "score", "keypoints", "keypoints_cam", "root_depth")
        for field, key in zip(FIELDS, keys, strict=True):
            value = prediction.get(field)
            value = getattr(value, "tensor", value).double().numpy()
            read = np.array([person[key] for person in image["people"]]).reshape(value.shape)
            np.testing.assert_allclose(read, value, atol=1e-6)


def test_a_failed_write_leaves_the_old_file(register, tmp_path, monkeypatch):
    records = make_records(2)
    name, predictions = register(records), noisy_predictions(records, 2)
    run(name, predictions, output_dir=str(tmp_path))
    before = (tmp_path / "pose_predictions.json").read_text()

    def fail(*_, **__):
        raise OSError("disk full")

    monkeypatch.setattr(json, "dumps", fail)
    with pytest.raises(OSError, match="disk full"):
        run(name, predictions, output_dir=str(tmp_path))
    assert (tmp_path / "pose_predictions.json").read_text() == before
    assert len(list(tmp_path.iterdir())) == 2
