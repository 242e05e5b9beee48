"""Predictions of any method for an image dataset: the JSON file, its checks, and 3DMPPE's .mat.

The JSON file is one object::

    {"joint_set": "muco17",
     "predictions": {
        "TS1/img_000000.jpg": [
            {"keypoints": [[x, y], ...], "keypoints_cam": [[X, Y, Z], ...], "score": 0.98},
            ...],
        ...}}

``predictions`` maps an image's name in the dataset to its people, as many as were predicted, in any
order.  Of each person, in the dataset's own order of joints:

- ``keypoints``: x, y in the dataset's own pixels.  Those of MuPoTS-3D are index coordinates of the
  original image: a pixel's centre is at whole numbers, so that coordinates in which it is at .5,
  as in this project's model, need 0.5 subtracted.  (0, 0) means: not predicted in the image.
- ``keypoints_cam``: X, Y, Z in millimetres in the camera frame (X right, Y down, Z forward);
  absolute where absolute figures are wanted.
- ``score``: a number, higher for people that are surer.  Only AP depends on it, by its order.

``joint_set``, the name of the joints' order, may be left out; where it stands it must be the
dataset's.  Other keys beside ``predictions`` and ``units`` (below) are ignored.  Images may be left
out: their people count as missed.  Where an image stands twice the last counts.  A 3D joint that a
method lacks cannot be marked: put in its parent's place it makes a bone without direction, and
counts as wrong.

Lengths that look like another unit are refused: bones whose median over the people is not within
40 to 2500, and people whose own median is 0.05 to 2, as in metres.  People below 0.05 are points,
which have no unit, and are let through.  Millimetres that look otherwise, as of a model that has
hardly learnt, pass where the file says so: ``"units": {"keypoints_cam": "mm"}``.
"""

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..data.dataset_error import field_error, require
from ..data.json_file import load_json
from ..data.matlab_file import read_matlab_file
from ..skeleton import Skeleton
from .pose_json import write_json
from .prediction_checks import check_millimetres, stack_numbers

__all__ = [
    "PosePredictions",
    "read_predictions_json",
    "read_predictions_mat",
    "stack_predictions",
    "write_predictions_json",
]

_MAT_NAME = re.compile(r"(\w+)_img_(\d+)")


@dataclass(frozen=True)
class PosePredictions:
    """Predicted people of many images.

    Attributes:
        names: I names of images, without repetition; those without people as well.
        image: (N,) index into ``names`` of each person, ascending.
        keypoints: (N, J, 2) float64, px of the dataset.
        keypoints_cam: (N, J, 3) float64, mm, camera frame.
        scores: (N,) float64.
        source: file or other origin, for messages.
    """

    names: tuple[str, ...]
    image: np.ndarray
    keypoints: np.ndarray
    keypoints_cam: np.ndarray
    scores: np.ndarray
    source: str = "predictions"

    def __len__(self) -> int:
        return len(self.image)

    def place(self, person: int) -> str:
        """Origin, image and number within its image of the n-th person, for messages."""
        image = self.image[person]
        number = person - np.searchsorted(self.image, image)
        return f"{self.source}, image {self.names[image]}, person {number}"


def stack_predictions(
    predictions: Mapping[str, Sequence[Mapping[str, Any]]],
    skeleton: Skeleton,
    source: str = "predictions",
    *,
    check_unit: bool = True,
) -> PosePredictions:
    """Check predictions in the form of the file's ``predictions`` and stack them.

    Args:
        predictions: people by image, lists or arrays; see the module's description.
        skeleton: the dataset's joints.
        source: origin, for messages.
        check_unit: refuse bones that cannot be in millimetres.

    Raises:
        DatasetError: names image, person and field, for a missing field, another number of
            joints, what is no number (text, booleans) or not finite, a person all of whose 2D
            joints are (0, 0), and bones of another unit.
    """
    if not isinstance(predictions, Mapping):
        raise field_error(source, "predictions", predictions, "an object: people by image")
    for name, people in predictions.items():
        if isinstance(people, str | Mapping) or not isinstance(people, Sequence):
            raise field_error(source, str(name), people, "a list of people")
    names = tuple(predictions)
    people = [person for people in predictions.values() for person in people]
    image = np.repeat(np.arange(len(names)), [len(predictions[name]) for name in names])
    places = PosePredictions(names, image, *(np.zeros(0),) * 3, source=source)
    joints = skeleton.num_joints
    stacked = PosePredictions(
        names,
        image,
        stack_numbers(people, "keypoints", (joints, 2), places.place),
        stack_numbers(people, "keypoints_cam", (joints, 3), places.place),
        stack_numbers(people, "score", (), places.place),
        source,
    )
    for i in np.flatnonzero((stacked.keypoints == 0).all(axis=(1, 2))):
        found = "no joint: all are (0, 0), which means not predicted"
        raise field_error(stacked.place(i), "keypoints", found, "joints in pixels")
    if check_unit:
        check_millimetres(stacked.keypoints_cam, skeleton, source, stacked.place)
    return stacked


def read_predictions_json(path: str, skeleton: Skeleton) -> PosePredictions:
    """Read a file of the format in the module's description.

    Raises:
        FileNotFoundError: if there is no such file.
        DatasetError: for a file that is not whole, another ``joint_set``, another unit in
            ``units``, and as :func:`stack_predictions` does.
    """
    _require_file(path)
    content = load_json(path)
    predictions = require(content, "predictions", path)
    joint_set = content.get("joint_set", skeleton.name)
    if joint_set != skeleton.name:
        raise field_error(path, "joint_set", joint_set, f"'{skeleton.name}'")
    units = content.get("units", {})
    unit = units.get("keypoints_cam") if isinstance(units, Mapping) else units
    if unit not in (None, "mm"):
        raise field_error(path, "units", units, '{"keypoints_cam": "mm"} or nothing')
    return stack_predictions(predictions, skeleton, path, check_unit=unit is None)


def read_predictions_mat(path_2d: str, path_3d: str, skeleton: Skeleton) -> PosePredictions:
    """Read the exchange files of 3DMPPE, e.g. ``preds_2d_kpt_mupots.mat`` and ``preds_3d_...``.

    Each holds one variable an image, ``TS1_img_000000`` for ``TS1/img_000000.jpg``, of shape
    (N, J, 2) px and (N, J, 3) mm.  The files have no scores: all are 1, so that AP, which
    depends on them, takes people in the order of the file.

    Raises:
        FileNotFoundError: if one of the files is missing.
        DatasetError: for files that cannot be read, a variable that is in one of them alone or
            has another name, shape or number of people, and as :func:`stack_predictions` does.
    """
    pixels, poses = (_read_variables(path) for path in (path_2d, path_3d))
    for path, variables, others in ((path_3d, poses, pixels), (path_2d, pixels, poses)):
        missing = sorted(others.keys() - variables.keys())
        if missing:
            raise field_error(path, missing[0], "no such variable", "the images of both files")
    joints = skeleton.num_joints
    predictions = {}
    for variable, keypoints in pixels.items():
        found = _MAT_NAME.fullmatch(variable)
        if not found:
            raise field_error(path_2d, variable, "this variable", "names like TS1_img_000000")
        keypoints_cam = poses[variable]
        for path, array, shape in (
            (path_2d, keypoints, (joints, 2)),
            (path_3d, keypoints_cam, (joints, 3)),
        ):
            if array.size and array.shape[1:] != shape:
                expected = f"(people, {shape[0]}, {shape[1]})"
                raise field_error(path, variable, f"shape {array.shape}", expected)
        counts = [len(array) if array.size else 0 for array in (keypoints, keypoints_cam)]
        if counts[0] != counts[1]:
            found_people = f"{counts[1]} people"
            raise field_error(path_3d, variable, found_people, f"{counts[0]} as in {path_2d}")
        predictions[f"{found[1]}/img_{found[2]}.jpg"] = [
            {"keypoints": keypoints[i], "keypoints_cam": keypoints_cam[i], "score": 1.0}
            for i in range(counts[0])
        ]
    return stack_predictions(predictions, skeleton, f"{path_2d} and {os.path.basename(path_3d)}")


def _require_file(path: str) -> None:
    if not os.path.isfile(path):
        raise FileNotFoundError(f"{path}: found no such file, expected predictions")


def _read_variables(path: str) -> dict[str, np.ndarray]:
    _require_file(path)
    return read_matlab_file(path)


def write_predictions_json(
    path: str, predictions: PosePredictions, skeleton: Skeleton, header: Mapping[str, Any]
) -> None:
    """Write the JSON file, an image a line; numbers are rounded to six decimals.

    Args:
        path: file to write; its folder exists.
        predictions: what to write.
        skeleton: the dataset's joints, for ``joint_set``.
        header: further keys, written first.
    """
    header = {**header, "joint_set": skeleton.name, "joint_names": skeleton.joint_names}
    write_json(path, header, "predictions", _image_lines(predictions))


def _image_lines(predictions: PosePredictions) -> Iterator[str]:
    bounds = np.searchsorted(predictions.image, np.arange(len(predictions.names) + 1))
    yield "{"
    for index, name in enumerate(predictions.names):
        chosen = slice(bounds[index], bounds[index + 1])
        columns = {
            "keypoints": predictions.keypoints[chosen],
            "keypoints_cam": predictions.keypoints_cam[chosen],
            "score": predictions.scores[chosen],
        }
        rows = zip(*(values.round(6).tolist() for values in columns.values()), strict=True)
        people = [dict(zip(columns, row, strict=True)) for row in rows]
        yield f"{',' if index else ''}\n{json.dumps(name)}: {json.dumps(people, allow_nan=False)}"
    yield "\n}"
