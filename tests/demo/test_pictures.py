"""The whole program on pictures, and its options."""

import json
import os
import subprocess
import sys

import cv2
import numpy as np
import pytest
from detectron2.config import get_cfg
from PIL import Image

from hmor_d2 import add_hmor_config, model_zoo
from hmor_d2.skeleton import get_skeleton
from hmor_d2.structures import PinholeCameras
from tests.demo.program import ROOT

import demo  # isort: skip  # of demo/, which program puts on the path


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


def run(config_file, inputs, output, *options):
    return demo.main(
        [
            *("--config-file", str(config_file), "--output", str(output)),
            *("--input", *map(str, inputs), *options),
        ]
    )


@pytest.mark.parametrize(
    "options, expected, source",
    [
        (["--focal", "150"], lambda h, w: [150, 150, w / 2, h / 2], "given"),
        (["--intrinsics", "150", "140", "70", "60"], lambda h, w: [150, 140, 70, 60], "given"),
        (["--fov", "90"], lambda h, w: [max(h, w) / 2] * 2 + [w / 2, h / 2], "given"),
        (
            ["--panels"],
            lambda h, w: PinholeCameras.from_fov([(h, w)], 55.0).tensor[0].tolist(),
            "assumed",
        ),
    ],
)
def test_every_picture_gets_its_files_and_its_camera(
    config_file, pictures, options, expected, source
):
    output = pictures / "out"
    inputs = [pictures / "a", pictures / "b" / "same.png"]
    endings = (".json", "_overlay.png", *(["_3d.png"] if "--panels" in options else []))
    assert run(config_file, inputs, output, *options, "--score-threshold", "0") == 0
    written = {path.name for path in output.iterdir()}
    assert written == {
        "index.html",
        *(f"{name}{end}" for name in ("same", "same_2") for end in endings),
    }
    for name, folder, (height, width) in (
        ("same", pictures / "a", (120, 161)),
        ("same_2", pictures / "b", (200, 100)),
    ):
        result = json.loads((output / f"{name}.json").read_text())
        assert result["image"] == str(folder / "same.png")
        assert (result["height"], result["width"]) == (height, width)
        assert result["units"] == "mm" and "Z forward" in result["frame"]
        assert result["intrinsics"] == pytest.approx(expected(height, width), abs=1e-3)
        assert result["intrinsics_source"] == source
        assert result["joint_names"] == list(get_skeleton("muco17").joint_names)
        assert cv2.imread(str(output / f"{name}_overlay.png")).shape == (height, width, 3)
        if "--panels" in options:
            assert cv2.imread(str(output / f"{name}_3d.png")).shape[0] > height

        people = result["people"]
        assert people and all(len(person["bbox"]) == 4 for person in people)
        assert all("id" not in person for person in people)
        scores = [person["score"] for person in people]
        assert scores == sorted(scores, reverse=True)
        # Camera, pixels and millimetres belong together, also where the camera is assumed.
        fx, fy, cx, cy = result["intrinsics"]
        for person in people:
            pixels = np.array(person["keypoints"])[:, :2]
            x, y, z = np.array(person["keypoints_cam"]).T
            projected = np.stack([fx * x / z + cx, fy * y / z + cy], axis=1)
            np.testing.assert_allclose(projected, pixels, atol=0.1)


def test_exif_is_read_upright_or_not_at_all(config_file, tmp_path):
    exif = Image.Exif()
    exif[274] = 6  # stored lying on its side
    exif[0x8769] = {41989: 28}  # FocalLengthIn35mmFilm
    Image.new("RGB", (160, 120), (90, 120, 60)).save(tmp_path / "a.jpg", exif=exif.tobytes())
    for options, source, focal in (
        ([], "exif", 28 * 200 / 43.2666),
        (["--fov", "90"], "exif", 28 * 200 / 43.2666),
        (["--fov", "90", "--no-exif"], "given", 80),
        (["--no-exif"], "assumed", 80 / np.tan(np.radians(27.5))),
    ):
        output = tmp_path / "out"
        assert run(config_file, [tmp_path / "a.jpg"], output, *options) == 0
        result = json.loads((output / "a.json").read_text())
        assert (result["height"], result["width"]) == (160, 120)
        assert result["intrinsics_source"] == source
        assert result["intrinsics"] == pytest.approx([focal, focal, 60, 80], rel=1e-5)
        assert cv2.imread(str(output / "a_overlay.png")).shape == (160, 120, 3)


def test_broken_and_missing_inputs_are_named_and_the_others_go_on(config_file, pictures, messages):
    output = pictures / "out"
    (pictures / "broken.avi").write_text("not a video")
    inputs = [pictures / "b", pictures / "gone.jpg", f"{pictures}/*.nothing", pictures / "a"]
    inputs += [pictures / "broken.avi", pictures / "gone.mp4"]
    options = ["--score-threshold", "1.1"]  # nobody
    assert run(config_file, inputs, output, *options) == 1
    for message in (
        f"{pictures}/b/broken.jpg: cannot be read",
        f"{pictures}/gone.jpg: does not exist",
        f"{pictures}/*.nothing: no pictures or videos found",
        f"{pictures}/broken.avi: cannot be opened as a video",
        f"{pictures}/gone.mp4: does not exist",
        "5 inputs could not be used",
        "0 people in 2 pictures",
    ):
        assert message in messages.text
    assert "notes.txt" not in messages.text
    for name in ("same", "same_2"):
        assert json.loads((output / f"{name}.json").read_text())["people"] == []


def test_no_input_at_all_needs_no_model(tmp_path):
    assert run(tmp_path / "no.yaml", [f"{tmp_path}/*.jpg"], tmp_path / "out") == 1
    assert not (tmp_path / "out").exists()


def test_an_output_folder_that_cannot_be_made_is_named(config_file, pictures, messages):
    output = pictures / "b" / "notes.txt" / "out"
    assert run(config_file, [pictures / "a"], output) == 1
    assert str(output) in messages.text


def test_a_config_that_is_not_there_is_named(pictures, messages):
    assert run(pictures / "no.yaml", [pictures / "a"], pictures / "out") == 1
    assert f"{pictures}/no.yaml: there is no such config file" in messages.text


@pytest.mark.parametrize("name", [None, "folder/other"])
def test_without_a_config_the_model_comes_from_the_zoo(config_file, pictures, monkeypatch, name):
    asked = []

    def get_config(name):
        asked.append(name)
        cfg = get_cfg()
        add_hmor_config(cfg)
        cfg.merge_from_file(str(config_file))
        cfg.freeze()
        return cfg

    monkeypatch.setattr(model_zoo, "get_config", get_config, raising=False)
    options = ["--model", name] if name else []
    arguments = ["--input", str(pictures / "a"), "--output", str(pictures / "out"), *options]
    opts = ["--opts", "INPUT.DEFAULT_FOV_DEG", "90.0"]
    assert demo.main([*arguments, *opts]) == 0
    assert asked == [name or "synthetic/hmor_rcnn_R_50_half_FPN"]
    result = json.loads((pictures / "out" / "same.json").read_text())
    assert result["intrinsics"][0] == pytest.approx(161 / 2)


def test_a_model_that_the_zoo_has_not_is_named(pictures, monkeypatch, messages):
    def get_config(name):
        raise KeyError(f"no model '{name}'")

    monkeypatch.setattr(model_zoo, "get_config", get_config, raising=False)
    arguments = ["--input", str(pictures / "a"), "--output", str(pictures / "out")]
    assert demo.main([*arguments, "--model", "folder/other"]) == 1
    assert "--model folder/other: " in messages.text


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
        (["--model", "folder/name"], "not allowed with"),
        (["--webcam"], "not allowed with"),
        (["--batch-size", "0"], "expected 1 or more"),
        (["--stride", "0"], "expected 1 or more"),
        (["--beta", "-1"], "expected a number that is not negative"),
        (["--track-gap", "inf"], "expected a number that is not negative"),
        (["--track-overlap", "0"], "expected an overlap above 0"),
        (["--min-cutoff", "0"], "expected a positive number"),
    ],
)
def test_wrong_options_are_refused(tmp_path, capsys, options, message):
    with pytest.raises(SystemExit) as stop:
        run("c.yaml", ["x.jpg"], tmp_path, *options)
    assert stop.value.code == 2
    assert message in capsys.readouterr().err


def test_the_script_runs_from_any_folder(tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"}
    command = [sys.executable, str(ROOT / "demo" / "demo.py"), "--input", "gone/*.png"]
    ended = subprocess.run(
        [*command, "--output", "out"], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert ended.returncode == 1
    assert "gone/*.png: no pictures or videos found" in ended.stdout + ended.stderr
    assert not list(tmp_path.iterdir())
