"""Photograph, view in space and map from above in one picture."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from ..skeleton import Skeleton
from .overlay import draw_poses
from .scene3d import draw_scene, save_picture

__all__ = ["draw_panel"]


def draw_panel(
    image_bgr: np.ndarray,
    boxes: np.ndarray | None,
    keypoints: np.ndarray,
    poses_cam: np.ndarray,
    skeleton: Skeleton,
    *,
    intrinsics: Sequence[float],
    scores: np.ndarray | None = None,
    root_depth: np.ndarray | None = None,
    valid: np.ndarray | None = None,
    path: str | Path | None = None,
    height_px: int = 640,
) -> np.ndarray:
    """The picture with 2D poses, the view in space and the map from above, side by side.

    Arguments are those of :func:`draw_poses` and :func:`draw_scene`; very wide pictures are
    fitted into a frame of 3:2.

    Returns:
        (height_px, W, 3) uint8, RGB.
    """
    style = {"root_depth": root_depth, "scores": scores}
    overlay = draw_poses(image_bgr, boxes, keypoints, skeleton, **style)
    height, width = image_bgr.shape[:2]
    zoom = min(height_px / height, 1.5 * height_px / width)
    size = max(1, round(width * zoom)), max(1, round(height * zoom))
    photo = np.full((height_px, size[0], 3), 255, np.uint8)
    top = (height_px - size[1]) // 2
    method = cv2.INTER_AREA if zoom < 1 else cv2.INTER_CUBIC
    photo[top : top + size[1]] = cv2.resize(overlay, size, interpolation=method)[..., ::-1]
    camera = {"intrinsics": intrinsics, "image_size": (height, width), "image": image_bgr}
    scene = draw_scene(poses_cam, skeleton, **camera, valid=valid, height_px=height_px)
    return save_picture(np.hstack([photo, scene]), path)
