"""The generators of random numbers that a training draws from: Python's, numpy's and PyTorch's."""

import contextlib
import random
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch

__all__ = ["preserved_random_state", "random_state", "seeded", "set_random_state"]


def random_state() -> dict[str, Any]:
    """State of this process's generators, as tensors and numbers: a checkpoint can hold it.

    The generators are those of ``random``, ``np.random``, ``torch`` and, where CUDA is in use,
    of the current GPU.
    """
    version, words, gauss = random.getstate()
    numpy_state = np.random.get_state(legacy=False)
    state = {
        "python": {"version": version, "words": torch.tensor(words), "gauss": gauss},
        "numpy": {
            "key": torch.from_numpy(numpy_state["state"]["key"].astype(np.int64)),
            "pos": int(numpy_state["state"]["pos"]),
            "has_gauss": int(numpy_state["has_gauss"]),
            "gauss": float(numpy_state["gauss"]),
        },
        "torch": torch.get_rng_state(),
    }
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        state["cuda"] = torch.cuda.get_rng_state()
    return state


def set_random_state(state: Mapping[str, Any]) -> None:
    """Put the generators into a state of :func:`random_state`."""
    python, numpy_state = state["python"], state["numpy"]
    random.setstate((python["version"], tuple(python["words"].tolist()), python["gauss"]))
    key = numpy_state["key"].numpy().astype(np.uint32)
    np.random.set_state(
        ("MT19937", key, numpy_state["pos"], numpy_state["has_gauss"], numpy_state["gauss"])
    )
    torch.set_rng_state(state["torch"])
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"])


@contextlib.contextmanager
def preserved_random_state() -> Iterator[None]:
    """What is drawn inside is as if it had not been: for an evaluation amid a training."""
    state = random_state()
    try:
        yield
    finally:
        set_random_state(state)


@contextlib.contextmanager
def seeded(*numbers: int) -> Iterator[None]:
    """Inside, the CPU's generators start from ``numbers`` alone; afterwards they go on as before.

    Args:
        numbers: not negative; others, or in another order, give independent streams.
    """
    python_state, numpy_state = random.getstate(), np.random.get_state()
    torch_state = torch.get_rng_state()
    words = np.random.SeedSequence(numbers).generate_state(8)
    try:
        np.random.seed(words[:4])
        random.seed(int.from_bytes(words[4:6].tobytes(), "little"))
        # Not torch.manual_seed, which would seed GPUs too.
        torch.default_generator.manual_seed(int.from_bytes(words[6:].tobytes(), "little") >> 1)
        yield
    finally:
        random.setstate(python_state)
        np.random.set_state(numpy_state)
        torch.set_rng_state(torch_state)
