"""Builds the training loader of a config, with a share of the samples for each dataset."""

import logging
import pickle
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from detectron2.data import build_detection_train_loader, get_detection_dataset_dicts
from detectron2.utils import comm

from .train_loader import RepeatSampler, SampleOrder, TrainLoader, TrainSamples

__all__ = ["SerializedRecords", "build_hmor_train_loader"]

logger = logging.getLogger(__name__)


class SerializedRecords:
    """A list of dataset dicts, pickled one behind another into one tensor that workers share.

    As Detectron2 does by default, which holds two copies for a moment: this never does.
    """

    def __init__(self, records: Sequence[dict[str, Any]]):
        buffer, ends = bytearray(), [0]
        for record in records:
            buffer += pickle.dumps(record, protocol=pickle.HIGHEST_PROTOCOL)
            ends.append(len(buffer))
        self._bytes = torch.frombuffer(buffer, dtype=torch.uint8)
        self._ends = torch.tensor(ends)
        logger.info(f"{len(self)} images take {self.nbytes / 2**20:.1f} MiB, shared by the workers")

    @property
    def nbytes(self) -> int:
        """Memory of the pickled records."""
        return len(self._bytes)

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __getitem__(self, index: int) -> dict[str, Any]:
        if not 0 <= index < len(self):
            raise IndexError(f"image {index} of {len(self)}")
        start, end = self._ends[index : index + 2].tolist()
        return pickle.loads(memoryview(self._bytes[start:end].numpy()))


def build_hmor_train_loader(cfg, mapper: Callable[[dict], dict]) -> TrainLoader:
    """Build the loader of ``cfg.DATASETS.TRAIN`` in the shares of ``cfg.DATASETS.TRAIN_RATIO``.

    Datasets, sampler and batches are those of ``build_detection_train_loader``, but a training
    can go on in the middle (:class:`TrainLoader`), bad samples can be replaced, and less memory is
    taken at the start (:class:`SerializedRecords`).  With a ratio, each image is repeated
    or left out at random so that dataset d makes up its share of the samples; an image of the
    dataset that is repeated least is seen once an epoch.

    Raises:
        ValueError: if the ratio does not have one positive number a dataset, for batches that
            cannot be shared by the processes, and for an unknown DATALOADER.ON_BAD_SAMPLE.
    """
    weights = dataset = sampler = None
    if len(cfg.DATASETS.TRAIN_RATIO) > 0:
        dataset, repeats = _repeated_datasets(cfg)
        sampler, weights = RepeatSampler(repeats, seed=0), repeats.numpy().astype(np.float64)
    parts = build_detection_train_loader.from_config(
        cfg, mapper=mapper, dataset=dataset, sampler=sampler
    )
    total, processes = parts["total_batch_size"], comm.get_world_size()
    if total <= 0 or total % processes:
        raise ValueError(
            f"SOLVER.IMS_PER_BATCH is {total}, expected a positive multiple of {processes}, the "
            "number of processes"
        )
    groups = None
    if parts["aspect_ratio_grouping"]:
        groups = np.array([r["width"] > r["height"] for r in parts["dataset"]])
    seed = cfg.SEED if cfg.SEED >= 0 else comm.shared_random_seed()
    records = SerializedRecords(parts["dataset"])
    samples = TrainSamples(records, mapper, cfg.DATALOADER.ON_BAD_SAMPLE, groups, weights)
    size = total // processes
    order = SampleOrder(parts["sampler"], size, seed, groups)
    share = cfg.DATALOADER.MAX_BAD_SHARE
    return TrainLoader(samples, order, size, parts["num_workers"], share)


def _repeated_datasets(cfg) -> tuple[list[dict], torch.Tensor]:
    """All datasets' dicts, and (N,) how often each is seen an epoch."""
    names, ratio = list(cfg.DATASETS.TRAIN), list(cfg.DATASETS.TRAIN_RATIO)
    if len(ratio) != len(names) or min(ratio) <= 0:
        raise ValueError(
            f"DATASETS.TRAIN_RATIO needs one positive number for each of {names}, found {ratio}"
        )
    filter_empty = cfg.DATALOADER.FILTER_EMPTY_ANNOTATIONS
    datasets = [get_detection_dataset_dicts(name, filter_empty=filter_empty) for name in names]
    factors = torch.tensor([share / len(d) for share, d in zip(ratio, datasets, strict=True)])
    factors /= factors.min()
    for name, dicts, factor in zip(names, datasets, factors.tolist(), strict=True):
        logger.info(f"{name}: {len(dicts)} images, each {factor:.3g} times an epoch")
    repeats = torch.cat([f.expand(len(d)) for f, d in zip(factors, datasets, strict=True)])
    return [record for dicts in datasets for record in dicts], repeats
