import numpy as np
import torch
from detectron2.data import transforms as T
from hypothesis import given, settings
from hypothesis import strategies as st

from hmor_d2.data.augmentations import OccludersTransform, RandomOccluders
from tests.data.augmentations.options import options, random_image
from tests.data.test_dataset_mapper import make_mapper, make_record


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_occluders_change_pixels_and_no_annotation(image_file, seed):
    record = make_record(image_file, np.random.default_rng(seed))
    record["annotations"][0]["bbox"] = [-20.0, -20.0, 500.0, 400.0]
    np.random.seed(seed)
    plain = make_mapper(T.NoOpTransform())(record)
    covered = make_mapper(RandomOccluders(**options("OCCLUDERS", prob=1.0)))(record)
    assert not torch.equal(plain["image"], covered["image"])
    assert torch.equal(plain["intrinsics"], covered["intrinsics"])
    a, b = plain["instances"], covered["instances"]
    assert torch.equal(a.gt_boxes.tensor, b.gt_boxes.tensor)
    assert torch.equal(a.gt_keypoints.tensor, b.gt_keypoints.tensor)
    assert torch.equal(a.gt_poses.tensor, b.gt_poses.tensor)
    assert torch.equal(a.gt_poses.valid, b.gt_poses.valid)


def test_occluders_lie_on_people_and_are_smaller():
    image = random_image(240, 320)
    boxes = np.array([[40.0, 60.0, 100.0, 200.0], [200.0, 20.0, 260.0, 220.0]])
    augmentation = RandomOccluders(
        **options("OCCLUDERS", prob=1.0, person_prob=1.0, max_count=1, area=(0.05, 0.3))
    )
    inside = np.zeros((240, 320), bool)
    for x0, y0, x1, y1 in boxes.astype(int):
        inside[y0:y1, x0:x1] = True
    on_person = 0
    for seed in range(200):
        np.random.seed(seed)
        transform = augmentation.get_transform(image, boxes)
        assert isinstance(transform, OccludersTransform)
        before = image.copy()
        changed = (transform.apply_image(image) != image).any(axis=2)
        np.testing.assert_array_equal(image, before)
        assert 0 < changed.sum() < 0.36 * 60 * 200
        on_person += inside[changed].mean() > 0.2
    assert on_person > 170


def test_no_patch_shows_most_of_a_person():
    """A patch of an unlabelled person would train against what is to be found."""
    image = np.zeros((200, 200, 3), np.uint8)
    boxes = np.array([[90.0, 80.0, 110.0, 120.0]])
    image[80:120, 90:110] = 255
    augmentation = RandomOccluders(
        **options("OCCLUDERS", prob=1.0, person_prob=0.0, area=(9.0, 12.0), aspect=(0.5, 2.0))
    )
    for seed in range(100):
        np.random.seed(seed)
        for _, _, mask, colours in augmentation.get_transform(image, boxes).occluders:
            white = mask & (colours == 255).all(axis=2)
            plain = (colours == colours[0, 0]).all()
            assert plain or white.sum() < 0.35 * 20 * 40
