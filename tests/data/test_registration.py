"""Registration of one's own datasets: entries of a config, errors, Detectron2's COCOEvaluator."""

from pathlib import Path

import numpy as np
import pytest
import torch
from detectron2.data import DatasetCatalog, MetadataCatalog, get_detection_dataset_dicts
from detectron2.evaluation import COCOEvaluator
from detectron2.structures import Boxes, BoxMode, Instances

from hmor_d2.data.dataset_error import DatasetError
from hmor_d2.data.registration import (
    register_coco_keypoints,
    register_custom_datasets,
    register_muco,
    register_panoptic,
)
from tests.data.writers import (
    make_muco_records,
    muco_content,
    panoptic_camera,
    write_json,
    write_panoptic,
)
from tests.real_data import real_data


@pytest.fixture
def name(request):
    """A free dataset name, taken out of the catalogs afterwards."""
    name = f"test_{request.node.name}"
    yield name
    for catalog in (DatasetCatalog, MetadataCatalog):
        if name in catalog.list():
            catalog.remove(name)


@pytest.fixture
def muco(tmp_path) -> tuple[str, str]:
    root = str(tmp_path / "muco")
    records = make_muco_records(0, [2, 0, 3, 1], root)
    return write_json(tmp_path / "muco/x.json", muco_content(records, root)), root


def test_an_entry_may_choose_its_evaluator(name, muco):
    json_file, root = muco
    entry = {"name": name, "format": "muco", "json_file": json_file, "image_root": root}
    chosen = {"evaluator_type": "panoptic", "evaluator_options": {"matching": "smap"}}
    register_custom_datasets([entry | chosen])
    metadata = MetadataCatalog.get(name)
    assert metadata.evaluator_type == "panoptic"
    assert metadata.evaluator_options == {"matching": "smap"}
    assert len(DatasetCatalog.get(name)) == 4
    with pytest.raises(DatasetError, match="registered already"):
        register_custom_datasets([entry])


def test_paths_of_an_entry_start_from_the_root_or_the_home_folder(name, muco, monkeypatch):
    root = muco[1]
    monkeypatch.setenv("HOME", root)
    entry = {
        "name": name,
        "format": "muco",
        "json_file": "~/x.json",
        "image_root": "images",
        "evaluator_options": {"annotation_dir": "annotations", "other": "kept"},
    }
    register_custom_datasets([entry], root="/elsewhere")
    assert DatasetCatalog.get(name)[0]["file_name"].startswith("/elsewhere/images/")
    assert MetadataCatalog.get(name).evaluator_options == {
        "annotation_dir": "/elsewhere/annotations",
        "other": "kept",
    }


def test_register_muco_passes_loader_arguments(name, muco):
    register_muco(name, *muco, file_prefix="augmented_set/")
    assert [record["image_id"] for record in DatasetCatalog.get(name)] == [1, 3]


def test_detectron2_filters_images_without_people(name, muco):
    register_muco(name, *muco)
    assert len(DatasetCatalog.get(name)) == 4
    assert len(get_detection_dataset_dicts(name, filter_empty=True)) == 3


def test_custom_entries_start_from_the_root(name, muco, tmp_path):
    entry = {"name": name, "format": "muco", "json_file": "muco/x.json", "image_root": "muco"}
    register_custom_datasets([entry], root=str(tmp_path))
    records = DatasetCatalog.get(name)
    assert records[0]["file_name"] == str(tmp_path / "muco/unaugmented_set/1/0.jpg")


def test_custom_entries_follow_the_environment_and_keep_absolute_paths(
    name, muco, tmp_path, monkeypatch
):
    monkeypatch.setenv("DETECTRON2_DATASETS", str(tmp_path))
    entry = {"name": name, "format": "muco", "json_file": "muco/x.json", "image_root": "/data"}
    register_custom_datasets([entry])
    assert DatasetCatalog.get(name)[0]["file_name"] == "/data/unaugmented_set/1/0.jpg"


def test_custom_panoptic_entry(name, tmp_path):
    body = np.column_stack((np.random.default_rng(0).normal((0, -90, 0), 20, (19, 3)), [0.5] * 19))
    camera = panoptic_camera("00_03", np.eye(3), (0, 100, 300))
    write_panoptic(tmp_path / "pan", "demo", [camera], {4: {0: body}, 5: {}, 6: {0: body}})
    entry = {
        "name": name,
        "format": "panoptic",
        "root": "pan",
        "sequences": ["demo"],
        "cameras": ["00_03"],
        "frames": {"demo": [4, 5]},
    }
    register_custom_datasets([entry], root=str(tmp_path))
    assert [len(record["annotations"]) for record in DatasetCatalog.get(name)] == [1, 0]
    assert MetadataCatalog.get(name).joint_set == "panoptic19"


def test_metadata_follow_a_forced_joint_set(name):
    register_panoptic(name, "root", ["a"], ["00_16"], joint_set="panoptic15")
    assert MetadataCatalog.get(name).keypoint_names[1] == "head_top"


def test_same_entry_again_is_no_error_and_another_one_is(name, muco, tmp_path):
    entry = {"name": name, "format": "muco", "json_file": "muco/x.json", "image_root": "muco"}
    register_custom_datasets([entry], root=str(tmp_path))
    register_custom_datasets([dict(entry)], root=str(tmp_path))
    register_muco(name, str(tmp_path / "muco/x.json"), str(tmp_path / "muco"))
    for other in ({"file_prefix": "a"}, {"image_root": "elsewhere"}, {"format": "coco"}):
        with pytest.raises(DatasetError, match=f"{name}.*registered already"):
            register_custom_datasets([entry | other], root=str(tmp_path))
    assert len(DatasetCatalog.get(name)) == 4


def test_lists_and_tuples_are_the_same_entry_and_later_changes_have_no_effect(name):
    sequences = ["a", "b"]
    register_panoptic(name, "root", sequences, ["00_16"])
    register_panoptic(name, "root", ("a", "b"), ("00_16",))
    sequences.append("c")
    assert DatasetCatalog[name].keywords["sequences"] == ("a", "b")


def test_a_name_of_other_code_is_not_taken_over():
    with pytest.raises(DatasetError, match=r"keypoints_coco_2017_val.*by other code"):
        register_coco_keypoints("keypoints_coco_2017_val", "a.json", "images")


MUCO = {"name": "bad_entry", "format": "muco", "json_file": "x.json", "image_root": "muco"}


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        (MUCO | {"format": "mocap"}, r"bad_entry.*'mocap'.*\['coco', .*'muco', .*'panoptic', "),
        ({k: v for k, v in MUCO.items() if k != "format"}, r"bad_entry.*None"),
        (MUCO | {"frame_step": 2}, r"bad_entry.*\['frame_step'\].*min_root_distance_mm"),
        ({k: v for k, v in MUCO.items() if k != "image_root"}, r"bad_entry.*image_root"),
        ({"format": "muco"}, "'name'"),
        ({"name": 3, "format": "muco"}, "'name'"),
        ("muco_train", "muco_train"),
    ],
)
def test_bad_entries_are_named(entry, expected):
    with pytest.raises(DatasetError, match=expected):
        register_custom_datasets([entry])
    assert "bad_entry" not in DatasetCatalog.list()


def perfect_outputs(records: list[dict], with_keypoints: bool) -> list[dict]:
    outputs = []
    for record in records:
        # Nobody is found where nothing is labelled: COCO would count that as a false positive.
        people = [
            person
            for person in record["annotations"]
            if not with_keypoints or any(person["keypoints"][2::3])
        ]
        instances = Instances((record["height"], record["width"]))
        boxes = [
            BoxMode.convert(person["bbox"], person["bbox_mode"], BoxMode.XYXY_ABS)
            for person in people
        ]
        instances.pred_boxes = Boxes(torch.tensor(boxes).reshape(-1, 4))
        instances.scores = torch.ones(len(people))
        instances.pred_classes = torch.zeros(len(people), dtype=torch.int64)
        if with_keypoints:
            keypoints = torch.tensor([person["keypoints"] for person in people])
            instances.pred_keypoints = keypoints.reshape(len(people), -1, 3)
        outputs.append({"instances": instances})
    return outputs


def evaluate(name: str, folder: Path, tasks: tuple[str, ...]) -> dict:
    evaluator = COCOEvaluator(
        name, tasks, distributed=False, output_dir=str(folder), use_fast_impl=False
    )
    evaluator.reset()
    records = DatasetCatalog.get(name)
    evaluator.process(records, perfect_outputs(records, "keypoints" in tasks))
    return evaluator.evaluate()


def test_coco_evaluator_gives_100_for_perfect_boxes_of_muco(name, muco, tmp_path):
    register_muco(name, *muco)
    assert evaluate(name, tmp_path, ("bbox",))["bbox"]["AP"] == pytest.approx(100)


def test_coco_evaluator_gives_100_for_perfect_boxes_of_panoptic(name, tmp_path):
    root = str(real_data("panoptic"))
    register_panoptic(name, root, ["demo_haggling"], ["00_03"])
    assert evaluate(name, tmp_path, ("bbox",))["bbox"]["AP"] == pytest.approx(100)


def test_coco_evaluator_gives_100_for_perfect_keypoints_of_coco(name, tmp_path):
    folder = real_data("coco")
    json_file = str(folder / "annotations/person_keypoints_sample.json")
    register_coco_keypoints(name, json_file, str(folder / "images"))
    assert evaluate(name, tmp_path, ("keypoints",))["keypoints"]["AP"] == pytest.approx(100)
