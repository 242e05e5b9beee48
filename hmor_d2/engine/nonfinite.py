"""Leaves out training steps whose loss or gradients are not finite."""

import logging
from collections.abc import Callable
from typing import Any

import torch
from detectron2.engine import HookBase, SimpleTrainer
from detectron2.utils import comm
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

__all__ = ["NonFiniteError", "NonFiniteGuard"]

logger = logging.getLogger(__name__)


class NonFiniteError(FloatingPointError):
    """The loss or the gradients were not finite in too many steps one after another."""


class _StepSkipped(Exception):
    """Leaves a step between its backward pass and the optimiser."""


class NonFiniteGuard(HookBase):
    """Runs the steps of a SimpleTrainer or AMPTrainer, and skips those that would do harm.

    A step is skipped where the loss, or the norm of the gradients (not under AMP, whose scaler
    looks after them), is not finite, or where Detectron2 finds that predictions are not: the
    optimiser does nothing, and the running statistics of batch norm are put back.  The iteration
    counts, for the schedule and the loader.  The images and loss terms are logged.

    All processes decide alike, on what any of them found.  One exception: where predictions are
    not finite already in the forward pass, Detectron2 raises an error there, before the others
    can know; with several processes that error stops the training.

    It costs a copy of the statistics and one pass over the gradients a step.
    """

    def __init__(self, trainer: SimpleTrainer, max_steps: int):
        """
        Args:
            trainer: that does the steps; ``DefaultTrainer._trainer``.
            max_steps: skipped one after another, at most: SOLVER.MAX_NONFINITE_STEPS.
        Raises:
            ValueError: for a negative number.
        """
        if max_steps < 0:
            raise ValueError(f"SOLVER.MAX_NONFINITE_STEPS is {max_steps}, expected 0 or more")
        self._max_steps = max_steps
        self._model = trainer.model
        self._check_gradients = not hasattr(trainer, "grad_scaler")
        self._statistics = [
            buffer
            for module in trainer.model.modules()
            if isinstance(module, _BatchNorm)
            for buffer in module.buffers(recurse=False)
        ]
        self._saved = [buffer.clone() for buffer in self._statistics]
        self._batch: list[dict] = []
        self._losses: dict[str, torch.Tensor] = {}
        self._in_a_row = 0
        self.num_skipped = 0
        trainer.register_hooks([self])
        if not hasattr(trainer, "after_backward"):
            trainer._write_metrics = self._checked(trainer._write_metrics)

    def run(self, step: Callable[[], None]) -> bool:
        """Run one step of the trainer.

        Returns:
            whether it was done; else it was skipped.
        Raises:
            NonFiniteError: after more than ``max_steps`` skipped steps.
        """
        with torch.no_grad():
            for saved, buffer in zip(self._saved, self._statistics, strict=True):
                saved.copy_(buffer)
        # Not for longer than a step: copies of the model would take the hook, and this, along.
        hook = self._model.register_forward_hook(self._keep)
        try:
            step()
        except _StepSkipped:
            self._skip("the loss or the gradients are not finite")
            return False
        except FloatingPointError as error:
            if comm.get_world_size() > 1:
                raise
            self._skip(str(error))
            return False
        finally:
            hook.remove()
            self._batch, self._losses = [], {}
        self._in_a_row = 0
        return True

    def after_backward(self) -> None:
        """Leave the step, in all processes, where one of them has a number that is not finite."""
        with torch.no_grad():
            suspect = sum(loss.detach().float().sum() for loss in self._losses.values())
            gradients = [p.grad for p in self._model.parameters() if p.grad is not None]
            if self._check_gradients and gradients:
                norms = torch.stack([n.to(suspect) for n in torch._foreach_norm(gradients)])
                suspect = suspect + torch.linalg.vector_norm(norms)
            bad = (~suspect.isfinite()).float()
        if comm.get_world_size() > 1:
            torch.distributed.all_reduce(bad, torch.distributed.ReduceOp.MAX)
        if bad.item():
            raise _StepSkipped

    def _checked(self, write_metrics: Callable[..., None]) -> Callable[..., None]:
        """For Detectron2 v0.6, which has no ``after_backward``, but does this next."""

        def check_and_write(*args: Any, **kwargs: Any) -> None:
            self.after_backward()
            write_metrics(*args, **kwargs)

        return check_and_write

    def _keep(self, model: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        self._batch = inputs[0]
        self._losses = output if isinstance(output, dict) else {"total_loss": output}

    def _skip(self, reason: str) -> None:
        with torch.no_grad():
            for saved, buffer in zip(self._saved, self._statistics, strict=True):
                buffer.copy_(saved)
            for parameter in self._model.parameters():
                parameter.grad = None
        self._in_a_row += 1
        self.num_skipped += 1
        losses = {name: f"{value.item():.6g}" for name, value in self._losses.items()}
        images = [_name(sample) for sample in self._batch]
        found = comm.gather((losses, images))
        described = "; ".join(
            f"process {rank}: losses {losses}, images {images}"
            for rank, (losses, images) in enumerate(found)
        )
        iteration = self.trainer.iter
        if comm.is_main_process():
            logger.warning(
                f"Iteration {iteration}: step skipped, {self._in_a_row} in a row: {reason}; "
                f"{described}"
            )
        if self._in_a_row > self._max_steps:
            raise NonFiniteError(
                f"iteration {iteration}: {self._in_a_row} steps in a row had a loss or gradients "
                f"that were not finite, more than SOLVER.MAX_NONFINITE_STEPS {self._max_steps}; "
                "the training stops, and writes no checkpoint"
            )


def _name(sample: Any) -> str:
    if not isinstance(sample, dict):
        return "?"
    return f"{sample.get('file_name', '?')} (image {sample.get('image_id', '?')})"
