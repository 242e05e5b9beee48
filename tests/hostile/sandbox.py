"""Reads hostile files in a forked process, which may die, hang or eat memory without harm."""

import json
import os
import random
import resource
import select
import signal
import time
import traceback
from collections.abc import Callable
from pathlib import Path

__all__ = ["MAX_CPU_S", "MAX_GROWTH_MB", "assert_survives", "growth_mb"]

#: What one small file may cost.
MAX_CPU_S = 10.0
MAX_GROWTH_MB = 300
# Seconds without a sign of life after which the process counts as hanging; on a busy machine.
_SILENCE_S = 120.0
# Address space beyond the present one: what would fill the machine fails in the process instead.
_MORE_BYTES = 6 << 30


def assert_survives(
    read: Callable[[Path], object],
    write: Callable[[random.Random, Path], Path],
    folder: Path,
    rounds: int,
    *,
    seed: str,
    errors: tuple[type[BaseException], ...],
    mention: str | None = None,
) -> int:
    """Fail unless every one of ``rounds`` hostile files is read, or refused by its name.

    Args:
        read: the reader; what it returns is not looked at.
        write: makes a hostile file, from the numbers of a generator, and returns its path.
        folder: to work in.
        rounds: files; file i depends on ``seed`` and i alone.
        errors: that the reader may raise.
        mention: what their messages must hold; the file's name where None.

    Returns:
        how many files were refused.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        try:
            _limit_memory()
            for i in range(rounds):
                _send(writing, _try_one(read, write, folder, f"{seed} {i}", errors, mention))
        except BaseException:
            _send(writing, {"problem": f"the test itself: {traceback.format_exc()}"})
        os._exit(0)
    os.close(writing)
    results, silent = _receive(reading, rounds)
    if silent:
        os.kill(child, signal.SIGKILL)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    problems = [result["problem"] for result in results if result["problem"]]
    if len(results) < rounds and not problems:
        what = "hung" if silent else f"ended the process with {status}"
        problems.append(f"file '{seed} {len(results)}' {what}")
    assert not problems, "\n\n".join(problems[:20])
    return sum(result["refused"] for result in results)


def growth_mb(work: Callable[[], object]) -> float:
    """Megabytes of memory that ``work`` needs at its peak, beyond what there is before it."""
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
    before = _status_mb("VmRSS")
    work()
    return _status_mb("VmHWM") - before


def _try_one(read, write, folder: Path, seed: str, errors, mention: str | None) -> dict:
    path = write(random.Random(seed), folder)
    refused, problem = [], None
    start = time.process_time()

    def attempt() -> None:
        try:
            read(path)
        except errors as error:
            refused.append(str(error))
        except Exception:
            refused.append(f"{path.name}\n{traceback.format_exc(limit=-4)}")
            raise

    try:
        growth = growth_mb(attempt)
    except Exception:
        growth, problem = 0, f"file '{seed}': {refused[0]}"
    seconds = time.process_time() - start
    name = mention or path.name
    if problem is None and refused and name not in refused[0]:
        problem = f"file '{seed}': an error that does not name {name}: {refused[0]:.500}"
    if seconds > MAX_CPU_S:
        problem = f"file '{seed}': {seconds:.1f} s"
    if growth > MAX_GROWTH_MB:
        problem = f"file '{seed}': {growth:.0f} MB"
    if problem and os.environ.get("HMOR_FUZZ_KEEP") and path.is_file():
        kept = Path(os.environ["HMOR_FUZZ_KEEP"], f"{seed} {path.name}".replace(" ", "_"))
        kept.write_bytes(path.read_bytes())
    return {"problem": problem, "refused": len(refused) > 0}


def _limit_memory() -> None:
    size = int(_status_mb("VmSize") * 2**20)
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (size + _MORE_BYTES, hard))


def _status_mb(field: str) -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) / 1024
    raise KeyError(field)


def _send(descriptor: int, result: dict) -> None:
    os.write(descriptor, json.dumps(result).encode() + b"\n")


def _receive(descriptor: int, rounds: int) -> tuple[list[dict], bool]:
    """The results that came, and whether the process fell silent before the last of them."""
    received, silent = b"", False
    while True:
        ready, _, _ = select.select([descriptor], [], [], _SILENCE_S)
        data = os.read(descriptor, 1 << 16) if ready else b""
        silent = not ready
        if not data:
            break
        received += data
    os.close(descriptor)
    lines = received.split(b"\n")[:-1]
    return [{"refused": False, **json.loads(line)} for line in lines], silent
