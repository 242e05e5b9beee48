"""Makes ``datasets/`` importable: its package ``synthetic`` is used as the scripts there use it.

Not as ``datasets.synthetic``, because an installed package of the name ``datasets`` would hide it.
"""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "datasets"))


@pytest.fixture(scope="session")
def scenes():
    """The first scenes of the training pool, small."""
    from synthetic.scene import generate_scene

    return [generate_scene("train", i, size=(320, 240)) for i in range(28)]
