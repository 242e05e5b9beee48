"""Parts of the training loop: hooks of Detectron2's trainers, and the launch of its processes."""

from .ema import EMAHook
from .launch import launch
from .nonfinite import NonFiniteError, NonFiniteGuard
from .resume import ExactResumeHook

__all__ = ["EMAHook", "ExactResumeHook", "NonFiniteError", "NonFiniteGuard", "launch"]
