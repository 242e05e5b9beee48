"""2D poses drawn onto the picture: skeletons, boxes, scores and depths."""

from collections.abc import Sequence

import cv2
import numpy as np

from ..skeleton import Skeleton

__all__ = ["draw_poses", "drawn_limbs", "limb_colour", "person_colour"]

# RGB; neighbours differ in hue and in lightness, and none is the colour of skin, floor or sky.
_PALETTE = (
    (0, 158, 115),
    (213, 72, 20),
    (60, 120, 216),
    (230, 159, 0),
    (190, 80, 170),
    (60, 180, 220),
    (120, 150, 30),
    (200, 60, 90),
)
# Limbs that body parts of the paper (Skeleton.parts) leave out, drawn where the joints exist.
_EXTREMITIES = tuple(
    (f"{side}_{a}", f"{side}_{b}")
    for side in ("left", "right")
    for a, b in (("wrist", "hand"), ("ankle", "toe"))
)
_SHIFT = 4  # OpenCV draws at 1/16 of a pixel


def person_colour(index: int) -> tuple[int, int, int]:
    """RGB colour, 0 to 255, of the person at ``index``; the same in every view."""
    return _PALETTE[index % len(_PALETTE)]


def limb_colour(index: int, joint_name: str) -> tuple[int, int, int]:
    """RGB of a person's limb by the joint that ends it: left lighter, right darker."""
    colour = np.array(person_colour(index), float)
    if joint_name.startswith("left_"):
        colour += 0.55 * (255 - colour)
    elif joint_name.startswith("right_"):
        colour *= 0.7
    return tuple(int(c) for c in colour.round())


def drawn_limbs(skeleton: Skeleton) -> list[tuple[int, int]]:
    """Pairs of joints to draw as lines: the skeleton's parts, hands and toes."""
    names = skeleton.joint_names
    extremities = [(a, b) for a, b in _EXTREMITIES if a in names and b in names]
    return [*skeleton.parts, *((names.index(a), names.index(b)) for a, b in extremities)]


def draw_poses(
    image_bgr: np.ndarray,
    boxes: np.ndarray | None,
    keypoints: np.ndarray,
    skeleton: Skeleton,
    *,
    root_depth: np.ndarray | None = None,
    scores: np.ndarray | None = None,
    min_joint_score: float = 0.0,
    indices: Sequence[int] | None = None,
    line_width: float | None = None,
) -> np.ndarray:
    """Draw people onto a copy of a picture, the farthest first where depths are given.

    Args:
        image_bgr: (H, W, 3) uint8.
        boxes: (N, 4) XYXY pixels, or None for no boxes; labels then go above the joints.
        keypoints: (N, J, 3) x, y in continuous pixels, and a score or visibility.  (N, J, 2)
            draws every joint.
        skeleton: names and parts of the J joints.
        root_depth: (N,) mm; the label says it in metres.
        scores: (N,) in [0, 1]; part of the label.
        min_joint_score: joints whose third value is not above this are left out.
        indices: N numbers that choose the people's colours; 0 to N - 1 where None.
        line_width: pixels; from the size of the picture and of each person where None.

    Returns:
        (H, W, 3) uint8, BGR.

    Raises:
        ValueError: if the keypoints do not have the skeleton's joints.
    """
    canvas = image_bgr.copy()
    keypoints = np.asarray(keypoints, dtype=np.float64)
    if keypoints.ndim != 3 or keypoints.shape[1] != skeleton.num_joints:
        raise ValueError(
            f"keypoints must have shape (N, {skeleton.num_joints}, 2 or 3) for skeleton "
            f"'{skeleton.name}', found {keypoints.shape}"
        )
    count = len(keypoints)
    width = line_width or max(1.0, 0.004 * float(np.hypot(*canvas.shape[:2])))
    indices = range(count) if indices is None else indices
    order = np.arange(count) if root_depth is None else np.argsort(-np.asarray(root_depth))
    shown = np.isfinite(keypoints).all(axis=-1)
    if keypoints.shape[2] == 3:
        shown &= keypoints[..., 2] > min_joint_score
    for i in order:
        thin = 1.0
        if line_width is None and shown[i].any():
            share = np.ptp(keypoints[i, shown[i], :2], axis=0).max() / max(canvas.shape[:2])
            thin = float(np.sqrt(share / 0.4).clip(0.4, 1))
        _draw_person(canvas, keypoints[i], shown[i], skeleton, indices[i], thin * width)
    if boxes is not None:
        for i in order:
            corners = _fixed_point(np.asarray(boxes[i], float).reshape(2, 2))
            colour = person_colour(indices[i])[::-1]
            thickness = max(1, round(0.4 * width))
            cv2.rectangle(canvas, *corners, colour, thickness, cv2.LINE_AA, _SHIFT)

    taken: list[tuple[float, float, float, float]] = []
    for i in order[::-1]:  # the nearest person's label finds the best place
        words = [] if scores is None else [f"{100 * float(scores[i]):.0f}%"]
        words += [] if root_depth is None else [f"{float(root_depth[i]) / 1000:.2f} m"]
        if boxes is not None:
            extent = np.asarray(boxes[i], float)
        elif shown[i].any():
            points = keypoints[i, shown[i], :2]
            extent = np.concatenate([points.min(axis=0), points.max(axis=0)])
        else:
            continue
        if words:
            _draw_label(canvas, "  ".join(words), extent, person_colour(indices[i]), taken)
    return canvas


def _fixed_point(points: np.ndarray) -> list[tuple[int, int]]:
    """Continuous pixels as OpenCV's integers with a fraction, counted from pixel centres."""
    limit = 2**24  # far outside any picture; keeps OpenCV's arithmetic from overflowing
    scaled = np.nan_to_num(np.round((points - 0.5) * 2**_SHIFT)).clip(-limit, limit)
    return [(int(x), int(y)) for x, y in scaled]


def _draw_person(
    canvas: np.ndarray,
    keypoints: np.ndarray,
    shown: np.ndarray,
    skeleton: Skeleton,
    index: int,
    width: float,
) -> None:
    points = _fixed_point(keypoints[:, :2])
    limbs = [(a, b) for a, b in drawn_limbs(skeleton) if shown[a] and shown[b]]
    # A dark rim keeps the lines apart from backgrounds and people of any colour.
    for rim, thickness in ((True, round(width) + 2), (False, max(1, round(width)))):
        for a, b in limbs:
            colour = (25, 25, 25) if rim else limb_colour(index, skeleton.joint_names[b])[::-1]
            cv2.line(canvas, points[a], points[b], colour, thickness, cv2.LINE_AA, _SHIFT)
    for j in np.flatnonzero(shown):
        for radius, colour in (
            (0.9 * width + 1, (25, 25, 25)),
            (0.9 * width, (255, 255, 255)),
            (0.55 * width, limb_colour(index, skeleton.joint_names[j])[::-1]),
        ):
            fixed = round(radius * 2**_SHIFT)
            cv2.circle(canvas, points[j], fixed, colour, cv2.FILLED, cv2.LINE_AA, _SHIFT)


def _draw_label(
    canvas: np.ndarray,
    text: str,
    extent: np.ndarray,
    colour: tuple[int, int, int],
    taken: list[tuple[float, float, float, float]],
) -> None:
    """Write above the extent (XYXY), or where that is outside or taken, inside or below it."""
    height, width = canvas.shape[:2]
    scale = max(0.35, 0.0006 * float(np.hypot(height, width)))
    font, thickness = cv2.FONT_HERSHEY_SIMPLEX, max(1, round(1.6 * scale))
    (text_width, text_height), _ = cv2.getTextSize(text, font, scale, thickness)
    pad = max(2, round(5 * scale))
    w, h = text_width + 2 * pad, text_height + 2 * pad
    x0, y0, _, y1 = extent
    x0 = int(np.clip(round(x0), 0, max(0, width - w)))
    places = [int(np.clip(round(y), 0, max(0, height - h))) for y in (y0 - h - 1, y0 + 1, y1 + 1)]
    free = [
        y
        for y in places
        if all(x0 >= c or x0 + w <= a or y >= d or y + h <= b for a, b, c, d in taken)
    ]
    y0 = (free or places)[0]
    taken.append((x0, y0, x0 + w, y0 + h))
    cv2.rectangle(canvas, (x0, y0), (x0 + w - 1, y0 + h - 1), colour[::-1], cv2.FILLED)
    ink = (0, 0, 0) if np.dot(colour, (0.299, 0.587, 0.114)) > 140 else (255, 255, 255)
    origin = (x0 + pad, y0 + h - pad)
    cv2.putText(canvas, text, origin, font, scale, ink, thickness, cv2.LINE_AA)
