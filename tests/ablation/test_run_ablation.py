"""tools/run_ablation.py on toy figures: train, evaluate, report; then nothing is left to do."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from ablation.report import BEGIN, END

from tests.toy_data import draw_toy_data

ROOT = Path(__file__).parents[2]
THIN = [
    "MODEL.FPN.OUT_CHANNELS", "32", "MODEL.ROI_BOX_HEAD.FC_DIM", "32",
    "MODEL.ROI_POSE_HEAD.DECONV_DIM", "32", "SOLVER.IMS_PER_BATCH", "2", "SOLVER.MAX_ITER", "2",
    "INPUT.MIN_SIZE_TRAIN", "[96]", "INPUT.MIN_SIZE_TEST", "96", "SOLVER.STEPS", "()",
]  # fmt: skip


def run(folder, *arguments):
    command = [sys.executable, "-W", "ignore", "tools/run_ablation.py", *arguments]
    for name in ("output", "results"):
        command += [f"--{name}", str(folder / name)]
    command += ["--report", str(folder / "report.md")]
    environment = {**os.environ, "DETECTRON2_DATASETS": str(folder / "data"),
                   "OMP_NUM_THREADS": "1"}  # fmt: skip
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)


def result(folder, name):
    return json.loads((folder / "results" / f"{name}.json").read_text())


@pytest.mark.slow
def test_the_whole_way(tmp_path):
    draw_toy_data(tmp_path / "data", 7, 2)
    (tmp_path / "report.md").write_text(f"{BEGIN}\n{END}\n")
    options = [
        *("--base-config", "configs/toy/hmor_rcnn_R_50_half_FPN_toy.yaml"),
        *("--rows", "a0_baseline", "d_without_refinement", "--seeds", "5"),
        *("--warm-start-iterations", "1", "--opts", *THIN),
    ]
    first = run(tmp_path, *options)
    assert first.returncode == 0, first.stderr[-3000:]
    for name in ("warm_start_seed0", "a0_baseline_seed5", "d_without_refinement_seed5"):
        found = result(tmp_path, name)
        given, own = (found["figures"][p]["toy_test"] for p in ("given_boxes", "detections"))
        assert given["detection_rate"] == 1 and given["people"] == own["people"] > 0
        assert str(tmp_path) not in json.dumps(found) and "train_net.py" in found["command"]
        assert not list((tmp_path / "output" / name).glob("model_0*.pth"))
    # Each started from the warm start, whose depth head the last row has no use for.
    folder = tmp_path / "output/d_without_refinement_seed5"
    log = (folder / "train.log").read_text()
    assert "warm_start_seed0/model_final.pth" in log and "roi_heads.depth_head" in log
    config = (folder / "config.yaml").read_text()
    assert "REFINE: false" in config and "SEED: 5" in config
    report = (tmp_path / "report.md").read_text()
    assert "(d) (c) without refinement | 1 |" in report and "before: the weights" in report

    # A training whose evaluation was interrupted is evaluated, not trained again.
    weights = (folder / "model_final.pth").read_bytes()
    shutil.rmtree(folder / "inference")
    (tmp_path / "results/d_without_refinement_seed5.json").unlink()
    again = run(tmp_path, *options)
    assert again.returncode == 0, again.stderr[-3000:]
    assert (folder / "model_final.pth").read_bytes() == weights
    assert (folder / "evaluate.log").exists()
    assert (tmp_path / "report.md").read_text().count("| 1 |") == report.count("| 1 |")

    # Another budget is another study.
    other = run(tmp_path, *options, "SOLVER.BASE_LR", "0.1")
    assert other.returncode != 0 and "another config" in other.stderr
    assert "--overwrite" in other.stderr


def test_bad_arguments(tmp_path):
    from run_ablation import parse

    for arguments in (["--rows", "a9"], ["--seeds", "-1"], ["--weights", str(tmp_path / "no.pth")]):
        with pytest.raises(SystemExit):
            parse(arguments)
    with pytest.raises(SystemExit):
        parse(["--weights", __file__, "--warm-start-iterations", "5"])
