import numpy as np
import pytest
from detectron2.data import DatasetCatalog
from detectron2.structures import BoxMode

from tests.data.writers_mupots import PELVIS, make_mupots_arrays, write_mupots_sequence
from tests.scripts import ROOT, load_script

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


@pytest.fixture
def dataset():
    """Two images, each of a small person in front of a large one, in the same pose."""
    pose = np.random.default_rng(1).normal(0, 300, (17, 3))
    pose -= pose[PELVIS]

    def record(image_id, people):
        annotations = [
            {
                "bbox": [0, 0, 50, 50],
                "bbox_mode": BoxMode.XYXY_ABS,
                "category_id": 0,
                "keypoints": np.tile([10.0, 10.0, 2.0], 17).tolist(),
                "keypoints_cam": (size * pose + [0, 0, depth]).tolist(),
                "keypoints_cam_valid": [1] * 17,
            }
            for size, depth in people
        ]
        return {
            "file_name": f"{image_id}.jpg",
            "image_id": image_id,
            "height": 100,
            "width": 100,
            "annotations": annotations,
        }

    # As large in the picture as somebody of size 1: at 4286 and 3846 mm, at 2143 and 4615 mm.
    records = [record(0, [(0.7, 3000.0), (1.3, 5000.0)]), record(1, [(0.7, 1500.0), (1.3, 6000.0)])]
    name = "two_sizes"
    DatasetCatalog.register(name, lambda: records)
    yield name
    DatasetCatalog.remove(name)


def test_sizes_that_differ_cost_the_order_of_people(dataset):
    everybody = size_ambiguity.read_dataset(str(ROOT / "configs/synthetic/datasets.yaml"), dataset)
    exact = everybody.evaluate(np.ones(4))
    assert exact["wrong_pairs"] == 0 and exact["3DPCK_abs"] == 100
    assert exact["ABS_MPJPE"] == exact["MRPE_z"] == 0
    figures = everybody.evaluate(1 / np.array([0.7, 1.3, 0.7, 1.3]))
    assert figures["wrong_pairs"] == 50
    expected = np.mean([3000 / 0.7 - 3000, 5000 - 5000 / 1.3, 1500 / 0.7 - 1500, 6000 - 6000 / 1.3])
    assert figures["MRPE_z"] == pytest.approx(expected)
    assert figures["3DPCK_abs"] < 10


def test_a_dataset_is_printed(dataset, capsys):
    size_ambiguity.main(
        ["--dataset", dataset, "--config-file", str(ROOT / "configs/synthetic/datasets.yaml")]
    )
    head, names, mean, *_ = capsys.readouterr().out.splitlines()
    assert head == ("4 people, sizes 0.70 to 1.30 of the mean one, standard deviation 30.0%")
    assert float(mean.split()[names.split().index("wrong_pairs")]) == 50


def test_a_dataset_that_is_not_registered_is_named(capsys):
    with pytest.raises(SystemExit) as exit_:
        size_ambiguity.main(["--dataset", "nothing"])
    assert exit_.value.code == 2
    assert "nothing" in capsys.readouterr().err
