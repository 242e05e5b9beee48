"""The packaged model on the photographs that come with the demo."""

import cv2
import pytest
from detectron2.structures import Boxes, pairwise_iou

from hmor_d2 import model_zoo
from tests.demo.program import ROOT

from predictor import PosePredictor  # isort: skip  # of demo/, which program puts on the path


@pytest.fixture(scope="module")
def predictor():
    return PosePredictor(model_zoo.get_config("synthetic/hmor_rcnn_R_50_half_FPN"))


def people_in(predictor, name):
    (people,) = predictor([cv2.imread(str(ROOT / "demo/photographs" / name))])
    return people[people.scores > 0.5]


@pytest.mark.parametrize(
    "name, box", [("skier.jpg", (281, 44, 495, 388)), ("astronaut.jpg", (20, 15, 365, 512))]
)
def test_the_person_in_a_photograph_is_found(predictor, name, box):
    people = people_in(predictor, name)
    overlaps = pairwise_iou(people.pred_boxes, Boxes([box]))[:, 0]
    assert overlaps[0] > 0.5  # the highest score


def test_the_pose_of_a_person_who_stands(predictor):
    people = people_in(predictor, "skier.jpg")
    names = predictor.skeleton.joint_names
    at = dict(zip(names, people.pred_keypoints_cam[0], strict=True))
    # Y points down, Z forward; someone of usual height some metres away.
    order = ["head_top", "neck", "pelvis", "left_ankle"]
    heights = [at[name][1].item() for name in order]
    assert heights == sorted(heights)
    assert 1000 < (at["left_ankle"] - at["head_top"]).norm() < 2200
    assert 1500 < at["pelvis"][2] < 12000
