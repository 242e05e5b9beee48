"""JSON files of predicted poses: units and joint names in a header, an image a line."""

import itertools
import json
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from ..atomic_file import write_atomically
from ..skeleton import Skeleton

__all__ = ["json_array", "people_to_json", "pose_header", "write_json"]


def pose_header(skeleton: Skeleton) -> dict[str, Any]:
    """Joint names, frame and units, without which the numbers say nothing."""
    return {
        "skeleton": skeleton.name,
        "joint_names": skeleton.joint_names,
        "frame": "camera: X right, Y down, Z forward",
        "units": {
            "bbox": "px (x0, y0, x1, y1)",
            "keypoints": "px (x, y, score), the centre of pixel i at i + 0.5",
            "keypoints_cam": "mm (X, Y, Z)",
            "root_depth": "mm",
        },
    }


def write_json(path: str, header: dict[str, Any], key: str, value: Iterable[str]) -> None:
    """Write a JSON object, whole or not at all.

    Args:
        path: file to write; its folder exists.
        header: first keys.
        key: last key.
        value: JSON text of its value, in parts.
    """
    parts = itertools.chain((f'{json.dumps(header)[:-1]}, "{key}": ',), value, ("}\n",))
    write_atomically(path, lambda file: file.writelines(part.encode() for part in parts))


def json_array(items: Iterable[Any]) -> Iterator[str]:
    """The text of a JSON array, an item a line; a large one never lies in memory."""
    separator = ""
    yield "["
    for item in items:
        yield separator + "\n" + json.dumps(item, allow_nan=False)
        separator = ","
    yield "\n]"


def people_to_json(prediction: dict[str, Any]) -> dict[str, Any]:
    """One image of ``pose_predictions.json``; rounded, as float32 prints long in JSON."""
    fields = {
        "score": prediction["scores"],
        "bbox": prediction["pred_boxes"],
        "keypoints": prediction["pred_keypoints"],
        "keypoints_cam": prediction["pred_keypoints_cam"],
        "root_depth": prediction["pred_root_depth"],
    }
    columns = [values.astype(np.float64).round(6).tolist() for values in fields.values()]
    image_id = prediction["image_id"]
    return {
        "image_id": image_id.item() if isinstance(image_id, np.generic) else image_id,
        "file_name": prediction["file_name"],
        "people": [dict(zip(fields, person, strict=True)) for person in zip(*columns, strict=True)],
    }
