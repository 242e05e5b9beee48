import numpy as np
import pytest

from tests.data.writers_mupots import PELVIS, make_mupots_arrays, write_mupots_sequence
from tests.scripts import load_script

size_ambiguity = load_script("tools/size_ambiguity.py")


def write(folder, sizes):
    """A sequence of four frames; the same random pose, in which person i is ``sizes[i]`` large."""
    arrays = make_mupots_arrays(0, 4, len(sizes))
    roots = arrays["annot3"][:, :, PELVIS, None]
    pose = np.random.default_rng(1).normal(0, 300, (17, 3))
    arrays["annot3"] = roots + (pose - pose[PELVIS]) * np.reshape(sizes, (-1, 1, 1))
    arrays["univ_annot3"] = arrays["annot3"]
    write_mupots_sequence(folder / "TS1", arrays)
    return arrays


def test_true_sizes_give_true_poses(tmp_path):
    write(tmp_path, [0.8, 1.0])
    people = size_ambiguity.read_people(str(tmp_path))
    assert people[0].size == pytest.approx(0.8 * people[1].size)
    figures = size_ambiguity.evaluate_scaled(str(tmp_path), people, np.ones(2))
    assert figures["3DPCK_rel"] == figures["3DPCK_abs"] == 100
    assert figures["MRPE"] == pytest.approx(0, abs=1e-6)


def test_wrong_sizes_move_people_along_their_rays_and_leave_their_poses(tmp_path):
    arrays = write(tmp_path, [0.8, 1.0])
    people = size_ambiguity.read_people(str(tmp_path))
    scales = np.array([1.1, 0.9])
    figures = size_ambiguity.evaluate_scaled(str(tmp_path), people, scales)
    roots = arrays["annot3"][:, :, PELVIS]
    assert figures["MRPE"] == pytest.approx(0.1 * np.linalg.norm(roots, axis=-1).mean(), rel=1e-3)
    assert figures["MRPE_z"] == pytest.approx(0.1 * roots[..., 2].mean(), rel=1e-3)
    assert figures["3DPCK_rel"] == 100
    assert figures["3DPCK_abs"] < 50


@pytest.mark.parametrize("sizes, expected", [((1.0, 1.0), 100.0), ((0.7, 1.3), 0.0)])
def test_the_mean_size_is_right_where_all_have_it(sizes, expected, tmp_path, capsys):
    write(tmp_path, sizes)
    size_ambiguity.main(["--annotations", str(tmp_path), "--errors", "0"])
    head, names, mean, exact = capsys.readouterr().out.splitlines()
    assert head.startswith("2 people, ")
    column = names.split().index("3DPCK_abs")
    assert float(mean.split()[column]) == expected
    assert float(exact.split()[column]) == 100


def test_a_folder_without_sequences_is_named(tmp_path, capsys):
    with pytest.raises(SystemExit) as exit_:
        size_ambiguity.main(["--annotations", str(tmp_path)])
    assert exit_.value.code == 2
    assert str(tmp_path) in capsys.readouterr().err
