"""The training loader: which sample comes when, and with which augmentation.

Both depend on a seed and on the sample's place in the training alone, not on the number of
workers, nor on what they had read ahead when a training was killed.
"""

import itertools
import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from detectron2.data.samplers import RepeatFactorTrainingSampler
from detectron2.utils import comm
from detectron2.utils.serialize import PicklableWrapper
from torch.utils.data import DataLoader, Dataset, Sampler

from ..random_state import seeded
from .dataset_error import DatasetError

__all__ = ["RepeatSampler", "SampleOrder", "TrainLoader", "TrainSamples"]

logger = logging.getLogger(__name__)

# Samples tried in the place of one, before the dataset as a whole counts as broken.
_MAX_ATTEMPTS = 10
# Failures that are always allowed: a share of few samples says little.
_FREE_FAILURES = 10


class Draw(NamedTuple):
    """A sample to load: the training's seed, the place among all its samples, the record."""

    seed: int
    position: int
    index: int


class RepeatSampler(RepeatFactorTrainingSampler):
    """Detectron2's sampler, its epochs made without a Python loop over the dataset."""

    def _get_epoch_indices(self, generator: torch.Generator) -> torch.Tensor:
        rounded_up = torch.rand(len(self._frac_part), generator=generator) < self._frac_part
        repeats = (self._int_part + rounded_up).long()
        return torch.repeat_interleave(torch.arange(len(repeats)), repeats)


class SampleOrder(Sampler):
    """The endless stream of this process's samples, batch after batch.

    ``first_batch`` batches are left out at its start, which takes a microsecond a sample.
    """

    def __init__(
        self, sampler: Sampler, batch_size: int, seed: int, groups: np.ndarray | None = None
    ):
        """
        Args:
            sampler: one of Detectron2's, endless; it is given the seed.
            batch_size: samples of this process a step.
            seed: of order and augmentations.
            groups: (N,), samples with different numbers never come into one batch.
        """
        self.first_batch = 0
        self.seed = seed
        self._sampler = sampler
        self._batch_size = batch_size
        self._groups = None if groups is None else groups.tolist()

    def __iter__(self) -> Iterator[Draw]:
        batches = itertools.islice(self._batches(), self.first_batch, None)
        rank, processes = comm.get_rank(), comm.get_world_size()
        for batch in batches:
            for place, index in batch:
                yield Draw(self.seed, rank + processes * place, index)

    def _batches(self) -> Iterator[list[tuple[int, int]]]:
        # Detectron2's samplers take their seed when they are made; a resumed training knows its
        # own, where SEED is -1, only when the checkpoint has been read.
        self._sampler._seed = self.seed
        waiting: dict[int, list[tuple[int, int]]] = {}
        for place, index in enumerate(self._sampler):
            group = 0 if self._groups is None else self._groups[index]
            batch = waiting.setdefault(group, [])
            batch.append((place, index))
            if len(batch) == self._batch_size:
                del waiting[group]
                yield batch


class TrainSamples(Dataset):
    """Maps drawn records, each with random numbers of its own, and replaces those that fail."""

    def __init__(
        self,
        records: Sequence[dict[str, Any]],
        mapper: Callable[[dict], dict],
        on_bad_sample: str = "stop",
        groups: np.ndarray | None = None,
        weights: np.ndarray | None = None,
    ):
        """
        Args:
            records: N dataset dicts.
            mapper: raises DatasetError or OSError for a dict that cannot be used.
            on_bad_sample: "stop", these errors are raised, or "skip", another sample is taken.
            groups: (N,), a sample is replaced by one with the same number.
            weights: (N,), how often each sample is drawn; None: all alike.
        Raises:
            ValueError: for another ``on_bad_sample``.
        """
        if on_bad_sample not in ("stop", "skip"):
            raise ValueError(
                f"DATALOADER.ON_BAD_SAMPLE is '{on_bad_sample}', expected 'stop' or 'skip'"
            )
        self._records = records
        self._mapper = PicklableWrapper(mapper)
        self._skip = on_bad_sample == "skip"
        self._groups = groups
        self._weights = weights

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, draw: Draw) -> tuple[dict, list[str]]:
        """The mapped sample, and the errors of those whose place it takes.

        Raises:
            DatasetError: for a bad sample, or with "skip" for ten one after another.
        """
        failures: list[str] = []
        index = draw.index
        for attempt in range(_MAX_ATTEMPTS):
            with seeded(draw.seed, draw.position, attempt):
                if attempt > 0:
                    index = self._another(index)
                try:
                    return self._mapper(self._records[index]), failures
                except (DatasetError, OSError) as error:
                    if not self._skip:
                        raise
                    failures.append(f"{error}")
        raise DatasetError(
            f"{_MAX_ATTEMPTS} samples one after another cannot be used, the last of them: "
            f"{failures[-1]}"
        )

    def _another(self, index: int) -> int:
        """A random record of the same group."""
        choices = np.arange(len(self))
        if self._groups is not None:
            choices = np.flatnonzero(self._groups == self._groups[index])
        shares = None if self._weights is None else self._weights[choices]
        return int(np.random.choice(choices, p=None if shares is None else shares / shares.sum()))


class TrainLoader:
    """Iterates over batches, lists of mapped samples, without end.

    ``seed`` and ``first_batch`` may be set until the iteration begins.
    """

    def __init__(
        self,
        samples: TrainSamples,
        order: SampleOrder,
        batch_size: int,
        num_workers: int = 0,
        max_bad_share: float = 0.01,
    ):
        """
        Args:
            samples: made in the workers; only those of ``on_bad_sample`` "skip" have failures.
            order: which of them, and when.
            batch_size: samples of this process a step.
            num_workers: processes; 0: samples are made by this one.
            max_bad_share: of the samples read, beyond the first ten failures.
        """
        self._order = order
        self._batch_size = batch_size
        self._max_bad_share = max_bad_share
        # About two batches are read ahead, by all workers together.
        ahead = {"prefetch_factor": 2 * -(-batch_size // num_workers)} if num_workers else {}
        self._loader = DataLoader(
            samples,
            batch_size=None,  # samples come one by one, so that workers share a batch's work
            sampler=order,
            num_workers=num_workers,
            collate_fn=_unchanged,
            generator=torch.Generator(),  # else the training's own is drawn from
            **ahead,
        )

    @property
    def seed(self) -> int:
        """Of the samples' order and augmentations."""
        return self._order.seed

    @seed.setter
    def seed(self, seed: int) -> None:
        self._order.seed = seed

    @property
    def first_batch(self) -> int:
        """Batches that an earlier part of the training has had."""
        return self._order.first_batch

    @first_batch.setter
    def first_batch(self, count: int) -> None:
        self._order.first_batch = count

    def __iter__(self) -> Iterator[list[dict]]:
        """
        Raises:
            DatasetError: see :class:`TrainSamples`, and where too many samples fail.
        """
        batch, read, failed = [], 0, 0
        for sample, failures in self._loader:
            read += 1 + len(failures)
            for failure in failures:
                failed += 1
                logger.warning(f"Left out bad sample {failed} of {read} read: {failure}")
            if failures and failed > max(_FREE_FAILURES, self._max_bad_share * read):
                raise DatasetError(
                    f"{failed} of {read} samples read cannot be used, more than "
                    f"DATALOADER.MAX_BAD_SHARE {self._max_bad_share:g}; the last: {failures[-1]}"
                )
            batch.append(sample)
            if len(batch) == self._batch_size:
                yield batch
                batch = []


def _unchanged(sample: Any) -> Any:
    return sample
