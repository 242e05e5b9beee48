"""Several processes in a test."""

from collections.abc import Callable

import pytest
import torch
import torch.multiprocessing as mp
from detectron2.utils import comm
from torch import distributed

from hmor_d2.engine.launch import run_and_leave

# Detectron2's launch learned to start processes without GPUs together with this function.
needs_launch_on_cpu = pytest.mark.skipif(
    not hasattr(comm, "create_local_process_group"),
    reason="Detectron2 v0.6 launches processes on GPUs alone",
)


def run_in_group(worker: Callable, num_processes: int, folder) -> None:
    """Run ``worker(rank, folder)`` in processes of one group; for every version of Detectron2."""
    mp.spawn(_join, args=(worker, num_processes, str(folder)), nprocs=num_processes)


def _join(rank: int, worker: Callable, num_processes: int, folder: str) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=num_processes
    )
    if hasattr(comm, "create_local_process_group"):  # Detectron2 v0.6 needs none
        comm.create_local_process_group(num_processes)
    run_and_leave(worker, (rank, folder))
