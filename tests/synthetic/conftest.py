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


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """The folder of the small datasets of tests/synthetic/prepared.py."""
    from tests.synthetic.prepared import prepare, small_plans

    with small_plans():
        return prepare(tmp_path_factory.mktemp("one"), "--workers", "1")
