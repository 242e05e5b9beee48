"""tools/check_dataset.py and tools/visualize_data.py: datasets that cannot be used."""

import pytest
import yaml
from detectron2.data import DatasetCatalog, MetadataCatalog

from tests.check_dataset.reports import muco_entry
from tests.data.writers import write_json
from tests.scripts import load_script


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
