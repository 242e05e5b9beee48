"""A self-contained page: photographs with 2D poses, a 3D scene to turn, a map from above.

The page is one HTML file that holds its pictures, numbers, scripts and plotly.js.  It needs no
server and loads nothing; its Content-Security-Policy forbids it to.  Only writing a page needs
plotly.
"""

import html
import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..skeleton import Skeleton
from .overlay import drawn_limbs, limb_colour
from .page_images import image_budget, jpeg_base64, thumbnail_base64
from .page_scene import GroundPlane, body_height, estimate_ground, median_ground, root_positions

__all__ = ["PageFrame", "write_page"]

_ASSETS = Path(__file__).parent / "page_assets"
_SCRIPTS = ("geometry", "marks", "photo", "map", "scene", "view", "app", "controls")
_STYLES = ("page", "views", "phone")
_PLACE = re.compile(r"\{\{(\w+)\}\}")


@dataclass(frozen=True)
class PageFrame:
    """One picture, or one frame of a video, and the people found in it.

    Attributes:
        name: file name, shown as it is.
        image: (H, W, 3) uint8 BGR.
        intrinsics: (fx, fy, cx, cy) in pixels of the image, continuous coordinates.
        intrinsics_assumed: whether they are a guess; the page then says that depths are too.
        boxes: (N, 4) XYXY pixels.
        keypoints: (N, J, 3) x, y in continuous pixels, and a score; joints whose score is not
            above 0 or that are not finite are left out.
        poses: (N, J, 3) mm, camera frame: X right, Y down, Z forward.  Joints that are not
            finite are left out.
        scores: (N,) in [0, 1].
        ids: (N,) integers that tell people apart across the frames of a video; they choose the
            colours.  0 to N - 1, and labels from 1 to N, where None.
    """

    name: str
    image: np.ndarray
    intrinsics: Sequence[float]
    intrinsics_assumed: bool
    boxes: np.ndarray
    keypoints: np.ndarray
    poses: np.ndarray
    scores: np.ndarray
    ids: np.ndarray | None = None


def write_page(
    path: str | Path,
    frames: Sequence[PageFrame],
    skeleton: Skeleton,
    *,
    title: str,
    video: bool = False,
    fps: float = 10.0,
) -> None:
    """Write pictures and their people as one interactive HTML file.

    Args:
        path: the file; overwritten.
        frames: at least one; read once in order, so it may load pictures as they are asked for.
        skeleton: names and parts of the J joints.
        title: heading of the page.
        video: the frames are successive ones of a fixed camera: a slider and a play button
            instead of thumbnails, smaller pictures, one ground and one view for all frames.
        fps: frames a second when a video plays.

    Raises:
        ImportError: if plotly is not installed.
        OSError: if the file cannot be written.
        ValueError: for no frames, or a field of a frame that is not as :class:`PageFrame` says.
    """
    try:
        from plotly.offline import get_plotlyjs
    except ImportError as error:
        raise ImportError("write_page needs plotly: pip install plotly") from error
    if not len(frames):
        raise ValueError("found no frames, expected at least one")
    if not (math.isfinite(fps) and fps > 0):
        raise ValueError(f"fps: found {fps}, expected a positive number")
    budget = image_budget(len(frames), video)
    thumbnails = len(frames) > 1 and not video
    described, grounds, colours = [], [], set()
    for frame in frames:
        _check(frame, skeleton)
        entry = _describe(frame, skeleton)
        entry["image"] = jpeg_base64(frame.image, budget, video)
        if thumbnails:
            entry["thumbnail"] = thumbnail_base64(frame.image)
        described.append(entry)
        grounds.append(estimate_ground(np.asarray(frame.poses, np.float64), skeleton))
        colours.update(person["colour"] for person in entry["people"])
    if video:
        grounds = [median_ground(grounds)] * len(described)
    for entry, ground in zip(described, grounds, strict=True):
        entry["ground"] = _describe_ground(ground)
    data = {
        "title": title,
        "video": video,
        "fps": fps,
        "joint_names": list(skeleton.joint_names),
        "limbs": [list(limb) for limb in drawn_limbs(skeleton)],
        # Middle, left and right limbs of a person.
        "colours": {
            index: [_css(limb_colour(index, side)) for side in ("", "left_", "right_")]
            for index in sorted(colours)
        },
        "frames": described,
    }
    parts = {
        "title": html.escape(title),
        "style": _joined(_STYLES, ".css"),
        "plotly": get_plotlyjs(),
        # JSON inside HTML: "<" alone could end the script or start a comment.
        "data": json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c"),
        "scripts": _joined(_SCRIPTS, ".js"),
    }
    template = (_ASSETS / "page.html").read_text("utf-8")
    page = _PLACE.sub(lambda match: parts[match.group(1)], template)
    # A file name that is not UTF-8 has surrogates, which UTF-8 cannot hold.
    Path(path).write_text(page, "utf-8", "replace")


def _joined(names: Sequence[str], suffix: str) -> str:
    return "\n".join((_ASSETS / f"{name}{suffix}").read_text("utf-8") for name in names)


def _check(frame: PageFrame, skeleton: Skeleton) -> None:
    """Raises ValueError that names the frame and the field."""
    image, count, joints = np.asarray(frame.image), len(frame.scores), skeleton.num_joints
    if image.ndim != 3 or image.shape[2] != 3 or not image.size or image.dtype != np.uint8:
        found = f"{image.dtype} of shape {image.shape}"
        raise ValueError(f"{frame.name}: image: found {found}, expected uint8 of (H, W, 3)")
    shapes = {
        "boxes": (count, 4),
        "keypoints": (count, joints, 3),
        "poses": (count, joints, 3),
        "scores": (count,),
    }
    if frame.ids is not None:
        shapes["ids"] = (count,)
    for field, expected in shapes.items():
        found = np.shape(getattr(frame, field))
        if found != expected:
            raise ValueError(
                f"{frame.name}: {field}: found shape {found}, expected {expected} for {count} "
                f"scores and skeleton '{skeleton.name}'"
            )
    camera = [float(value) for value in frame.intrinsics]
    if len(camera) != 4 or not all(map(math.isfinite, camera)) or min(camera[:2]) <= 0:
        raise ValueError(f"{frame.name}: intrinsics: found {camera}, expected fx, fy > 0, cx, cy")


def _describe(frame: PageFrame, skeleton: Skeleton) -> dict[str, Any]:
    """A frame as JSON without its picture: pixels and metres; null where unknown."""
    keypoints = np.asarray(frame.keypoints, np.float64)
    poses = np.asarray(frame.poses, np.float64)
    shown = np.isfinite(keypoints).all(axis=-1) & (keypoints[..., 2] > 0)
    solid = np.isfinite(poses).all(axis=-1)
    roots, heights = root_positions(poses, skeleton), body_height(poses, skeleton)
    boxes = np.asarray(frame.boxes, np.float64)
    people = []
    for i in range(len(poses)):
        number = i if frame.ids is None else int(frame.ids[i])
        people.append(
            {
                "label": str(i + 1 if frame.ids is None else number),
                "colour": number,
                "score": _number(frame.scores[i], 4),
                "box": _numbers(boxes[i], 1) if np.isfinite(boxes[i]).all() else None,
                "keypoints": [
                    [*_numbers(point[:2], 1), _number(point[2], 3)] if visible else None
                    for point, visible in zip(keypoints[i], shown[i], strict=True)
                ],
                "pose": [
                    _numbers(point / 1000, 3) if known else None
                    for point, known in zip(poses[i], solid[i], strict=True)
                ],
                "root": _numbers(roots[i] / 1000, 3) if solid[i].any() else None,
                "height": _number(heights[i] / 1000, 3),
            }
        )
    height, width = np.shape(frame.image)[:2]
    return {
        "name": frame.name,
        "width": width,
        "height": height,
        "intrinsics": [round(float(value), 2) for value in frame.intrinsics],
        "assumed": bool(frame.intrinsics_assumed),
        "people": people,
    }


def _describe_ground(ground: GroundPlane) -> dict[str, Any]:
    return {
        "axes": np.round(ground.axes, 5).tolist(),
        "height": round(ground.camera_height / 1000, 3),
        "pitch": round(ground.camera_pitch_deg, 1),
        "people": ground.people,
    }


def _number(value: float, digits: int) -> float | None:
    return round(float(value), digits) if math.isfinite(value) else None


def _numbers(values: np.ndarray, digits: int) -> list[float]:
    return [round(float(value), digits) for value in values]


def _css(rgb: tuple[int, int, int]) -> str:
    return "#{:02x}{:02x}{:02x}".format(*rgb)
