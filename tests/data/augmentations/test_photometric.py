import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hmor_d2.data.augmentations import PhotometricTransform, RandomPhotometric
from tests.data.augmentations.options import options, random_image


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), height=st.integers(1, 90), width=st.integers(1, 90))
def test_colours_stay_bytes_of_the_same_shape(seed, height, width):
    image = random_image(height, width)
    np.random.seed(seed)
    always = {"colour_prob": 1.0, "noise_prob": 1.0, "jpeg_prob": 1.0, "downscale_prob": 0.7}
    for changes in ({}, always):
        augmentation = RandomPhotometric(**options("PHOTOMETRIC", **changes))
        before = image.copy()
        transform = augmentation.get_transform(image)
        changed = transform.apply_image(image)
        assert changed.dtype == np.uint8 and changed.shape == image.shape
        np.testing.assert_array_equal(image, before)
        np.testing.assert_array_equal(transform.apply_image(image), changed)
        points = np.array([[1.5, 2.5]])
        np.testing.assert_array_equal(transform.apply_coords(points), [[1.5, 2.5]])


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("sigma", [3.0, 14.0])
def test_noise_has_its_standard_deviation(sigma, shared):
    image = np.full((200, 200, 3), 128, np.uint8)
    noise = PhotometricTransform(noise=(sigma, shared, 5)).apply_image(image).astype(float) - 128
    assert noise.std() == pytest.approx(sigma, rel=0.04) and abs(noise.mean()) < sigma / 30
    correlation = np.corrcoef(noise[..., 0].ravel(), noise[..., 1].ravel())[0, 1]
    assert correlation == pytest.approx(float(shared), abs=0.03)


def test_blur_and_lost_resolution_move_nothing():
    rows, columns = np.mgrid[:80, :100] + 0.5
    spot = 240 * np.exp(-((columns - 50) ** 2 + (rows - 40) ** 2) / 50)
    image = np.repeat(spot[..., None], 3, axis=2).astype(np.uint8)
    np.random.seed(0)
    augmentation = RandomPhotometric(**options("PHOTOMETRIC"))
    transforms = [PhotometricTransform(blur_kernel=augmentation._motion_kernel()) for _ in range(9)]
    transforms += [PhotometricTransform(blur_sigma=1.8), PhotometricTransform(downscale=0.4)]
    for transform in transforms:
        seen = transform.apply_image(image)[..., 0].astype(float)
        assert seen.max() < image.max() and seen.sum() == pytest.approx(spot.sum(), rel=0.05)
        found = [(seen * axis).sum() / seen.sum() for axis in (columns, rows)]
        np.testing.assert_allclose(found, (50, 40), atol=0.15)


def test_colours_do_not_depend_on_the_channel_order():
    image = random_image()
    augmentation = RandomPhotometric(**options("PHOTOMETRIC", colour_prob=1.0, grey_prob=0.0))
    for seed in range(20):
        np.random.seed(seed)
        matrix = augmentation._colour_matrix()
        np.testing.assert_allclose(matrix.sum(axis=1), 1, atol=1e-9)  # grey stays grey
        # A rotation by -angle in RGB is the one by angle in BGR.
        np.testing.assert_allclose(matrix[::-1, ::-1], matrix.T, atol=1e-9)
    augmentation.grey_prob = 1.0
    grey = PhotometricTransform(colour_matrix=augmentation._colour_matrix()).apply_image(image)
    assert np.ptp(grey, axis=2).max() == 0 and np.ptp(grey) > 0
