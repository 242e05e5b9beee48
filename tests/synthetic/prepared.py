"""Small synthetic datasets: their plans, the script that writes them, and the loaders for them."""

import contextlib

import pytest

pytest.importorskip("numba", reason="the synthetic data need numba (extra 'synthetic')")

import prepare_synthetic
from synthetic import write_coco, write_muco, write_mupots, write_panoptic

from hmor_d2.data import datasets as loaders

SIZE = (320, 240)
PLANS = (
    write_muco.MuCoPlan(12, SIZE),
    write_coco.COCOPlan(6, SIZE),
    write_panoptic.PanopticPlan(2, (320, 180), ("train1",), ("test1",)),
    write_mupots.MuPoTSPlan(3, ("TS6", "TS8")),
)
BY_NAME = {plan.folder: plan for plan in PLANS}
IMAGES = {"muco": 12, "coco": 6, "panoptic": 12, "mupots": 6}


@contextlib.contextmanager
def small_plans():
    """The script's plans of these tests, each in several pieces."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(prepare_synthetic.SIZES, "tiny", PLANS)
        patch.setattr(write_muco, "_IMAGES_PER_PIECE", 5)
        patch.setattr(write_coco, "_IMAGES_PER_PIECE", 4)
        patch.setattr(write_panoptic, "_MOMENTS_PER_PIECE", 1)
        patch.setattr(write_mupots, "_FRAMES_PER_PIECE", 2)
        yield


def prepare(root, *arguments):
    """Run the script for the small plans of these tests."""
    prepare_synthetic.main(["--root", str(root), "--size", "tiny", *arguments])
    return root / "synthetic"


def load(made, name):
    if name == "muco":
        return loaders.load_muco_json(str(made / "muco/train.json"), str(made / "muco"))
    if name == "coco":
        path = made / "coco/annotations/person_keypoints_train.json"
        return loaders.load_coco_keypoints(str(path), str(made / "coco/images"))
    if name == "panoptic":
        sequences, cameras = BY_NAME[name].sequences, write_panoptic.CAMERAS
        return loaders.load_panoptic(str(made / name), sequences, cameras)
    return loaders.load_mupots(str(made / name), sequences=BY_NAME[name].sequences)
