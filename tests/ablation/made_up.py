"""Results that nobody trained, and a runner that only says what it was asked to do."""

import json
from pathlib import Path

__all__ = ["FakeRunner", "evaluated", "write_made_up"]


def evaluated(absolute: float, order: float = 0.8, relative: float = 100.0, **others) -> dict:
    """Figures of Pose3DEvaluator that tables need."""
    return {
        "MPJPE": relative,
        "PA_MPJPE": 0.6 * relative,
        "ABS_MPJPE": absolute,
        "ORD": order,
        "ORD_all": order - 0.1,
        "ORD_joint": order + 0.05,
        "PCK3D_abs_all": 0.25,
        "ABS_MPJPE_SCALED": 0.9 * absolute,
        "BIAS_z": -50.0,
        "PAIR_SLOPE": 0.9,
        "detection_rate_3d": 0.9,
        "people_3d": 42.0,
    } | others


def write_made_up(folder: Path, row: str, seed: int, given: dict, **fields) -> None:
    """A result file; detections' figures are those in given boxes."""
    content = {
        "row": row,
        "seed": seed,
        "digest": f"{row}{seed}",
        "study_digest": "s",
        "iterations": 450,
        "test_sets": ["crowds"],
        "figures": {"given_boxes": {"crowds": given}, "detections": {"crowds": given}},
        "versions": {"commit": "0123456789abcdef", "torch": "2.0", "python": "3.11"},
        "seconds": {"training": 600, "evaluation": 60},
    } | fields
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{row}_seed{seed}.json").write_text(json.dumps(content))


class FakeRunner:
    """Does nothing, in as many steps as it is told; ``stop_at``: raises in that job."""

    def __init__(self, output: Path, stop_at: str | None = None, others: tuple[str, ...] = ()):
        self.output = output
        self.stop_at = stop_at
        self.others = others
        self.done: list[str] = []

    def check(self, job):
        from ablation.runner import OtherRunError

        folder = self.output / job.name
        if job.name in self.others and folder.exists():
            raise OtherRunError(f"{folder}: other")

    def __call__(self, job, progress):
        if job.name == self.stop_at:
            raise KeyboardInterrupt
        self.done.append(job.name)
        for iterations in (3, 3, job.iterations):
            progress(iterations)
        folder = self.output / job.name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "model_final.pth").touch()
        figures = {"crowds": evaluated(200.0 + job.seed)}
        return {
            "test_sets": ["crowds"],
            "figures": {"given_boxes": figures, "detections": figures},
            "note": "fake",
        }
