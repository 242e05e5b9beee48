"""Checkpoints that are read as data: a file that would run code is refused.

Detectron2 gives ``.pkl`` files of its model zoo to pickle, which runs what they name, and leaves
it to the version of PyTorch whether ``.pth`` files may do so, too.

They are written so that a process killed at any moment leaves the last one whole, and where a
file is broken nevertheless, a training goes on from the one before.
"""

import glob
import os
from collections.abc import Mapping
from typing import Any

from detectron2.checkpoint import DetectionCheckpointer
from detectron2.utils import comm
from fvcore.common.checkpoint import Checkpointer

from .atomic_file import write_atomically
from .checkpoint_files import CheckpointError, find_problem, read_checkpoint, write_checkpoint
from .data.dataset_error import DatasetError
from .data.safe_pickle import load_pickle

__all__ = ["CheckpointError", "HMORCheckpointer", "averaged_weights"]


class _WeightsOnlyCheckpointer(Checkpointer):
    """Reads tensors, numbers, text and plain containers alone."""

    def _load_file(self, f: str) -> dict[str, Any]:
        return _mapping(read_checkpoint(f), f)


# Detectron2's class asks the next one in the order of inheritance to read PyTorch's files.
class HMORCheckpointer(DetectionCheckpointer, _WeightsOnlyCheckpointer):
    """Detectron2's DetectionCheckpointer, for files that are not trusted.

    It reads and writes what DetectionCheckpointer does: PyTorch's files, Detectron2's model zoo,
    Caffe2's and MSRA's ``.pkl``, pycls' ``.pyth``.  Tensors, numpy arrays, numbers, text and plain
    containers are all that it takes from any of them.  ``load`` raises CheckpointError, with the
    file's name, for anything else and for broken files.

    Where a training checkpoint has averaged weights (MODEL.EMA_DECAY), the model gets these,
    except when the training's state is loaded with it, to go on.
    """

    _goes_on = False
    _needs_state = False
    _loading = ""

    def save(self, name: str, **kwargs: Any) -> None:
        """As DetectionCheckpointer's; the file is there when it is complete, or not at all.

        ``last_checkpoint`` names it only then.

        Raises:
            CheckpointError: where it cannot be written, for a full disk e.g.; the folder is then
                as it was before.
        """
        if not self.save_dir or not self.save_to_disk:
            return
        if "://" in self.save_dir:  # no local folder: its file system decides
            super().save(name, **kwargs)
            return
        data = {"model": self.model.state_dict()}
        data.update({key: value.state_dict() for key, value in self.checkpointables.items()})
        data.update(kwargs)
        path = os.path.join(self.save_dir, f"{name}.pth")
        if os.path.basename(path) != f"{name}.pth":
            raise ValueError(f"a checkpoint's name is '{name}', expected one without folders")
        self.logger.info(f"Saving checkpoint to {path}")
        write_checkpoint(path, data)
        self.tag_last_checkpoint(f"{name}.pth")

    def tag_last_checkpoint(self, last_filename_basename: str) -> None:
        """Name the newest checkpoint in ``last_checkpoint``, in place of the one before."""
        if "://" in self.save_dir:
            super().tag_last_checkpoint(last_filename_basename)
            return
        path = os.path.join(self.save_dir, "last_checkpoint")
        write_atomically(path, lambda file: file.write(last_filename_basename.encode()))

    def has_checkpoint(self) -> bool:
        """Whether there is a training to go on with, be it broken."""
        return super().has_checkpoint() or len(self._newest_first()) > 0

    def resume_or_load(self, path: str, *, resume: bool = True) -> dict[str, Any]:
        """As DetectionCheckpointer's, but past broken checkpoints to the newest one before them.

        The newest is what ``last_checkpoint`` names, before the others by their time.  It is
        logged which file is broken, how, and which one is taken.

        Raises:
            CheckpointError: where there are checkpoints, and all of them are broken.
        """
        if not resume or not self.has_checkpoint():
            if resume:
                self.logger.warning(f"'{self.save_dir}' has no checkpoint to resume from: starting")
            return self.load(path, checkpointables=[])
        problems: list[str] = []
        self._needs_state = True
        try:
            for file in self._newest_first():
                problem = find_problem(file)
                # All processes take the same file.
                problem = next(filter(None, comm.all_gather(problem)), None)
                if problem is None:
                    try:
                        rest = self.load(file)
                    except CheckpointError as error:
                        problem = str(error)
                    else:
                        if problems:
                            text = "; ".join(problems)
                            self.logger.warning(f"{text}: resumed from {file} instead")
                        return rest
                problems.append(problem)
        finally:
            self._needs_state = False
        raise CheckpointError(
            f"cannot resume: '{self.save_dir}' has no checkpoint that can be read: "
            f"{'; '.join(problems)}.  Without --resume the training begins anew."
        )

    def get_checkpoint_file(self) -> str:
        """As DetectionCheckpointer's; "" where ``last_checkpoint`` is missing or no text."""
        try:
            name = super().get_checkpoint_file()
        except UnicodeDecodeError:
            return ""
        return "" if "\0" in name else name

    def _newest_first(self) -> list[str]:
        """The last checkpoint, and then the others of the folder by their time."""
        last = self.get_checkpoint_file()  # "" without the file, the folder where that is empty
        found = glob.glob(os.path.join(glob.escape(self.save_dir), "model_*.pth"))
        others = [file for file in found if file != last]
        others.sort(key=lambda file: (os.stat(file).st_mtime_ns, file), reverse=True)
        return ([last] if last else []) + others

    def load(self, path: str, checkpointables: list[str] | None = None) -> dict[str, Any]:
        """As DetectionCheckpointer's; after an error, the next file can be loaded as well."""
        loaded = self.checkpointables if checkpointables is None else checkpointables
        self._goes_on = len(loaded) > 0
        self._loading = path
        try:
            return super().load(path, checkpointables)
        except (OSError, CheckpointError):
            raise
        except Exception as error:  # what is in the file is of other types than it should be
            if isinstance(error, AssertionError) and "not found" in str(error):
                raise  # Detectron2's, where there is no such file
            reason = f"{type(error).__name__}: {error}"
            raise CheckpointError(f"{path}: cannot be loaded: {reason:.1000}") from error
        finally:
            self._parsed_url_during_load = None  # Detectron2 leaves it behind where it fails

    def _load_model(self, checkpoint: dict[str, Any]) -> Any:
        missing = self.checkpointables.keys() - checkpoint.keys()
        if self._needs_state and missing:
            raise CheckpointError(
                f"{self._loading}: found weights, but not the state of {sorted(missing)}"
            )
        averaged = None if self._goes_on else averaged_weights(checkpoint)
        if averaged is not None:
            self.logger.info("Taking the checkpoint's averaged weights (MODEL.EMA_DECAY)")
            checkpoint["model"] = averaged
        return super()._load_model(checkpoint)

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


def averaged_weights(checkpoint: Mapping[str, Any]) -> dict[str, Any] | None:
    """Names and tensors of the weights that EMAHook averaged; None where there are none."""
    found: Any = checkpoint
    for key in ("trainer", "hooks", "EMAHook", "model"):
        found = found.get(key) if isinstance(found, Mapping) else None
    return dict(found) if isinstance(found, Mapping) else None


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
