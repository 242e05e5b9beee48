"""Detectron2's ``launch``, whose processes end without an accident."""

import atexit
import os
import sys
from collections.abc import Callable

from detectron2.engine import launch as detectron2_launch
from detectron2.utils import comm

__all__ = ["launch"]


def launch(main_func: Callable, num_processes: int, **kwargs) -> None:
    """Run ``main_func(*args)`` in processes of one group, or in this process where it is alone.

    num_processes: on this machine; the number of GPUs where there are some.
    kwargs: of ``detectron2.engine.launch``: num_machines, machine_rank, dist_url, args, timeout.

    Python gives up a thread that asks for its lock while it shuts down.  Gloo's threads do, to drop
    the tensor of a last exchange, and being given up inside C++ aborts a process that had done all
    its work.  Processes therefore end without that shutdown, once what was registered to run at
    exit has run.
    """
    args = kwargs.pop("args", ())
    detectron2_launch(run_and_leave, num_processes, args=(main_func, args), **kwargs)


def run_and_leave(main_func: Callable, args: tuple) -> None:
    """Run ``main_func(*args)``, and end the process after it if it is one of a group."""
    main_func(*args)
    if comm.get_world_size() > 1:
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)
