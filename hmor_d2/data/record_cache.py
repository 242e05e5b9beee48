"""Keeps what a loader parsed from a large annotation file, as numpy arrays in a folder.

The folder is that of the environment variable ``HMOR_D2_CACHE``, ``~/.cache/hmor_d2`` where it is
not set.  Each annotation file has one file there, which is written anew when the annotation file
changes, and an empty one to lock; all of them may be deleted while nothing is loaded.
"""

import contextlib
import glob
import hashlib
import json
import logging
import os
from collections.abc import Callable, Iterator, Mapping

import numpy as np

from ..atomic_file import TEMPORARY_SUFFIX, write_atomically
from ..stored_zip import require_unpacked

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

__all__ = ["cache_folder", "cache_path", "load_or_build"]

logger = logging.getLogger(__name__)

_KEY = "cache_key"


def cache_folder() -> str:
    """The folder of the cached files; it need not exist."""
    folder = os.environ.get("HMOR_D2_CACHE") or os.path.join("~", ".cache", "hmor_d2")
    return os.path.expanduser(folder)


def cache_path(source: str) -> str:
    """Where the arrays of an annotation file are cached."""
    source = os.path.realpath(source)
    name = os.path.splitext(os.path.basename(source))[0]
    digest = hashlib.sha256(os.fsencode(source)).hexdigest()[:16]
    return os.path.join(cache_folder(), f"{name}-{digest}.npz")


def load_or_build(
    source: str, layout: str, build: Callable[[], Mapping[str, np.ndarray]]
) -> Mapping[str, np.ndarray]:
    """Arrays of an annotation file: from the cache, else built and put there.

    The cache serves while the file has the path, size and time of change that it had, and the
    layout is the same.  A cached file that is broken is built anew; a folder that cannot be
    written is logged, and no error.  Of several processes one builds, while the others wait for
    it; where the folder's file system has no locks, each builds for itself.

    Args:
        source: path of the annotation file, which exists.
        layout: name and version of what ``build`` returns, e.g. ``"muco 1"``.  To be changed
            with the meaning of the arrays and with the checks that they have passed.
        build: parses the file; its arrays hold no Python objects.
    """
    state = os.stat(source)  # before it is read: a change meanwhile makes the cache void
    key = json.dumps([layout, os.path.realpath(source), state.st_size, state.st_mtime_ns])
    path = cache_path(source)
    arrays = _read(path, key)
    if arrays is None:
        with _locked(path) as locked:
            arrays = _read(path, key) if locked else None  # another process may have built it
            if arrays is None:
                if locked:
                    _remove_leftovers(path)
                arrays = build()
                _write(path, key, arrays)
    return arrays


@contextlib.contextmanager
def _locked(path: str) -> Iterator[bool]:
    """Hold the lock of a cached file; False where there is none to be had.

    The system frees it with the process, however that ends.
    """
    with contextlib.ExitStack() as stack:
        try:
            if fcntl is None:
                raise OSError("this system has no fcntl")
            os.makedirs(os.path.dirname(path), exist_ok=True)
            file = stack.enter_context(open(f"{path}.lock", "ab"))
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                logger.info("%s: another process is building this cache, waiting for it", path)
                fcntl.flock(file, fcntl.LOCK_EX)
            locked = True
        except OSError as error:
            logger.info("%s: going on without a lock (%s)", path, error)
            locked = False
        yield locked


def _remove_leftovers(path: str) -> None:
    """Remove what processes that were killed while writing left; nobody else writes now."""
    for leftover in glob.glob(f"{glob.escape(path)}.*{TEMPORARY_SUFFIX}"):
        with contextlib.suppress(OSError):
            os.remove(leftover)


def _read(path: str, key: str) -> dict[str, np.ndarray] | None:
    """The cached arrays; None where there are none, or not of this key."""
    try:
        require_unpacked(path)
        with np.load(path, allow_pickle=False) as file:
            if str(file[_KEY]) != key:
                return None
            # Reading an array to its end compares its checksum.
            arrays = {name: file[name] for name in file.files if name != _KEY}
    except FileNotFoundError:
        return None
    except Exception as error:  # a broken zip file fails in a dozen ways
        logger.warning("%s: cannot use this cache, building it anew (%s)", path, error)
        return None
    logger.info("Read from the cache %s", path)
    return arrays


def _write(path: str, key: str, arrays: Mapping[str, np.ndarray]) -> None:
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        write_atomically(path, lambda file: np.savez(file, **{_KEY: np.array(key)}, **arrays))
        logger.info("Wrote the cache %s", path)
    except OSError as error:
        logger.warning("%s: cannot write this cache, the next load parses again (%s)", path, error)
