"""Scenes as MuCo-3DHP, in the JSON that Moon et al. made of it: 2D and 3D joints of everybody.

Written are ``train.json`` and ``images/``.  Pixels in the file count by index (a pixel's centre is
at whole numbers).  A box is around the whole body, also its hidden parts, and is not clipped.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .ground_truth import PersonTruth
from .pieces import Piece, pieces_of_images
from .scene import Scene, generate_scene
from .storage import rounded, write_joined_json, write_jpeg

# An image's people are numbered after it.
PEOPLE_PER_IMAGE = 10
_SPLIT = "train"
_IMAGES_PER_PIECE = 20


@dataclass(frozen=True)
class MuCoPlan:
    """``images`` pictures of ``size`` (width, height)."""

    images: int
    size: tuple[int, int] = (640, 480)
    folder: str = "muco"

    def pieces(self) -> list[Piece]:
        return pieces_of_images(self.images, _IMAGES_PER_PIECE)

    def draw(self, folder: Path, piece: Piece, seed: int) -> dict[str, Any]:
        part: dict[str, Any] = {"files": [], "images": [], "annotations": []}
        for index in range(piece.first, piece.last):
            scene = generate_scene(_SPLIT, index, seed, self.size)
            name = f"images/{index + 1:06d}.jpg"
            write_jpeg(folder / name, scene.image)
            part["files"].append(name)
            part["images"].append(muco_image(scene, index + 1, name))
            part["annotations"] += [
                muco_person(person, index + 1) for person in shown_people(scene)
            ]
        return part

    def finish(self, folder: Path, parts: Callable[[], Iterable[dict[str, Any]]]) -> None:
        write_joined_json(folder / "train.json", parts, ("images", "annotations"))


def shown_people(scene: Scene) -> list[PersonTruth]:
    """Those of whom a pixel shows at least."""
    return [person for person in scene.people if person.visible_pixels]


def muco_image(scene: Scene, image_id: int, file_name: str) -> dict[str, Any]:
    """Entry of ``images``: id, file_name, width, height, f, c."""
    width, height = scene.camera.size
    fx, fy, cx, cy = scene.camera.intrinsics.tolist()
    size = {"width": width, "height": height}
    camera = {"f": [fx, fy], "c": [cx - 0.5, cy - 0.5]}
    return {"id": image_id, "file_name": file_name, **size, **camera}


def muco_person(person: PersonTruth, image_id: int) -> dict[str, Any]:
    """Entry of ``annotations``: ids, bbox XYWH, keypoints_img, keypoints_cam, keypoints_vis.

    The 21 joints are those of ``muco21``: ``muco17``, hands and toes.
    """
    pixels = np.concatenate([person.joints_px, person.extremities_px]) - 0.5
    joints = np.concatenate([person.joints_cam, person.extremities_cam])
    visible = np.concatenate([person.visible, person.extremities_visible])
    x0, y0, x1, y1 = person.box_amodal
    return {
        "id": image_id * PEOPLE_PER_IMAGE + person.person,
        "image_id": image_id,
        "bbox": rounded([x0, y0, x1 - x0, y1 - y0], 2),
        "keypoints_img": rounded(pixels, 4),
        "keypoints_cam": rounded(joints, 3),
        "keypoints_vis": visible.astype(int).tolist(),
    }
