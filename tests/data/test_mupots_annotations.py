"""MuPoTS-3D's MATLAB files and the cameras fitted to them: as written, damaged, the real ones."""

import math

import numpy as np
import pytest
from scipy.io import savemat
from scipy.sparse import csc_array

from hmor_d2.data.dataset_error import DatasetError
from hmor_d2.data.datasets.mupots_annotations import (
    MuPoTSSequence,
    read_mupots_sequence,
)
from hmor_d2.data.datasets.mupots_intrinsics import fit_mupots_intrinsics
from hmor_d2.skeleton import get_skeleton
from tests.data.writers_mupots import (
    INTRINSICS,
    make_mupots_arrays,
    mupots_cells,
    write_mupots_cells,
    write_mupots_sequence,
)
from tests.real_data import real_data

MUCO17 = get_skeleton("muco17")
HIPS_AND_SPINE = [MUCO17.index(name) for name in ("right_hip", "left_hip", "spine")]


@pytest.mark.parametrize(("frames", "people"), [(4, 3), (1, 2), (3, 1), (1, 1)])
def test_sequences_are_read_as_written(tmp_path, frames, people):
    arrays = make_mupots_arrays(0, frames, people)
    sequence = read_mupots_sequence(write_mupots_sequence(tmp_path / "TS3", arrays) + "/")
    assert sequence.name == "TS3"
    for field, expected in arrays.items():
        found = getattr(sequence, field)
        assert found.dtype == expected.dtype, field
        np.testing.assert_array_equal(found, expected, err_msg=field)


def test_invalid_people_are_zero_whatever_they_hold(tmp_path):
    arrays = make_mupots_arrays(1, 3, 2)
    arrays["valid"][0, 1] = arrays["valid"][2, 0] = False
    annotations, labels = mupots_cells(arrays)
    annotations[0, 1].update(annot2=np.zeros((0, 0)), annot3=np.full((3, 17), np.nan))
    del annotations[2, 0]["univ_annot3"]
    labels[2, 0] = np.zeros((0, 0))
    sequence = read_mupots_sequence(write_mupots_cells(tmp_path / "TS1", annotations, labels))
    valid = arrays["valid"]
    np.testing.assert_array_equal(sequence.valid, valid)
    for field in ("annot2", "annot3", "univ_annot3", "occluded"):
        found = getattr(sequence, field)
        np.testing.assert_array_equal(found[valid], arrays[field][valid])
        assert not found[~valid].any(), field


def test_sequences_without_anybody_valid_are_read(tmp_path):
    arrays = make_mupots_arrays(1, 2, 2) | {"valid": np.zeros((2, 2), bool)}
    sequence = read_mupots_sequence(write_mupots_sequence(tmp_path / "TS1", arrays))
    assert sequence.annot3.shape == (2, 2, 17, 3)
    with pytest.raises(DatasetError, match="TS1: found no valid person"):
        fit_mupots_intrinsics(sequence)


def set_element(annotations, frame, person, field, value, place=(0, 5)):
    changed = np.array(annotations[frame, person][field], float)
    changed[place] = value
    annotations[frame, person][field] = changed


def replace(cells, frame, person, value):
    cells[frame, person] = value


# What is broken (a = annotations, o = occlusion_labels), how, and what the message must say.
BROKEN_CELLS = {
    "NaN pixel": (
        lambda a, o: set_element(a, 2, 1, "annot2", math.nan),
        ["annot.mat, frame 2, person 1", "'annot2'", "finite"],
    ),
    "infinite joint": (
        lambda a, o: set_element(a, 0, 1, "univ_annot3", math.inf),
        ["annot.mat, frame 0, person 1", "'univ_annot3'", "finite"],
    ),
    "behind the camera": (
        lambda a, o: set_element(a, 1, 0, "annot3", -5.0, (2, 3)),
        ["annot.mat, frame 1, person 0", "'annot3'", "-5.0 mm", "Z > 0"],
    ),
    "missing field": (
        lambda a, o: a[2, 0].pop("univ_annot3"),
        ["annot.mat, frame 2, person 0", "'univ_annot3'", "annot2"],
    ),
    "no flag": (
        lambda a, o: a[1, 1].pop("isValidFrame"),
        ["annot.mat, frame 1, person 1", "'isValidFrame'"],
    ),
    "empty flag": (
        lambda a, o: a[1, 1].update(isValidFrame=np.zeros((0, 0))),
        ["annot.mat, frame 1, person 1", "'isValidFrame'", "(0, 0)"],
    ),
    "joint count": (
        lambda a, o: a[2, 1].update(annot3=np.ones((3, 14))),
        ["annot.mat, frame 2, person 1", "'annot3'", "(3, 14)", "(3, 17)"],
    ),
    "transposed": (
        lambda a, o: [cell.update(annot2=cell["annot2"].T) for cell in a.flat],
        ["annot.mat, frame 0, person 0", "'annot2'", "(17, 2)", "(2, 17)"],
    ),
    "text": (
        lambda a, o: a[1, 0].update(annot2="none"),
        ["annot.mat, frame 1, person 0", "'annot2'"],
    ),
    "no struct": (
        lambda a, o: replace(a, 1, 0, np.zeros((0, 0))),
        ["annot.mat, frame 1, person 0", "'isValidFrame'"],
    ),
    "label count": (
        lambda a, o: replace(o, 1, 1, np.zeros((1, 14))),
        ["occlusion.mat, frame 1, person 1", "(1, 14)", "(1, 17)"],
    ),
    "label NaN": (
        lambda a, o: replace(o, 1, 1, np.full((1, 17), np.nan)),
        ["occlusion.mat, frame 1, person 1", "finite"],
    ),
    "label of 2": (
        lambda a, o: replace(o, 2, 0, np.full((1, 17), 2)),
        ["occlusion.mat, frame 2, person 0", "labels 0 and 1"],
    ),
}


@pytest.mark.parametrize("name", BROKEN_CELLS)
def test_broken_sequences_are_refused(tmp_path, name):
    break_cells, expected = BROKEN_CELLS[name]
    annotations, labels = mupots_cells(make_mupots_arrays(2, 3, 2))
    break_cells(annotations, labels)
    folder = write_mupots_cells(tmp_path / "TS1", annotations, labels)
    with pytest.raises(DatasetError) as error:
        read_mupots_sequence(folder)
    for part in (folder, *expected):
        assert part in str(error.value)


def test_labels_of_another_length_are_refused(tmp_path):
    annotations, labels = mupots_cells(make_mupots_arrays(2, 3, 2))
    folder = write_mupots_cells(tmp_path / "TS1", annotations, labels[:2])
    with pytest.raises(DatasetError, match=r"occlusion\.mat.*\(2, 2\).*\(3, 2\).*annot\.mat"):
        read_mupots_sequence(folder)


@pytest.mark.parametrize("file", ["annot.mat", "occlusion.mat"])
def test_files_missing_or_of_other_content_are_refused(tmp_path, file):
    folder = write_mupots_sequence(tmp_path / "TS1", make_mupots_arrays(2, 2, 2))
    path = tmp_path / "TS1" / file
    savemat(path, {"other": np.eye(3)}, do_compression=True)
    variable = "annotations" if file == "annot.mat" else "occlusion_labels"
    with pytest.raises(DatasetError, match=rf"{file}: field '{variable}'"):
        read_mupots_sequence(folder)
    for value in (np.eye(3), np.empty((0, 2), object)):
        savemat(path, {variable: value}, do_compression=True)
        with pytest.raises(DatasetError, match=rf"{file}: field '{variable}'.*a cell array"):
            read_mupots_sequence(folder)
    savemat(path, {variable: csc_array(np.eye(3))}, do_compression=True)
    with pytest.raises(DatasetError, match=rf"{file}: found a file .*sparse"):
        read_mupots_sequence(folder)
    path.unlink()
    with pytest.raises(DatasetError, match=rf"{file}: found nothing.*DETECTRON2_DATASETS"):
        read_mupots_sequence(folder)


@pytest.mark.parametrize("file", ["annot.mat", "occlusion.mat"])
def test_damaged_files_are_refused(tmp_path, file):
    folder = write_mupots_sequence(tmp_path / "TS1", make_mupots_arrays(3, 5, 2))
    path = tmp_path / "TS1" / file
    whole = path.read_bytes()

    def is_refused(content: bytes) -> bool:
        path.write_bytes(content)
        try:
            found = read_mupots_sequence(folder)
        except DatasetError as error:
            assert str(path) in str(error)
            return True
        # A few bits make no difference to what is decompressed.
        np.testing.assert_equal(vars(found), vars(expected))
        return False

    expected = read_mupots_sequence(folder)
    for size in (0, 3, 100, 127, 128, 130, 135, 136, 150, len(whole) // 2, len(whole) - 1):
        assert is_refused(whole[:size]), size
    assert is_refused(b"<html>not found</html>" * 20)
    assert is_refused(b"\x00" * 1000)
    # scipy's parser ends the process on some of these.
    places = [*range(124, 160), *range(160, len(whole), 97), len(whole) - 1]
    refused = [
        is_refused(whole[:place] + bytes([whole[place] ^ bit]) + whole[place + 1 :])
        for place in places
        for bit in (1, 128)
    ]
    assert np.mean(refused) > 0.9


# The camera


def make_sequence(seed: int, frames: int = 30, people: int = 2, **changes) -> MuPoTSSequence:
    return MuPoTSSequence("TS1", **(make_mupots_arrays(seed, frames, people) | changes))


@pytest.mark.parametrize("seed", range(3))
def test_intrinsics_are_recovered_from_rounded_joints(seed):
    fitted = fit_mupots_intrinsics(make_sequence(seed))
    np.testing.assert_allclose(fitted, INTRINSICS, rtol=0, atol=0.005)


@pytest.mark.parametrize("seed", range(3))
def test_intrinsics_do_not_mind_wrong_joints(seed):
    sequence = make_sequence(seed)
    rng = np.random.default_rng(seed)
    sequence.annot2[:, :, HIPS_AND_SPINE] += rng.uniform(50, 150, (30, 2, 3, 2))
    wrong = rng.random((30, 2, 17)) < 0.3
    sequence.annot2[wrong] += rng.uniform(-300, 900, (wrong.sum(), 2))
    np.testing.assert_allclose(fit_mupots_intrinsics(sequence), INTRINSICS, rtol=0, atol=0.01)


def test_intrinsics_ignore_invalid_people():
    sequence = make_sequence(4)
    sequence.valid[::2] = False
    sequence.annot3[~sequence.valid] = 0
    np.testing.assert_allclose(fit_mupots_intrinsics(sequence), INTRINSICS, rtol=0, atol=0.005)


def test_joints_that_do_not_project_are_refused():
    arrays = make_mupots_arrays(5, 30, 2)
    with pytest.raises(DatasetError, match=r"TS1: found annot2 to be .* px"):
        fit_mupots_intrinsics(MuPoTSSequence("TS1", **arrays | {"annot3": arrays["univ_annot3"]}))
    with pytest.raises(DatasetError, match="TS1: found all joints in one direction"):
        fit_mupots_intrinsics(MuPoTSSequence("TS1", **arrays | {"annot3": np.ones((30, 2, 17, 3))}))


# The real files


def test_real_universal_skeletons_share_the_root():
    for name in ("TS2", "TS12"):
        sequence = read_mupots_sequence(str(real_data("mupots", "MultiPersonTestSet", name)))
        root = MUCO17.root_index
        a, b = sequence.annot3[sequence.valid], sequence.univ_annot3[sequence.valid]
        np.testing.assert_array_equal(a[:, root], b[:, root])
        assert np.abs(a - b).max() > 20
