"""Parts of the training loop, as hooks of Detectron2's trainers."""

from .ema import EMAHook
from .nonfinite import NonFiniteError, NonFiniteGuard
from .resume import ExactResumeHook

__all__ = ["EMAHook", "ExactResumeHook", "NonFiniteError", "NonFiniteGuard"]
