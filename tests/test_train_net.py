"""The whole way on generated figures: train, checkpoint, resume, evaluate."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.toy_data import draw_toy_data

ROOT = Path(__file__).parents[1]
CONFIG = "configs/toy/hmor_rcnn_R_50_half_FPN_toy.yaml"
THIN = [
    "MODEL.FPN.OUT_CHANNELS", "32", "MODEL.ROI_BOX_HEAD.FC_DIM", "32",
    "MODEL.ROI_POSE_HEAD.DECONV_DIM", "32", "SOLVER.IMS_PER_BATCH", "2",
    "INPUT.MIN_SIZE_TRAIN", "[128]", "INPUT.MIN_SIZE_TEST", "128",
]  # fmt: skip


def run(root, *arguments):
    command = [sys.executable, "train_net.py", "--config-file", CONFIG, *arguments]
    environment = {"DETECTRON2_DATASETS": str(root), "PATH": "/usr/bin:/bin"}
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300
    )


@pytest.fixture(scope="module")
def toy_root(tmp_path_factory):
    return draw_toy_data(tmp_path_factory.mktemp("datasets"), 8, 3)


def test_train_resume_and_evaluate(toy_root, tmp_path):
    output = ["OUTPUT_DIR", str(tmp_path)]
    first = run(toy_root, *THIN, *output, "SOLVER.MAX_ITER", "2")
    assert first.returncode == 0, first.stderr[-3000:]
    results = json.loads(
        (tmp_path / "inference/toy_test/pose_results.json").read_text()
    )["pose3d"]  # fmt: skip
    assert results["people"] > 0 and results["detection_rate"] <= 1

    resumed = run(toy_root, "--resume", *THIN, *output, "SOLVER.MAX_ITER", "3")
    assert resumed.returncode == 0, resumed.stderr[-3000:]
    assert "Starting training from iteration 2" in resumed.stdout + resumed.stderr
    assert (tmp_path / "last_checkpoint").read_text() == "model_final.pth"

    weights = ["MODEL.WEIGHTS", str(tmp_path / "model_final.pth")]
    again = run(toy_root, "--eval-only", *THIN, *output, *weights, "TEST.AUG.ENABLED", "True",
                "TEST.AUG.MIN_SIZES", "[128]")  # fmt: skip
    assert again.returncode == 0, again.stderr[-3000:]
    for folder in ("inference", "inference_TTA"):
        results = json.loads((tmp_path / folder / "toy_test/pose_results.json").read_text())
        assert results["pose3d"]["people"] > 0


def test_a_missing_dataset_is_named(tmp_path):
    failed = run(tmp_path / "nowhere", *THIN, "OUTPUT_DIR", str(tmp_path / "out"))
    assert failed.returncode != 0
    message = failed.stderr.strip().splitlines()[-1]
    assert "nowhere/toy/train.json" in message and "DETECTRON2_DATASETS" in message
