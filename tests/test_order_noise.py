"""tools/order_noise.py against the evaluator and against errors of a known kind."""

import json

import numpy as np
import pytest
from detectron2.data import DatasetCatalog
from hypothesis import given
from hypothesis import strategies as st

from tests.evaluation.pose_scenes import MUCO17, make_records, noisy_predictions, run
from tests.scripts import ROOT, load_script

order_noise = load_script("tools/order_noise.py")
CONFIG = str(ROOT / "configs/synthetic/datasets.yaml")


def scene(error, people=5, images=400):
    """Depths of people in pictures, with ``error(rng, images, people)`` mm on them."""
    rng = np.random.default_rng(0)
    gt = rng.uniform(2000, 6000, (images, people))
    image = np.repeat(np.arange(images), people)
    return order_noise.Depths((gt + error(rng, images, people)).ravel(), gt.ravel(), image)


def test_errors_of_each_ones_own_are_noise():
    depths = scene(lambda rng, *shape: rng.normal(100, 300, shape))
    gap, error = depths.pairs()
    assert gap.min() > 0 and len(gap) == 4000
    wrong = (error <= -gap).mean()
    assert wrong > 0.05
    assert wrong == pytest.approx(order_noise.wrong_by_noise(gap, error).mean(), abs=0.01)
    assert depths.correlation() == pytest.approx(0, abs=0.05)


def test_an_error_that_all_in_a_picture_share_costs_no_order():
    depths = scene(lambda rng, images, people: rng.normal(0, 300, (images, 1)))
    gap, error = depths.pairs()
    assert not (error <= -gap).any()
    assert order_noise.wrong_by_noise(gap, error).max() == pytest.approx(0, abs=1e-3)
    assert depths.correlation() == pytest.approx(1, abs=0.05)


def test_errors_that_turn_pairs_round_are_more_than_noise():
    """Everybody at the picture's mean depth, a little to the wrong side."""
    rng = np.random.default_rng(0)
    gt = rng.uniform(2000, 6000, (400, 5))
    pred = gt.mean(axis=1, keepdims=True) - 0.01 * gt
    depths = order_noise.Depths(pred.ravel(), gt.ravel(), np.repeat(np.arange(400), 5))
    gap, error = depths.pairs()
    assert (error <= -gap).all()
    assert order_noise.wrong_by_noise(gap, error).mean() < 0.5


numbers = st.lists(st.integers(1, 9), min_size=1, max_size=12)


@given(numbers, st.randoms(use_true_random=False))
def test_by_noise_is_the_share_over_all_errors_and_signs(gaps, random):
    errors = [random.randint(-9, 9) for _ in gaps]
    expected = [np.mean([g + s * e <= 0 for e in errors for s in (-1, 1)]) for g in gaps]
    found = order_noise.wrong_by_noise(np.array(gaps, float), np.array(errors, float))
    assert found == pytest.approx(expected)


@pytest.fixture
def dataset():
    records = make_records(3)
    DatasetCatalog.register("of_order_noise", lambda: records)
    yield "of_order_noise", noisy_predictions(records, 3)
    DatasetCatalog.remove("of_order_noise")


def test_the_shares_are_the_evaluators(dataset, tmp_path, capsys):
    name, predictions = dataset
    figures = run(name, predictions, output_dir=str(tmp_path))
    file = str(tmp_path / "pose_predictions.json")
    order_noise.main([file, "--config-file", CONFIG])
    head, counts, _, *rows, better = capsys.readouterr().out.splitlines()
    assert head == f"{file}: {name}"
    assert counts.startswith(f"{figures['matched_3d']:.0f} people, ")
    title, pairs, wrong, _ = rows[-1].split()
    assert title == "all"
    assert float(wrong) == pytest.approx(100 * (1 - figures["ORD"]), abs=0.051)
    assert sum(int(row.split()[-3]) for row in rows[:-1]) == int(pairs)
    assert float(better.split()[-3].rstrip("%")) <= float(wrong)


def test_smaller_errors_by_hand():
    """Pairs 100 mm apart, of which one comes out 120 mm wrong and one 140 mm."""
    pred, gt = np.array([120.0, 100.0, 140.0, 100.0]), np.array([0.0, 100.0, 0.0, 100.0])
    depths = order_noise.Depths(pred, gt, np.array([0, 0, 1, 1]))
    *_, whole, better = order_noise.describe(depths).splitlines()
    assert whole.split()[:3] == ["all", "2", "100.0"]
    assert better.endswith("50.0% were wrong")


@pytest.mark.parametrize(
    "content", [[], {"dataset": "x"}, {"dataset": "x", "skeleton": MUCO17.name, "predictions": [1]}]
)
def test_another_file_is_named(content, tmp_path, capsys):
    file = tmp_path / "other.json"
    file.write_text(json.dumps(content))
    with pytest.raises(SystemExit) as stopped:
        order_noise.main([str(file), "--config-file", CONFIG])
    assert stopped.value.code == 2
    assert str(file) in capsys.readouterr().err
