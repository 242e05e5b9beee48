import numpy as np
import pytest

from hmor_d2.skeleton import get_skeleton
from hmor_d2.visualization import draw_virtual_view, person_colour

SKELETON = get_skeleton("muco17")
SIZE = 200


def people(*centers):
    """Upright figures, flat in the camera's plane."""
    pose = np.random.default_rng(0).uniform((-300, -900, 0), (300, 900, 0), (17, 3))
    return np.stack([pose + center for center in centers])


def pixels_of(picture, index):
    return np.argwhere((picture == person_colour(index)).all(axis=-1))


def test_the_cameras_own_view_keeps_left_and_up():
    poses = people((-1500, 0, 4000), (1500, 600, 4000))
    picture = draw_virtual_view(poses, SKELETON, (0, 0, 1), size_px=SIZE)
    first, second = (pixels_of(picture, i).mean(axis=0) for i in range(2))
    assert first[1] < second[1] and first[0] < second[0]


def test_a_view_from_the_side_shows_depth():
    poses = people((0, 0, 3000), (0, 0, 6000))
    # Along X: depth Z becomes a direction of the picture, so that the two stand apart.
    picture = draw_virtual_view(poses, SKELETON, (1, 0, 0), size_px=SIZE)
    columns = [pixels_of(picture, i)[:, 1] for i in range(2)]
    assert columns[0].min() > columns[1].max() or columns[1].min() > columns[0].max()


def test_unknown_joints_and_nobody():
    poses = people((0, 0, 3000), (0, 0, 4000))
    valid = np.ones((2, 17), bool)
    valid[1] = False
    poses[1] = np.nan
    picture = draw_virtual_view(poses, SKELETON, (0, 0, 1), valid=valid, size_px=SIZE)
    assert len(pixels_of(picture, 0)) and not len(pixels_of(picture, 1))
    empty = draw_virtual_view(np.zeros((0, 17, 3)), SKELETON, (0, 0, 1), size_px=SIZE)
    assert empty.shape == (SIZE, SIZE, 3)


@pytest.mark.parametrize("normal", [(0, 0, 1), (0.6, 0, 0.8)])
def test_the_nearer_person_is_drawn_last(normal):
    poses = people((0, 0, 3000), (0, 0, 3000))
    poses[1] += 2000 * np.array(normal)
    picture = draw_virtual_view(poses, SKELETON, normal, size_px=SIZE)
    assert len(pixels_of(picture, 0)) > len(pixels_of(picture, 1))
