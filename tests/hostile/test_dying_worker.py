"""A data loader's worker that the system kills, as for want of memory."""

import os
import signal

import pytest
from detectron2.data.samplers import TrainingSampler

from hmor_d2.data.train_loader import SampleOrder, TrainLoader, TrainSamples


def mapper(record: dict) -> dict:
    if record["id"] == 5:
        os.kill(os.getpid(), signal.SIGKILL)
    return record


@pytest.mark.parametrize("on_bad_sample", ["stop", "skip"])
def test_a_worker_that_is_killed_is_named(on_bad_sample):
    """It stops the training, also where bad images do not: nobody knows what killed it."""
    samples = TrainSamples([{"id": i} for i in range(8)], mapper, on_bad_sample)
    order = SampleOrder(TrainingSampler(8, shuffle=False, seed=0), batch_size=2, seed=0)
    loader = TrainLoader(samples, order, batch_size=2, num_workers=1)
    with pytest.raises(RuntimeError, match=r"worker.* (killed by signal|exited unexpectedly)"):
        for _, batch in zip(range(20), loader, strict=False):
            assert len(batch) == 2
