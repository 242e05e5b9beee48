"""What is to be trained: a row with a seed, its config, and a digest that tells it from others."""

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from detectron2.config import CfgNode

from hmor_d2.config_file import read_config
from hmor_d2.model_zoo.packaged_weights import BACKBONES, TRAINED_MODELS, PackagedWeightsHandler

from .rows import ROOT, ROWS, WARM_START, flat_options, row_options

__all__ = ["Job", "Study", "data_stamps", "default_base", "plan_jobs"]

MAIN_SEEDS = (1, 2, 3)
# Not that of a row, which would begin with the images that the warm start began with.
WARM_START_SEED = 0
# What changes no weights, or is told apart otherwise.
_LEFT_OUT = (
    "OUTPUT_DIR",
    "MODEL.WEIGHTS",
    "DATASETS.TEST",
    "DATASETS.CUSTOM",
    "DATALOADER.NUM_WORKERS",
    "SOLVER.CHECKPOINT_PERIOD",
)
_BASE_WEIGHTS = "base config"
_BASELINE = "a0_baseline"


@dataclass(frozen=True)
class Job:
    """A training.

    ``options``: KEY VALUE pairs after the base config, without output and weights; ``iterations``;
    ``training``: digest of what decides its weights: config, data, start; ``digest``: of the test
    sets as well; ``study_digest``: of what it shares with the other jobs of a study.
    """

    row: str
    seed: int
    options: tuple[str, ...]
    iterations: int
    training: str
    digest: str
    study_digest: str

    @property
    def name(self) -> str:
        return f"{self.row}_seed{self.seed}"


@dataclass(frozen=True)
class Study:
    """Everything that all rows share.

    ``base_config``: path; ``opts``: KEY VALUE pairs that go over it; ``weights``: file to start
    from instead of a warm start; ``warm_start_iterations``: 0 starts rows from the base config's
    MODEL.WEIGHTS, unless there are ``weights``.
    """

    base_config: Path
    opts: tuple[str, ...] = ()
    weights: Path | None = None
    warm_start_iterations: int = 0

    @property
    def has_warm_start(self) -> bool:
        return self.weights is None and self.warm_start_iterations > 0

    def config(self, options: Sequence[str] = ()) -> CfgNode:
        """The base config with ``opts``, and ``options`` over them."""
        return read_config(self.base_config, [*self.opts, *options])

    def warm_start(self) -> Job:
        """The training without ordinal relations that all rows start from."""
        own = {"SOLVER.MAX_ITER": self.warm_start_iterations, "SEED": WARM_START_SEED}
        options = (*flat_options(row_options(_BASELINE)), *flat_options(own))
        return self._job(WARM_START, WARM_START_SEED, options, _BASE_WEIGHTS)

    def job(self, row: str, seed: int) -> Job:
        """
        Raises:
            FileNotFoundError: for a row that configs/ablations does not have.
        """
        options = (*flat_options(row_options(row)), "SEED", f"{seed}")
        return self._job(row, seed, options, self._start())

    def _job(self, row: str, seed: int, options: Sequence[str], start: str) -> Job:
        cfg = self.config(options)
        tests = (list(cfg.DATASETS.TEST), _data(cfg, cfg.DATASETS.TEST))
        training = _training_digest(cfg, start)
        # Not of what the warm start is made of: its own result belongs to the study, too.
        own_start = (str(self.weights and self._start()), self.warm_start_iterations)
        return Job(
            row=row,
            seed=seed,
            options=(*self.opts, *options),
            iterations=cfg.SOLVER.MAX_ITER,
            training=training,
            digest=_digest(training, *tests),
            study_digest=_digest(_training_digest(self.config(), str(own_start)), *tests),
        )

    def _start(self) -> str:
        """What the rows start from, in a few words that differ where it does."""
        if self.weights is not None:
            return hashlib.sha256(self.weights.read_bytes()).hexdigest()
        return self.warm_start().training if self.has_warm_start else _BASE_WEIGHTS


def _training_digest(cfg: CfgNode, start: str) -> str:
    """Of what decides the weights that come out; where they are tested is left out.

    Args:
        start: what they start from, in any words that differ where it does.
    """
    data = _data(cfg, cfg.DATASETS.TRAIN)
    weights = _told_apart(cfg.MODEL.WEIGHTS) if start == _BASE_WEIGHTS else ""
    for key in _LEFT_OUT:
        *path, last = key.split(".")
        node = cfg
        for part in path:
            node = node[part]
        del node[last]
    hmor = cfg.MODEL.HMOR
    if not hmor.LEVELS:
        # The other keys say nothing then: trials of weights share what has no relations.
        told = ("SKELETON", "ABS_POSE_LOSS_WEIGHT", "UNIT_MM")
        cfg.MODEL.HMOR = CfgNode({key: hmor[key] for key in told})
    return _digest(cfg.dump(sort_keys=True), start, weights, data)


def _told_apart(weights: str) -> str:
    """A config's MODEL.WEIGHTS, with the SHA-256 of a file of the package."""
    packaged = {weights.file: weights.sha256 for weights in (*BACKBONES, *TRAINED_MODELS.values())}
    return weights + packaged.get(weights.removeprefix(PackagedWeightsHandler.PREFIX), "")


def _data(cfg: CfgNode, names: Sequence[str]) -> list[Any]:
    """What tells datasets from others of the same names."""
    entries = [dict(entry) for entry in cfg.DATASETS.CUSTOM if entry["name"] in names]
    return [entries, data_stamps(cfg, names)]


def _digest(*content: Any) -> str:
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]


def data_stamps(cfg: CfgNode, names: Sequence[str]) -> dict[str, Any]:
    """What the synthetic data were drawn with, by folder: the ``generated.json`` of each.

    Args:
        names: of datasets; those of DATASETS.CUSTOM count whose paths begin with "synthetic".

    Raises:
        SystemExit: for synthetic data that are not drawn, or not completely.
    """
    root = Path(os.environ.get("DETECTRON2_DATASETS", "datasets"))
    stamps: dict[str, Any] = {}
    for entry in cfg.DATASETS.CUSTOM:
        relative = Path(entry.get("json_file") or entry.get("root") or "")
        if entry["name"] not in names or relative.parts[:1] != ("synthetic",):
            continue
        folder = Path(*relative.parts[:2])
        file = root / folder / "generated.json"
        stamp = json.loads(file.read_text()) if file.exists() else {}
        if not stamp.get("complete"):
            raise SystemExit(
                f"error: {file.parent} is not complete; draw the data with "
                f"datasets/prepare_synthetic.py and datasets/prepare_crowds.py --root {root}"
            )
        stamps[str(folder)] = {key: stamp[key] for key in ("plan", "seed", "generator")}
    return stamps


def plan_jobs(study: Study, rows: Sequence[str], seeds: Sequence[int] | None) -> list[Job]:
    """The jobs of rows, the comparisons that matter first, seed by seed; the warm start before.

    Args:
        rows: names.
        seeds: of every row; None: the main rows' are ``MAIN_SEEDS``, the first of these the
            others'.
    """
    wanted = [row for row in ROWS if row.name in rows]
    pairs = [
        (not row.is_main, seed, row.name)
        for row in wanted
        for seed in (seeds or (MAIN_SEEDS if row.is_main else MAIN_SEEDS[:1]))
    ]
    order = {row.name: place for place, row in enumerate(ROWS)}
    pairs.sort(key=lambda pair: (pair[0], pair[1], order[pair[2]]))
    jobs = [study.job(name, seed) for _, seed, name in pairs]
    return [study.warm_start(), *jobs] if study.has_warm_start else jobs


def default_base() -> Path:
    """The compact model on synthetic crowds."""
    return ROOT / "configs/synthetic/ablation_R_50_half_FPN.yaml"
