from pathlib import Path

import pytest
from detectron2.config import get_cfg
from detectron2.data import DatasetCatalog
from detectron2.modeling import build_model

from hmor_d2 import add_hmor_config
from hmor_d2.data import register_custom_datasets
from hmor_d2.modeling import HMORRCNN

ROOT = Path(__file__).parents[1]
CONFIGS = sorted(str(p.relative_to(ROOT)) for p in (ROOT / "configs").rglob("*.yaml"))


def load(name):
    cfg = get_cfg()
    add_hmor_config(cfg)
    cfg.merge_from_file(str(ROOT / name))
    cfg.MODEL.DEVICE = "cpu"
    return cfg


@pytest.mark.parametrize("name", CONFIGS)
def test_config_builds_a_model(name):
    cfg = load(name)
    assert isinstance(build_model(cfg), HMORRCNN)
    if "Base" not in name:
        register_custom_datasets(cfg.DATASETS.CUSTOM)
        names = (*cfg.DATASETS.TRAIN, *cfg.DATASETS.TEST)
        assert names and set(names) <= set(DatasetCatalog.list())
        assert len(cfg.DATASETS.TRAIN_RATIO) in (0, len(cfg.DATASETS.TRAIN))
        assert list(cfg.SOLVER.STEPS) == sorted(
            s for s in cfg.SOLVER.STEPS if s < cfg.SOLVER.MAX_ITER
        )


def test_the_papers_schedule():
    solver = load("configs/muco_coco/hmor_rcnn_R_50_FPN.yaml").SOLVER
    epoch = 400_000 // 32
    assert (solver.IMS_PER_BATCH, solver.BASE_LR, solver.WARMUP_ITERS) == (32, 0.2, 2500)
    assert solver.WARMUP_FACTOR == pytest.approx(1 / 3)
    assert tuple(solver.STEPS) == (10 * epoch, 20 * epoch) and solver.MAX_ITER == 30 * epoch
