import numpy as np
import pytest

from hmor_d2.skeleton import get_skeleton
from hmor_d2.visualization import draw_poses
from hmor_d2.visualization.overlay import drawn_limbs, limb_colour, person_colour

SKELETON = get_skeleton("muco17")
HEIGHT, WIDTH = 240, 320


@pytest.fixture
def image():
    return np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)


def pose(shift=(0.0, 0.0), score=1.0, spread=30.0):
    """Joints (17, 3) scattered around the picture's middle."""
    points = np.random.default_rng(1).normal((WIDTH / 2, HEIGHT / 2), spread, (17, 2)) + shift
    return np.column_stack([points, np.full(17, score)])


def changed(before, after):
    return (before != after).any(axis=-1)


def distance_to_skeleton(keypoints):
    """(H, W) distance of every pixel's centre from the nearest limb or joint."""
    y, x = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    pixels = np.stack([x, y], axis=-1)
    nearest = np.full((HEIGHT, WIDTH), np.inf)
    segments = [*drawn_limbs(SKELETON), *((j, j) for j in range(17))]
    for a, b in segments:
        start, along = keypoints[a, :2], keypoints[b, :2] - keypoints[a, :2]
        share = ((pixels - start) @ along / max(along @ along, 1e-9)).clip(0, 1)
        offset = np.linalg.norm(pixels - start - share[..., None] * along, axis=-1)
        nearest = np.minimum(nearest, offset)
    return nearest


def test_nobody_leaves_the_image_as_it_is(image):
    drawn = draw_poses(image, np.zeros((0, 4)), np.zeros((0, 17, 3)), SKELETON)
    np.testing.assert_array_equal(drawn, image)
    assert drawn is not image


def test_pixels_change_near_the_skeleton_and_nowhere_else(image):
    person = pose()
    before = image.copy()
    drawn = draw_poses(image, None, person[None], SKELETON, line_width=3)
    np.testing.assert_array_equal(image, before)
    distance = distance_to_skeleton(person)
    assert not changed(image, drawn)[distance > 6].any()
    assert changed(image, drawn)[distance < 1].mean() > 0.99


def test_a_box_changes_pixels_along_its_edges_alone(image):
    hidden = pose(score=0.0)[None]
    drawn = draw_poses(image, np.array([[40, 60, 140, 200]]), hidden, SKELETON)
    rows, columns = np.nonzero(changed(image, drawn))
    beside = np.minimum(
        np.minimum(abs(columns + 0.5 - 40), abs(columns + 0.5 - 140)),
        np.minimum(abs(rows + 0.5 - 60), abs(rows + 0.5 - 200)),
    )
    assert len(rows) > 400 and beside.max() < 3
    assert columns.min() >= 37 and columns.max() <= 143
    assert rows.min() >= 57 and rows.max() <= 203


def test_joints_are_in_continuous_pixels():
    blank = np.zeros((64, 64, 3), np.uint8)
    person = np.zeros((1, 17, 3))
    person[0, 0] = 20.5, 40.5, 1  # the centre of the pixel with index (20, 40)
    drawn = draw_poses(blank, None, person, SKELETON, line_width=4).sum(axis=-1).astype(float)
    y, x = np.mgrid[:64, :64]
    assert (drawn * x).sum() / drawn.sum() == pytest.approx(20, abs=0.05)
    assert (drawn * y).sum() / drawn.sum() == pytest.approx(40, abs=0.05)


@pytest.mark.parametrize("hidden", [0.3, np.nan])
def test_joints_below_the_threshold_or_unknown_are_left_out(image, hidden):
    person = pose()
    if np.isnan(hidden):
        person[:, 0] = hidden
    else:
        person[:, 2] = hidden
    drawn = draw_poses(image, None, person[None], SKELETON, min_joint_score=0.3)
    np.testing.assert_array_equal(drawn, image)


def test_the_nearer_person_is_drawn_over_the_farther(image):
    people = np.stack([pose(), pose()])
    near, far = 2500.0, 5000.0
    first = draw_poses(image, None, people, SKELETON, root_depth=[near, far], scores=None)
    second = draw_poses(image, None, people, SKELETON, root_depth=[far, near], scores=None)
    neck, pelvis = SKELETON.index("neck"), SKELETON.index("pelvis")
    middle = ((people[0, neck, :2] + people[0, pelvis, :2]) / 2).astype(int)

    def colour_at_trunk(picture):
        patch = picture[middle[1] - 1 : middle[1] + 2, middle[0] - 1 : middle[0] + 2, ::-1]
        return patch.reshape(-1, 3).astype(int)

    for picture, nearer in ((first, 0), (second, 1)):
        colour = limb_colour(nearer, "neck")
        assert (abs(colour_at_trunk(picture) - colour).sum(axis=1) < 12).any()


def test_left_and_right_and_people_have_different_colours():
    left, middle, right = (sum(limb_colour(0, n)) for n in ("left_knee", "neck", "right_knee"))
    assert left > middle + 60 and middle > right + 60
    assert len({person_colour(i) for i in range(8)}) == 8
    assert person_colour(9) == person_colour(1)


def test_labels_stay_inside_the_image_and_apart(image):
    boxes = np.array([[250, -20, 330, 90], [255, -10, 335, 100], [-30, 10, 40, 250]])
    hidden = np.stack([pose(score=0.0)] * 3)
    style = {"root_depth": [2840.0, 3000.0, 4000.0], "scores": [0.97, 0.8, 0.7]}
    drawn = draw_poses(image, boxes, hidden, SKELETON, **style)
    areas = []
    for i in range(3):
        label = (drawn == np.array(person_colour(i))[::-1]).all(axis=-1)
        assert label.sum() > 300  # the label's ground, whole
        areas.append(label.sum())
    assert max(areas) < 1.6 * min(areas)


def test_keypoints_of_another_skeleton_are_refused(image):
    with pytest.raises(ValueError, match=r"\(N, 17, 2 or 3\).*found \(1, 21, 3\)"):
        draw_poses(image, None, np.zeros((1, 21, 3)), SKELETON)
