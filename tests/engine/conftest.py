"""Generated figures to train on."""

import subprocess
import sys

import pytest

from tests.engine.training_runs import ROOT


@pytest.fixture(scope="package")
def toy_root(tmp_path_factory):
    """A folder for DETECTRON2_DATASETS, with 7 images to train and 2 to test on."""
    root = tmp_path_factory.mktemp("datasets")
    arguments = ["--train-images", "7", "--test-images", "2", "--demo-images", "1"]
    subprocess.run(
        [sys.executable, "datasets/prepare_toy.py", "--root", str(root), *arguments],
        cwd=ROOT, check=True, capture_output=True,
    )  # fmt: skip
    return root
