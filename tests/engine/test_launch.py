"""Processes that have done their work end well."""

import atexit
import builtins
import sys
import time

import torch
from detectron2.utils import comm
from torch import distributed

from hmor_d2.engine import launch
from tests.launching import needs_launch_on_cpu


class SlowToDelete:
    """Lets other threads have Python's lock while it is deleted."""

    def __del__(self, sleep=time.sleep):
        sleep(0.5)


def end_amid_an_exchange(folder):
    """Gloo's thread waits for Python's lock, to drop a tensor, when Python shuts down."""
    comm.synchronize()
    path = folder / str(comm.get_rank())
    atexit.register(path.touch)
    builtins.deleted_last = SlowToDelete()
    tensor = torch.zeros(1)
    tensor.known_to_python = True
    if comm.is_main_process():
        time.sleep(0.5)
    work = distributed.all_reduce(tensor, async_op=True)
    del tensor
    if comm.is_main_process():
        work.wait()
    del work
    sys.setswitchinterval(1000)
    end = time.perf_counter() + 1
    while time.perf_counter() < end:
        pass


@needs_launch_on_cpu
def test_no_process_aborts_after_its_work(tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    launch(end_amid_an_exchange, 2, dist_url="auto", args=(tmp_path,))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0", "1"]


def test_one_process_needs_no_group(tmp_path):
    done = []
    launch(done.append, 1, args=("done",))
    assert done == ["done"]
