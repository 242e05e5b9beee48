"""The pose evaluator on datasets of other joints than the model's, generated and real."""

import numpy as np
import pytest
import torch
from detectron2.structures import BoxMode

from hmor_d2.skeleton import get_skeleton
from tests.evaluation.panoptic_scenes import real_scene
from tests.evaluation.pose_scenes import (
    MUCO17,
    know_everything,
    make_instances,
    make_records,
    perfect_predictions,
    run,
)


@pytest.mark.parametrize("joint_set", ["panoptic15", "coco17"])
def test_other_joint_sets_are_mapped_by_name(register, joint_set):
    """A prediction that is right in the joints that both sets have is right."""
    source = get_skeleton(joint_set)
    records = make_records(3, num_images=3, joint_set="muco17")
    records = know_everything(records)
    predictions = perfect_predictions(records)
    mapping = MUCO17.mapping_to(source)
    for record in records:
        record["joint_set"] = joint_set
        for i, a in enumerate(record["annotations"]):
            pixels = np.array(a["keypoints"]).reshape(17, 3)
            points, flags = mapping.apply(pixels[:, :2], pixels[:, 2])
            a["keypoints"] = np.column_stack((points, flags)).ravel().tolist()
            pose, valid = mapping.apply(a["keypoints_cam"], a["keypoints_cam_valid"])
            a["keypoints_cam"], a["keypoints_cam_valid"] = pose.astype(np.float32), valid
            # What the set lacks must not count, and a pelvis between the hips is the root.
            back, known = source.mapping_to(MUCO17).apply(pose, valid)
            assert known[14] and not known[15] and not known[16]
            prediction = predictions[record["image_id"]]
            prediction.pred_keypoints_cam[i] = torch.from_numpy(
                np.where(known[:, None], back, -1e4)
            )
    found = run(register(records), predictions)
    assert found["people_3d"] == found["matched_3d"] > 3
    assert found["ABS_MPJPE"] == pytest.approx(0, abs=1e-3)


def test_on_real_panoptic_annotations(register):
    """A prediction moved by a known step: the figures follow, whatever the dataset's joints."""
    records, people = real_scene()
    predictions = {}
    for record, (poses, pixels) in zip(records, people, strict=True):
        annotations = record["annotations"]
        assert all(a["bbox_mode"] == BoxMode.XYXY_ABS for a in annotations)
        predictions[record["image_id"]] = make_instances(
            np.array([a["bbox"] for a in annotations]),
            np.linspace(0.5, 0.9, len(annotations)),
            pixels,
            poses + np.array([30, 0, -40]),
            size=(record["height"], record["width"]),
        )
    found = run(register(records), predictions)
    assert found["people"] == 44  # of 45, one has no joint inside the picture
    assert found["detection_rate"] == found["detection_rate_3d"] == found["PCK@0.2"] == 1
    assert found["ORD"] == 1 and found["false_positives_per_person"] == 0
    assert found["matched_2d"] > 40
    assert found["ABS_MPJPE"] == pytest.approx(50, abs=1e-2)
    components = [found[f"MRPE_{axis}"] for axis in "xyz"]
    assert [found["MRPE"], *components] == pytest.approx([50, 30, 0, 40], abs=1e-2)
    assert max(found["MPJPE"], found["PA_MPJPE"]) < 1e-2
