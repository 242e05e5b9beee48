"""Generated figures to train on."""

import pytest

from tests.toy_data import draw_toy_data


@pytest.fixture(scope="package")
def toy_root(tmp_path_factory):
    """A folder for DETECTRON2_DATASETS, with 7 images to train and 2 to test on."""
    return draw_toy_data(tmp_path_factory.mktemp("datasets"), 7, 2)
