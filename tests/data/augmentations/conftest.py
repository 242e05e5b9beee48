import cv2
import pytest

from tests.data.augmentations.options import random_image


@pytest.fixture(scope="module")
def image_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("images") / "a.png"
    cv2.imwrite(str(path), random_image())
    return str(path)
