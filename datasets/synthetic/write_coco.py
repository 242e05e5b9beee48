"""Scenes as COCO person keypoints: 2D alone, with masks; boxes and masks of what is visible.

Written are ``annotations/person_keypoints_train.json`` and ``images/``.  A joint has v = 2 where it
is seen, 1 where it is in the image but hidden, 0 (and x = y = 0) outside the image.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from .ground_truth import PersonTruth
from .pieces import Piece, pieces_of_images
from .rig import COCO_NAMES
from .scene import Scene, generate_scene
from .storage import rounded, write_joined_json, write_jpeg
from .write_muco import PEOPLE_PER_IMAGE, shown_people

_SPLIT = "train/coco"
_IMAGES_PER_PIECE = 20
_PERSON = 1
# As in COCO's own files, joints counted from 1.
_SKELETON = [
    [16, 14], [14, 12], [17, 15], [15, 13], [12, 13], [6, 12], [7, 13], [6, 7], [6, 8], [7, 9],
    [8, 10], [9, 11], [2, 3], [1, 2], [1, 3], [2, 4], [3, 5], [4, 6], [5, 7],
]  # fmt: skip
_CATEGORY = {
    "id": _PERSON,
    "name": "person",
    "supercategory": "person",
    "keypoints": list(COCO_NAMES),
    "skeleton": _SKELETON,
}


@dataclass(frozen=True)
class COCOPlan:
    """``images`` pictures of ``size`` (width, height)."""

    images: int
    size: tuple[int, int] = (640, 480)
    folder: str = "coco"

    def pieces(self) -> list[Piece]:
        return pieces_of_images(self.images, _IMAGES_PER_PIECE)

    def draw(self, folder: Path, piece: Piece, seed: int) -> dict[str, Any]:
        part: dict[str, Any] = {"files": [], "images": [], "annotations": []}
        width, height = self.size
        for index in range(piece.first, piece.last):
            scene = generate_scene(_SPLIT, index, seed, self.size)
            image_id, name = index + 1, f"{index + 1:012d}.jpg"
            write_jpeg(folder / "images" / name, scene.image)
            part["files"].append(f"images/{name}")
            part["images"].append(
                {"id": image_id, "file_name": name, "width": width, "height": height}
            )
            part["annotations"] += [
                coco_person(scene, person, image_id) for person in shown_people(scene)
            ]
        return part

    def finish(self, folder: Path, parts: Callable[[], Iterable[dict[str, Any]]]) -> None:
        path = folder / "annotations" / "person_keypoints_train.json"
        constants = {"info": {"description": "Synthetic scenes"}, "categories": [_CATEGORY]}
        write_joined_json(path, parts, ("images", "annotations"), constants)


def coco_person(scene: Scene, person: PersonTruth, image_id: int) -> dict[str, Any]:
    """Entry of ``annotations``; ``segmentation`` is a compressed RLE."""
    mask = coco_mask.encode(np.asfortranarray(scene.mask(person).astype(np.uint8)))
    pixels = person.coco_px
    inside = ((pixels >= 0) & (pixels < scene.camera.size)).all(axis=1)
    flags = np.where(person.coco_visible, 2, inside.astype(int))
    keypoints = np.where(inside[:, None], pixels - 0.5, 0.0)
    x0, y0, x1, y1 = person.box_visible
    return {
        "id": image_id * PEOPLE_PER_IMAGE + person.person,
        "image_id": image_id,
        "category_id": _PERSON,
        "iscrowd": 0,
        "bbox": rounded([x0, y0, x1 - x0, y1 - y0], 2),
        "area": person.visible_pixels,
        "segmentation": {"size": list(mask["size"]), "counts": mask["counts"].decode("ascii")},
        "num_keypoints": int((flags > 0).sum()),
        "keypoints": [
            number
            for point, flag in zip(rounded(keypoints, 4), flags.tolist(), strict=True)
            for number in (*point, flag)
        ],
    }
