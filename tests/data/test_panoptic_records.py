"""The authors' records of CMU Panoptic: round trip, lens distortion, real cameras, bad files."""

import logging
import pickle
from pathlib import Path

import cv2
import numpy as np
import pytest

from hmor_d2.data.annotations import check_person
from hmor_d2.data.dataset_error import DatasetError, Where
from hmor_d2.data.datasets.panoptic import load_panoptic
from hmor_d2.data.datasets.panoptic_records import load_panoptic_records
from hmor_d2.skeleton import get_skeleton
from tests.data.panoptic_sequences import CAMERAS
from tests.data.writers import write_json, write_panoptic

PANOPTIC15 = get_skeleton("panoptic15")


def make_people(count: int, seed: int = 0) -> np.ndarray:
    """(count, 15, 3) cm: people 3 m in front of the camera."""
    rng = np.random.default_rng(seed)
    middle = np.column_stack((rng.uniform(-60, 60, (count, 2)), rng.uniform(260, 350, count)))
    return middle[:, None] + rng.normal(0, 25, (count, 15, 3))


def make_record(
    name: str, joints: np.ndarray, camera: dict = CAMERAS[0], *, packed: bool = False
) -> dict:
    record = {
        "image_name": name,
        "intrinsics": np.array(camera["K"], dtype=np.float64),
        "joints_3d_cam": joints,
        "joints_3d_vis": np.ones((len(joints), 15, 3)),
    }
    return record | camera if packed else record


def image_name(sequence: str, frame: int, camera: str = "00_16") -> str:
    return f"{sequence}/hdImgs/{camera}/{camera}_{frame:08d}.jpg"


def write(folder: Path, records: object, protocol: int = 4) -> Path:
    path = folder / "clean_valid.pkl"
    path.write_bytes(pickle.dumps(records, protocol))
    return path


def load(path: Path, **kwargs) -> list[dict]:
    return load_panoptic_records(str(path), str(path.parent), **kwargs)


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_round_trip_against_opencv(tmp_path, protocol):
    counts = {5: 2, 1: 0, 7: 3}
    people = {frame: make_people(count, frame) for frame, count in counts.items()}
    names = {frame: image_name("160422_haggling1", frame) for frame in counts}
    records = [
        make_record(names[5], people[5], packed=True),
        make_record("data/hmor/" + names[1], people[1], packed=True),
        make_record(names[7], people[7].tolist(), packed=True),  # lists are as good
    ]
    loaded = load(write(tmp_path, records, protocol))
    assert [r["image_id"] for r in loaded] == [
        f"160422_haggling1/00_16/{frame:08d}" for frame in counts
    ]
    for record, (frame, joints) in zip(loaded, people.items(), strict=True):
        assert record["file_name"] == str(tmp_path / names[frame])
        assert (record["width"], record["height"]) == (1920, 1080)
        assert type(record["width"]) is int
        assert (record["sequence"], record["camera"]) == ("160422_haggling1", "00_16")
        assert (record["frame"], record["joint_set"]) == (frame, "panoptic15")
        assert record["intrinsics"] == [1397.21, 1394.06, 950.563 + 0.5, 565.694 + 0.5]
        assert record["distortion"] == CAMERAS[0]["distCoef"]
        assert [p["person_id"] for p in record["annotations"]] == list(range(len(joints)))
        for person, expected in zip(record["annotations"], joints, strict=True):
            check_person(person, PANOPTIC15, Where(record["image_id"]))
            keypoints = np.reshape(person["keypoints"], (15, 3))
            matrix = np.array(CAMERAS[0]["K"])
            pixels, _ = cv2.projectPoints(expected, np.zeros(3), np.zeros(3), matrix, None)
            np.testing.assert_allclose(keypoints[:, :2], pixels[:, 0] + 0.5, atol=1e-6)
            np.testing.assert_allclose(person["keypoints_cam"], expected * 10, rtol=1e-6)
            assert type(person["keypoints_cam"]) is np.ndarray
            assert person["keypoints_cam_valid"].all()
            low, high = keypoints[:, :2].min(axis=0), keypoints[:, :2].max(axis=0)
            np.testing.assert_allclose(np.array(person["bbox"][2:]) - high, 0.1 * (high - low))


def test_the_same_as_the_toolbox_files(tmp_path):
    """The same people through both formats: equal dicts, but for the ids of people."""
    rng = np.random.default_rng(3)
    bodies = np.concatenate(
        (rng.normal((0, -90, 0), (25, 35, 25), (2, 15, 3)), rng.uniform(0.2, 0.9, (2, 15, 1))),
        axis=2,
    )
    bodies[1, 4, 3] = -1
    frames = {8: {0: bodies[0], 1: bodies[1]}, 9: {}}
    write_panoptic(tmp_path, "seq", CAMERAS, frames, pose_folder="hdPose3d_stage1")
    toolbox = load_panoptic(str(tmp_path), ["seq"], ["00_16", "00_30"])
    records = []
    for camera in CAMERAS:
        in_camera = bodies[..., :3] @ np.array(camera["R"]).T + np.array(camera["t"])[:, 0]
        known = np.repeat(bodies[..., 3:] > 0.1, 3, axis=2)
        for frame, joints, flags in ((8, in_camera, known), (9, in_camera[:0], known[:0])):
            record = make_record(image_name("seq", frame, camera["name"]), joints, camera)
            records.append(record | {"joints_3d_vis": flags})
    loaded = load(write(tmp_path, records))  # without the calibration: the sequence has it
    assert len(loaded) == len(toolbox) == 4
    for a, b in zip(loaded, toolbox, strict=True):
        people_a, people_b = a.pop("annotations"), b.pop("annotations")
        assert a == b
        for person_a, person_b in zip(people_a, people_b, strict=True):
            assert person_a.keys() == person_b.keys()
            for field, value in person_b.items():
                np.testing.assert_allclose(person_a[field], value, rtol=1e-5, atol=1e-2)


def test_unknown_joints_and_people_outside(tmp_path, caplog):
    people = make_people(4)
    people[1, :, 2] -= 900  # behind the camera
    people[2, :, 0] += 900  # beside the image
    flags = np.ones((4, 15, 1))
    flags[0, 3:5] = 0
    flags[3] = 0
    people[0, 3] = np.nan
    people[3, 2] = np.inf
    record = make_record(image_name("seq", 1), people, packed=True) | {"joints_3d_vis": flags}
    with caplog.at_level(logging.INFO, logger="hmor_d2"):
        (loaded,) = load(write(tmp_path, [record]))
    (person,) = loaded["annotations"]
    assert person["person_id"] == 0
    unknown = np.isin(np.arange(15), (3, 4))
    np.testing.assert_array_equal(person["keypoints_cam_valid"], ~unknown)
    keypoints = np.reshape(person["keypoints"], (15, 3))
    np.testing.assert_array_equal(keypoints[:, 2], np.where(unknown, 0, 2))
    assert not person["keypoints_cam"][unknown].any()
    check_person(person, PANOPTIC15, Where("seq"))
    assert "1 images, 1 people; 3 are outside the image" in caplog.text


def test_compact_keypoints_are_the_same_numbers(tmp_path):
    path = write(tmp_path, [make_record(image_name("seq", 1), make_people(3), packed=True)])
    (plain,), (compact,) = load(path), load(path, compact=True)
    assert len(compact["annotations"]) == 3
    for a, b in zip(plain["annotations"], compact["annotations"], strict=True):
        assert isinstance(a["keypoints"], list) and b["keypoints"].dtype == np.float32
        np.testing.assert_allclose(b["keypoints"], a["keypoints"], rtol=1e-6)


def test_activities(tmp_path, caplog):
    sequences = ["160422_haggling1", "160906_pizza1", "160224_mafia2"]
    records = [make_record(image_name(s, 1), make_people(1), packed=True) for s in sequences]
    path = write(tmp_path, records)
    assert len(load(path)) == 3
    chosen = load(path, activities=["pizza", "mafia"])
    assert [record["sequence"] for record in chosen] == sequences[1:]
    with caplog.at_level(logging.WARNING, logger="hmor_d2"):
        assert load(path, activities=["ultimatum"]) == []
    assert "no record is left of 3" in caplog.text
    with pytest.raises(ValueError, match="expected a list"):
        load(path, activities="pizza")


def test_distortion(tmp_path):
    packed = make_record(image_name("seq", 1), make_people(1), packed=True)
    plain = make_record(image_name("seq", 2), make_people(1))
    path = write(tmp_path, [packed, plain])
    for record in load(path, use_distortion=False):
        assert "distortion" not in record
    with pytest.raises(DatasetError) as error:
        load(path)
    calibration = tmp_path / "seq/calibration_seq.json"
    for part in ("seq/00_16/00000002", str(calibration), "use_distortion=False"):
        assert part in str(error.value)

    other = CAMERAS[0] | {"distCoef": [0.1, 0.2, 0.3, 0.4, 0.5]}
    write_json(calibration, {"cameras": [other]})
    found = [record["distortion"] for record in load(path)]
    assert found == [CAMERAS[0]["distCoef"], other["distCoef"]]  # the record's own goes first

    other["K"] = [[1500.0, 0, 950.563], [0, 1394.06, 565.694], [0, 0, 1]]
    write_json(calibration, {"cameras": [other]})
    with pytest.raises(DatasetError) as error:
        load(path)
    for part in ("seq/00_16/00000002", "'intrinsics'", "1397.21", "1500.0", "use_distortion"):
        assert part in str(error.value)


def test_many_records(tmp_path, monkeypatch):
    """Conversion in batches gives what conversion at once does."""
    rng = np.random.default_rng(5)
    records = [
        make_record(image_name("seq", i), make_people(rng.integers(0, 4), i), packed=True)
        for i in range(23)
    ]
    path = write(tmp_path, records)
    whole = load(path)
    monkeypatch.setattr("hmor_d2.data.datasets.panoptic_records._BATCH", 5)
    for a, b in zip(load(path), whole, strict=True):
        for person_a, person_b in zip(a["annotations"], b["annotations"], strict=True):
            assert person_a["keypoints"] == person_b["keypoints"]
            assert person_a["bbox"] == person_b["bbox"]
    assert [len(r["annotations"]) for r in whole] == [len(r["joints_3d_cam"]) for r in records]


def put(key: str, value: object):
    return lambda r: r.update({key: value})


def drop(key: str):
    return lambda r: r.pop(key)


BROKEN = {
    "no name": (drop("image_name"), ["record 1", "'image_name'"]),
    "no sequence": (put("image_name", "hdImgs/00_16/1.jpg"), ["record 1", "hdImgs/00_16/1.jpg"]),
    "no frame": (put("image_name", "seq/hdImgs/00_16/first.jpg"), ["record 1", "first.jpg"]),
    "path upwards": (put("image_name", "../hdImgs/00_16/1.jpg"), ["record 1", "'image_name'"]),
    "name of bytes": (put("image_name", b"seq"), ["record 1", "'image_name'"]),
    "twice": (put("image_name", image_name("seq", 0)), ["seq/00_16/00000000", "2 times"]),
    "no intrinsics": (drop("intrinsics"), ["seq/00_16/00000001", "'intrinsics'"]),
    "flat intrinsics": (put("intrinsics", np.ones(9)), ["'intrinsics'", "(9,)", "(3, 3)"]),
    "NaN intrinsics": (
        lambda r: r["intrinsics"].__setitem__((0, 0), np.nan),
        ["seq/00_16/00000001", "'intrinsics'", "finite", "array("],
    ),
    "skew": (lambda r: r["intrinsics"].__setitem__((0, 1), 2.0), ["'intrinsics'", "skew"]),
    "no joints": (drop("joints_3d_cam"), ["seq/00_16/00000001", "'joints_3d_cam'"]),
    "no flags": (drop("joints_3d_vis"), ["seq/00_16/00000001", "'joints_3d_vis'"]),
    "19 joints": (
        put("joints_3d_cam", np.ones((2, 19, 3))),
        ["seq/00_16/00000001", "'joints_3d_cam'", "(2, 19, 3)", "15, 3"],
    ),
    "2D joints": (put("joints_3d_cam", np.ones((2, 15, 2))), ["'joints_3d_cam'", "(2, 15, 2)"]),
    "people of unequal length": (
        put("joints_3d_cam", [np.ones((15, 3)).tolist(), [[1, 2, 3]]]),
        ["'joints_3d_cam'", "numbers"],
    ),
    "flat flags": (put("joints_3d_vis", np.ones((2, 15))), ["'joints_3d_vis'", "(2, 15)"]),
    "flags of one person": (
        put("joints_3d_vis", np.ones((1, 15, 1))),
        ["seq/00_16/00000001", "'joints_3d_vis'", "1 people", "2 as in 'joints_3d_cam'"],
    ),
    "NaN joint": (
        lambda r: r["joints_3d_cam"].__setitem__((1, 2, 0), np.nan),
        ["seq/00_16/00000001", "'joints_3d_cam'", "finite"],
    ),
    "text for joints": (put("joints_3d_cam", "many"), ["'joints_3d_cam'", "numbers"]),
    "joints in texts": (
        put("joints_3d_cam", np.full((2, 15, 3), "1").tolist()),
        ["'joints_3d_cam'", "numbers"],
    ),
    "joints beyond a float": (
        put("joints_3d_cam", [[[10**400] * 3] * 15] * 2),
        ["'joints_3d_cam'", "numbers"],
    ),
    "keys of two kinds": (
        lambda r: r.update({5: r.pop("joints_3d_cam")}),
        ["'joints_3d_cam'", "'5'"],
    ),
    "four distortions": (put("distCoef", [0.0] * 4), ["'distCoef'", "(4,)"]),
    "no K": (drop("K"), ["seq/00_16/00000001", "'K'"]),
    "other K": (put("K", (np.eye(3) * 900).tolist()), ["'intrinsics'", "900.0"]),
    "fractional size": (put("resolution", [1920.5, 1080]), ["'width'", "1920.5"]),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_records_are_refused(tmp_path, name):
    records = [make_record(image_name("seq", i), make_people(2, i), packed=True) for i in (0, 1)]
    assert len(load(write(tmp_path, records))) == 2
    change, expected = BROKEN[name]
    change(records[1])
    path = write(tmp_path, records)
    with pytest.raises(DatasetError) as error:
        load(path)
    for part in (str(path), *expected):
        assert part in str(error.value)


def test_files_that_hold_no_records(tmp_path):
    path = write(tmp_path, [make_record(image_name("seq", 0), make_people(2), packed=True)])
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DatasetError, match=r"clean_valid\.pkl: found a broken pickle"):
        load(path)
    for content, found in (({"a": 1}, "found dict"), ("text", "found str"), (["a"], "record 0")):
        with pytest.raises(DatasetError, match=rf"clean_valid\.pkl.*{found}"):
            load(write(tmp_path, content))
    path.unlink()
    with pytest.raises(DatasetError, match=r"clean_valid\.pkl: found nothing there"):
        load(path)
    assert load(write(tmp_path, [])) == []
