"""A Panoptic sequence whose files are to be spoilt, and its loading."""

from pathlib import Path

import numpy as np

from hmor_d2.data.datasets import load_panoptic
from tests.data.bodies import standing_person
from tests.data.writers import panoptic_camera, write_panoptic
from tests.hostile.hostile_reader import check_records

__all__ = ["load_sequence", "panoptic_root"]


def panoptic_root(folder: Path) -> Path:
    """A sequence with two cameras, calibration, bodies and an index."""
    sequence = folder / "seq"
    if not sequence.exists():
        cameras = [panoptic_camera(f"00_{n}", np.eye(3), (0.0, 100.0, 300.0)) for n in (16, 30)]
        frames = {i: {3: standing_person(0, 0), 8: standing_person(30 * i, 9)} for i in range(3)}
        write_panoptic(folder, "seq", cameras, frames)
    return sequence


def load_sequence(path: Path) -> None:
    root = next(parent for parent in path.parents if parent.name == "seq").parent
    check_records(load_panoptic(str(root), ["seq"], ["00_16", "00_30"]))
