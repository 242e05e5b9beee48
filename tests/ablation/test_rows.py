"""The study's rows are those of configs/ablations, whatever base they are put on."""

from pathlib import Path

import pytest
from ablation.jobs import Study, default_base
from ablation.rows import ROWS, flat_options, row_named, row_options
from detectron2.config import get_cfg

from hmor_d2 import add_hmor_config

FOLDER = Path(__file__).parents[2] / "configs/ablations"
TOY = Path(__file__).parents[2] / "configs/toy/hmor_rcnn_R_50_half_FPN_toy.yaml"


def load(path):
    cfg = get_cfg()
    add_hmor_config(cfg)
    cfg.merge_from_file(str(path))
    return cfg


def differences(a, b, path=""):
    """Names of the keys in which two configs differ."""
    if not isinstance(a, dict):
        return set() if a == b else {path}
    assert a.keys() == b.keys()
    parts = [differences(a[k], b[k], f"{path}.{k}" if path else k) for k in a]
    return set().union(*parts)


def test_there_is_a_row_for_every_file():
    assert [row.name for row in ROWS] == sorted(path.stem for path in FOLDER.glob("*.yaml"))


@pytest.mark.parametrize("row", [row.name for row in ROWS])
def test_options_are_the_files(row):
    whole, base = (
        load(FOLDER / f"{row}.yaml"),
        load(FOLDER / "../muco_coco/hmor_rcnn_R_50_FPN.yaml"),
    )
    options = row_options(row)
    assert differences(whole, base) <= set(options)
    base.merge_from_list(flat_options(options))
    assert base == whole
    # On the synthetic base, the method is the same.
    study = Study(default_base())
    cfg = study.config(flat_options(options))
    assert cfg.MODEL.HMOR == whole.MODEL.HMOR
    assert cfg.MODEL.ROI_DEPTH_HEAD.REFINE == whole.MODEL.ROI_DEPTH_HEAD.REFINE
    assert differences(cfg, study.config()) <= set(options)


def test_the_baseline_has_no_relations_and_no_loss_on_absolute_poses():
    cfg = Study(default_base()).config(flat_options(row_options("a0_baseline")))
    assert cfg.MODEL.HMOR.LEVELS == [] and cfg.MODEL.HMOR.ABS_POSE_LOSS_WEIGHT == 0
    assert cfg.MODEL.ROI_DEPTH_HEAD.REFINE and cfg.MODEL.ROI_DEPTH_HEAD.LOSS_WEIGHT > 0
    assert cfg.MODEL.DEPTH_MAP_HEAD.LOSS_WEIGHT > 0


def test_the_papers_figures():
    """Improvements that the paper's text states."""
    baseline, final = row_named("a0_baseline"), row_named("c_sampled_views")
    everything = row_named("a8_all")
    assert baseline.mpjpe - everything.mpjpe == pytest.approx(7.4)
    assert everything.mpjpe - final.mpjpe == pytest.approx(0.6)
    assert final.absolute == 118.5 and row_named("d_without_refinement").absolute == 133.6


def test_an_unknown_row_is_named():
    with pytest.raises(KeyError, match=r"'a9'.*a0_baseline"):
        row_named("a9")
