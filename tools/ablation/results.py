"""Result files of single trainings: small JSONs, one a row and seed."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hmor_d2.atomic_file import write_atomically

from .jobs import Job

__all__ = ["MixedStudyError", "is_done", "read_results", "result_path", "write_result"]

# Fields that every result has.
_FIELDS = ("row", "seed", "digest", "study_digest", "iterations", "test_sets", "figures")


class MixedStudyError(Exception):
    """Results that must not stand side by side."""


def result_path(folder: Path, job: Job) -> Path:
    return folder / f"{job.name}.json"


def write_result(folder: Path, job: Job, result: dict[str, Any]) -> Path:
    """Write what a job gave, whole or not at all, with what the job was."""
    content = {
        "row": job.row,
        "seed": job.seed,
        "digest": job.digest,
        "study_digest": job.study_digest,
        "iterations": job.iterations,
        **result,
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = result_path(folder, job)
    text = json.dumps(content, indent=1, allow_nan=False) + "\n"
    write_atomically(str(path), lambda file: file.write(text.encode()))
    return path


def is_done(folder: Path, job: Job) -> bool:
    """Whether a job's result is there.

    Raises:
        MixedStudyError: if there is one of another config, data or weights.
    """
    path = result_path(folder, job)
    if not path.exists():
        return False
    found = json.loads(path.read_text()).get("digest")
    if found != job.digest:
        raise MixedStudyError(
            f"{path}: is of another config, other data or other weights (digest {found}, "
            f"expected {job.digest})"
        )
    return True


def read_results(folder: Path) -> list[dict[str, Any]]:
    """All results of a folder, of one study.

    Raises:
        MixedStudyError: for results that differ in more than row and seed, for a file that is no
            result, and where there is none.
    """
    results: list[dict[str, Any]] = []
    for path in sorted(folder.glob("*.json")):
        content = json.loads(path.read_text())
        missing = [field for field in _FIELDS if field not in content]
        if missing:
            raise MixedStudyError(f"{path}: is no result: found no {missing}")
        results.append(content)
    if not results:
        raise MixedStudyError(f"{folder}: found no results")
    for field in ("study_digest", "test_sets"):
        _check_alike(folder, results, field)
    return results


def _check_alike(folder: Path, results: Sequence[dict[str, Any]], field: str) -> None:
    groups: dict[str, list[str]] = {}
    for result in results:
        name = f"{result['row']}_seed{result['seed']}"
        groups.setdefault(json.dumps(result[field]), []).append(name)
    if len(groups) > 1:
        parts = "; ".join(f"{value}: {', '.join(names)}" for value, names in groups.items())
        raise MixedStudyError(f"{folder}: results of different studies ({field}): {parts}")
