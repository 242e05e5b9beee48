"""Poses in annotated boxes: all people, in the resized image's pixels."""

import torch
from ablation.given_boxes import GivenBoxes, annotated_boxes
from detectron2.data import DatasetCatalog
from detectron2.structures import BoxMode


class Recorder(torch.nn.Module):
    """Keeps what it is given."""

    def inference(self, batched_inputs, detected_instances):
        self.given = detected_instances
        return [{"instances": x} for x in detected_instances]


def test_boxes_come_in_pixels_of_the_resized_image():
    model = Recorder()
    boxes = {7: torch.tensor([[10.0, 20, 50, 100], [0, 0, 200, 100]]), 8: torch.zeros(0, 4)}
    pictures = [
        {"image_id": 7, "image": torch.zeros(3, 50, 100), "height": 100, "width": 200},
        {"image_id": 8, "image": torch.zeros(3, 60, 80), "height": 30, "width": 40},
    ]
    GivenBoxes(model, boxes)(pictures)
    first, second = model.given
    assert first.pred_boxes.tensor.tolist() == [[5, 10, 25, 50], [0, 0, 100, 50]]
    assert first.image_size == (50, 100) and first.scores.tolist() == [1, 1]
    assert len(second) == 0 and second.image_size == (60, 80)
    assert boxes[7][0].tolist() == [10, 20, 50, 100]


def test_whose_boxes():
    """Clipped; not of crowds, nor of people outside the image: as the evaluator counts them."""
    people = [((-10, 5, 40, 60), 0), ((10, 10, 30, 30), 1), ((300, 10, 320, 40), 0)]
    annotations = [
        {"bbox": list(box), "bbox_mode": BoxMode.XYXY_ABS, "category_id": 0, "iscrowd": crowd,
         "keypoints": [20.0, 20.0, 2.0] * 17}
        for box, crowd in people
    ]  # fmt: skip
    record = {"file_name": "a.jpg", "image_id": 3, "height": 50, "width": 100,
              "joint_set": "muco17", "annotations": annotations}  # fmt: skip
    DatasetCatalog.register("given_boxes_test", lambda: [record])
    try:
        boxes = annotated_boxes("given_boxes_test", "muco17")
    finally:
        DatasetCatalog.remove("given_boxes_test")
    assert boxes[3].tolist() == [[0, 5, 40, 50]]
