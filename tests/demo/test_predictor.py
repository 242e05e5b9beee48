from unittest import mock

import numpy as np
import pytest
import torch
from detectron2.config import get_cfg
from detectron2.structures import Boxes, Instances

from hmor_d2 import add_hmor_config
from tests.demo import program  # noqa: F401  makes the demo's scripts importable

import predictor  # isort: skip


class RecordingModel(torch.nn.Module):
    """Stands in for the model: keeps its inputs and finds two people in each picture."""

    def forward(self, batch):
        self.inputs = batch
        people = Instances((batch[0]["height"], batch[0]["width"]))
        people.scores = torch.tensor([0.2, 0.9])
        people.pred_boxes = Boxes(torch.zeros(2, 4))
        return [{"instances": people} for _ in batch]


@pytest.mark.parametrize("image_format", ["BGR", "RGB"])
def test_the_model_gets_the_resized_pictures_and_their_intrinsics(
    config_file, monkeypatch, image_format
):
    model = RecordingModel()
    monkeypatch.setattr(predictor, "build_model", lambda cfg: model)
    monkeypatch.setattr(predictor, "HMORCheckpointer", lambda model: mock.Mock())
    cfg = get_cfg()
    add_hmor_config(cfg)
    cfg.merge_from_file(str(config_file))
    cfg.INPUT.FORMAT = image_format
    predict = predictor.PosePredictor(cfg)

    picture = np.zeros((64, 96, 3), np.uint8)
    picture[..., 0] = 200  # blue
    tall = np.zeros((256, 64, 3), np.uint8)
    found = predict([picture, tall], [(100.0, 110.0, 40.0, 30.0), None])
    first, second = model.inputs
    assert first["image"].shape == (3, 128, 192) and second["image"].shape == (3, 512, 128)
    assert (first["height"], first["width"]) == (64, 96)
    assert (second["height"], second["width"]) == (256, 64)
    blue = 0 if image_format == "BGR" else 2
    assert (first["image"][blue] == 200).all() and first["image"].sum() == 200 * 128 * 192
    assert first["intrinsics"].tolist() == pytest.approx([200, 220, 80, 60])
    assert "intrinsics" not in second
    assert [people.scores.tolist() for people in found] == [pytest.approx([0.9, 0.2])] * 2

    predict([picture])
    assert len(model.inputs) == 1 and "intrinsics" not in model.inputs[0]
    assert predict([]) == []
    with pytest.raises(ValueError):
        predict([picture], [])


def test_a_batch_finds_what_single_pictures_do(config_file):
    """Of one size: pictures that are padded to a larger one differ at their edges."""
    cfg = get_cfg()
    add_hmor_config(cfg)
    cfg.merge_from_file(str(config_file))
    predict = predictor.PosePredictor(cfg)
    pictures = np.random.default_rng(0).integers(0, 256, (3, 128, 160, 3), dtype=np.uint8)
    together = predict(list(pictures), [[150, 150, 80, 64]] * 3)
    for picture, people in zip(pictures, together, strict=True):
        (alone,) = predict([picture], [[150, 150, 80, 64]])
        assert len(people) == len(alone) > 0
        poses = people.pred_keypoints_cam, alone.pred_keypoints_cam
        torch.testing.assert_close(*poses, rtol=1e-3, atol=0.5)
