"""Lets a resumed training go on as if it had not been interrupted."""

import logging
from collections.abc import Mapping
from typing import Any

import numpy as np
from detectron2.engine import HookBase
from detectron2.utils import comm
from detectron2.utils.env import seed_all_rng

from ..data.train_loader import TrainLoader
from ..random_state import random_state, set_random_state

__all__ = ["ExactResumeHook"]

logger = logging.getLogger(__name__)


class ExactResumeHook(HookBase):
    """Keeps the random state in checkpoints, and the loader's place, which the iteration tells.

    Model, optimiser, schedule and averaged weights are in a checkpoint anyway.  With this hook, a
    training on one process that is killed and resumed has, bit for bit, the weights of one that
    was not: where the operations are deterministic, as they are on a CPU with a fixed number of
    threads, and SOLVER.IMS_PER_BATCH and the datasets stay as they were.  DATALOADER.NUM_WORKERS
    may change.  Not so with TEST.PRECISE_BN, whose loader starts anew.

    On several processes the samples go on in the same way.  Only one process writes checkpoints,
    so the other random numbers begin anew in every step, from the seed, the iteration and the rank.
    The sums of gradients over more than two processes may differ in the last bit.
    """

    def __init__(self, loader: TrainLoader):
        self._loader = loader
        self._saved: Mapping[str, Any] | None = None
        self._restore = False

    def before_train(self) -> None:
        start = self.trainer.start_iter
        self._loader.first_batch = start
        if start == 0:
            return
        if self._saved is None:
            logger.warning(
                "The checkpoint has no random state (it was written by an older version): the "
                f"samples go on at iteration {start} of SEED {self._loader.seed}, with other "
                "random numbers"
            )
        elif comm.get_world_size() == 1 and self._saved["processes"] == 1:
            self._restore = True
        else:
            self._seed_step(start)

    def before_step(self) -> None:
        if comm.get_world_size() > 1:
            self._seed_step(self.trainer.iter)
        if self._restore:  # not before: other hooks may draw when the training begins
            set_random_state(self._saved["random_state"])
            self._restore = False

    def _seed_step(self, iteration: int) -> None:
        numbers = (self._loader.seed, iteration, comm.get_rank())
        seed_all_rng(int(np.random.SeedSequence(numbers).generate_state(1)[0]))

    def state_dict(self) -> dict[str, Any]:
        """The loader's seed, the number of processes, and this one's random state."""
        return {
            "loader_seed": self._loader.seed,
            "processes": comm.get_world_size(),
            "random_state": random_state(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._saved = state
        self._loader.seed = state["loader_seed"]
