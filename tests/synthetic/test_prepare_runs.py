"""Runs that write synthetic datasets: with more workers, killed and gone on with, or refused."""

import json
from pathlib import Path

import pytest

pytest.importorskip("numba", reason="the synthetic data need numba (extra 'synthetic')")

import prepare_synthetic
import yaml
from synthetic import produce, write_coco, write_muco, write_mupots, write_panoptic

from hmor_d2.data.datasets.mupots_annotations import MUPOTS_SEQUENCES
from tests.synthetic.digests import digests
from tests.synthetic.prepared import IMAGES, prepare, small_plans

CONFIG = Path(__file__).parents[2] / "configs/synthetic/datasets.yaml"
WRITERS = (write_muco, write_coco, write_panoptic, write_mupots)


@pytest.fixture(scope="module", autouse=True)
def small_pieces():
    with small_plans():
        yield


def test_number_of_workers_changes_no_byte(made, tmp_path):
    again = prepare(tmp_path, "--workers", "2")
    assert digests(again) == digests(made)


class Killed(BaseException):
    """What ends a run on the spot, as a signal would: nothing catches it."""


def count_images(monkeypatch, stop_after=None):
    """Count images as they are written; end the run after some, leaving a half file."""
    written = []

    def write(path, image, write_jpeg=write_muco.write_jpeg):
        if len(written) == stop_after:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.with_name(path.name + ".part").write_bytes(b"half")
            raise Killed
        write_jpeg(path, image)
        written.append(path)

    for module in WRITERS:
        monkeypatch.setattr(module, "write_jpeg", write)
    return written


@pytest.mark.parametrize(
    ("name", "stop_after"), [("muco", 8), ("coco", 5), ("mupots", 3), ("panoptic", 7)]
)
def test_killed_run_goes_on(made, tmp_path, monkeypatch, name, stop_after):
    arguments = (tmp_path, "--workers", "1", "--only", name)
    with monkeypatch.context() as patch, pytest.raises(Killed):
        count_images(patch, stop_after)
        prepare(*arguments)
    folder = tmp_path / "synthetic" / name
    assert not json.loads((folder / "generated.json").read_text())["complete"]
    for final in ("train.json", "annotations", "TS6/annot.mat"):
        assert not (folder / final).exists()
    with monkeypatch.context() as patch:
        written = count_images(patch)
        prepare(*arguments)
    assert 0 < len(written) < IMAGES[name], "some were there already"
    assert digests(folder) == digests(made / name)


def test_run_killed_at_the_end_goes_on(made, tmp_path, monkeypatch):
    def stop(*_):
        raise Killed

    arguments = (tmp_path, "--workers", "1", "--only", "coco")
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(write_coco, "write_joined_json", stop)
        prepare(*arguments)
    # An image that got lost is drawn again, with its piece.
    lost = tmp_path / "synthetic/coco/images/000000000006.jpg"
    lost.unlink()
    with monkeypatch.context() as patch:
        written = count_images(patch)
        prepare(*arguments)
    assert [path.name for path in written] == ["000000000005.jpg", "000000000006.jpg"]
    assert digests(tmp_path / "synthetic/coco") == digests(made / "coco")


def test_complete_data_are_left_alone(made, monkeypatch):
    before = {path: path.stat().st_mtime_ns for path in made.rglob("*")}
    monkeypatch.setattr(produce, "_draw", None)  # would raise if called
    prepare(made.parent, "--workers", "1")
    assert before == {path: path.stat().st_mtime_ns for path in made.rglob("*")}


def test_other_content_is_not_overwritten(tmp_path, monkeypatch):
    plan = write_coco.COCOPlan(1, (64, 48))
    monkeypatch.setitem(prepare_synthetic.SIZES, "tiny", (plan,))
    folder = prepare(tmp_path, "--workers", "1") / "coco"
    before = digests(folder)
    with pytest.raises(SystemExit, match="coco: was made with another seed; --overwrite"):
        prepare(tmp_path, "--workers", "1", "--seed", "1")
    assert digests(folder) == before
    prepare(tmp_path, "--workers", "1", "--seed", "1", "--overwrite")
    assert digests(folder)["images/000000000001.jpg"] != before["images/000000000001.jpg"]
    assert digests(folder).keys() == before.keys()

    (folder / "generated.json").unlink()
    with pytest.raises(SystemExit, match="not from here"):
        prepare(tmp_path, "--workers", "1", "--overwrite")
    assert (folder / "images/000000000001.jpg").exists()


def test_config_names_what_is_written():
    entries = {e["name"]: e for e in yaml.safe_load(CONFIG.read_text())["DATASETS"]["CUSTOM"]}
    for plans in (prepare_synthetic.SIZES["small"], prepare_synthetic.SIZES["full"]):
        by_name = {plan.folder: plan for plan in plans}
        assert tuple(entries["synthetic_mupots_test"]["sequences"]) == by_name["mupots"].sequences
        for split in ("train", "test"):
            entry = entries[f"synthetic_panoptic_{split}"]
            assert tuple(entry["sequences"]) == getattr(by_name["panoptic"], split)
            assert tuple(entry["cameras"]) == write_panoptic.CAMERAS
    assert write_mupots.SEQUENCES == MUPOTS_SEQUENCES
    full = {plan.folder: plan for plan in prepare_synthetic.SIZES["full"]}
    assert full["muco"].images + full["coco"].images == 10_000
