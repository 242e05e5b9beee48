"""tools/export_model.py and hmor_d2.export: what is refused, and what --check finds."""

import copy
import re
import sys

import cv2
import numpy as np
import pytest
import torch
from detectron2.layers import Conv2d
from detectron2.modeling import GeneralizedRCNN
from torch import nn

from hmor_d2.export import (
    Agreement,
    describe_model,
    export_onnx,
    export_torchscript,
    open_exported,
    prepare_for_export,
    show_agreement,
)
from hmor_d2.modeling import optimize_for_inference
from tests.export.conftest import needs_onnx
from tests.export.small_model import detect, picture, run_tool
from tests.export.tool import load_tool

CAMERA = torch.tensor([230.0, 250.0, 70.0, 81.0])


def refused(capsys, *arguments) -> str:
    """What the tool says where it ends with status 1."""
    assert load_tool().main([str(argument) for argument in arguments]) == 1
    return capsys.readouterr().err


def test_models_that_cannot_be_exported(small):
    with pytest.raises(ValueError, match="type Linear, expected HMORRCNN"):
        prepare_for_export(nn.Linear(2, 2))
    with pytest.raises(ValueError, match="type GeneralizedRCNN, expected HMORRCNN"):
        prepare_for_export(GeneralizedRCNN.__new__(GeneralizedRCNN))
    small.model.train()
    try:
        with pytest.raises(ValueError, match=r"model\.eval\(\)"):
            prepare_for_export(small.model)
    finally:
        small.model.eval()


def test_models_arranged_for_this_cpu(small):
    class Wide(nn.Module):  # a layer of the model that optimize_for_inference would change
        def __init__(self):
            super().__init__()
            self.conv = Conv2d(256, 256, 3, padding=1)

    model = copy.deepcopy(small.model)
    model.wide = Wide()
    optimize_for_inference(model, inplace=True, bfloat16=False)
    with pytest.raises(ValueError, match="export it as it was before"):
        prepare_for_export(model)


def test_other_roi_heads(small, monkeypatch):
    monkeypatch.setitem(small.model._modules, "roi_heads", nn.Identity())
    with pytest.raises(ValueError, match="ROI heads are Identity, expected HMORROIHeads"):
        prepare_for_export(small.model)


def test_metadata_that_cannot_be(small):
    cfg = small.cfg.clone()
    cfg.INPUT.FORMAT = "YUV-BT.601"
    with pytest.raises(ValueError, match=r"YUV-BT\.601.*expected BGR or RGB"):
        describe_model(cfg)
    with pytest.raises(ValueError, match="0 x 64, expected positive"):
        describe_model(small.cfg, (0, 64))


def test_without_the_package_onnx(small, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ImportError, match="pip install onnx"):
        export_onnx(small.model, tmp_path / "x.onnx", describe_model(small.cfg))
    assert run_tool(small, tmp_path / "x.onnx") == 1
    assert "pip install onnx" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_folders_that_are_not_there(small, tmp_path):
    with pytest.raises(OSError, match="no_such"):
        export_torchscript(small.model, tmp_path / "no_such" / "x.ts", describe_model(small.cfg))


def test_wrong_command_lines(small, tmp_path, capsys):
    config, output = ("--config-file", small.config_file), ("--output", tmp_path / "x.ts")
    for wrong in (
        (*config, "--output", tmp_path / "x.pth"),
        (*config, *output, "--size", 16, 128),
        (*output,),
        (*config, "--model", "a/b", *output),
    ):
        with pytest.raises(SystemExit) as exit_:
            load_tool().main([str(argument) for argument in wrong])
        assert exit_.value.code == 2
    text = capsys.readouterr().err
    assert "x.pth, expected a name that ends in .onnx or .ts" in text
    assert "(16, 128), expected 32 pixels or more" in text


def test_models_that_are_not_there(small, tmp_path, capsys):
    output = ("--output", tmp_path / "x.ts")
    assert "no.yaml" in refused(capsys, "--config-file", tmp_path / "no.yaml", *output)
    assert "no trained model 'a/b'" in refused(capsys, "--model", "a/b", *output)
    config = ("--config-file", small.config_file)
    for weights, message in (("", "MODEL.WEIGHTS is empty"), (tmp_path / "no.pth", "no.pth")):
        text = refused(capsys, *config, *output, "--opts", "MODEL.WEIGHTS", weights)
        assert message in text
    assert list(tmp_path.iterdir()) == []


def test_files_that_were_not_exported(tmp_path):
    class Twice(nn.Module):
        def forward(self, x):
            return 2 * x

    path = tmp_path / "other.ts"
    torch.jit.trace(Twice(), torch.ones(2)).save(path)
    with pytest.raises(ValueError, match=r"other\.ts: found no metadata"):
        open_exported(path)


@needs_onnx
def test_the_check_runs_both(small, tmp_path, capsys):
    photo = tmp_path / "photo.png"
    cv2.imwrite(str(photo), picture(300, 220, 4).numpy().transpose(1, 2, 0))
    assert run_tool(small, tmp_path / "x.onnx", "--check", photo) == 0
    text = capsys.readouterr().out
    assert "x.onnx: " in text and "MB" in text
    assert f"{photo}: " in text and "people; largest differences: joint " in text
    assert not text.split(f"{photo}: ")[1].startswith("0 ")
    assert "of this package" not in text
    assert run_tool(small, tmp_path / "x.onnx", "--time", "--check", photo) == 0
    assert re.search(
        r"  \d\.\d{3} s, \d+\.\d\d \(.* to .*\) of the \d\.\d{3} s of this package",
        capsys.readouterr().out,
    )


def test_the_check_fails_where_the_file_differs(small, exported, tmp_path, capsys, monkeypatch):
    photo = tmp_path / "photo.png"
    cv2.imwrite(str(photo), picture(128, 160, 4).numpy().transpose(1, 2, 0))
    run, metadata = open_exported(exported / "model.ts")

    def moved(image, intrinsics):
        found = run(image, intrinsics)
        found["keypoints_cam"][-1, 3, 0] += 1.5
        return found

    monkeypatch.setattr(load_tool(), "open_exported", lambda path: (moved, metadata))
    assert run_tool(small, tmp_path / "x.ts", "--check", photo) == 1
    assert "joint 1.5 mm" in capsys.readouterr().err
    with pytest.raises(OSError, match=r"no\.png: cannot be read as a picture"):
        load_tool().read_picture(tmp_path / "no.png", small.cfg, None)


def test_how_differences_are_told(small, exported):
    image = picture(128, 160, 1).float()
    expected = detect(small.model, image, CAMERA)
    run, _ = open_exported(exported / "model.ts")

    def agreement(change) -> Agreement:
        def changed(pixels, intrinsics):
            return change(run(pixels, intrinsics))

        return show_agreement(small.model, changed, image.numpy(), CAMERA.numpy())

    same = agreement(lambda found: found)
    assert same.people == same.found == len(expected) > 0
    assert same.holds() and same.joint_mm < 0.1 and same.pixels < 0.01 and same.score < 1e-4
    fewer = agreement(lambda found: {name: value[:-1] for name, value in found.items()})
    assert not fewer.holds() and fewer.found == len(expected) - 1
    assert str(fewer) == f"the model finds {fewer.people} people, the exported file {fewer.found}"
    for name, step, field in (
        ("boxes", 3.0, "pixels"),
        ("keypoints", 2.0, "pixels"),
        ("root_depth", 7.0, "root_depth_mm"),
        ("scores", 0.2, "score"),
    ):

        def change(found, name=name, step=step):
            found[name].reshape(-1)[0] += step
            return found

        assert getattr(agreement(change), field) == pytest.approx(step, rel=0.01)
    far = agreement(lambda found: found | {"keypoints_cam": found["keypoints_cam"] + 1.0})
    assert far.joint_mm == pytest.approx(np.sqrt(3), rel=0.05) and not far.holds()
    assert far.holds(joint_mm=2.0)
