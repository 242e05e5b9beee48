"""demo/run_exported.py and demo/exported_model.py: exported models without Detectron2."""

import json
import shutil
import subprocess
import sys

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from hmor_d2.skeleton import get_skeleton
from tests.demo import program  # noqa: F401  makes the demo's scripts importable
from tests.export.conftest import needs_onnx
from tests.export.small_model import detect, picture
from tests.export.tool import ROOT

import exported_model  # isort: skip
import predictor  # isort: skip
import results  # isort: skip
import run_exported  # isort: skip
from cameras import Camera  # isort: skip

INTRINSICS = (420.0, 440.0, 200.0, 151.0)
BLOCKED = """
import runpy, sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {blocked}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Blocker())
sys.path.insert(0, {folder!r})
sys.argv[0] = "run_exported.py"
runpy.run_path({folder!r} + "/run_exported.py", run_name="__main__")
"""


def photo(height: int, width: int, seed: int) -> np.ndarray:
    return np.ascontiguousarray(picture(height, width, seed).numpy().transpose(1, 2, 0))


@pytest.fixture
def photos(tmp_path):
    """A folder of two pictures of different sizes, and something else."""
    folder = tmp_path / "photos"
    folder.mkdir()
    cv2.imwrite(str(folder / "a.png"), photo(300, 380, 1))
    cv2.imwrite(str(folder / "b.bmp"), photo(410, 260, 2))
    (folder / "notes.txt").write_text("no picture")
    return folder


@pytest.fixture(scope="module")
def predict(small):
    """The demo's own predictor, with the model as it was trained."""
    cfg = small.cfg.clone()
    cfg.MODEL.CHANNELS_LAST = False
    cfg.MODEL.DEVICE = "cpu"
    return predictor.PosePredictor(cfg, precise=True)


def run_alone(tmp_path, blocked, *arguments) -> str:
    """Copies of the two scripts, in a folder without this project, in a process of their own."""
    for name in ("run_exported.py", "exported_model.py"):
        shutil.copy(ROOT / "demo" / name, tmp_path)
    code = BLOCKED.format(blocked=set(blocked), folder=str(tmp_path))
    command = [sys.executable, "-W", "ignore", "-c", code, *(str(a) for a in arguments)]
    command += ["--threads", "1"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=600)
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.mark.parametrize(
    "name, blocked",
    [
        pytest.param("model.onnx", ("detectron2", "hmor_d2", "torch", "PIL"), marks=needs_onnx),
        ("model.ts", ("detectron2", "hmor_d2", "fvcore")),
    ],
)
def test_the_same_json_as_the_demo_writes(
    exported, small, predict, photos, tmp_path, name, blocked
):
    output = tmp_path / "out"
    log = run_alone(
        tmp_path, blocked, "--model", exported / name, "--input", photos, "--output", output,
        "--intrinsics", *INTRINSICS, "--score-threshold", 0,
    )  # fmt: skip
    assert sorted(path.name for path in output.iterdir()) == ["a.json", "b.json"]
    skeleton = get_skeleton(small.cfg.MODEL.HMOR.SKELETON)
    for path in (photos / "a.png", photos / "b.bmp"):
        image = cv2.imread(str(path))
        (instances,) = predict([image], [INTRINSICS])
        people = results.People.from_instances(instances, 0.0)
        camera = Camera(INTRINSICS, "given")
        expected = results.describe_camera("image", path, image.shape[:2], camera, skeleton)
        expected["people"] = results.describe_people(people)
        found = json.loads((output / path.name).with_suffix(".json").read_text())
        assert list(found) == list(expected) and len(found["people"]) > 2
        assert f"{path}: {len(found['people'])} people" in log
        found_people, expected_people = found.pop("people"), expected.pop("people")
        assert found == expected
        for a, b in zip(found_people, expected_people, strict=True):
            assert list(a) == list(b)
            for field, tolerance in {
                "score": 2e-4, "bbox": 0.02, "keypoints": 0.02, "keypoints_cam": 1.0,
                "root_depth": 1.0,
            }.items():  # fmt: skip
                np.testing.assert_allclose(a[field], b[field], rtol=0, atol=tolerance)


def test_without_a_camera_one_is_assumed(file, predict):
    image = photo(300, 380, 1)
    (expected,) = predict([image])
    found = exported_model.ExportedModel(file, threads=1)(image)
    np.testing.assert_allclose(found["keypoints_cam"], expected.pred_keypoints_cam, atol=1.0)
    np.testing.assert_allclose(found["boxes"], expected.pred_boxes.tensor, atol=0.02)
    assert len(expected) > 2


def test_pictures_are_padded_to_a_fixed_size(fixed_file, small):
    model = exported_model.ExportedModel(fixed_file, threads=1)
    image = photo(256, 200, 3)  # twice as high as the graph's images, and narrower
    found = model(image, INTRINSICS)
    shrunk = np.asarray(Image.fromarray(image).resize((100, 128), Image.BILINEAR))
    canvas = torch.tensor(small.cfg.MODEL.PIXEL_MEAN).view(3, 1, 1).repeat(1, 128, 160)
    canvas[:, :, :100] = torch.from_numpy(shrunk.transpose(2, 0, 1).copy())
    expected = detect(small.model, canvas, torch.tensor(INTRINSICS) / 2)
    boxes = (2 * expected.pred_boxes.tensor).clamp(max=torch.tensor([200.0, 256, 200, 256]))
    kept = (boxes[:, 2:] > boxes[:, :2]).all(dim=1)
    assert len(found["scores"]) == int(kept.sum()) > 2
    np.testing.assert_allclose(found["boxes"], boxes[kept], atol=0.02)
    np.testing.assert_allclose(found["keypoints_cam"], expected.pred_keypoints_cam[kept], atol=1.0)
    pixels = 2 * expected.pred_keypoints[kept][..., :2]
    np.testing.assert_allclose(found["keypoints"][..., :2], pixels, atol=0.05)


def resized_twice(old, new) -> tuple[np.ndarray, np.ndarray]:
    """By this project and by Pillow."""
    image = np.random.default_rng(0).integers(0, 256, (*old, 3), dtype=np.uint8)
    image[: old[0] // 2] = np.where(image[: old[0] // 2] > 127, 255, 0)
    found = exported_model.resize(image, *new)
    assert found.dtype == np.uint8 and found.shape == (*new, 3)
    return found, np.asarray(Image.fromarray(image).resize(new[::-1], Image.BILINEAR))


@pytest.mark.parametrize(
    "old, new",
    [
        ((240, 320), (128, 171)), ((101, 203), (50, 101)), ((90, 120), (270, 360)),
        ((90, 120), (91, 121)), ((64, 64), (64, 64)), ((64, 80), (64, 31)), ((64, 80), (31, 80)),
        ((1, 1), (3, 2)), ((2, 300), (1, 150)),
    ],
)  # fmt: skip
def test_pictures_are_resized_as_pillow_does(old, new):
    np.testing.assert_array_equal(*resized_twice(old, new))


@pytest.mark.parametrize("old", [(37, 61), (128, 96), (5, 400), (301, 200)])
@pytest.mark.parametrize("new", [(37, 61), (64, 96), (128, 31), (77, 402)])
def test_they_differ_at_most_by_one_grey_level(old, new):
    found, expected = resized_twice(old, new)
    assert np.abs(found.astype(int) - expected).max() <= 1


@pytest.mark.parametrize("image", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3))])
def test_arrays_that_are_no_pictures(exported, image):
    model = exported_model.ExportedModel(exported / "model.ts")
    with pytest.raises(ValueError, match=r"expected uint8 \(H, W, 3\)"):
        model(image)


@pytest.mark.parametrize(
    "intrinsics", [(1, 2, 3), (0, 1, 2, 3), (1, -1, 2, 3), (1, 1, float("nan"), 3)]
)
def test_cameras_that_are_none(exported, intrinsics):
    model = exported_model.ExportedModel(exported / "model.ts")
    with pytest.raises(ValueError, match="expected 4 finite numbers"):
        model(np.zeros((40, 40, 3), np.uint8), intrinsics)


def run(capsys, *arguments) -> str:
    """What the program says where it ends with status 1."""
    assert run_exported.main([str(argument) for argument in arguments]) == 1
    return capsys.readouterr().err


def test_models_that_cannot_be_run(exported, photos, tmp_path, capsys, monkeypatch):
    rest = ("--input", photos, "--output", tmp_path / "out")
    assert "no.ts: there is no such file" in run(capsys, "--model", tmp_path / "no.ts", *rest)
    assert "ends in .onnx or .ts" in run(capsys, "--model", tmp_path / "x.pth", *rest)
    for name in ("broken.ts", "broken.onnx"):
        (tmp_path / name).write_bytes(b"nothing of use")
    assert "broken.ts: cannot be loaded" in run(capsys, "--model", tmp_path / "broken.ts", *rest)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    text = run(capsys, "--model", tmp_path / "broken.onnx", *rest)
    assert "needs the package onnxruntime" in text
    assert not (tmp_path / "out").exists()


@needs_onnx
def test_models_of_others_and_of_later_versions(exported, photos, tmp_path, capsys):
    import onnx

    rest = ("--input", photos, "--output", tmp_path / "out")
    path = tmp_path / "other.onnx"
    path.write_bytes(b"nothing of use")
    assert "other.onnx: cannot be loaded" in run(capsys, "--model", path, *rest)
    file = onnx.load(exported / "model.onnx")
    metadata = json.loads(file.metadata_props[0].value)
    for props, message in (
        ({}, "other.onnx: found no metadata"),
        ({"hmor_d2": json.dumps(metadata | {"format": 2})}, "of format 2, expected 1"),
    ):
        del file.metadata_props[:]
        onnx.helper.set_model_props(file, props)
        path.write_bytes(file.SerializeToString())
        assert message in run(capsys, "--model", path, *rest)


def test_pictures_that_cannot_be_read(exported, photos, tmp_path, capsys):
    """The others are written, under names of their own."""
    (photos / "broken.png").write_bytes(b"nothing of use")
    (tmp_path / "again").mkdir()
    shutil.copy(photos / "a.png", tmp_path / "again" / "A.PNG")
    inputs = [photos, tmp_path / "again", tmp_path / "no.jpg", photos / "a.png"]
    output = tmp_path / "out"
    text = run(
        capsys, "--model", exported / "model.ts", "--input", *inputs, "--output", output,
        "--focal", 500, "--score-threshold", 0,
    )  # fmt: skip
    assert text.count("cannot be read as a picture") == 2
    assert "broken.png" in text and "no.jpg" in text
    assert {path.name for path in output.iterdir()} == {"a.json", "A_2.json", "b.json"}
    found = json.loads((output / "a.json").read_text())
    assert found["intrinsics"] == [500, 500, 190, 150] and found["intrinsics_source"] == "given"
    scores = [person["score"] for person in found["people"]]
    assert len(scores) > 3 and scores == sorted(scores, reverse=True)


def test_people_below_the_threshold_are_left_out():
    scores = np.array([0.9, 0.5, 0.49999], np.float32)
    found = {
        "scores": scores,
        "boxes": np.arange(12.0).reshape(3, 4) + 0.123,
        "keypoints": np.full((3, 2, 3), 7.00049),
        "keypoints_cam": np.full((3, 2, 3), 7.04),
        "root_depth": np.array([1.06, 2.04, 3.0]),
    }
    people = run_exported.describe(found, 0.5)
    assert [person["score"] for person in people] == [0.9, 0.5]
    assert people[1] == {
        "score": 0.5,
        "bbox": [4.12, 5.12, 6.12, 7.12],
        "keypoints": [[7.0, 7.0, 7.0]] * 2,
        "keypoints_cam": [[7.0, 7.0, 7.0]] * 2,
        "root_depth": 2.0,
    }
    assert run_exported.describe(found, 0.95) == []


@pytest.mark.parametrize(
    "options, focal, source",
    [
        (["--fov", "90"], 190, "given"),
        ([], 190 / np.tan(np.radians(27.5)), "assumed"),
        (["--intrinsics", "1", "2", "3", "4"], 1, "given"),
    ],
)
def test_cameras(options, focal, source):
    args = run_exported.parse_args(["--model", "m", "--input", "i", "--output", "o", *options])
    intrinsics, found = run_exported.choose_camera(args, 300, 380, 55.0)
    assert intrinsics[0] == pytest.approx(focal) and found == source
    if "--intrinsics" in options:
        assert intrinsics == (1, 2, 3, 4)
    else:
        assert intrinsics[2:] == (190, 150)


@pytest.mark.parametrize(
    "options",
    [
        ["--focal", "0"],
        ["--fov", "180"],
        ["--focal", "nan"],
        ["--intrinsics", "-1", "2", "3", "4"],
        ["--intrinsics", "1", "2", "nan", "4"],
        ["--fov", "50", "--focal", "400"],
    ],
)
def test_cameras_that_are_refused(options, capsys):
    with pytest.raises(SystemExit) as exit_:
        run_exported.parse_args(["--model", "m", "--input", "i", "--output", "o", *options])
    assert exit_.value.code == 2 and "--" in capsys.readouterr().err
