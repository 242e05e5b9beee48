import math

import numpy as np
import pytest

from tests.demo import program  # noqa: F401  makes the demo's scripts importable

from tracker import Tracker, pairwise_iou  # isort: skip


def overlap_by_counting(a, b):
    """Intersection over union of two boxes with whole corners, cell by cell."""

    def cells(box):
        x0, y0, x1, y1 = box
        return {(x, y) for x in range(x0, x1) for y in range(y0, y1)}

    union = cells(a) | cells(b)
    return len(cells(a) & cells(b)) / len(union) if union else 0.0


def test_overlap_is_that_of_counted_cells():
    rng = np.random.default_rng(0)
    corners = rng.integers(0, 12, (20, 2, 2))
    boxes = np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)
    found = pairwise_iou(boxes[:8].astype(float), boxes[8:].astype(float))
    expected = [[overlap_by_counting(a, b) for b in boxes[8:]] for a in boxes[:8].tolist()]
    np.testing.assert_allclose(found, expected, atol=1e-12)
    assert pairwise_iou(np.zeros((0, 4)), boxes.astype(float)).shape == (0, 20)


def frame(*positions_mm, focal=800.0):
    """Boxes and poses (N, 2, 3) of people 0.6 m x 1.7 m wide whose middle is at x, y, z mm."""
    centers = np.array(positions_mm, float).reshape(-1, 3)
    offset = np.array([[[0, -850, 0], [0, 850, 0]]])
    poses = centers[:, None] + offset
    x, y, z = centers.T
    low = np.stack([x - 300, y - 850]) / z * focal + 500
    high = np.stack([x + 300, y + 850]) / z * focal + 500
    return np.concatenate([low, high]).T, poses


def test_numbers_follow_people_through_any_order_of_detections():
    rng = np.random.default_rng(1)
    tracks = Tracker().start()
    places = np.array([[-1500, 0, 4000], [0, 0, 6000], [1500, 0, 3000]], float)
    velocity = np.array([[800, 0, 0], [0, 0, -900], [-700, 0, 300]], float)
    numbers = None
    for f in range(30):
        order = rng.permutation(3)
        ids = np.zeros(3, int)
        ids[order] = tracks.update(*frame(*(places + velocity * f / 15)[order]), f / 15)
        numbers = ids if numbers is None else numbers
        np.testing.assert_array_equal(ids, numbers)
    assert sorted(numbers) == [1, 2, 3]


def test_depth_tells_people_apart_whose_boxes_cross():
    """Boxes coincide at frame 10, where the two swap sides in the picture."""
    tracks = Tracker().start()
    first: list[int] = []
    for f in range(21):
        shift = (f - 10) / 10
        near, far = (600 * shift, 0, 3000), (-1200 * shift, 0, 6000)
        people = frame(near, far) if f % 2 else frame(far, near)
        ids = tracks.update(*people, f / 10).tolist()
        first = first or ids
        assert ids == (first[::-1] if f % 2 else first)


def test_depth_tells_people_apart_whose_boxes_are_one():
    boxes = np.repeat(frame((0, 0, 4000))[0], 2, axis=0)
    poses = np.stack([np.full((2, 3), 3000.0), np.full((2, 3), 6000.0)])
    tracks = Tracker().start()
    assert tracks.update(boxes, poses, 0.0).tolist() == [1, 2]
    assert tracks.update(boxes, poses[::-1] + 100, 0.1).tolist() == [2, 1]


def test_overlap_holds_a_person_whose_depth_jumps():
    boxes, _ = frame((0, 0, 4000))
    tracks = Tracker().start()
    for f, depth in enumerate((4000, 7000, 2500, 9000)):
        assert tracks.update(boxes, np.full((1, 2, 3), depth, float), f / 30).tolist() == [1]


def test_distance_holds_a_person_whose_boxes_do_not_overlap():
    tracks = Tracker().start()
    assert tracks.update(*frame((0, 0, 4000)), 0.0).tolist() == [1]
    boxes, poses = frame((700, 0, 4000))  # a step of 0.7 m: boxes are 0.6 m wide
    assert tracks.update(boxes, poses, 0.1).tolist() == [1]
    assert tracks.update(*frame((2700, 0, 4000)), 0.2).tolist() == [2]


@pytest.mark.parametrize("gap_s, expected", [(0.9, [1, 2]), (1.2, [3, 4])])
def test_numbers_outlast_short_gaps_only(gap_s, expected):
    tracks = Tracker(max_gap_s=1.0).start()
    here = frame((-1000, 0, 4000), (1000, 0, 4000))
    assert tracks.update(*here, 0.0).tolist() == [1, 2]
    empty = np.zeros((0, 4)), np.zeros((0, 2, 3))
    for f in (1, 2):
        assert tracks.update(*empty, f * gap_s / 3).tolist() == []
    assert tracks.ids.tolist() == [1, 2]
    assert tracks.update(*here, gap_s).tolist() == expected
    assert tracks.ids.tolist() == expected


def test_reach_grows_while_a_person_is_hidden():
    tracks = Tracker(max_distance_mm=500, max_speed_mm_s=2000).start()
    tracks.update(*frame((0, 0, 4000)), 0.0)
    walked = frame((1300, 0, 4000))
    assert tracks.update(*walked, 0.9).tolist() == [1]
    tracks = Tracker(max_distance_mm=500, max_speed_mm_s=0).start()
    tracks.update(*frame((0, 0, 4000)), 0.0)
    assert tracks.update(*walked, 0.9).tolist() == [2]


def test_a_newcomer_does_not_take_the_number_of_the_one_beside():
    tracks = Tracker().start()
    tracks.update(*frame((0, 0, 4000)), 0.0)
    ids = tracks.update(*frame((400, 0, 4000), (20, 0, 4000), (-350, 0, 4000)), 0.1)
    assert ids[1] == 1 and sorted(ids) == [1, 2, 3]


def test_time_must_advance():
    tracks = Tracker().start()
    tracks.update(*frame((0, 0, 4000)), 1.0)
    for time_s in (1.0, 0.9, math.nan):
        with pytest.raises(ValueError, match="expected a later one"):
            tracks.update(*frame((0, 0, 4000)), time_s)
