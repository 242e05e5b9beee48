"""Runs work in a fork of this process, which has imported everything already."""

import os
import sys
import traceback
from collections.abc import Callable

__all__ = ["exit_code_of_fork"]


def exit_code_of_fork(work: Callable[[], None], log: str) -> int:
    """The exit code of work in a fork: 1 after an error.  ``log`` gets all of its output."""
    child = os.fork()
    if child == 0:
        opened = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(opened, 1)
        os.dup2(opened, 2)
        try:
            work()
        except BaseException:
            traceback.print_exc()
            sys.stderr.flush()
            os._exit(1)
        sys.stdout.flush()
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
