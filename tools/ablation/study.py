"""Run a study's jobs one after another: what is done is skipped, what was interrupted goes on."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from tqdm import tqdm

from .jobs import Job
from .results import MixedStudyError, is_done, result_path, write_result
from .rows import WARM_START
from .runner import OtherRunError

__all__ = ["JobRunner", "run_jobs"]


class JobRunner(Protocol):
    """Trains and evaluates; see :class:`ablation.runner.Runner`."""

    output: Path

    def check(self, job: Job) -> None: ...

    def __call__(self, job: Job, progress: Callable[[int], Any]) -> dict[str, Any]: ...


def run_jobs(
    jobs: Sequence[Job], runner: JobRunner, results: Path, overwrite: bool = False
) -> list[Job]:
    """Do all jobs whose result is not there.

    Args:
        jobs: in the order of the work.
        runner: does one; it has a folder of each job's name in its ``output``.
        results: folder of the result files.
        overwrite: delete results and trainings of other configs, which stop the study otherwise.

    Returns:
        the jobs that were done now.

    Raises:
        MixedStudyError, OtherRunError: before anything is done, for what only ``overwrite`` may
            delete.
    """
    missing = [job for job in jobs if not _is_done(job, runner, results, overwrite)]
    if any(job.row != WARM_START for job in missing):
        # Its result may be there, from another machine, but not its weights.
        missing = [
            job
            for job in jobs
            if job in missing
            or (
                job.row == WARM_START
                and not (runner.output / job.name / "model_final.pth").exists()
            )
        ]
    if not missing:
        return []
    total = sum(job.iterations for job in missing)
    with tqdm(total=total, unit="it", smoothing=0.05, dynamic_ncols=True) as bar:
        for number, job in enumerate(missing, 1):
            bar.set_description(f"{job.name} ({number} of {len(missing)})")
            write_result(results, job, runner(job, _JobProgress(bar, job)))
    return missing


def _is_done(job: Job, runner: JobRunner, results: Path, overwrite: bool) -> bool:
    try:
        done = is_done(results, job)
        if not done:
            runner.check(job)
        return done
    except (MixedStudyError, OtherRunError) as error:
        if not overwrite:
            raise type(error)(f"{error}; --overwrite deletes it") from None
    result_path(results, job).unlink(missing_ok=True)
    try:
        runner.check(job)
    except OtherRunError:
        shutil.rmtree(runner.output / job.name)
    return False


class _JobProgress:
    """Moves the bar by what a job has done; what it had done before is no work of now."""

    def __init__(self, bar: tqdm, job: Job):
        self._bar = bar
        self._end = job.iterations
        self._last: int | None = None

    def __call__(self, iterations: int) -> None:
        iterations = min(iterations, self._end)
        if self._last is None:
            self._bar.total -= iterations
        elif iterations > self._last:
            self._bar.update(iterations - self._last)
        else:
            return
        self._last = iterations
        self._bar.refresh()
