import numpy as np
import pytest
import torch
from detectron2.data import detection_utils as utils
from detectron2.data import transforms as T
from hypothesis import given, settings
from hypothesis import strategies as st

from hmor_d2.data import HMORDatasetMapper
from hmor_d2.data.augmentations import (
    RandomOccluders,
    RandomPhotometric,
    RandomZoomCrop,
    build_augmentations,
)
from hmor_d2.structures import PinholeCameras
from tests.data.augmentations.options import NODES, make_cfg, options, random_image
from tests.data.test_dataset_mapper import make_mapper, make_record


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), resize=st.booleans(), first=st.booleans())
def test_joints_are_where_the_returned_camera_sees_them(image_file, seed, resize, first):
    record = make_record(image_file, np.random.default_rng(seed))
    chain = build_augmentations(make_cfg(*NODES), is_train=True)
    if resize:
        chain.insert(0 if first else len(chain), T.Resize((90, 70)))
    np.random.seed(seed)
    mapped = make_mapper(*chain)(record)
    instances = mapped["instances"]
    camera = PinholeCameras(mapped["intrinsics"][None])
    projected = camera.project(instances.gt_poses.tensor[None])[0]
    torch.testing.assert_close(
        projected, instances.gt_keypoints.tensor[..., :2], rtol=1e-4, atol=2e-2
    )
    size = (90, 70) if resize and not first else (64, 96)
    assert mapped["image"].shape == (3, *size) and instances.image_size == size


def test_a_seed_decides(image_file):
    record = make_record(image_file, np.random.default_rng(1))
    mapper = HMORDatasetMapper(make_cfg(*NODES), is_train=True)

    def drawn(seed):
        np.random.seed(seed)
        return [mapper(record) for _ in range(8)]

    for a, b in zip(drawn(3), drawn(3), strict=True):
        assert torch.equal(a["image"], b["image"])
        assert torch.equal(a["intrinsics"], b["intrinsics"])
        assert torch.equal(a["instances"].gt_boxes.tensor, b["instances"].gt_boxes.tensor)
    assert len({x["image"].numpy().tobytes() for x in drawn(3) + drawn(4)}) == 16


def test_off_by_default_and_at_test(image_file):
    cfg = make_cfg()
    for is_train in (True, False):
        expected = [str(a) for a in utils.build_augmentation(cfg, is_train)]
        assert [str(a) for a in build_augmentations(cfg, is_train)] == expected
    enabled = build_augmentations(make_cfg(*NODES), is_train=False)
    assert [str(a) for a in enabled] == [str(a) for a in utils.build_augmentation(cfg, False)]


def test_order_of_augmentations():
    cfg = make_cfg(*NODES)
    cfg.INPUT.CROP.ENABLED = True
    kinds = [type(a) for a in build_augmentations(cfg, is_train=True)]
    assert kinds == [RandomOccluders, T.RandomCrop, RandomZoomCrop, T.RandomFlip, RandomPhotometric]
    cfg.INPUT.ZOOM_CROP.ENABLED = False
    assert type(build_augmentations(cfg, is_train=True)[2]) is T.ResizeShortestEdge


def test_probabilities_of_zero_change_nothing():
    image, boxes = random_image(), np.array([[10.0, 10.0, 40.0, 50.0]])
    none = {key: 0.0 for key in options("PHOTOMETRIC") if key.endswith("_prob")}
    for augmentation in (
        RandomPhotometric(**options("PHOTOMETRIC", **none)),
        RandomOccluders(**options("OCCLUDERS", prob=0.0)),
    ):
        for _ in range(20):
            data = T.AugInput(image.copy(), boxes=boxes.copy())
            augmentation(data)
            np.testing.assert_array_equal(data.image, image)
            np.testing.assert_array_equal(data.boxes, boxes)


@pytest.mark.parametrize(
    ("kind", "name", "changes", "message"),
    [
        (RandomPhotometric, "PHOTOMETRIC", {"gamma": (1.5, 0.5)}, "gamma"),
        (RandomPhotometric, "PHOTOMETRIC", {"noise_sigma": (0, 5)}, "noise_sigma"),
        (RandomPhotometric, "PHOTOMETRIC", {"downscale_prob": 0.9}, "exclude"),
        (RandomOccluders, "OCCLUDERS", {"area": (0.1,)}, "area"),
        (RandomZoomCrop, "ZOOM_CROP", {"scale": (-1, 1)}, "scale"),
        (RandomZoomCrop, "ZOOM_CROP", {"size": (0, 64)}, "size"),
        (RandomZoomCrop, "ZOOM_CROP", {"size": (96.5, 64)}, "size"),
    ],
)
def test_wrong_options_are_named(kind, name, changes, message):
    with pytest.raises(ValueError, match=message):
        kind(**options(name, **changes))


def test_images_of_nobody_stay_negatives(image_file):
    record = make_record(image_file, np.random.default_rng(2)) | {"annotations": []}
    mapper = HMORDatasetMapper(make_cfg(*NODES), is_train=True)
    for seed in range(20):
        np.random.seed(seed)
        mapped = mapper(record)
        assert len(mapped["instances"]) == 0 and mapped["image"].shape == (3, 64, 96)
        assert mapped["instances"].gt_poses.tensor.shape == (0, 17, 3)
