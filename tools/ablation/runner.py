"""One job from its config to its figures: train_net.py, then the evaluation in given boxes."""

import json
import os
import platform
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from .given_boxes import FOLDER as GIVEN_BOXES
from .jobs import Job, Study, data_stamps
from .rows import ROOT, WARM_START

__all__ = ["OtherRunError", "RunFailedError", "Runner"]

_FINAL = "model_final.pth"
_SECONDS_BETWEEN_LOOKS = 2.0
# Folders of the two evaluations in a job's own, by their name in results.
PROTOCOLS = {"given_boxes": GIVEN_BOXES, "detections": "inference"}


class RunFailedError(Exception):
    """A process ended with an error."""


class OtherRunError(Exception):
    """A job's folder holds a training of another config."""


class Runner:
    """Runs jobs, each in a folder of its own, and goes on with those that were interrupted."""

    def __init__(self, study: Study, output: Path, num_gpus: int = 0):
        """
        Args:
            study: what the jobs share.
            output: folder of the jobs' folders.
            num_gpus: processes, each with a GPU; 0 trains where MODEL.DEVICE says.
        """
        self.study = study
        self.output = output
        self.num_gpus = num_gpus

    def check(self, job: Job) -> None:
        """
        Raises:
            OtherRunError: if the job's folder has a training of another config.
        """
        file = self._folder(job) / "digest.txt"
        if file.exists() and file.read_text().strip() != job.training:
            raise OtherRunError(
                f"{file.parent}: has a training of another config, other data or other weights "
                f"(digest {file.read_text().strip()}, expected {job.training})"
            )

    def __call__(self, job: Job, progress: Callable[[int], Any]) -> dict[str, Any]:
        """Train, or go on training, and evaluate.

        Args:
            progress: called with the number of finished iterations, now and then.

        Returns:
            ``figures`` by protocol and test set, and what they were made with.

        Raises:
            RunFailedError: with the end of the log.
            OtherRunError: see :meth:`check`.
        """
        self.check(job)
        folder = self._folder(job)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "digest.txt").write_text(job.training + "\n")
        command = self._train_command(job)
        if not self._is_trained(folder):
            resume = ["--resume"] if (folder / "last_checkpoint").exists() else []
            self._run([*command, *resume, *self._options(job)], folder, "train.log", progress)
        progress(job.iterations)
        trained = time.monotonic()
        self._evaluate(job, folder, command)
        for checkpoint in folder.glob("model_[0-9]*.pth"):  # 0.1 GB each
            checkpoint.unlink()
        cfg = self.study.config()
        return {
            "test_sets": list(cfg.DATASETS.TEST),
            "figures": {
                protocol: {name: _figures(folder / sub, name) for name in cfg.DATASETS.TEST}
                for protocol, sub in PROTOCOLS.items()
            },
            "command": shlex.join(["python", *map(_portable, [*command[1:], *self._options(job)])]),
            "data": data_stamps(cfg, [*cfg.DATASETS.TRAIN, *cfg.DATASETS.TEST]),
            "versions": versions(),
            "seconds": {
                "training": round(training_seconds(folder / "metrics.json")),
                "evaluation": round(time.monotonic() - trained),
            },
        }

    def _folder(self, job: Job) -> Path:
        return self.output / job.name

    def weights(self, job: Job) -> str | None:
        """What a job starts from; None for the base config's MODEL.WEIGHTS."""
        if job.row == WARM_START:
            return None
        if self.study.weights is not None:
            return str(self.study.weights)
        if self.study.has_warm_start:
            return str(self._folder(self.study.warm_start()) / _FINAL)
        return None

    def _train_command(self, job: Job) -> list[str]:
        # A free port: the default is the same for every training of a user on a machine.
        group = ["--num-gpus", f"{self.num_gpus}", "--dist-url", "auto"] if self.num_gpus else []
        base = os.path.relpath(self.study.base_config, ROOT)
        return [sys.executable, "train_net.py", "--config-file", base, *group]

    def _options(self, job: Job) -> list[str]:
        weights = self.weights(job)
        start = ["MODEL.WEIGHTS", os.path.abspath(weights)] if weights else []
        return [*job.options, *start, "OUTPUT_DIR", str(self._folder(job).resolve())]

    @staticmethod
    def _is_trained(folder: Path) -> bool:
        last = folder / "last_checkpoint"
        return last.exists() and last.read_text() == _FINAL and (folder / _FINAL).exists()

    def _evaluate(self, job: Job, folder: Path, command: Sequence[str]) -> None:
        """Whatever evaluation lacks: train_net.py evaluates detections when it has trained."""
        names = self.study.config().DATASETS.TEST

        def lacks(protocol: str) -> bool:
            return not all(_figures_file(folder / PROTOCOLS[protocol], n).exists() for n in names)

        final = str((folder / _FINAL).resolve())
        if lacks("detections"):
            options = [*self._options(job), "MODEL.WEIGHTS", final]
            self._run([*command, "--eval-only", *options], folder, "evaluate.log")
        if lacks("given_boxes"):
            # As train_net.py wrote it: the whole config, with the job's options.
            config = ["--config-file", str((folder / "config.yaml").resolve())]
            script = [sys.executable, "tools/ablation/given_boxes.py", *config]
            output = ["--weights", final, "--output", str(folder.resolve())]
            self._run([*script, *output, "--test-sets", *names], folder, "evaluate.log")

    def _run(
        self,
        command: Sequence[str],
        folder: Path,
        log: str,
        progress: Callable[[int], Any] = lambda iterations: None,
    ) -> None:
        environment = dict(os.environ)
        root = environment.get("DETECTRON2_DATASETS")
        if root:  # the processes run in the repository's folder
            environment["DETECTRON2_DATASETS"] = os.path.abspath(os.path.expanduser(root))
        with open(folder / log, "ab") as file:
            process = subprocess.Popen(
                command, cwd=ROOT, env=environment, stdout=file, stderr=subprocess.STDOUT
            )
            try:
                while process.poll() is None:
                    progress(finished_iterations(folder / "metrics.json"))
                    time.sleep(_SECONDS_BETWEEN_LOOKS)
            finally:
                if process.poll() is None:
                    process.terminate()
                    process.wait()
        if process.returncode:
            tail = (folder / log).read_text(errors="replace").splitlines()[-15:]
            raise RunFailedError(f"{shlex.join(command)}: see {folder / log}:\n" + "\n".join(tail))


def finished_iterations(metrics: Path) -> int:
    """Of a training, from the last line that Detectron2 has written; 0 without one."""
    return max(_seconds_by_iteration(metrics), default=-1) + 1


def training_seconds(metrics: Path) -> float:
    """Of all iterations of a training, with those before interruptions, without what was lost."""
    seconds = sorted(_seconds_by_iteration(metrics).items())
    before = [-1, *(iteration for iteration, _ in seconds)]
    return sum((i - b) * each for (i, each), b in zip(seconds, before, strict=False))


def _seconds_by_iteration(metrics: Path) -> dict[int, float]:
    """What Detectron2 logged of the time of an iteration, at every iteration that it logged."""
    found = {}
    for line in metrics.read_text().splitlines() if metrics.exists() else ():
        try:
            values = json.loads(line)
            found[int(values["iteration"])] = float(values["time"])
        except (ValueError, KeyError):  # being written, or an evaluation's
            continue
    return found


def _figures_file(folder: Path, dataset: str) -> Path:
    return folder / dataset / "pose_results.json"


def _figures(folder: Path, dataset: str) -> dict[str, float | None]:
    return json.loads(_figures_file(folder, dataset).read_text())["pose3d"]


def _portable(word: str) -> str:
    """A word of a command without the folders of this machine."""
    if not os.path.isabs(word):
        return word
    inside = os.path.relpath(word, ROOT)
    return os.path.basename(word) if inside.startswith(os.pardir) else inside


def versions() -> dict[str, str]:
    """Of what figures depend on, where it is known."""
    found = {"python": platform.python_version(), "processor": platform.machine()}
    for package in ("hmor_d2", "torch", "detectron2", "sal-detectron2", "numpy"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    git = ["git", "-C", str(ROOT), "rev-parse", "HEAD"]
    commit = subprocess.run(git, capture_output=True, text=True)
    if commit.returncode == 0:
        found["commit"] = commit.stdout.strip()
    return found
