"""tools/check_dataset.py: good data pass; every corruption fails its own rows; exit codes."""

import importlib.util
import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from detectron2.data import DatasetCatalog, MetadataCatalog

from hmor_d2.data.checks import PUBLISHED_COUNTS, PublishedCounts
from hmor_d2.data.datasets.mupots import load_mupots
from tests.data.bodies import standing_person
from tests.data.mpi_inf_3dhp import load_mpi_inf_3dhp
from tests.data.writers import coco_content, panoptic_camera, write_json, write_panoptic
from tests.real_data import real_data

ROOT = Path(__file__).parents[1]
LENGTHS = {
    f"length {part}"
    for part in (
        "neck-head_top", "neck-shoulder", "shoulder-elbow", "elbow-wrist", "pelvis-hip",
        "hip-knee", "knee-ankle", "pelvis-neck",
    )
}  # fmt: skip


def load_script(path: str):
    spec = importlib.util.spec_from_file_location(Path(path).stem, ROOT / path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def tool():
    return load_script("tools/check_dataset.py")


@pytest.fixture(scope="module")
def toy(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("toy")
    counts = ["--train-images", "12", "--test-images", "0", "--demo-images", "0"]
    size = ["--size", "96x80"]
    load_script("datasets/prepare_toy.py").main(["--root", str(root), *counts, *size])
    return root / "toy"


@pytest.fixture
def check(tool, tmp_path):
    """Runs the tool on a dataset described as in a config; gives exit code and report."""
    names = []

    def run(entry: dict | None, *arguments: str, name: str | None = None) -> tuple[int, dict]:
        if name is None:
            name = f"check_{tmp_path.name}_{len(names)}"
            names.append(name)
        config = tmp_path / "config.yaml"
        custom = [] if entry is None else [{"name": name, **entry}]
        config.write_text(yaml.safe_dump({"VERSION": 2, "DATASETS": {"CUSTOM": custom}}))
        report = tmp_path / "report/check.json"
        report.unlink(missing_ok=True)
        arguments = [name, "--config-file", str(config), "--output", str(report), *arguments]
        code = tool.main(arguments)
        return code, json.loads(report.read_text()) if report.exists() else {}

    yield run
    for name in names:
        for catalog in (DatasetCatalog, MetadataCatalog):
            if name in catalog.list():
                catalog.remove(name)


@pytest.fixture
def registered():
    """Registers dataset dicts for one test."""
    names = []

    def register(name: str, load, joint_set: str) -> str:
        DatasetCatalog.register(name, load)
        MetadataCatalog.get(name).joint_set = joint_set
        names.append(name)
        return name

    yield register
    for name in names:
        DatasetCatalog.remove(name)
        MetadataCatalog.remove(name)


def muco_entry(folder: Path) -> dict:
    json_file = str(folder / "train.json")
    return {"format": "muco", "json_file": json_file, "image_root": str(folder)}


def rows_by(report: dict, status: str) -> set[str]:
    return {row["name"] for row in report["checks"] if row["status"] == status}


def row(report: dict, name: str) -> dict:
    (found,) = (row for row in report["checks"] if row["name"] == name)
    return found


def test_generated_muco_passes(check, toy, capsys):
    code, report = check(muco_entry(toy), "--images", "all")
    assert code == 0 and report["ok"], rows_by(report, "FAIL")
    assert rows_by(report, "skip") == {"distorted and back by OpenCV, worst"}
    assert LENGTHS | {"reprojection, median", "images present"} <= rows_by(report, "ok")
    assert row(report, "images present")["value"] == "12 of 12"
    assert row(report, "images readable, size as annotated")["value"] == "12 of 12"
    people = len(json.loads((toy / "train.json").read_text())["annotations"])
    for name in ("people", "people with 2D joints", "people with 3D joints"):
        assert row(report, name)["value"] == str(people)
    left_wrist = report["reprojection"]["left_wrist"]
    assert left_wrist["count"] == people and left_wrist["worst_px"] < 0.01
    table = capsys.readouterr().out
    for text in ("reprojection, median", "<= 0.1 px", "left_wrist", "ok"):
        assert text in table


def of_people(change):
    def apply(content: dict) -> None:
        for person in content["annotations"]:
            change(person)

    return apply


def of_images(change):
    def apply(content: dict) -> None:
        for image in content["images"]:
            change(image)

    return apply


def scale_3d(factor: float):
    def change(person: dict) -> None:
        person["keypoints_cam"] = (np.array(person["keypoints_cam"]) * factor).tolist()

    return of_people(change)


def move_one_joint(content: dict) -> None:
    content["annotations"][3]["keypoints_img"][7][1] += 40.0


def lengthen_left_forearms(person: dict) -> None:
    """Along the ray of the wrist in the image, so that its projection stays."""
    wrist = np.array(person["keypoints_cam"][7])
    person["keypoints_cam"][7] = (wrist * (1 + 90 / np.linalg.norm(wrist))).tolist()


def forget_the_pixel_shift(image: dict) -> None:
    image["c"] = [value - 0.5 for value in image["c"]]


def cut_image(folder: Path) -> None:
    path = next((folder / "images").glob("*.jpg"))
    path.write_bytes(path.read_bytes()[:-600])


def shrink_image(folder: Path) -> None:
    path = next((folder / "images").glob("*.jpg"))
    cv2.imwrite(str(path), cv2.imread(str(path))[:-1])


READABLE = "images readable, size as annotated"
MEDIAN, WORST = "reprojection, median", "reprojection, worst"
CORRUPTIONS = {
    # What is done to the JSON's content, and the rows that must fail: these and no others.
    "focal length": (
        of_images(lambda image: image.update(f=[20 * value for value in image["f"]])),
        {"field of view", MEDIAN, WORST},
    ),
    "fx and fy": (
        of_images(lambda image: image.update(f=[1.2 * image["f"][0], image["f"][1]])),
        {"focal lengths fx / fy", MEDIAN, WORST},
    ),
    "principal point in the corner": (
        of_images(lambda image: image.update(c=[0.0, 0.0])),
        {"principal point off the middle", MEDIAN, WORST},
    ),
    "principal point off by half a pixel": (of_images(forget_the_pixel_shift), {MEDIAN}),
    "one joint in 2D": (move_one_joint, {WORST}),
    "metres": (scale_3d(1e-3), {"distance of people", *LENGTHS}),
    "centimetres": (scale_3d(0.1), {"distance of people", *LENGTHS}),
    "left forearms": (
        of_people(lengthen_left_forearms),
        {"left-right difference, median"},
    ),
    "boxes moved away": (
        of_people(lambda person: person["bbox"].__setitem__(0, 5000.0)),
        {"boxes outside the image", "visible joints in their box"},
    ),
    "boxes too small": (
        of_people(lambda person: person.update(bbox=[*person["bbox"][:2], 2.0, 2.0])),
        {"visible joints in their box"},
    ),
    "one file twice": (
        lambda c: c["images"][1].update(file_name=c["images"][0]["file_name"]),
        {"files that repeat"},
    ),
    "no people": (lambda content: content["annotations"].clear(), {"people"}),
    "an image that is not there": (
        lambda content: content["images"][2].update(file_name="images/absent.jpg"),
        {"images present", READABLE},
    ),
    "another size": (of_images(lambda image: image.update(width=97)), {READABLE}),
}


@pytest.fixture
def copy_of_toy(toy, tmp_path) -> Path:
    return shutil.copytree(toy, tmp_path / "toy")


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_corrupt_annotations_fail_their_rows(check, copy_of_toy, name):
    change, expected = CORRUPTIONS[name]
    path = copy_of_toy / "train.json"
    content = json.loads(path.read_text())
    change(content)
    write_json(path, content)
    code, report = check(muco_entry(copy_of_toy), "--images", "all")
    assert code == 1 and not report["ok"]
    assert rows_by(report, "FAIL") == expected


@pytest.mark.parametrize("corrupt", [cut_image, shrink_image])
def test_corrupt_images_are_found_and_named(check, copy_of_toy, corrupt):
    corrupt(copy_of_toy)
    code, report = check(muco_entry(copy_of_toy), "--images", "all", "--workers", "3")
    assert code == 1 and rows_by(report, "FAIL") == {READABLE}
    assert row(report, READABLE)["value"].startswith("11 of 12, e.g. ")
    assert str(copy_of_toy / "images") in row(report, READABLE)["value"]


def test_a_sample_of_the_images_is_read(check, copy_of_toy):
    code, report = check(muco_entry(copy_of_toy), "--images", "5")
    assert code == 0 and row(report, READABLE)["value"] == "5 of 5"


def test_annotations_only(check, copy_of_toy):
    shutil.rmtree(copy_of_toy / "images")
    code, report = check(muco_entry(copy_of_toy))
    assert code == 1 and row(report, "images present")["value"].startswith("0 of 12, missing e.g.")
    code, report = check(muco_entry(copy_of_toy), "--annotations-only")
    assert code == 0
    assert {"images present", "images readable"} <= rows_by(report, "skip")


def test_limits_are_options(check, copy_of_toy):
    path = copy_of_toy / "train.json"
    content = json.loads(path.read_text())
    of_images(forget_the_pixel_shift)(content)
    write_json(path, content)
    limits = ["--max-median-px", "0.8", "--max-worst-px", "0.6"]
    assert check(muco_entry(copy_of_toy), *limits)[0] == 1
    limits[-1] = "0.8"
    assert check(muco_entry(copy_of_toy), *limits)[0] == 0


def test_counts_are_compared_with_the_published_ones(check, toy, monkeypatch):
    people = len(json.loads((toy / "train.json").read_text())["annotations"])
    name = "check_published"
    right = PublishedCounts("a test", images=12, people=people, people_2d=people, people_3d=people)
    try:
        monkeypatch.setitem(PUBLISHED_COUNTS, name, right)
        assert check(muco_entry(toy), name=name)[0] == 0
        monkeypatch.setitem(PUBLISHED_COUNTS, name, PublishedCounts("a test", images=13))
        code, report = check(muco_entry(toy), name=name)
    finally:
        DatasetCatalog.remove(name)
        MetadataCatalog.remove(name)
    assert code == 1 and rows_by(report, "FAIL") == {"images"}
    assert row(report, "images")["limit"] == "13, published"


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (lambda path: path.unlink(), ["train.json", "found nothing there"]),
        (lambda path: path.write_text(path.read_text()[:900]), ["train.json"]),
        (lambda path: write_json(path, {"images": [], "annotations": []}), ["no images"]),
    ],
)
def test_unusable_datasets(check, copy_of_toy, spoil, expected, capsys):
    spoil(copy_of_toy / "train.json")
    code, report = check(muco_entry(copy_of_toy))
    assert code == 2 and not report
    error = capsys.readouterr().err
    assert all(part in error for part in expected)


def test_unknown_dataset(tool, capsys):
    assert tool.main(["no_such_dataset"]) == 2
    error = capsys.readouterr().err
    assert "no_such_dataset" in error and "muco_train" in error


def test_records_without_what_is_needed(tool, registered, capsys):
    person = {"bbox": [0, 0, 5, 5], "bbox_mode": 1, "keypoints": [1.0] * 51, "category_id": 0}
    whole = {"file_name": "a.jpg", "image_id": 7, "height": 9, "width": 9, "annotations": [person]}
    for number, (field, value) in enumerate(
        [("file_name", None), ("annotations", None), ("width", None), ("joint_set", "nobody")]
    ):
        record = {k: v for k, v in whole.items() if k != field}
        record |= {} if value is None else {field: value}
        name = registered(f"check_incomplete_{number}", lambda r=record: [r], "coco17")
        assert tool.main([name, "--annotations-only"]) == 2
        assert f"'{field}'" in capsys.readouterr().err


def test_arguments_that_a_loader_refuses(check, tmp_path, capsys):
    entry = {"format": "panoptic", "root": str(tmp_path), "sequences": ["seq", "seq"],
             "cameras": ["00_16"]}  # fmt: skip
    assert check(entry)[0] == 2
    assert "expected each sequence and camera once" in capsys.readouterr().err


def test_files_that_cannot_be_opened(check, tmp_path, capsys):
    entry = {"format": "coco", "json_file": str(tmp_path), "image_root": str(tmp_path)}
    assert check(entry)[0] == 2
    assert str(tmp_path) in capsys.readouterr().err


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({"format": "coco", "json_file": "/absent/x.json", "image_root": "/absent"},
         "/absent/x.json: found nothing there"),
        ({"format": "other"}, "found format 'other'"),
    ],
)  # fmt: skip
def test_visualize_data_says_what_is_wrong_with_a_dataset(tmp_path, capsys, entry, expected):
    name = f"check_visualize_{entry['format']}"
    config = tmp_path / "config.yaml"
    custom = [{"name": name, **entry}]
    config.write_text(yaml.safe_dump({"VERSION": 2, "DATASETS": {"CUSTOM": custom}}))
    arguments = ["--config-file", str(config), "--dataset", name, "--output", str(tmp_path)]
    try:
        with pytest.raises(SystemExit) as stopped:
            load_script("tools/visualize_data.py").main(arguments)
    finally:
        for catalog in (DatasetCatalog, MetadataCatalog):
            if name in catalog.list():
                catalog.remove(name)
    assert stopped.value.code == 2
    assert expected in capsys.readouterr().err


def make_coco(folder: Path) -> dict:
    rng = np.random.default_rng(0)
    records = []
    for index in range(3):
        points = rng.uniform((20, 20), (180, 130), (2, 17, 2))
        flags = rng.integers(0, 3, (2, 17, 1))
        flags[:, 0] = 2
        points = np.where(flags > 0, points, 0)
        people = [
            {"bbox": [10.0, 10.0, 180.0, 130.0], "iscrowd": 0,
             "keypoints": np.hstack((p, f)).ravel().tolist()}
            for p, f in zip(points, flags, strict=True)
        ]  # fmt: skip
        name = f"{index:012d}.jpg"
        records.append({"file_name": name, "image_id": index, "height": 150, "width": 200,
                        "annotations": people})  # fmt: skip
        cv2.imwrite(str(folder / name), np.zeros((150, 200, 3), np.uint8))
    json_file = write_json(folder / "annotations/x.json", coco_content(records))
    return {"format": "coco", "json_file": json_file, "image_root": str(folder)}


def test_2d_data_skip_what_needs_3d(check, tmp_path):
    entry = make_coco(tmp_path)
    code, report = check(entry)
    assert code == 0
    assert rows_by(report, "skip") == {
        "field of view", "focal lengths fx / fy", "principal point off the middle",
        "2D joints against 3D joints", "lengths and distances of bodies",
    }  # fmt: skip
    assert row(report, "people with 3D joints")["value"] == "0"
    assert report["reprojection"] == {}


def test_panoptic_with_its_lens(check, tmp_path):
    camera = panoptic_camera("00_16", np.eye(3), (0.0, 100.0, 300.0))
    bodies = {0: standing_person(-90, 0, 0.4), 1: standing_person(60, 100, 2.0)}
    write_panoptic(tmp_path, "seq", [camera], {3: bodies, 4: {}})
    entry = {"format": "panoptic", "root": str(tmp_path), "sequences": ["seq"],
             "cameras": ["00_16"]}  # fmt: skip
    code, report = check(entry, "--annotations-only")
    assert code == 0, rows_by(report, "FAIL")
    assert "distorted and back by OpenCV, worst" in rows_by(report, "ok")
    # The images are empty files.
    code, report = check(entry)
    assert code == 1 and rows_by(report, "FAIL") == {READABLE}


# Real data ---------------------------------------------------------------------------------


def test_real_panoptic_images(check):
    """The 3D poses are pseudo ground truth; a few centimetres off, yet human."""
    entry = {"format": "panoptic", "root": str(real_data("panoptic")),
             "sequences": ["demo_haggling"], "cameras": ["00_03", "00_12", "00_23"]}  # fmt: skip
    code, report = check(entry, "--images", "all")
    assert code == 0, rows_by(report, "FAIL")
    assert row(report, READABLE)["value"] == "15 of 15"
    assert row(report, "people with 3D joints")["value"] == "44"
    assert max(found["median_px"] for found in report["reprojection"].values()) < 1e-3


@pytest.mark.parametrize("sequence", ["160906_band1", "160906_band2"])
def test_real_panoptic_poses(check, tmp_path, sequence):
    """Official 3D in all 31 HD cameras: exact against its projection through the lens."""
    folder = real_data("panoptic", sequence)
    content = json.loads((folder / f"calibration_{sequence}.json").read_text())
    cameras = [camera for camera in content["cameras"] if camera["type"] == "hd"]
    poses = folder / "hdPose3d_stage1_coco19"
    frames = [int(path.stem[-8:]) for path in poses.glob("*.json")]
    names = [camera["name"] for camera in cameras]
    target = write_panoptic(tmp_path, sequence, cameras, {}, images=dict.fromkeys(names, frames))
    (target / "hdPose3d_stage1_coco19").rmdir()
    (target / "hdPose3d_stage1_coco19").symlink_to(poses)
    entry = {"format": "panoptic", "root": str(tmp_path), "sequences": [sequence],
             "cameras": names}  # fmt: skip
    code, report = check(entry, "--annotations-only")
    assert code == 0, rows_by(report, "FAIL")
    assert row(report, "images")["value"] == str(31 * len(frames))
    assert "distorted and back by OpenCV, worst" in rows_by(report, "ok")
    assert max(found["median_px"] for found in report["reprojection"].values()) < 1e-3


def test_real_mupots(tool, registered, tmp_path):
    root = real_data("mupots", "MultiPersonTestSet")
    name = registered("check_real_mupots", lambda: load_mupots(str(root)), "muco17")
    report = tmp_path / "report.json"
    code = tool.main([name, "--annotations-only", "--output", str(report)])
    report = json.loads(report.read_text())
    assert code == 0, rows_by(report, "FAIL")
    published = PUBLISHED_COUNTS["mupots_test"]
    assert row(report, "images")["value"] == str(published.images)
    assert row(report, "people with 3D joints")["value"] == str(published.people_3d)
    loose = {"right_hip", "left_hip", "spine"}
    for joint, found in report["reprojection"].items():
        assert found["count"] == published.people_3d
        assert found["median_px"] < (3 if joint in loose else 0.1), joint
    assert {f"reprojection of {joint}" for joint in loose} <= rows_by(report, "-")


def test_real_coco(check):
    folder = real_data("coco")
    json_file = str(folder / "annotations/person_keypoints_sample.json")
    entry = {"format": "coco", "json_file": json_file, "image_root": str(folder / "images")}
    code, report = check(entry, "--images", "all")
    assert code == 0, rows_by(report, "FAIL")
    assert row(report, READABLE)["value"] == "4 of 4"
    assert row(report, "people with 2D joints")["value"] == "12"


def test_real_mpi_inf_3dhp(tool, registered, tmp_path):
    """Real 2048x2048 images of MuCo's source, with joints annotated in 2D and in 3D."""
    records = load_mpi_inf_3dhp(real_data("mpi_inf_3dhp"))
    name = registered("check_real_mpi_inf_3dhp", lambda: records, "muco17")
    report = tmp_path / "report.json"
    code = tool.main([name, "--images", "all", "--output", str(report)])
    report = json.loads(report.read_text())
    assert code == 0, rows_by(report, "FAIL")
    assert row(report, READABLE)["value"] == "4 of 4"
    for joint, found in report["reprojection"].items():
        assert 2 <= found["count"] <= 4
        limit = 3 if joint in ("right_hip", "left_hip", "spine") else 0.2
        assert found["worst_px"] < limit, joint
