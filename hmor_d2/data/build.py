"""The training loader: Detectron2's, with a share of the samples for each dataset."""

import contextlib
import logging
import pickle
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from detectron2.data import build_detection_train_loader, get_detection_dataset_dicts
from detectron2.data.samplers import RepeatFactorTrainingSampler

try:
    from detectron2.data.common import set_default_dataset_from_list_serialize_method
except ImportError:  # Detectron2 0.6 always serialises with its own

    def set_default_dataset_from_list_serialize_method(method):
        return contextlib.nullcontext()


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


def build_hmor_train_loader(cfg, mapper: Callable[[dict], dict]) -> Iterable[list[dict]]:
    """Build the loader of ``cfg.DATASETS.TRAIN`` in the shares of ``cfg.DATASETS.TRAIN_RATIO``.

    Without a ratio this is ``build_detection_train_loader``, with less memory at the start
    (:class:`SerializedRecords`).  With one, each image is repeated
    or left out at random so that dataset d makes up its share of the samples; an image of the
    dataset that is repeated least is seen once an epoch.

    Raises:
        ValueError: if the ratio does not have one positive number a dataset.
    """
    names, ratio = list(cfg.DATASETS.TRAIN), list(cfg.DATASETS.TRAIN_RATIO)
    if not ratio:
        with set_default_dataset_from_list_serialize_method(SerializedRecords):
            return build_detection_train_loader(cfg, mapper=mapper)
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
    with set_default_dataset_from_list_serialize_method(SerializedRecords):
        return build_detection_train_loader(
            cfg,
            mapper=mapper,
            dataset=[record for dicts in datasets for record in dicts],
            sampler=RepeatFactorTrainingSampler(repeats),
        )
