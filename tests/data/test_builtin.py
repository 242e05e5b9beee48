"""Registration: names, metadata, entries of a config, errors, and Detectron2's COCOEvaluator."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from detectron2.data import DatasetCatalog, MetadataCatalog, get_detection_dataset_dicts
from detectron2.data.detection_utils import create_keypoint_hflip_indices
from detectron2.evaluation import COCOEvaluator
from detectron2.structures import Boxes, BoxMode, Instances
from detectron2.utils.visualizer import Visualizer

from hmor_d2.data.dataset_error import DatasetError
from hmor_d2.data.registration import (
    register_coco_keypoints,
    register_custom_datasets,
    register_muco,
    register_panoptic,
)
from hmor_d2.skeleton import get_skeleton
from tests.data.writers import (
    make_muco_records,
    muco_content,
    panoptic_camera,
    write_json,
    write_panoptic,
)
from tests.real_data import real_data

# Joint set, evaluator, and the path whose absence is reported.
BUILTIN = {
    "muco_train": ("muco21", "pose3d", "muco/MuCo-3DHP.json"),
    "muco_train_augmented": ("muco21", "pose3d", "muco/MuCo-3DHP.json"),
    "mupots_test": ("muco17", "mupots", "mupots/MultiPersonTestSet/TS1"),
    "mupots_test_json": ("muco17", "mupots", "mupots/MuPoTS-3D.json"),
    "coco_person_keypoints_2017_train": (
        "coco17",
        "coco",
        "coco/annotations/person_keypoints_train2017.json",
    ),
    "coco_person_keypoints_2017_val": (
        "coco17",
        "coco",
        "coco/annotations/person_keypoints_val2017.json",
    ),
    "panoptic_train": ("panoptic19", "pose3d", "panoptic/160224_haggling1"),
    "panoptic_test": ("panoptic19", "panoptic", "panoptic/160422_haggling1"),
    "3dpw_train": ("smpl24", "3dpw", "3dpw/sequenceFiles/train"),
    "3dpw_validation": ("smpl24", "3dpw", "3dpw/sequenceFiles/validation"),
    "3dpw_test": ("smpl24", "3dpw", "3dpw/sequenceFiles/test"),
    "human36m_p1_train": ("h36m17", "human36m", "human36m/annotations/Human36M_subject1"),
    "human36m_p1_test": ("h36m17", "human36m", "human36m/annotations/Human36M_subject11"),
    "human36m_p2_train": ("h36m17", "human36m", "human36m/annotations/Human36M_subject1"),
    "human36m_p2_test": ("h36m17", "human36m", "human36m/annotations/Human36M_subject9"),
}


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


@pytest.mark.parametrize("dataset", BUILTIN)
def test_metadata(dataset):
    metadata, skeleton = MetadataCatalog.get(dataset), get_skeleton(BUILTIN[dataset][0])
    assert metadata.thing_classes == ["person"]
    assert metadata.joint_set == skeleton.name
    assert metadata.keypoint_names == skeleton.joint_names
    flips = create_keypoint_hflip_indices(dataset)
    np.testing.assert_array_equal(flips, skeleton.flip_indices)
    assert all(left.startswith("left_") for left, _ in metadata.keypoint_flip_map)
    assert [rule[:2] for rule in metadata.keypoint_connection_rules] == [
        tuple(skeleton.joint_names[joint] for joint in part) for part in skeleton.parts
    ]
    assert metadata.evaluator_type == BUILTIN[dataset][1]
    assert hasattr(metadata, "json_file") == dataset.startswith("coco")
    assert metadata.image_root


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


def test_connection_rules_colour_the_sides_apart():
    rules = MetadataCatalog.get("muco_train").keypoint_connection_rules
    colours = {side: {rule[2] for rule in rules if side in rule[1]} for side in ("left_", "right_")}
    assert all(len(found) == 1 for found in colours.values())
    assert colours["left_"] != colours["right_"]


@pytest.mark.parametrize("dataset", ["muco_train", "panoptic_train"])
def test_visualizer_of_detectron2_draws_with_the_metadata(dataset):
    skeleton = get_skeleton(BUILTIN[dataset][0])
    keypoints = np.random.default_rng(0).uniform(10, 90, (1, skeleton.num_joints, 3))
    keypoints[..., 2] = 1
    image = np.zeros((100, 100, 3), np.uint8)
    visualizer = Visualizer(image, MetadataCatalog.get(dataset))
    drawn = visualizer.overlay_instances(keypoints=keypoints).get_image()
    assert (drawn.max(axis=-1) > 50).sum() > 300


def test_registration_needs_no_disk_and_loading_names_what_is_missing(tmp_path):
    """In a process of its own, as the folder is read when the module is imported."""
    code = (
        "import json, hmor_d2.data.builtin\n"
        "from detectron2.data import DatasetCatalog, MetadataCatalog\n"
        "messages = {}\n"
        f"for name in {list(BUILTIN)}:\n"
        "    try:\n"
        "        DatasetCatalog.get(name)\n"
        "    except ValueError as error:\n"
        "        messages[name] = str(error)\n"
        "print(json.dumps(messages))\n"
    )
    root = tmp_path / "absent"
    environment = os.environ | {"DETECTRON2_DATASETS": str(root)}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        env=environment,
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    messages = json.loads(done.stdout.splitlines()[-1])
    expected = {name: path for name, (_, _, path) in BUILTIN.items()}
    assert messages.keys() == expected.keys()
    for dataset, path in expected.items():
        assert messages[dataset].startswith(str(root / path))
        assert "DETECTRON2_DATASETS" in messages[dataset]


def test_panoptic_splits_share_no_sequence():
    train, test = (DatasetCatalog[f"panoptic_{split}"].keywords for split in ("train", "test"))
    assert train["cameras"] == test["cameras"] == ("00_16", "00_30")
    assert not set(train["sequences"]) & set(test["sequences"])
    assert test["num_frames"] * len(test["cameras"]) * len(test["sequences"]) == 9600


def test_large_training_sets_are_compact():
    for dataset in ("muco_train", "muco_train_augmented", "panoptic_train"):
        assert DatasetCatalog[dataset].keywords["compact"] is True


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
