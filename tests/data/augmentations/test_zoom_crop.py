import numpy as np
import pytest
from detectron2.data import transforms as T
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hmor_d2.data import HMORDatasetMapper
from hmor_d2.data.augmentations import RandomZoomCrop, ZoomCropTransform
from tests.data.augmentations.options import make_cfg, options, random_image
from tests.data.test_dataset_mapper import HEIGHT, WIDTH, make_mapper, make_record


@pytest.mark.parametrize(
    ("scale", "place"),
    [
        (0.4, (10.0, 10.0)),
        (0.4, (85.5, 50.3)),
        (0.77, (48.0, 30.25)),
        (0.77, (80.2, 15.0)),
        (1.0, (48.0, 30.0)),
        (1.0, (20.5, 40.7)),
        (2.3, (48.4, 31.6)),
    ],
)
def test_zoom_crop_moves_pixels_and_coordinates_alike(scale, place):
    """The centroid of a smooth spot, also in windows that the image does not fill."""
    rows, columns = np.mgrid[:200, :300] + 0.5
    spot = np.array([[137.3, 91.8]])
    distance = (columns - spot[0, 0]) ** 2 + (rows - spot[0, 1]) ** 2
    image = np.repeat(250 * np.exp(-distance / 18)[..., None], 3, axis=2).round().astype(np.uint8)
    origin = spot[0] - np.array(place) / scale
    transform = ZoomCropTransform(scale, tuple(origin), (300, 200), (96, 64))
    np.testing.assert_allclose(transform.apply_coords(spot), [place], atol=1e-9)
    window = transform.apply_image(image)[..., 0].astype(float)
    assert window.shape == (64, 96)
    rows, columns = np.mgrid[:64, :96] + 0.5
    near = np.hypot(columns - place[0], rows - place[1]) < 13 * scale
    found = [(window * near * axis).sum() / (window * near).sum() for axis in (columns, rows)]
    np.testing.assert_allclose(found, place, atol=0.06)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    width=st.integers(60, 300),
    height=st.integers(60, 300),
    zoomed=st.booleans(),
)
@example(seed=3108, width=285, height=136, zoomed=True)  # 0.005 px smaller than the window
def test_padding_is_where_the_window_shows_no_image(seed, width, height, zoomed):
    np.random.seed(seed)
    scale = (1.0, 4.0) if zoomed else (0.2, 0.9)
    augmentation = RandomZoomCrop(
        **options("ZOOM_CROP", scale=scale, max_upscale=100.0), pad_value=(1.2, 2, 3)
    )
    image = np.full((height, width, 3), 200, np.uint8)
    transform = augmentation.get_transform(image, None)
    window = transform.apply_image(image)
    assert window.shape == (64, 96, 3) and window.dtype == np.uint8
    padded = (window == (1, 2, 3)).all(axis=2)
    assert ((window == 200).all(axis=2) | padded).all()
    corners = transform.apply_coords(np.array([[0.0, 0.0], [width, height]]))
    # The image is shown in a rectangle, to less than a pixel of where it ends.
    rows, columns = np.nonzero(~padded)
    start, end = np.array([columns.min(), rows.min()]), np.array([columns.max(), rows.max()]) + 1
    assert (~padded).sum() == (end - start).prod()
    missing = np.concatenate((start - corners[0].clip(0), corners[1].clip(None, (96, 64)) - end))
    assert (missing > -1e-4).all() and (missing < 1).all()
    # No window moves off an image that is larger, nor cuts one that is smaller.
    assert ((corners[1] - corners[0] < (95.99, 63.99)) | (corners[0] < 1e-2)).all()
    assert ((corners[1] - corners[0] > (96.01, 64.01)) | (corners[0] > -1e-2)).all()


def test_zoom_crop_keeps_a_person_in_view_at_many_sizes():
    np.random.seed(0)
    augmentation = RandomZoomCrop(**options("ZOOM_CROP", person_prob=1.0, scale=(0.25, 2.0)))
    image, sizes = random_image(480, 640), []
    boxes = np.array([[300.0, 200.0, 380.0, 440.0], [-50.0, 100.0, 60.0, 300.0]])
    for _ in range(300):
        transform = augmentation.get_transform(image, boxes[np.random.randint(2)][None])
        assert 0.25 * 64 / 480 - 1e-9 <= transform.scale <= 3.0
    for _ in range(300):
        transform = augmentation.get_transform(image, boxes[:1])
        x0, y0, x1, y1 = transform.apply_box(boxes[:1])[0]
        assert min(x1, 96) - max(x0, 0) > 1 and min(y1, 64) - max(y0, 0) > 1
        sizes.append((y1 - y0) / 64)
    assert 0.15 <= min(sizes) < 0.2 and 1.4 < max(sizes) <= 1.6 + 1e-9
    assert 0.3 < np.median(sizes) < 0.8


def test_boxes_end_with_the_picture_not_with_the_padding(image_file):
    record = make_record(image_file, np.random.default_rng(0), people=1)
    record["annotations"][0]["bbox"] = [-30.0, 10.0, WIDTH + 60.0, 40.0]
    transform = ZoomCropTransform(0.5, (-40.0, -20.0), (WIDTH, HEIGHT), (96, 64))
    instances = make_mapper(transform)(record)["instances"]
    assert instances.gt_boxes.tensor[0].tolist() == [20.0, 15.0, 60.0, 35.0]


def test_people_cut_away_keep_their_box_alone(image_file):
    record = make_record(image_file, np.random.default_rng(0), people=2)
    record["annotations"][0]["bbox"] = [0.0, 0.0, 40.0, 50.0]
    record["annotations"][1]["bbox"] = [30.0, 0.0, 40.0, 50.0]
    cfg = make_cfg()
    cfg.INPUT.MIN_POSE_IN_VIEW = 0.3
    mapper = HMORDatasetMapper(cfg, is_train=True)
    mapper.augmentations = T.AugmentationList([T.CropTransform(30, 0, 40, 50)])
    instances = mapper(record)["instances"]
    assert instances.gt_boxes.tensor.tolist() == [[0, 0, 10, 50], [0, 0, 40, 50]]
    assert instances.gt_poses.valid.all(dim=1).tolist() == [False, True]
    assert (instances.gt_keypoints.tensor[..., 2] > 0).any(dim=1).tolist() == [False, True]
    mapper.min_pose_in_view = 0.2
    assert mapper(record)["instances"].gt_poses.valid.all()
