"""MuPoTS-3D as distributed, and the script that prepares it."""

import pytest

from tests.data.mupots_records import expected_records
from tests.data.writers_mupots import make_mupots_arrays, write_mupots_sequence
from tests.scripts import load_script


@pytest.fixture
def mupots_tree(tmp_path) -> tuple[str, list[dict]]:
    """A test set of three sequences, some people of them invalid, and its dataset dicts."""
    root, records = tmp_path / "MultiPersonTestSet", []
    for seed, (name, size) in enumerate(
        [("TS5", (2048, 2048)), ("TS6", (1920, 1080)), ("TS20", (1920, 1080))]
    ):
        arrays = make_mupots_arrays(seed, 6, 2 + seed % 2)
        arrays["valid"][1, 0] = False
        arrays["valid"][4] = False
        write_mupots_sequence(root / name, arrays)
        records += expected_records(str(root), name, arrays, size)
    return str(root), records


@pytest.fixture(scope="module")
def prepare_mupots():
    return load_script("datasets/prepare_mupots.py").main
