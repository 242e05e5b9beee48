"""datasets/prepare_crowds.py: what the loader reads is what the scenes hold."""

import json

import numpy as np
import pytest

pytest.importorskip("numba", reason="the synthetic data need numba (extra 'synthetic')")

import prepare_crowds
from prepare_crowds import SPLITS, CrowdPlan
from synthetic.assets import load_assets
from synthetic.scene import generate_scene

from hmor_d2.data import datasets as loaders
from hmor_d2.data.checks import check_annotations, check_images_readable
from tests.synthetic.digests import digests

SIZE = (320, 240)
PLAN = CrowdPlan(4, 2, 3, fewest=3, most=5, size=SIZE)


def prepare(root, *arguments):
    prepare_crowds.main(["--root", str(root), "--size", "tiny", "--workers", "1", *arguments])
    return root / "synthetic/crowd"


@pytest.fixture(scope="module", autouse=True)
def tiny():
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(prepare_crowds.SIZES, "tiny", PLAN)
        patch.setattr(prepare_crowds, "_IMAGES_PER_PIECE", 2)
        yield


@pytest.fixture(scope="module")
def crowd(tmp_path_factory):
    return prepare(tmp_path_factory.mktemp("crowds"))


@pytest.mark.parametrize(("split", "images"), [("train", 4), ("val", 2), ("test", 3)])
def test_records_are_the_scenes(crowd, split, images):
    records = loaders.load_muco_json(str(crowd / f"{split}.json"), str(crowd))
    assert len(records) == images
    checks = check_annotations(records, max_median_px=1e-3, max_worst_px=0.01).checks
    checks.append(check_images_readable(records, sample=None))
    assert [check for check in checks if check.status == "FAIL"] == []
    for index, record in enumerate(records):
        count = 3 + index % 3
        scene = generate_scene(SPLITS[split], index, 0, SIZE, count, PLAN.statures)
        shown = [p for p in scene.people if p.visible_pixels]
        if split != "train":
            shown = [p for p in shown if p.visible.sum() >= 5]
        expected = [p.joints_cam for p in shown]
        found = [a["keypoints_cam"][:17] for a in record["annotations"]]
        np.testing.assert_allclose(found, expected, atol=0.01)
        np.testing.assert_allclose(record["intrinsics"], scene.camera.intrinsics, rtol=1e-6)
        assert record["file_name"].endswith(f"images/{split}/{index + 1:06d}.jpg")


def test_everybody_is_an_adult_of_usual_height(crowd):
    subjects = load_assets().subjects
    for split in SPLITS:
        for index in range(3):
            scene = generate_scene(SPLITS[split], index, 0, SIZE, 8, PLAN.statures)
            statures = [subjects[person.subject_id].stature for person in scene.people]
            assert len(statures) > 3  # of the test pool, four are of such a height: some come twice
            assert 1.6 <= min(statures) and max(statures) <= 1.9


def test_an_interrupted_run_goes_on_to_the_same_files(crowd, tmp_path):
    folder = prepare(tmp_path)
    stamp = json.loads((folder / "generated.json").read_text())
    (folder / "generated.json").write_text(json.dumps(stamp | {"complete": False}))
    (folder / "images/test/000003.jpg").unlink()
    (folder / "test.json").unlink()
    prepare(tmp_path)

    assert digests(folder) == digests(crowd)
    assert len(digests(crowd)) == 4 + 2 + 3 + len(SPLITS) + 1


def test_other_settings_are_not_overwritten(crowd):
    with pytest.raises(SystemExit, match="seed"):
        prepare(crowd.parents[1], "--seed", "1")
