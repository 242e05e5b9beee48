import math

import cv2
import numpy as np
import pytest
import torch
from detectron2.data import transforms as T
from hypothesis import given
from hypothesis import strategies as st

from hmor_d2.structures import PinholeCameras

pixels = st.floats(-500, 3000)
focals = st.floats(200, 4000)
cameras = st.tuples(focals, focals, pixels, pixels).map(
    lambda row: PinholeCameras(torch.tensor([row], dtype=torch.float64))
)
points = st.lists(
    st.tuples(st.floats(-5e3, 5e3), st.floats(-5e3, 5e3), st.floats(100, 2e4)),
    min_size=1,
    max_size=5,
).map(lambda rows: torch.tensor([rows], dtype=torch.float64))


@given(cameras, points)
def test_projection_agrees_with_opencv_and_inverts(camera, xyz):
    fx, fy, cx, cy = camera.tensor[0].tolist()
    matrix = np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]])
    expected, _ = cv2.projectPoints(xyz[0].numpy(), np.zeros(3), np.zeros(3), matrix, None)
    found = camera.project(xyz)
    np.testing.assert_allclose(found[0], expected[:, 0], rtol=1e-9, atol=1e-6)
    torch.testing.assert_close(camera.unproject(found, xyz[..., 2]), xyz, rtol=1e-9, atol=1e-6)


@given(cameras, points, st.integers(50, 900), st.integers(50, 900), st.booleans())
def test_transformed_camera_sees_the_transformed_image(camera, xyz, height, width, flip):
    chain = [T.CropTransform(13, 7, 600, 400), T.ResizeTransform(400, 600, height, width)]
    if flip:
        chain.append(T.HFlipTransform(width))
    moved, mirrored = camera.transformed(T.TransformList(chain).apply_coords)
    assert mirrored.tolist() == [flip]
    assert bool((moved.focal > 0).all())
    seen = T.TransformList(chain).apply_coords(camera.project(xyz)[0].numpy().copy())
    xyz_seen = xyz * torch.tensor([-1.0 if flip else 1.0, 1.0, 1.0], dtype=torch.float64)
    np.testing.assert_allclose(moved.project(xyz_seen)[0], seen, rtol=1e-7, atol=1e-4)


def test_flip_moves_the_principal_point():
    camera = PinholeCameras([[1000.0, 900.0, 300.0, 200.0]])
    moved, _ = camera.transformed(T.HFlipTransform(640).apply_coords)
    assert moved.tensor.tolist() == [[1000.0, 900.0, 340.0, 200.0]]


@pytest.mark.parametrize("transform", [T.RotationTransform(480, 640, 20), T.VFlipTransform(480)])
def test_other_transforms_are_refused(transform):
    with pytest.raises(ValueError, match="pinhole"):
        PinholeCameras([[1000.0, 900.0, 300.0, 200.0]]).transformed(transform.apply_coords)


def test_field_of_view_spans_the_larger_side():
    camera = PinholeCameras.from_fov([(480, 640), (640, 480)], 55.0)
    half = math.tan(math.radians(55) / 2)
    assert camera.tensor[0, 2:].tolist() == [320.0, 240.0]
    torch.testing.assert_close(camera.tensor[:, 0] * half, torch.tensor([320.0, 320.0]))


def test_behaves_like_a_tensor():
    rows = torch.rand(3, 4) + 1
    batch = PinholeCameras(rows)
    assert len(batch) == 3 and len(batch[1]) == 1
    assert torch.equal(batch[torch.tensor([2, 0])].tensor, rows[[2, 0]])
    assert torch.equal(PinholeCameras.cat([batch, batch[0]]).tensor, rows[[0, 1, 2, 0]])
    assert len(PinholeCameras.cat([])) == 0
    assert batch.to(torch.float64).tensor.dtype == torch.float64
    torch.testing.assert_close(batch.mean_focal, (rows[:, 0] * rows[:, 1]).sqrt())
    with pytest.raises(ValueError, match=r"\(N, 4\)"):
        PinholeCameras(torch.zeros(4))
