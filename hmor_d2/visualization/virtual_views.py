"""People as the ordinal relations see them: along a view normal, without perspective (eq. 10)."""

import cv2
import numpy as np
import torch

from ..losses.views import plane_basis
from ..skeleton import Skeleton
from .overlay import draw_poses

__all__ = ["draw_virtual_view"]

_BACKGROUND = 245
_TEXT = (60, 60, 60)
# Share of the picture that the people fill.
_FILL = 0.8


def draw_virtual_view(
    poses_cam: np.ndarray,
    skeleton: Skeleton,
    normal: np.ndarray,
    *,
    valid: np.ndarray | None = None,
    size_px: int = 640,
) -> np.ndarray:
    """Draw people projected onto the plane perpendicular to a view normal, the nearest last.

    Args:
        poses_cam: (N, J, 3) mm in the camera frame.
        skeleton: names and parts of the J joints.
        normal: (3,) unit vector, the direction of the view; (0, 0, 1) is the camera's own.
        valid: (N, J) bool, joints to draw; all where None.
        size_px: side of the picture.

    Returns:
        (size_px, size_px, 3) uint8 RGB.  Labels tell the depth of a person's middle along the
        normal, which is what instances are ordered by.
    """
    poses = np.asarray(poses_cam, dtype=np.float64)
    shown = np.ones(poses.shape[:2], bool) if valid is None else np.asarray(valid, bool)
    normal = np.asarray(normal, dtype=np.float64)
    basis = torch.stack(plane_basis(torch.as_tensor(normal)), dim=-1).numpy()
    canvas = np.full((size_px, size_px, 3), _BACKGROUND, np.uint8)
    seen = shown.any(axis=1)
    if seen.any():
        plane = poses @ basis
        points = plane[shown]
        low, high = points.min(axis=0), points.max(axis=0)
        scale = _FILL * size_px / max((high - low).max(), 1.0)
        pixels = (plane - (low + high) / 2) * scale + size_px / 2
        keypoints = np.concatenate((pixels, shown[..., None]), axis=-1)[seen]
        count = shown[seen].sum(axis=1)
        depth = np.where(shown, poses @ normal, 0.0)[seen].sum(axis=1) / count
        indices = np.flatnonzero(seen).tolist()
        canvas = draw_poses(canvas, None, keypoints, skeleton, root_depth=depth, indices=indices)
    title = "view n = ({:.2f}, {:.2f}, {:.2f})".format(*normal)
    place, font = (size_px // 40, size_px - size_px // 40), cv2.FONT_HERSHEY_SIMPLEX
    cv2.putText(canvas, title, place, font, size_px / 1100, _TEXT, 1, cv2.LINE_AA)
    return np.ascontiguousarray(canvas[..., ::-1])
