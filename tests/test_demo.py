import importlib.util
import json
import sys
from pathlib import Path
from unittest import mock

import cv2
import numpy as np
import pytest
import torch
from detectron2.config import get_cfg
from detectron2.structures import Boxes, Instances

from hmor_d2 import add_hmor_config
from hmor_d2.skeleton import get_skeleton
from hmor_d2.structures import PinholeCameras

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def demo():
    """The script as a module; it finds predictor.py beside itself."""
    sys.path.insert(0, str(ROOT / "demo"))
    try:
        spec = importlib.util.spec_from_file_location("hmor_demo", ROOT / "demo" / "demo.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(ROOT / "demo"))
    return module


@pytest.fixture(autouse=True)
def no_logging_setup(demo, monkeypatch):
    """Handlers of the script would outlive it, and hide messages from later tests."""
    monkeypatch.setattr(demo, "setup_logger", lambda **_: None)


@pytest.fixture
def config_file(tmp_path):
    """The compact model, thinner still, with random weights in its heads."""
    torch.manual_seed(0)
    cfg = get_cfg()
    add_hmor_config(cfg)
    cfg.merge_from_file(str(ROOT / "configs" / "Base-HMOR-RCNN-R50-half-FPN.yaml"))
    cfg.MODEL.DEVICE = "cpu"
    cfg.MODEL.WEIGHTS = "hmor_d2://resnet50_half_width.pth"
    cfg.MODEL.FPN.OUT_CHANNELS = 32
    cfg.MODEL.ROI_BOX_HEAD.FC_DIM = 32
    cfg.MODEL.ROI_POSE_HEAD.BLOCK_DIM = cfg.MODEL.ROI_DEPTH_HEAD.BLOCK_DIM = 16
    cfg.MODEL.ROI_POSE_HEAD.DECONV_DIM = 32
    cfg.MODEL.DEPTH_MAP_HEAD.CONV_DIM = 32
    cfg.MODEL.RPN.POST_NMS_TOPK_TEST = 100
    cfg.TEST.DETECTIONS_PER_IMAGE = 4
    cfg.INPUT.MIN_SIZE_TEST = 128
    path = tmp_path / "config.yaml"
    path.write_text(cfg.dump())
    return path


@pytest.fixture
def pictures(tmp_path):
    """Two pictures of one name and different sizes, and a file that is none."""
    rng = np.random.default_rng(0)
    for folder, size in (("a", (120, 161, 3)), ("b", (200, 100, 3))):
        (tmp_path / folder).mkdir()
        picture = rng.integers(0, 256, size, dtype=np.uint8)
        assert cv2.imwrite(str(tmp_path / folder / "same.png"), picture)
    (tmp_path / "b" / "broken.jpg").write_text("not a picture")
    (tmp_path / "b" / "notes.txt").write_text("not listed")
    return tmp_path


def run(demo, config_file, inputs, output, *options):
    return demo.main(
        [
            *("--config-file", str(config_file), "--output", str(output)),
            *("--input", *map(str, inputs), *options),
        ]
    )


@pytest.mark.parametrize(
    "options, expected, assumed",
    [
        (["--focal", "150"], lambda h, w: [150, 150, w / 2, h / 2], False),
        (["--intrinsics", "150", "140", "70", "60"], lambda h, w: [150, 140, 70, 60], False),
        (["--fov", "90"], lambda h, w: [max(h, w) / 2] * 2 + [w / 2, h / 2], False),
        (
            [],
            lambda h, w: PinholeCameras.from_fov([(h, w)], 55.0).tensor[0].tolist(),
            True,
        ),
    ],
)
def test_every_picture_gets_its_files_and_its_camera(
    demo, config_file, pictures, options, expected, assumed
):
    output = pictures / "out"
    inputs = [pictures / "a", pictures / "b" / "same.png"]
    options = [*options, "--score-threshold", "0"]
    assert run(demo, config_file, inputs, output, *options) == 0
    written = {path.name for path in output.iterdir()}
    assert written == {
        f"{name}{end}"
        for name in ("same", "same_2")
        for end in (".json", "_overlay.png", "_3d.png")
    }
    for name, source, (height, width) in (
        ("same", pictures / "a", (120, 161)),
        ("same_2", pictures / "b", (200, 100)),
    ):
        result = json.loads((output / f"{name}.json").read_text())
        assert result["image"] == str(source / "same.png")
        assert (result["height"], result["width"]) == (height, width)
        assert result["units"] == "mm" and "Z forward" in result["frame"]
        assert result["intrinsics"] == pytest.approx(expected(height, width), abs=1e-3)
        assert result["intrinsics_assumed"] is assumed
        assert result["joint_names"] == list(get_skeleton("muco17").joint_names)
        assert cv2.imread(str(output / f"{name}_overlay.png")).shape == (height, width, 3)
        assert cv2.imread(str(output / f"{name}_3d.png")).shape[0] > height

        people = result["people"]
        assert people and all(len(person["bbox"]) == 4 for person in people)
        scores = [person["score"] for person in people]
        assert scores == sorted(scores, reverse=True)
        # Camera, pixels and millimetres belong together, also where the camera is assumed: the
        # resized picture's sides are rounded, which is worth less than 1 % here.
        fx, fy, cx, cy = result["intrinsics"]
        for person in people:
            pixels = np.array(person["keypoints"])[:, :2]
            x, y, z = np.array(person["keypoints_cam"]).T
            projected = np.stack([fx * x / z + cx, fy * y / z + cy], axis=1)
            np.testing.assert_allclose(projected, pixels, atol=0.01 * max(height, width))


def test_broken_and_missing_inputs_are_named_and_the_others_go_on(
    demo, config_file, pictures, caplog, monkeypatch
):
    output = pictures / "out"
    inputs = [pictures / "b", pictures / "gone.jpg", f"{pictures}/*.nothing", pictures / "a"]
    options = ["--score-threshold", "1.1"]  # nobody
    monkeypatch.setattr(demo.logging.getLogger("hmor_d2"), "propagate", True)
    caplog.set_level("INFO", "hmor_d2")
    assert run(demo, config_file, inputs, output, *options) == 1
    for message in (
        f"{pictures}/b/broken.jpg: cannot be read",
        f"{pictures}/gone.jpg: does not exist",
        f"{pictures}/*.nothing: no pictures found",
        "3 inputs could not be used",
        "0 people in 2 pictures",
    ):
        assert message in caplog.text
    assert "notes.txt" not in caplog.text
    for name in ("same", "same_2"):
        assert json.loads((output / f"{name}.json").read_text())["people"] == []
        assert (output / f"{name}_3d.png").stat().st_size > 0


def test_no_input_at_all_needs_no_model(demo, tmp_path):
    assert run(demo, tmp_path / "no.yaml", [f"{tmp_path}/*.jpg"], tmp_path / "out") == 1
    assert not (tmp_path / "out").exists()


class RecordingModel(torch.nn.Module):
    """Stands in for the model: keeps its inputs and finds two people."""

    def forward(self, batch):
        self.inputs = batch
        people = Instances((batch[0]["height"], batch[0]["width"]))
        people.scores = torch.tensor([0.2, 0.9])
        people.pred_boxes = Boxes(torch.zeros(2, 4))
        return [{"instances": people}]


@pytest.mark.parametrize("image_format", ["BGR", "RGB"])
def test_the_model_gets_the_resized_picture_and_its_intrinsics(
    demo, config_file, monkeypatch, image_format
):
    model = RecordingModel()
    module = sys.modules[demo.PosePredictor.__module__]
    monkeypatch.setattr(module, "build_model", lambda cfg: model)
    monkeypatch.setattr(module, "HMORCheckpointer", lambda model: mock.Mock())
    cfg = get_cfg()
    add_hmor_config(cfg)
    cfg.merge_from_file(str(config_file))
    cfg.INPUT.FORMAT = image_format
    predictor = demo.PosePredictor(cfg)

    picture = np.zeros((64, 96, 3), np.uint8)
    picture[..., 0] = 200  # blue
    people = predictor(picture, (100.0, 110.0, 40.0, 30.0))
    (given,) = model.inputs
    assert given["image"].shape == (3, 128, 192)
    assert (given["height"], given["width"]) == (64, 96)
    blue = 0 if image_format == "BGR" else 2
    assert (given["image"][blue] == 200).all() and given["image"].sum() == 200 * 128 * 192
    assert given["intrinsics"].tolist() == pytest.approx([200, 220, 80, 60])
    assert people.scores.tolist() == pytest.approx([0.9, 0.2])

    predictor(picture)
    assert "intrinsics" not in model.inputs[0]


@pytest.mark.parametrize(
    "options, message",
    [
        (["--focal", "0"], "expected a positive number"),
        (["--focal", "nan"], "expected a positive number"),
        (["--fov", "180"], "between 0 and 180"),
        (["--fov", "0"], "between 0 and 180"),
        (["--intrinsics", "100", "-1", "5", "5"], "expected positive FX and FY"),
        (["--intrinsics", "100", "100", "nan", "5"], "expected positive FX and FY"),
        (["--focal", "100", "--fov", "60"], "not allowed with"),
        (["--fov", "60", "--intrinsics", "1", "1", "1", "1"], "not allowed with"),
    ],
)
def test_wrong_cameras_are_refused(demo, tmp_path, capsys, options, message):
    with pytest.raises(SystemExit) as stop:
        run(demo, "c.yaml", ["x.jpg"], tmp_path, *options)
    assert stop.value.code == 2
    assert message in capsys.readouterr().err


def test_inputs_are_expanded_once_and_names_never_collide(demo, pictures):
    inputs = [str(pictures / "b"), f"{pictures}/*/same.png", str(pictures / "a" / "same.png")]
    images, empty = demo.find_images([*inputs, f"{pictures}/*.gif"])
    assert [str(p.relative_to(pictures)) for p in images] == [
        *("b/broken.jpg", "b/same.png", "a/same.png")
    ]
    assert empty == [f"{pictures}/*.gif"]
    paths = [Path(p) for p in ("a/x.jpg", "b/x.jpg", "c/x_2.jpg", "d/X.png", "e/y.jpg")]
    assert demo.output_names(paths) == ["x", "x_2", "x_2_2", "X_3", "y"]
