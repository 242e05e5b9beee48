"""Runs train_net.py several times from one process, which imports everything once.

    python training_runs.py RUNS.json

RUNS.json holds a list of {"arguments": [...], "log": path, "kill": null or [where, number]}.  Each
run is a fork of this process, which kills itself (SIGKILL)

- "step": when iteration ``number`` begins,
- "write": amid the file of its checkpoint ``number``, counted from 1,
- "tag": between that file and ``last_checkpoint``,
- "time": ``number`` seconds after its first iteration has begun.

Prints the exit codes, negative ones for signals, as a JSON list.
"""

import io
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

ROOT = Path(__file__).parents[2]
THIN = [
    "MODEL.FPN.OUT_CHANNELS", "32", "MODEL.ROI_BOX_HEAD.FC_DIM", "32",
    "MODEL.ROI_POSE_HEAD.DECONV_DIM", "32", "SOLVER.IMS_PER_BATCH", "2",
    "INPUT.MIN_SIZE_TRAIN", "[96]", "INPUT.MIN_SIZE_TEST", "96",
]  # fmt: skip


def command(output: Path, workers: int, *options: str, resume: bool = False) -> list[str]:
    """Arguments of train_net.py for a small model, which trains in seconds."""
    config = ["--config-file", "configs/toy/hmor_rcnn_R_50_half_FPN_toy.yaml"]
    first = ["--resume"] if resume else []
    rest = ["OUTPUT_DIR", str(output), "DATALOADER.NUM_WORKERS", str(workers)]
    return [*config, *first, *THIN, *rest, *options]


def run_trainings(folder: Path, datasets: Path, runs: list[dict]) -> list[int]:
    """Exit codes of the runs, in another process; their logs are in ``folder``."""
    for i, run in enumerate(runs):
        run.setdefault("kill", None)
        run["log"] = str(folder / f"run{i}.log")
    (folder / "runs.json").write_text(json.dumps(runs))
    done = subprocess.run(
        [sys.executable, "-W", "ignore", __file__, str(folder / "runs.json")],
        cwd=ROOT,
        # The order of sums, and with it the last bit, may depend on the number of threads.
        env={**os.environ, "DETECTRON2_DATASETS": str(datasets), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=1500,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def _die(*_) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _arm(trainer_class, where: str, number: float) -> None:
    import torch

    from hmor_d2.checkpoint import HMORCheckpointer

    begin, count = trainer_class.before_step, iter(range(1, 10**6))
    real_save, real_tag = torch.save, HMORCheckpointer.tag_last_checkpoint

    def before_step(self):
        if where == "step" and self.iter == number:
            _die()
        if where == "time" and self.iter == self.start_iter:
            threading.Timer(number, _die).start()
        begin(self)

    def save(data, file):
        if next(count) == number:
            whole = io.BytesIO()
            real_save(data, whole)
            file.write(whole.getvalue()[: len(whole.getvalue()) // 2])
            file.flush()
            _die()
        real_save(data, file)

    def tag(self, name):
        if next(count) == number:
            _die()
        real_tag(self, name)

    trainer_class.before_step = before_step
    if where == "write":
        torch.save = save
    if where == "tag":
        HMORCheckpointer.tag_last_checkpoint = tag


def _train(run: dict) -> None:
    from detectron2.engine import default_argument_parser

    import train_net

    if run["kill"] is not None:
        _arm(train_net.Trainer, *run["kill"])
    train_net.main(default_argument_parser().parse_args(run["arguments"]))


def _fork(run: dict) -> int:
    from tests.engine.forking import exit_code_of_fork

    return exit_code_of_fork(lambda: _train(run), run["log"])


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    import train_net  # noqa: F401  once for all runs

    print(json.dumps([_fork(run) for run in json.loads(Path(sys.argv[1]).read_text())]))
