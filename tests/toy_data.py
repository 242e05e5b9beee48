"""Toy figures to train on, drawn for a test."""

import subprocess
import sys
from pathlib import Path

__all__ = ["draw_toy_data"]

ROOT = Path(__file__).parents[1]


def draw_toy_data(root: Path, train_images: int, test_images: int) -> Path:
    """Fill ``root``, a folder for DETECTRON2_DATASETS, and return it."""
    command = [sys.executable, "datasets/prepare_toy.py", "--root", str(root)]
    command += ["--train-images", f"{train_images}", "--test-images", f"{test_images}"]
    command += ["--demo-images", "1"]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return root
