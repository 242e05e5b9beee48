"""People of one image as numpy arrays in the model's skeleton: the predicted, the annotated."""

from typing import Any

import numpy as np
from detectron2.structures import BoxMode, Instances

from ..data.annotations import check_person
from ..data.dataset_error import field_error
from ..skeleton import Skeleton, get_skeleton
from .matching import clip_boxes

__all__ = [
    "annotated_people",
    "check_field",
    "field_shapes",
    "place",
    "predicted_people",
]

_XYXY = BoxMode.XYXY_ABS


def place(dataset_name: str, record: dict) -> str:
    """Dataset, image id and file of a record, for messages."""
    image = f"image_id {record.get('image_id')!r} ({record.get('file_name')})"
    return f"dataset '{dataset_name}', {image}"


def field_shapes(skeleton: Skeleton) -> dict[str, tuple[int, ...]]:
    """Fields of a prediction, and their shapes after the N people."""
    joints = (skeleton.num_joints, 3)
    return {
        "pred_boxes": (4,),
        "scores": (),
        "pred_keypoints": joints,
        "pred_keypoints_cam": joints,
        "pred_root_depth": (),
    }


def predicted_people(instances: Instances, skeleton: Skeleton, where: str) -> dict[str, Any]:
    """A prediction as numpy arrays, checked; ``image_size`` is (height, width)."""
    arrays: dict[str, Any] = {"image_size": tuple(int(side) for side in instances.image_size)}
    for name, shape in field_shapes(skeleton).items():
        arrays[name] = check_field(instances, name, shape, skeleton, where)
    return arrays


def check_field(
    instances: Instances, name: str, shape: tuple[int, ...], skeleton: Skeleton, where: str
) -> np.ndarray:
    """A field of N predicted people, (N, *shape) float32.

    Raises:
        ValueError: if it is missing, has another shape or is not finite; ``where`` is its place.
    """
    if not instances.has(name):
        found = sorted(instances.get_fields())
        raise ValueError(f"{where}: the prediction has no field '{name}', found {found}")
    value = instances.get(name)
    value = getattr(value, "tensor", value).detach().float().cpu().numpy()
    if value.shape != (len(instances), *shape):
        raise ValueError(
            f"{where}: predicted '{name}' must have shape {(len(instances), *shape)} for "
            f"skeleton '{skeleton.name}', found {value.shape}"
        )
    _check_finite(value, f"{where}: predicted '{name}'")
    return value


def _check_finite(values: np.ndarray, what: str) -> None:
    bad = np.argwhere(~np.isfinite(values))
    if len(bad):
        first = tuple(bad[0].tolist())
        raise ValueError(f"{what} must be finite, found {values[first]} at index {first}")


def annotated_people(
    record: dict, skeleton: Skeleton, where: str
) -> tuple[dict[str, np.ndarray], np.ndarray, int]:
    """Annotated people of one image, their joints mapped to ``skeleton`` by name.

    Returns:
        P people as arrays: ``boxes`` (P, 4) XYXY px clipped to the image, ``poses`` (P, J, 3)
        mm, ``valid`` (P, J) bool, ``pixels`` (P, J, 2), ``visibility`` (P, J) of 0, 1, 2; the
        (C, 4) boxes of crowds; and the number of people left out as outside the image.
    """
    annotations = record.get("annotations", [])
    has_3d = np.array([a.get("keypoints_cam") is not None for a in annotations], dtype=bool)
    source = _joint_set(
        record, skeleton, where, default=skeleton.name if has_3d.any() else "coco17"
    )
    for i, annotation in enumerate(annotations):
        check_person(annotation, source, f"{where}, annotation {i}")
    boxes = [BoxMode.convert(list(a["bbox"]), a["bbox_mode"], _XYXY) for a in annotations]
    boxes = clip_boxes(np.array(boxes).reshape(-1, 4), (record["height"], record["width"]))
    crowd = np.array([bool(a.get("iscrowd", 0)) for a in annotations], dtype=bool)
    inside = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)

    num = source.num_joints
    poses = _stack(annotations, "keypoints_cam", np.zeros((num, 3)))
    valid = _stack(annotations, "keypoints_cam_valid", np.ones(num)) > 0
    pixels = _stack(annotations, "keypoints", np.zeros(num * 3)).reshape(-1, num, 3)
    mapping = source.mapping_to(skeleton)
    poses, valid = mapping.apply(poses, valid & has_3d[:, None])
    pixels, visibility = mapping.apply(pixels[..., :2], pixels[..., 2])
    people = {
        "boxes": boxes,
        "poses": poses,
        "valid": valid,
        "pixels": pixels,
        "visibility": visibility,
    }
    people = {name: values[inside & ~crowd] for name, values in people.items()}
    return people, boxes[crowd], int((~inside & ~crowd).sum())


def _joint_set(record: dict, skeleton: Skeleton, where: str, default: str) -> Skeleton:
    name = record.get("joint_set", default)
    if name == skeleton.name:
        return skeleton
    try:
        return get_skeleton(name)
    except KeyError as error:
        raise field_error(where, "joint_set", error.args[0], "a known skeleton") from error


def _stack(annotations: list[dict], field: str, default: np.ndarray) -> np.ndarray:
    """(P, *default.shape) of a field that may be absent."""
    values = [a.get(field) for a in annotations]
    stacked = np.array([default if v is None else v for v in values], dtype=np.float64)
    return stacked.reshape(len(values), *default.shape)
