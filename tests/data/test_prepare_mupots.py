"""datasets/prepare_mupots.py: the JSON gives the records of the raw set; old files survive."""

import os

import pytest

from hmor_d2.data.datasets.mupots import load_mupots, load_mupots_json
from tests.data.mupots_records import TREE, assert_same


def test_prepared_json_gives_the_records_of_the_raw_set(
    mupots_tree, tmp_path, prepare_mupots, capsys
):
    root, _ = mupots_tree
    output = tmp_path / "new" / "MuPoTS-3D.json"
    arguments = ["--root", root, "--output", str(output), "--sequences", *TREE]
    prepare_mupots(arguments)
    assert "18 images, 32 of 42 people valid" in capsys.readouterr().out
    found = load_mupots_json(str(output), root)
    assert [record["image_id"] for record in found] == list(range(18))
    ignored = frozenset(("image_id", "person_id"))
    assert_same(found, load_mupots(root, sequences=TREE), ignored)

    written = output.read_bytes()
    prepare_mupots(arguments)
    assert output.read_bytes() == written
    assert [path.name for path in output.parent.iterdir()] == ["MuPoTS-3D.json"]


def test_a_failing_preparation_leaves_the_old_file(mupots_tree, tmp_path, prepare_mupots):
    output = tmp_path / "MuPoTS-3D.json"
    output.write_text("old")
    with pytest.raises(SystemExit, match=r"TS7/annot\.mat: found nothing"):
        prepare_mupots(
            ["--root", mupots_tree[0], "--output", str(output), "--sequences", "TS5", "TS7"]
        )
    assert output.read_text() == "old"


def test_an_interrupted_write_leaves_the_old_file(
    mupots_tree, tmp_path, prepare_mupots, monkeypatch
):
    output = tmp_path / "MuPoTS-3D.json"
    output.write_text("old")

    def disk_is_full(descriptor):
        raise OSError("No space left on device")

    monkeypatch.setattr(os, "fsync", disk_is_full)
    with pytest.raises(OSError, match="No space"):
        prepare_mupots(["--root", mupots_tree[0], "--output", str(output), "--sequences", "TS5"])
    assert output.read_bytes() == b"old"
    assert not list(tmp_path.glob(f"{output.name}.*"))
