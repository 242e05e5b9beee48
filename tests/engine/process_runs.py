"""Trainings on several processes, run by train_net.py's Trainer under Detectron2's ``launch``.

    python process_runs.py RUNS.json

RUNS.json holds a list of {"processes": n, "arguments": [...], "record": path, ...}; see
:func:`_train`.  Each run is a fork of this process, which imports everything once, and its
processes are forks of that.  Prints the exit codes as a JSON list.
"""

import functools
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def run_processes(folder: Path, datasets: Path, runs: list[dict]) -> tuple[list[int], list[str]]:
    """Exit codes and output of runs, in another process."""
    for i, run in enumerate(runs):
        run["log"] = str(folder / f"run{i}.log")
    (folder / "runs.json").write_text(json.dumps(runs))
    done = subprocess.run(
        [sys.executable, "-W", "ignore", __file__, str(folder / "runs.json")],
        cwd=ROOT,
        env={
            **os.environ,
            "DETECTRON2_DATASETS": str(datasets),
            "OMP_NUM_THREADS": "1",
            "CUDA_VISIBLE_DEVICES": "",
        },
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    logs = [Path(run["log"]).read_text() for run in runs]
    return json.loads(done.stdout.splitlines()[-1]), logs


def _use_float64(trainer_class) -> None:
    """Differences of rounding, which training magnifies, then stay far below what is tested."""
    import torch

    torch.set_default_dtype(torch.float64)
    torch.Tensor.float = torch.Tensor.double
    build = trainer_class.build_model.__func__
    trainer_class.build_model = classmethod(lambda cls, cfg: build(cls, cfg).double())


def _leave_nothing_to_chance() -> None:
    """Samples in the order of the dataset, and the same views for every image."""
    from detectron2.data.samplers import TrainingSampler

    from hmor_d2.modeling import hmor_criterion

    def in_order(self):
        while True:
            yield from range(self._size)

    def fixed_views(num_views, batch_size, device, **options):
        import torch

        draw = functools.partial(real, num_views, generator=torch.Generator().manual_seed(0))
        return draw(**options, device=device).expand(batch_size, -1, -1)

    real = hmor_criterion.sample_view_normals
    hmor_criterion.sample_view_normals = fixed_views
    TrainingSampler._infinite_indices = in_order


def _recording(trainer_class, path: str, spoil: list[int] | None, die: list[int] | None):
    """The trainer; it saves what its process did, and does as :func:`_train` says."""
    import torch
    from detectron2.utils import comm

    class RecordingTrainer(trainer_class):
        def before_step(self):
            super().before_step()
            here = [comm.get_rank(), self.iter]
            if here == die:
                os.kill(os.getpid(), signal.SIGKILL)
            self.model_in_training.spoiled = here == spoil

        @property
        def model_in_training(self):
            return getattr(self.model, "module", self.model)

        def train(self):
            model, gradients = self.model_in_training, []
            optimizer, trained = self._trainer.optimizer, dict(model.named_parameters())
            take_step = optimizer.step

            def step():
                if len(gradients) < 2:
                    found = ((name, p.grad) for name, p in trained.items() if p.requires_grad)
                    gradients.append({name: gradient.clone() for name, gradient in found})
                take_step()

            optimizer.step = step
            model.register_forward_hook(_spoil)
            start = {name: value.clone() for name, value in model.state_dict().items()}
            result = super().train()
            record = {
                "gradients": gradients,
                "start": start,
                "end": model.state_dict(),
                "average": None if self.ema is None else self.ema.model.state_dict(),
                "skipped": self.guard.num_skipped,
            }
            torch.save(record, f"{path}.rank{comm.get_rank()}.pt")
            return result

    def _spoil(model, inputs, losses):
        if model.training and model.spoiled:
            losses["loss_pose"] = losses["loss_pose"] + float("inf")  # its gradient is finite

    return RecordingTrainer


def _train(run: dict) -> None:
    """One process of a run.

    record: path of what every process saves at the end, less ".rank<rank>.pt".
    exact: in float64, with nothing left to chance.
    spoil, die: [rank, iteration] of a process whose loss is not finite, or which is killed.
    """
    import torch
    from detectron2.engine import default_argument_parser

    import train_net

    torch.set_num_threads(1)
    if run.get("exact"):
        _use_float64(train_net.Trainer)
        _leave_nothing_to_chance()
    if "record" in run:
        train_net.Trainer = _recording(
            train_net.Trainer, run["record"], run.get("spoil"), run.get("die")
        )
    train_net.main(default_argument_parser().parse_args(run["arguments"]))


def _fork(run: dict) -> int:
    from hmor_d2.engine import launch
    from tests.engine.forking import exit_code_of_fork

    def work():
        launch(_train, run["processes"], dist_url="auto", args=(run,))

    return exit_code_of_fork(work, run["log"])


def _start_by_fork() -> None:
    """A process that is spawned imports everything again, which takes longer than a run."""
    import torch.multiprocessing as mp

    real = mp.start_processes

    def start_processes(fn, args=(), nprocs=1, join=True, daemon=False, start_method="fork"):
        return real(fn, args, nprocs, join, daemon, "fork")

    mp.start_processes = mp.spawn = start_processes


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    import train_net  # noqa: F401  once for all runs

    _start_by_fork()
    print(json.dumps([_fork(run) for run in json.loads(Path(sys.argv[1]).read_text())]))
