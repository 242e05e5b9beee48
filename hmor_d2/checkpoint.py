"""Checkpoints that are read as data: a file that would run code is refused.

Detectron2 gives ``.pkl`` files of its model zoo to pickle, which runs what they name, and leaves
it to the version of PyTorch whether ``.pth`` files may do so, too.
"""

from collections.abc import Mapping
from typing import Any

import torch
from detectron2.checkpoint import DetectionCheckpointer
from fvcore.common.checkpoint import Checkpointer

from .data.annotations import DatasetError
from .data.safe_pickle import load_pickle

__all__ = ["CheckpointError", "HMORCheckpointer"]


class CheckpointError(ValueError):
    """A checkpoint is broken, or is more than data."""


class _WeightsOnlyCheckpointer(Checkpointer):
    """Reads tensors, numbers, text and plain containers alone."""

    def _load_file(self, f: str) -> dict[str, Any]:
        try:
            checkpoint = torch.load(f, map_location="cpu", weights_only=True)
        except OSError:
            raise
        except Exception as error:  # a broken file may raise anything
            raise CheckpointError(f"{f}: cannot be read as weights alone: {error}") from error
        return _mapping(checkpoint, f)


# Detectron2's class asks the next one in the order of inheritance to read PyTorch's files.
class HMORCheckpointer(DetectionCheckpointer, _WeightsOnlyCheckpointer):
    """Detectron2's DetectionCheckpointer, for files that are not trusted.

    It reads and writes what DetectionCheckpointer does: PyTorch's files, Detectron2's model zoo,
    Caffe2's and MSRA's ``.pkl``, pycls' ``.pyth``.  Tensors, numpy arrays, numbers, text and plain
    containers are all that it takes from any of them.  ``load`` raises CheckpointError, with the
    file's name, for anything else and for broken files.
    """

    def load(self, path: str, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """As DetectionCheckpointer's; after an error, the next file can be loaded as well."""
        try:
            return super().load(path, *args, **kwargs)
        finally:
            self._parsed_url_during_load = None  # Detectron2 leaves it behind where it fails

    def _load_file(self, filename: str) -> dict[str, Any]:
        if filename.endswith(".pkl"):
            return self._load_pkl(filename)
        if filename.endswith(".pyth"):
            return _load_pycls(filename, _WeightsOnlyCheckpointer._load_file(self, filename))
        return super()._load_file(filename)

    def _load_pkl(self, filename: str) -> dict[str, Any]:
        """Detectron2's model zoo, or Caffe2's, as DetectionCheckpointer tells them apart."""
        try:
            data = _mapping(load_pickle(filename), filename)
        except DatasetError as error:
            raise CheckpointError(str(error)) from error
        if "model" in data and "__author__" in data:
            self.logger.info("Reading a file from '%s'", data["__author__"])
            return data
        data = _mapping(data.get("blobs", data), filename)  # ImageNet models have no "blobs"
        weights = {name: value for name, value in data.items() if not name.endswith("_momentum")}
        return {"model": weights, "__author__": "Caffe2", "matching_heuristics": True}


def _load_pycls(filename: str, data: Mapping[str, Any]) -> dict[str, Any]:
    if "model_state" not in data:
        raise CheckpointError(f"{filename}: found {sorted(data)}, expected pycls' 'model_state'")
    weights = {
        name: value
        for name, value in _mapping(data["model_state"], filename).items()
        if not name.endswith("num_batches_tracked")
    }
    return {"model": weights, "__author__": "pycls", "matching_heuristics": True}


def _mapping(data: Any, filename: str) -> dict[str, Any]:
    if not isinstance(data, dict) or not all(isinstance(name, str) for name in data):
        found = type(data).__name__
        raise CheckpointError(f"{filename}: found {found}, expected a dict by names")
    return data
