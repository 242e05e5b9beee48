"""The training loader: Detectron2's, with a share of the samples for each dataset."""

import logging
from collections.abc import Callable, Iterable

import torch
from detectron2.data import build_detection_train_loader, get_detection_dataset_dicts
from detectron2.data.samplers import RepeatFactorTrainingSampler

__all__ = ["build_hmor_train_loader"]

logger = logging.getLogger(__name__)


def build_hmor_train_loader(cfg, mapper: Callable[[dict], dict]) -> Iterable[list[dict]]:
    """Build the loader of ``cfg.DATASETS.TRAIN`` in the shares of ``cfg.DATASETS.TRAIN_RATIO``.

    Without a ratio this is ``build_detection_train_loader``.  With one, each image is repeated
    or left out at random so that dataset d makes up its share of the samples; an image of the
    dataset that is repeated least is seen once an epoch.

    Raises:
        ValueError: if the ratio does not have one positive number a dataset.
    """
    names, ratio = list(cfg.DATASETS.TRAIN), list(cfg.DATASETS.TRAIN_RATIO)
    if not ratio:
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
    return build_detection_train_loader(
        cfg,
        mapper=mapper,
        dataset=[record for dicts in datasets for record in dicts],
        sampler=RepeatFactorTrainingSampler(repeats),
    )
