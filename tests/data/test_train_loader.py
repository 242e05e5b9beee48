"""Samples and their random numbers depend on the seed and the place in the training alone."""

import logging
import random
from itertools import islice

import numpy as np
import pytest
import torch
from detectron2.data.samplers import RepeatFactorTrainingSampler, TrainingSampler

from hmor_d2.data import DatasetError
from hmor_d2.data.train_loader import RepeatSampler, SampleOrder, TrainLoader, TrainSamples

COUNT = 12
RECORDS = [{"id": i, "width": 10 + i % 3, "height": 11} for i in range(COUNT)]
WIDE = np.array([r["width"] > r["height"] for r in RECORDS])
REPEATS = torch.tensor([1.0, 1.6] * (COUNT // 2))


def mapper(record):
    draws = (np.random.rand(), random.random(), torch.rand(1).item())
    return {**record, "draws": draws}


def failing(*bad):
    def fail(record):
        np.random.rand(3)
        if record["id"] in bad:
            raise DatasetError(f"image{record['id']}.jpg: cannot use the image")
        return mapper(record)

    return fail


def loader(
    workers=0, batch_size=3, seed=5, repeat=True, groups=None, mapper=mapper, first=0, **options
):
    sampler = RepeatSampler(REPEATS, seed=0) if repeat else TrainingSampler(COUNT, seed=0)
    share = options.pop("max_bad_share", 0.01)
    samples = TrainSamples(RECORDS, mapper, groups=groups, **options)
    order = SampleOrder(sampler, batch_size, seed, groups)
    made = TrainLoader(samples, order, batch_size, workers, share)
    made.first_batch = first
    return made


def take(made, count=12):
    return list(islice(iter(made), count))


@pytest.mark.parametrize("repeat", [True, False])
@pytest.mark.parametrize("groups", [None, WIDE])
def test_any_number_of_workers_gives_the_same(repeat, groups):
    expected = take(loader(repeat=repeat, groups=groups))
    for workers in (1, 3):
        assert take(loader(workers, repeat=repeat, groups=groups)) == expected
    draws = [sample["draws"] for batch in expected for sample in batch]
    assert len(set(draws)) == len(draws)
    assert take(loader(repeat=repeat, groups=groups, seed=6)) != expected


@pytest.mark.parametrize("groups", [None, WIDE])
@pytest.mark.parametrize("workers", [0, 2])
def test_it_goes_on_at_any_batch(groups, workers):
    expected = take(loader(groups=groups))
    for first in (1, 4, 9):
        assert take(loader(workers, groups=groups, first=first), 12 - first) == expected[first:]


def test_the_training_s_own_random_numbers_are_left_alone():
    def draws(workers=None):
        torch.manual_seed(0), np.random.seed(0), random.seed(0)
        if workers is not None:
            take(loader(workers))
        return torch.rand(1).item(), np.random.rand(), random.random()

    assert draws(0) == draws(1) == draws()


def test_batches_are_of_one_shape():
    batches = take(loader(groups=WIDE), 30)
    shapes = [{s["width"] > s["height"] for s in batch} for batch in batches]
    assert all(len(shape) == 1 for shape in shapes) and {True} in shapes and {False} in shapes


@pytest.mark.parametrize("seed", [0, 1])
def test_epochs_are_detectron2s(seed):
    theirs = RepeatFactorTrainingSampler(REPEATS, seed=seed)
    ours = RepeatSampler(REPEATS, seed=seed)
    assert list(islice(iter(ours), 100)) == list(islice(iter(theirs), 100))


@pytest.mark.parametrize("workers", [0, 1])
def test_a_bad_sample_stops(workers):
    with pytest.raises(DatasetError, match=r"image4\.jpg: cannot use"):
        take(loader(workers, mapper=failing(4)))


def test_a_bad_sample_is_replaced(caplog):
    with caplog.at_level(logging.WARNING, "hmor_d2"):
        found = take(loader(1, mapper=failing(4), on_bad_sample="skip", groups=WIDE))
    assert take(loader(0, mapper=failing(4), on_bad_sample="skip", groups=WIDE)) == found
    whole = take(loader(mapper=failing(), groups=WIDE))
    replaced = 0
    for batch, expected in zip(found, whole, strict=True):
        for sample, other in zip(batch, expected, strict=True):
            if other["id"] == 4:
                replaced += 1
                assert sample["id"] != 4
                assert (sample["width"] > 11) == (other["width"] > 11)
            else:
                assert sample == other
    assert replaced > 0
    assert "Left out bad sample 1 of" in caplog.text and "image4.jpg" in caplog.text


def test_replacements_come_as_often_as_weighted():
    weights = np.array([0.0] * 10 + [1, 3])
    made = loader(mapper=failing(*range(10)), on_bad_sample="skip", weights=weights,
                  max_bad_share=1.0, repeat=False)  # fmt: skip
    ids = [sample["id"] for batch in take(made, 200) for sample in batch]
    # Of 12 records 10 are replaced.
    assert ids.count(11) / len(ids) == pytest.approx(1 / 12 + 10 / 12 * 3 / 4, abs=0.05)


def test_too_many_bad_samples_stop():
    options = {"mapper": failing(4), "on_bad_sample": "skip", "repeat": False}
    with pytest.raises(DatasetError, match=r"11 of \d+ samples.*MAX_BAD_SHARE 0.05.*image4"):
        take(loader(max_bad_share=0.05, **options), 100)
    assert len(take(loader(max_bad_share=0.2, **options), 100)) == 100
    with pytest.raises(DatasetError, match="10 samples one after another"):
        take(loader(mapper=failing(*range(COUNT)), on_bad_sample="skip"))


def test_another_policy_is_refused():
    with pytest.raises(ValueError, match=r"ON_BAD_SAMPLE is 'ignore'"):
        TrainSamples(RECORDS, mapper, "ignore")
