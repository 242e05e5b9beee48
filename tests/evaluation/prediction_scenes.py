"""A few predictions, and files of them, for the tests of files of predictions."""

import json

import numpy as np
from scipy.io import savemat

from hmor_d2.skeleton import get_skeleton
from tests.evaluation.mupots_scenes import STANDING, person

MUCO17 = get_skeleton("muco17")
FIRST, EMPTY, LAST = (f"TS2/img_00000{i}.jpg" for i in (4, 0, 1))


def make_predictions():
    """Two people, nobody, one person; lists as JSON gives them."""
    rng = np.random.default_rng(0)

    def someone():
        pixels = rng.uniform(0, 1900, (17, 2)).round(6)
        poses = (STANDING + rng.normal((0, 0, 4000), 50, (17, 3))).round(6)
        return person(pixels.tolist(), poses.tolist(), float(rng.random().__round__(6)))

    return {FIRST: [someone(), someone()], EMPTY: [], LAST: [someone()]}


def assert_holds(stacked, predictions, scores=True):
    people = [p for image in predictions.values() for p in image]
    assert stacked.names == tuple(predictions) and len(stacked) == 3
    assert stacked.image.tolist() == [0, 0, 2]
    assert stacked.keypoints.tolist() == [p["keypoints"] for p in people]
    assert stacked.keypoints_cam.tolist() == [p["keypoints_cam"] for p in people]
    assert stacked.scores.tolist() == [p["score"] if scores else 1 for p in people]


def write(path, content):
    path.write_text(json.dumps(content))
    return str(path)


def write_mat(folder, predictions, change=lambda pixels, poses: None):
    """As 3DMPPE's test script does; it writes no image without people."""
    variables = ({}, {})
    for image, people in predictions.items():
        for field, part in zip(("keypoints", "keypoints_cam"), variables, strict=True):
            name = image.replace("/", "_").removesuffix(".jpg")
            part[name] = np.array([p[field] for p in people])
    change(*variables)
    paths = [str(folder / f"preds_{d}d_kpt_mupots.mat") for d in (2, 3)]
    for path, part in zip(paths, variables, strict=True):
        savemat(path, part)
    return paths
