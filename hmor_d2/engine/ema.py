"""An exponential moving average of the weights, kept beside a training."""

import logging
from typing import Any

import torch
from detectron2.engine import HookBase
from torch import nn
from torch.nn.parallel import DataParallel, DistributedDataParallel
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

__all__ = ["EMAHook"]

logger = logging.getLogger(__name__)


class EMAHook(HookBase):
    """Averages the weights after every step done; the training itself is not changed.

    E_0 = W_0 and E_t = d E_(t-1) + (1 - d) W_t with d = min(decay, (1 + t) / (10 + t)), so that
    the weights of the start are soon forgotten.  Buffers of floating-point numbers, the running
    statistics of batch norm, are averaged in the same way: those of the last batches would not
    belong to averaged weights.  Other buffers are copied.

    Register it before PeriodicCheckpointer and EvalHook, for these to see the step's average.
    Trainers save it as the hook's state; HMORCheckpointer finds it there.  A training resumed from
    a checkpoint without it begins to average at the loaded weights.  In distributed training every
    process averages what it trains, so what is equal there stays equal here.
    """

    def __init__(self, model: nn.Module, decay: float):
        """
        Args:
            model: the trained model, in DistributedDataParallel or not.
            decay: share of the average that is kept in a step, in (0, 1): MODEL.EMA_DECAY.
        Raises:
            ValueError: for another decay.
        """
        if not 0 < decay < 1:
            raise ValueError(f"MODEL.EMA_DECAY is {decay}, expected 0 (off) or a number in (0, 1)")
        if isinstance(model, DistributedDataParallel | DataParallel):
            model = model.module
        self._decay = decay
        self._trained = model
        self._average = AveragedModel(model, multi_avg_fn=self._update, use_buffers=True)
        self._average.eval().requires_grad_(False)

    @property
    def model(self) -> nn.Module:
        """The model with averaged weights, on the device of the trained one."""
        return self._average.module

    @property
    def num_steps(self) -> int:
        """Steps averaged so far, t above; -1 before the training."""
        return int(self._average.n_averaged) - 1

    def before_train(self) -> None:
        """Begin with the weights that the training begins with, unless an average was loaded."""
        if self.num_steps >= 0:
            return
        if self.trainer.start_iter > 0:
            logger.warning(
                "The checkpoint has no averaged weights (MODEL.EMA_DECAY was 0 when it was "
                f"written): averaging begins at its weights, at iteration {self.trainer.start_iter}"
            )
        self._average.update_parameters(self._trained)  # the first time this copies

    def after_step(self) -> None:
        if getattr(self.trainer, "step_was_skipped", False):  # see NonFiniteGuard
            return
        self._average.update_parameters(self._trained)

    def _update(self, averaged: list[torch.Tensor], current: list[torch.Tensor], _: Any) -> None:
        """E_t from E_(t-1) and W_t, lists of tensors of one type and device."""
        if not averaged[0].is_floating_point():
            for old, new in zip(averaged, current, strict=True):
                old.copy_(new)
            return
        t = self.num_steps + 1
        get_ema_multi_avg_fn(min(self._decay, (1 + t) / (10 + t)))(averaged, current, t)

    def state_dict(self) -> dict[str, Any]:
        """``model``: the averaged model's state dict; ``num_steps``: see the property."""
        return {"model": self.model.state_dict(), "num_steps": self.num_steps}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take a saved average; the trained model must have been loaded before.

        What the saved average lacks, or has in another shape, is taken from the trained model.
        """
        trained = self._trained.state_dict()
        saved = state.get("model", {})
        found = {
            name: saved[name]
            for name, value in trained.items()
            if name in saved and saved[name].shape == value.shape
        }
        if len(found) < len(trained):
            names = sorted(trained.keys() - found.keys())
            shown = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
            logger.warning(
                f"The checkpoint has no averaged weights for {len(names)} of {len(trained)} "
                f"tensors ({shown}): the trained ones are taken"
            )
        self.model.load_state_dict({**trained, **found})
        self._average.n_averaged.fill_(state.get("num_steps", 0) + 1)
