"""MuPoTS-3D as distributed: there and back as dataset dicts."""

import numpy as np
import pytest

from hmor_d2.data.annotations import check_person
from hmor_d2.data.dataset_error import DatasetError, Where
from hmor_d2.data.datasets.mupots import load_mupots, mupots_boxes
from tests.data.mupots_records import MUCO17, TREE, assert_same
from tests.data.writers_mupots import make_mupots_arrays, write_mupots_sequence


def test_raw_round_trip(mupots_tree):
    root, expected = mupots_tree
    found = load_mupots(root, sequences=TREE)
    for a, b in zip(found, expected, strict=True):
        # The camera is fitted to rounded joints.
        np.testing.assert_allclose(a["intrinsics"], b["intrinsics"], rtol=0, atol=0.02)
        b["intrinsics"] = a["intrinsics"]
    assert_same(found, expected)
    assert_same(load_mupots(root, sequences=["TS20"]), expected[12:])


def test_types_are_those_of_detectron2(mupots_tree):
    root, _ = mupots_tree
    for record in load_mupots(root, sequences=TREE):
        assert type(record["frame"]) is int
        for person in record["annotations"]:
            numbers = (*record["intrinsics"], *person["keypoints"], *person["bbox"])
            assert {type(value) for value in numbers} == {float}
            assert type(person["person_id"]) is int
            assert person["keypoints_cam"].dtype == np.float32
            assert person["keypoints_cam_valid"].dtype == np.bool_
            check_person(person, MUCO17, Where("annot.mat"))


def test_every_sequence_is_asked_for_by_default(mupots_tree):
    root, _ = mupots_tree
    with pytest.raises(DatasetError, match=r"TS1/annot\.mat: found nothing"):
        load_mupots(root)


@pytest.mark.parametrize("sequences", ["TS5", ["TS5", "TS21"]])
def test_unknown_sequences_are_refused(mupots_tree, sequences):
    with pytest.raises(ValueError, match="expected a list of TS1"):
        load_mupots(mupots_tree[0], sequences=sequences)


def test_people_without_extent_are_refused(tmp_path):
    arrays = make_mupots_arrays(0, 9, 2)
    arrays["annot2"][7, 1] = 5.0
    write_mupots_sequence(tmp_path / "TS2", arrays)
    with pytest.raises(DatasetError, match=r"TS2/annot\.mat, frame 7, person 1: field 'annot2'"):
        load_mupots(str(tmp_path), sequences=["TS2"])


def test_a_broken_spine_does_not_widen_the_box():
    rng = np.random.default_rng(0)
    points = rng.uniform(500, 700, (1, 17, 2))
    others = np.delete(points[0], MUCO17.index("spine"), axis=0)
    points[0, MUCO17.index("spine")] = (1500, 20)
    (box,) = mupots_boxes(points)
    middle = (others.max(axis=0) + others.min(axis=0)) / 2
    np.testing.assert_allclose(box[2:], 1.2 * (others.max(axis=0) - others.min(axis=0)))
    np.testing.assert_allclose(box[:2] + box[2:] / 2, middle)
