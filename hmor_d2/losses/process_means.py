"""Means over what is valid, in one process or in all that share a batch.  Torch alone.

Distributed training averages the gradients of its processes.  A mean over the people of one
process would then weigh a person by how few others happen to be there; divided by the people of
all, the averaged gradient is that of one process with the whole batch.
"""

import torch
from torch import Tensor, distributed

__all__ = ["masked_mean", "total_over_processes"]


def total_over_processes(count: Tensor) -> tuple[Tensor, int]:
    """Sum of ``count`` over the processes of torch.distributed, and their number.

    Without several processes: ``count`` and 1.  All processes must call it alike, or wait forever.
    """
    processes = 1
    if distributed.is_available() and distributed.is_initialized():
        processes = distributed.get_world_size()
    if processes > 1:
        count = count.clone()
        distributed.all_reduce(count)
    return count, processes


def masked_mean(values: Tensor, mask: Tensor, across_processes: bool = False) -> Tensor:
    """Mean of ``values`` where ``mask`` is; 0 with a graph where it is nowhere.

    Args:
        values, mask: of one shape; values may be anything, NaN too, where the mask is False.
        across_processes: divide by the valid elements of an average process, so that the mean
            of all processes' results is the mean of all values.  See
            :func:`total_over_processes`.
    """
    count, processes = mask.sum(), 1
    if across_processes:
        count, processes = total_over_processes(count)
    return torch.where(mask, values, 0).sum() * processes / count.clamp(min=1)
