"""Draw planned datasets with several processes; a run that was stopped goes on where it was.

A format's folder has ``generated.json``: the settings that it is made with, and whether it is
complete.  While it is not, ``parts/`` has a JSON file for every piece whose images are there.
"""

import dataclasses
import hashlib
import json
import multiprocessing
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import AbstractContextManager, contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2

from .assets import PACK
from .pieces import Piece, Plan
from .storage import write_json

_STAMP = "generated.json"
_PARTS = "parts"
_LABELS = {"plan": "size", "seed": "seed", "generator": "version of the generator"}
# Given the number of images: a context whose value is called with every number more.
Progress = Callable[[str, int], AbstractContextManager[Callable[[int], Any]]]


class OtherContentError(Exception):
    """A folder holds something else than what is to be made."""


@lru_cache(maxsize=1)
def generator_digest() -> str:
    """Of the generator's code and pack: another one draws other scenes."""
    digest = hashlib.sha256()
    package = Path(__file__).parent
    files = [*package.glob("*.py"), *(p for p in PACK.rglob("*") if p.is_file())]
    for path in sorted(files):
        digest.update(path.relative_to(package).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def settings_of(plan: Plan, seed: int) -> dict[str, Any]:
    """What decides a plan's bytes, as JSON has it."""
    settings = {"plan": dataclasses.asdict(plan), "seed": seed, "generator": generator_digest()}
    return json.loads(json.dumps(settings))


def produce(
    plans: Sequence[Plan],
    root: Path,
    seed: int,
    workers: int,
    progress: Progress,
    overwrite: bool = False,
) -> None:
    """Make each plan's dataset in its folder of ``root``, or what it lacks.

    Args:
        workers: processes; the bytes do not depend on it.
        overwrite: delete a dataset that was made with other settings.

    Raises:
        OtherContentError: for a folder with files of another origin, or, without ``overwrite``,
            made with other settings.
    """
    for plan in plans:  # before a run of minutes
        _check_folder(root / plan.folder, settings_of(plan, seed), overwrite)
    with _executor(workers) as executor:
        for plan in plans:
            _produce_one(plan, root / plan.folder, seed, executor, progress)


def _read_stamp(folder: Path) -> dict[str, Any] | None:
    path = folder / _STAMP
    return json.loads(path.read_text()) if path.exists() else None


def _check_folder(folder: Path, settings: dict[str, Any], overwrite: bool) -> None:
    """Raise OtherContentError, or delete what ``overwrite`` permits to delete."""
    if not folder.exists() or not any(folder.iterdir()):
        return
    found = _read_stamp(folder)
    if found is None:
        raise OtherContentError(f"{folder}: found files that are not from here ('{_STAMP}' lacks)")
    found.pop("complete")
    if found == settings:
        return
    if not overwrite:
        changed = [_LABELS[name] for name in settings if found.get(name) != settings[name]]
        raise OtherContentError(
            f"{folder}: was made with another {' and '.join(changed)}; --overwrite replaces it"
        )
    shutil.rmtree(folder)


def _produce_one(
    plan: Plan, folder: Path, seed: int, executor: ProcessPoolExecutor | None, progress: Progress
) -> None:
    settings = settings_of(plan, seed)
    pieces = plan.pieces()
    with progress(plan.folder, sum(piece.images for piece in pieces)) as advance:
        if _read_stamp(folder) == settings | {"complete": True}:
            advance(sum(piece.images for piece in pieces))
            return
        write_json(folder / _STAMP, settings | {"complete": False})
        missing = [piece for piece in pieces if not _is_drawn(folder, piece)]
        drawn = {piece.name for piece in pieces} - {piece.name for piece in missing}
        advance(sum(piece.images for piece in pieces if piece.name in drawn))
        if executor is None:
            for piece in missing:
                advance(_draw(plan, folder, piece, seed))
        else:
            futures = [executor.submit(_draw, plan, folder, piece, seed) for piece in missing]
            try:
                for future in as_completed(futures):
                    advance(future.result())
            except BaseException:
                executor.shutdown(wait=False, cancel_futures=True)
                raise

    def parts() -> Iterator[dict[str, Any]]:
        return (json.loads(_part_path(folder, piece).read_text()) for piece in pieces)

    plan.finish(folder, parts)
    # Complete first: a run that stops between the two leaves parts that do no harm.
    write_json(folder / _STAMP, settings | {"complete": True})
    shutil.rmtree(folder / _PARTS)


def _part_path(folder: Path, piece: Piece) -> Path:
    return folder / _PARTS / f"{piece.name}.json"


def _is_drawn(folder: Path, piece: Piece) -> bool:
    path = _part_path(folder, piece)
    if not path.exists():
        return False
    files: Iterable[str] = json.loads(path.read_text())["files"]
    return all((folder / name).exists() for name in files)


def _draw(plan: Plan, folder: Path, piece: Piece, seed: int) -> int:
    """Draw a piece; its part is written when all its images are."""
    part = plan.draw(folder, piece, seed)
    write_json(_part_path(folder, piece), part)
    return piece.images


@contextmanager
def _executor(workers: int) -> Iterator[ProcessPoolExecutor | None]:
    """A pool of processes; None for one worker, who is this process."""
    if workers == 1:
        threads = cv2.getNumThreads()
        cv2.setNumThreads(1)
        try:
            yield None
        finally:
            cv2.setNumThreads(threads)
        return
    context = multiprocessing.get_context("spawn")
    arguments = (os.getpid(),)
    with ProcessPoolExecutor(workers, context, _start_worker, arguments) as executor:
        yield executor


def _start_worker(parent: int) -> None:
    """One thread a worker; a worker whose parent was killed ends as well.

    Ctrl-C is left to the parent: what a worker is at is finished and counts.
    """
    cv2.setNumThreads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
