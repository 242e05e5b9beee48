"""Dataset dicts of Human3.6M: loaded, and compared."""

import numpy as np

from hmor_d2.data.datasets.human36m import load_human36m
from tests.data.same_images import people_of_same_images


def assert_same(found: list[dict], expected: list[dict]) -> None:
    """Equal dataset dicts; pixels to 1e-6, millimetres to 1e-2 (float32 of some metres)."""
    for (p,), (q,) in people_of_same_images(found, expected):
        assert p.keys() == q.keys()
        np.testing.assert_allclose(p["keypoints_cam"], q["keypoints_cam"], rtol=0, atol=1e-2)
        np.testing.assert_allclose(p["keypoints"], q["keypoints"], rtol=0, atol=1e-6)
        for field in p.keys() - {"keypoints_cam", "keypoints"}:
            np.testing.assert_array_equal(p[field], q[field], err_msg=field)


def load(root, subjects=(1,), frame_step=1, **kwargs) -> list[dict]:
    return load_human36m(str(root), subjects, frame_step=frame_step, **kwargs)
