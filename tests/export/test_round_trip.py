"""Exported files find what the model finds, whatever the image's size and the number of people."""

import json

import numpy as np
import pytest
import torch
from detectron2.layers import ROIAlign

from hmor_d2.export import describe_model, example_inputs, open_exported, prepare_for_export
from hmor_d2.modeling.channels_last_roi_align import ChannelsLastROIAlign
from tests.export.small_model import detect, picture

# Sizes that need padding and ones that do not; people of the pictures differ in number.
SIZES = [(160, 128), (128, 160), (133, 211), (217, 150)]
CAMERA = torch.tensor([230.0, 250.0, 70.0, 81.0])


def assert_same_people(found, expected, few=4):
    assert len(found["scores"]) == len(expected) >= few
    boxes, keypoints = found["boxes"], found["keypoints"]
    np.testing.assert_allclose(boxes, expected.pred_boxes.tensor, rtol=0, atol=0.01)
    np.testing.assert_allclose(found["scores"], expected.scores, rtol=0, atol=1e-4)
    np.testing.assert_allclose(keypoints[..., :2], expected.pred_keypoints[..., :2], atol=0.05)
    np.testing.assert_allclose(keypoints[..., 2], expected.pred_keypoints[..., 2], atol=1e-4)
    joints = np.linalg.norm(found["keypoints_cam"] - expected.pred_keypoints_cam.numpy(), axis=2)
    assert joints.max() < 1.0  # mm
    np.testing.assert_allclose(found["root_depth"], expected.pred_root_depth, rtol=0, atol=1.0)
    # The agreement is not that of constant answers.
    assert expected.pred_keypoints_cam.flatten(1).std(dim=0).mean() > 50
    assert expected.pred_root_depth.min() > 500


def test_the_same_people(file, small):
    run, _ = open_exported(file)
    counts = set()
    for seed, size in enumerate(SIZES):
        image, camera = picture(*size, seed).float(), CAMERA * (1 + seed / 10)
        expected = detect(small.model, image, camera)
        assert_same_people(run(image.numpy(), camera.numpy()), expected)
        counts.add(len(expected))
    assert len(counts) > 1


def test_nobody(file, small):
    """The image that the graph was traced with."""
    run, _ = open_exported(file)
    image, camera = example_inputs()
    assert len(detect(small.model, image, camera)) == 0
    found = run(image.numpy(), camera.numpy())
    joints = small.model.skeleton.num_joints
    assert {name: value.shape for name, value in found.items()} == {
        "boxes": (0, 4),
        "scores": (0,),
        "keypoints": (0, joints, 3),
        "keypoints_cam": (0, joints, 3),
        "root_depth": (0,),
    }
    assert all(value.dtype == np.float32 for value in found.values())


def test_images_of_a_fixed_size(fixed_file, small):
    run, metadata = open_exported(fixed_file)
    assert metadata["size"] == {"rule": "fixed", "height": 128, "width": 160}
    image = picture(128, 160, 1).float()
    assert_same_people(run(image.numpy(), CAMERA.numpy()), detect(small.model, image, CAMERA))
    with pytest.raises(Exception, match="invalid dimensions for input: image"):
        run(picture(128, 192, 0).float().numpy(), CAMERA.numpy())


def nodes(graph):
    """Those of a graph and of the graphs inside its nodes."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            yield from nodes(attribute.g)


def test_what_the_graph_says_of_itself(exported, small):
    onnx = pytest.importorskip("onnx")
    files = {name: onnx.load(exported / name) for name in ("model.onnx", "fixed.onnx")}

    def shapes(values):
        return {
            value.name: [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim]
            for value in values
        }

    assert shapes(files["model.onnx"].graph.input) == {
        "image": [3, "height", "width"],
        "intrinsics": [4],
    }
    assert shapes(files["fixed.onnx"].graph.input)["image"] == [3, 128, 160]
    for file in files.values():
        assert shapes(file.graph.output) == {
            "boxes": ["people", 4],
            "scores": ["people"],
            "keypoints": ["people", 17, 3],
            "keypoints_cam": ["people", 17, 3],
            "root_depth": ["people"],
        }
        kinds = {node.op_type for node in nodes(file.graph)}
        assert "BatchNormalization" not in kinds  # folded
        assert {"NonMaxSuppression", "RoiAlign", "Softmax"} <= kinds
        assert {opset.domain for opset in file.opset_import} == {""}  # no operators of one's own
        assert file.producer_name == "hmor_d2"


def test_metadata(file, small):
    _, metadata = open_exported(file)
    assert metadata == json.loads(json.dumps(describe_model(small.cfg)))
    skeleton = small.model.skeleton
    assert metadata["joint_names"] == list(skeleton.joint_names)
    assert metadata["joint_names"][metadata["root_index"]] == "pelvis"
    assert metadata["size"] == {"rule": "shortest_edge", "min_size": 128, "max_size": 224}
    assert metadata["channels"] == "BGR" and metadata["pixel_mean"] == [104.0, 117.0, 123.0]
    assert metadata["default_fov_deg"] == 55.0
    assert metadata["score_threshold"] == small.cfg.MODEL.ROI_HEADS.SCORE_THRESH_TEST


def test_the_model_stays_as_it_was(small):
    before = {name: value.clone() for name, value in small.model.state_dict().items()}
    graph = prepare_for_export(small.model)
    after = small.model.state_dict()
    assert after.keys() == before.keys()
    assert all(torch.equal(after[name], value) for name, value in before.items())
    kinds = [type(module) for module in graph.modules()]
    assert ROIAlign in kinds and ChannelsLastROIAlign not in kinds
    assert sum(p.numel() for p in graph.parameters()) > 0.5 * sum(
        p.numel() for p in small.model.parameters()
    )
