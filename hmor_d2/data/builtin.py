"""Registers the datasets of the paper with Detectron2, under the names that configs use.

Folders are looked up under the environment variable ``DETECTRON2_DATASETS`` (``datasets`` where
it is not set), in the tree that datasets/README.md shows.  Registration does not touch the disk:
what is missing is reported when the dataset is loaded.
"""

import os

from detectron2.data import MetadataCatalog

from ..skeleton import available_skeletons, get_skeleton
from .datasets import HUMAN36M_SPLITS
from .registration import (
    datasets_root,
    register_coco_keypoints,
    register_human36m,
    register_muco,
    register_mupots,
    register_mupots_json,
    register_panoptic,
    register_threedpw,
    skeleton_metadata,
)

# The monocular protocol of Zanfir et al.: two HD cameras; test sequences as in CRMH's evaluation,
# training sequences as in SMAP's, none of them in both lists.
_PANOPTIC_CAMERAS = ("00_16", "00_30")
_PANOPTIC_TRAIN = (
    "160224_haggling1",
    "160224_mafia1",
    "160224_mafia2",
    "160226_mafia2",
    "160224_ultimatum1",
    "160224_ultimatum2",
)
_PANOPTIC_TEST = (
    "160422_haggling1",
    "160422_mafia2",
    "160422_ultimatum1",
    "160906_pizza1",
)
# Two cameras make 2400 images an activity, 9600 in all.
_PANOPTIC_TEST_FRAMES = 1200


def _register_all(root: str) -> None:
    muco = os.path.join(root, "muco")
    muco_json = os.path.join(muco, "MuCo-3DHP.json")
    # A million people: Python lists of their keypoints would not fit into 4 GB.
    register_muco("muco_train", muco_json, muco, compact=True)
    register_muco(
        "muco_train_augmented", muco_json, muco, compact=True, file_prefix="augmented_set/"
    )
    mupots = os.path.join(root, "mupots", "MultiPersonTestSet")
    register_mupots("mupots_test", mupots)
    mupots_json = os.path.join(root, "mupots", "MuPoTS-3D.json")
    register_mupots_json("mupots_test_json", mupots_json, mupots)
    for split in ("train", "val"):
        register_coco_keypoints(
            f"coco_person_keypoints_2017_{split}",
            os.path.join(root, "coco", "annotations", f"person_keypoints_{split}2017.json"),
            os.path.join(root, "coco", f"{split}2017"),
        )
    panoptic = os.path.join(root, "panoptic")
    register_panoptic("panoptic_train", panoptic, _PANOPTIC_TRAIN, _PANOPTIC_CAMERAS, compact=True)
    register_panoptic(
        "panoptic_test",
        panoptic,
        _PANOPTIC_TEST,
        _PANOPTIC_CAMERAS,
        num_frames=_PANOPTIC_TEST_FRAMES,
        evaluator_type="panoptic",
    )
    for split in ("train", "validation", "test"):
        register_threedpw(f"3dpw_{split}", os.path.join(root, "3dpw"), split)
    for split, (subjects, frame_step) in HUMAN36M_SPLITS.items():
        register_human36m(
            f"human36m_{split}", os.path.join(root, "human36m"), subjects, frame_step=frame_step
        )


def _register_skeletons() -> None:
    """Metadata ``hmor_<skeleton>`` to draw a model's output with: its joints, not a dataset's."""
    for name in available_skeletons():
        MetadataCatalog.get(f"hmor_{name}").set(**skeleton_metadata(get_skeleton(name)))


_register_all(datasets_root())
_register_skeletons()
