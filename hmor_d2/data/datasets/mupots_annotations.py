"""The annotation files of MuPoTS-3D's raw test set, as MPI for Informatics distributes it.

Layout of a sequence TS1 ... TS20 (MATLAB v5 files; F frames from 0, P people)::

    TS1/img_%06d.jpg
    TS1/annot.mat      annotations: cell (F, P) of structs (1, 1) with annot2 (2, 17) in px, annot3
                       and univ_annot3 (3, 17) in mm, isValidFrame (1, 1)
    TS1/occlusion.mat  occlusion_labels: cell (F, P) of (1, 17), 1 where a joint is occluded
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...skeleton import get_skeleton
from ..annotations import stack_field
from ..dataset_error import field_error, require, require_file
from ..matlab_file import read_matlab_file

__all__ = [
    "MUPOTS_IMAGE_SIZES",
    "MUPOTS_JOINT_SET",
    "MUPOTS_SEQUENCES",
    "MuPoTSSequence",
    "read_mupots_sequence",
]

MUPOTS_JOINT_SET = "muco17"

#: (width, height) in pixels of each sequence's images, from the test set's own
#: ``mpii_get_multiperson_test_seq_info.m``.
MUPOTS_IMAGE_SIZES: dict[str, tuple[int, int]] = {
    f"TS{i}": (2048, 2048) if i <= 5 else (1920, 1080) for i in range(1, 21)
}
#: The 20 sequences in the order of the published tables.
MUPOTS_SEQUENCES: tuple[str, ...] = tuple(MUPOTS_IMAGE_SIZES)


@dataclass(frozen=True)
class MuPoTSSequence:
    """The annotations of a sequence of F frames and P people; float64, zero where not ``valid``.

    Attributes:
        name: e.g. ``"TS1"``.
        annot2: (F, P, 17, 2) px, index coordinates (a pixel's centre is at whole numbers).
        annot3: (F, P, 17, 3) mm, camera frame; the pose that projects to ``annot2``.
        univ_annot3: (F, P, 17, 3) mm; ``annot3`` scaled about the pelvis to the universal
            body size: the ground truth of the official evaluation.
        valid: (F, P) bool; the person is annotated in the frame.
        occluded: (F, P, 17) bool; False where not ``valid``.
    """

    name: str
    annot2: np.ndarray
    annot3: np.ndarray
    univ_annot3: np.ndarray
    valid: np.ndarray
    occluded: np.ndarray


def read_mupots_sequence(folder: str) -> MuPoTSSequence:
    """Read ``annot.mat`` and ``occlusion.mat`` of a sequence; its images are not needed.

    Args:
        folder: of the sequence; its last part is the sequence's name.

    Raises:
        DatasetError: names the file and, where they apply, frame, person (both from 0) and field;
            for a file that is missing or not whole, a missing field, and, of valid people,
            arrays of another shape, numbers that are not finite, joints that are not in front
            of the camera, occlusion labels other than 0 and 1.
    """
    folder = os.path.normpath(folder)
    path = os.path.join(folder, "annot.mat")
    cells = _read_cells(path, "annotations")
    occlusion_path = os.path.join(folder, "occlusion.mat")
    labels = _read_cells(occlusion_path, "occlusion_labels")
    if labels.shape != cells.shape:
        found, expected = f"shape {labels.shape}", f"{cells.shape}, that of {path}"
        raise field_error(occlusion_path, "occlusion_labels", found, expected)

    people = [_struct_fields(cell) for cell in cells.flat]
    place = _places(path, np.arange(cells.size), cells.shape[1])
    flags = stack_field(people, "isValidFrame", (1, 1), place)
    valid = flags.reshape(cells.shape) != 0
    chosen = np.flatnonzero(valid)
    place = _places(path, chosen, cells.shape[1])
    people = [people[i] for i in chosen]
    num_joints = get_skeleton(MUPOTS_JOINT_SET).num_joints
    arrays = {}
    for field, dimensions in (("annot2", 2), ("annot3", 3), ("univ_annot3", 3)):
        stacked = stack_field(people, field, (dimensions, num_joints), place)
        if dimensions == 3:
            for i in np.flatnonzero((stacked[:, 2] <= 0).any(axis=1)):
                found = f"a depth of {stacked[i, 2].min()} mm"
                raise field_error(place(i), field, found, "joints in front of the camera, Z > 0")
        arrays[field] = np.zeros((*cells.shape, num_joints, dimensions))
        arrays[field][valid] = stacked.swapaxes(1, 2)

    place = _places(occlusion_path, chosen, cells.shape[1])
    people = [{"occlusion_labels": labels.flat[i]} for i in chosen]
    stacked = stack_field(people, "occlusion_labels", (1, num_joints), place)[:, 0]
    for i in np.flatnonzero(((stacked != 0) & (stacked != 1)).any(axis=1)):
        raise field_error(place(i), "occlusion_labels", stacked[i].tolist(), "labels 0 and 1")
    occluded = np.zeros((*cells.shape, num_joints), dtype=np.bool_)
    occluded[valid] = stacked != 0
    return MuPoTSSequence(os.path.basename(folder), valid=valid, occluded=occluded, **arrays)


def _read_cells(path: str, variable: str) -> np.ndarray:
    """A variable of a MATLAB file that is a cell array (F, P), not empty."""
    require_file(path, "an annotation file of MuPoTS-3D")
    cells = require(read_matlab_file(path, [variable]), variable, path)
    if cells.dtype != object or cells.ndim != 2 or not cells.size:
        found = f"shape {cells.shape} of {cells.dtype}"
        raise field_error(path, variable, found, "a cell array, frames by people")
    return cells


def _struct_fields(cell: Any) -> dict[str, np.ndarray]:
    """The fields of a (1, 1) struct; none of anything else."""
    if getattr(cell, "shape", None) != (1, 1) or not isinstance(cell[0, 0], dict):
        return {}
    return cell[0, 0]


def _places(path: str, cells: np.ndarray, num_people: int) -> Callable[[int], str]:
    """The place of the i-th of some cells, given by their flat indices, for messages."""

    def place(i: int) -> str:
        frame, person = divmod(int(cells[i]), num_people)
        return f"{path}, frame {frame}, person {person}"

    return place
