"""Absolute poses in space: a perspective view and a map from above, drawn with matplotlib.

Poses are in the camera frame (X right, Y down, Z forward, mm); plots are in metres, with height -Y
upwards.  The drawn ground is level with the camera and as low as the lowest ankle: where the
camera looks down, people farther away seem to stand higher.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.patches import Circle
from matplotlib.ticker import MultipleLocator
from mpl_toolkits.mplot3d import Axes3D
from mpl_toolkits.mplot3d.art3d import Line3DCollection, Poly3DCollection

from ..skeleton import Skeleton
from .overlay import drawn_limbs, limb_colour, person_colour

__all__ = ["draw_scene", "save_picture"]

_INK, _GRID, _SEEN = "#30363d", "#c3ccd6", "#edf2f8"
_CAMERA_DEPTH = 0.7  # metres from the drawn camera to the drawn picture


@dataclass(frozen=True)
class _Person:
    """What is drawn of one person: metres, (right, forward, up); colours in [0, 1]."""

    colour: np.ndarray  # (3,)
    limbs: np.ndarray  # (L, 2, 3)
    limb_colours: np.ndarray  # (L, 3)
    root: np.ndarray  # (3,)
    head: np.ndarray  # (1 or 0, 3)


def draw_scene(
    poses_cam: np.ndarray,
    skeleton: Skeleton,
    *,
    intrinsics: Sequence[float],
    image_size: tuple[int, int],
    image: np.ndarray | None = None,
    valid: np.ndarray | None = None,
    path: str | Path | None = None,
    height_px: int = 640,
) -> np.ndarray:
    """Draw people in a perspective view from beside the camera, and from above.

    Args:
        poses_cam: (N, J, 3) mm; N may be 0.
        skeleton: names and parts of the J joints.
        intrinsics: (fx, fy, cx, cy) in pixels of the picture.
        image_size: (height, width) of the picture.
        image: (H, W, 3) uint8 BGR, shown on the image plane of the drawn camera.
        valid: (N, J) bool, joints to draw; all where None.
        path: also write a PNG there.
        height_px: height of the result.

    Returns:
        (height_px, W, 3) uint8, RGB.

    Raises:
        ValueError: if the poses do not have the skeleton's joints.
        OSError: if the PNG cannot be written.
    """
    poses_cam = np.asarray(poses_cam, dtype=np.float64)
    if poses_cam.shape[1:] != (skeleton.num_joints, 3):
        raise ValueError(
            f"poses must have shape (N, {skeleton.num_joints}, 3) for skeleton "
            f"'{skeleton.name}', found {poses_cam.shape}"
        )
    points = poses_cam[..., [0, 2, 1]] / 1000 * (1, 1, -1)
    shown = np.isfinite(points).all(axis=-1)
    if valid is not None:
        shown &= np.asarray(valid, dtype=bool)
    people = [_person(i, points[i], shown[i], skeleton) for i in np.flatnonzero(shown.any(axis=1))]
    people.sort(key=lambda person: -person.root[1])  # the nearest is drawn last
    low, high = _extent(points, shown, skeleton)
    fx, fy, cx, cy = (float(value) for value in intrinsics)
    height, width = image_size
    # Left, right, top and bottom edge of what the camera sees at a distance of 1.
    edges = np.array([-cx / fx, (width - cx) / fx, cy / fy, (cy - height) / fy])

    figures = [Figure((share * height_px / 100, height_px / 100), dpi=100) for share in (1.25, 0.9)]
    for figure in figures:
        FigureCanvasAgg(figure)
    _draw_space(figures[0], people, edges, low, high, image)
    _draw_map(figures[1], people, edges, low, high)
    return save_picture(np.hstack([_rasterise(figure) for figure in figures]), path)


def save_picture(picture: np.ndarray, path: str | Path | None) -> np.ndarray:
    """Write an RGB picture where there is a path, and return it.  Raises OSError if it fails."""
    if path is not None and not cv2.imwrite(str(path), picture[..., ::-1]):
        raise OSError(f"cannot write {path}")
    return picture


def _person(index: int, points: np.ndarray, shown: np.ndarray, skeleton: Skeleton) -> _Person:
    """From points (J, 3) in metres and which of them are shown (J,), at least one."""
    names, root = skeleton.joint_names, skeleton.root_index
    limbs = [(a, b) for a, b in drawn_limbs(skeleton) if shown[a] and shown[b]]
    colours = [limb_colour(index, names[b]) for _, b in limbs]
    heads = [names.index(name) for name in ("head", "nose", "head_top") if name in names]
    return _Person(
        colour=np.divide(person_colour(index), 255),
        limbs=points[np.array(limbs, dtype=int).reshape(-1, 2)],
        limb_colours=np.divide(colours, 255).reshape(-1, 3),
        root=points[shown].mean(axis=0) if root is None or not shown[root] else points[root],
        head=points[[j for j in heads if shown[j]][:1]],
    )


def _extent(points, shown, skeleton) -> tuple[np.ndarray, np.ndarray]:
    """Two corners (3,) of the drawn box, metres; its floor is the lowest ankle."""
    if not shown.any():
        return np.array([-2.0, 0, -1.2]), np.array([2.0, 5, 0.6])
    seen = points[shown]
    feet = [j for j, name in enumerate(skeleton.joint_names) if name.endswith("_ankle")]
    ankles = points[:, feet][shown[:, feet]]
    ground = (ankles if len(ankles) else seen)[:, 2].min()
    low = np.append(np.minimum(seen[:, :2].min(axis=0) - 0.3, (-1, 0)), ground)
    high = np.maximum(seen.max(axis=0) + 0.3, (1, 2, 0.4))
    step = _grid_step(low, high)
    low[:2], high[:2] = np.floor(low[:2] / step) * step, np.ceil(high[:2] / step) * step
    return low, high


def _grid_step(low, high) -> float:
    """Metres between grid lines, about ten of them."""
    span = float((high - low)[:2].max())
    return next((step for step in (1, 2, 5, 10, 20, 50) if span / step <= 12), span / 10)


def _rasterise(figure: Figure) -> np.ndarray:
    figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba())[..., :3].copy()


def _fill_figure(figure: Figure, axes: Axes3D, low, high) -> None:
    """Scale and move 3D axes, which keep wide margins, until their box fills the figure."""
    corners = np.stack(np.meshgrid(*zip(low, high, strict=True), indexing="ij"), axis=-1)
    edges = [edge for k in range(3) for edge in np.moveaxis(corners, k, 2).reshape(4, 2, 3)]
    box = axes.add_collection3d(Line3DCollection(edges, colors=_INK))
    for _ in range(2):
        picture = _rasterise(figure)
        x, y, w, h = cv2.boundingRect((picture < 250).any(axis=-1).astype(np.uint8))
        height, width = picture.shape[:2]
        zoom = 0.96 * min(width / max(w, 1), height / max(h, 1))
        old, center = axes.get_position(), ((x + w / 2) / width, 1 - (y + h / 2) / height)
        corner = 0.5 + zoom * (old.x0 - center[0]), 0.5 + zoom * (old.y0 - center[1])
        axes.set_position((*corner, zoom * old.width, zoom * old.height))
    box.remove()


def _draw_space(figure, people: list[_Person], edges, low, high, image) -> None:
    axes: Axes3D = figure.add_axes((0, 0, 1, 1), projection="3d", computed_zorder=False)
    axes.view_init(elev=22, azim=-68)
    axes.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), zlim=(low[2], high[2]))
    axes.set_box_aspect(high - low)
    axes.set_proj_type("persp", focal_length=0.8)
    axes.patch.set_visible(False)
    axes.grid(False)
    step = _grid_step(low, high)
    names = ("X right, m", "Z depth, m", "height -Y, m")
    for axis, name in zip((axes.xaxis, axes.yaxis, axes.zaxis), names, strict=True):
        axis.set_pane_color((1, 1, 1, 0))
        axis.line.set_color(_GRID)
        axis.set_label_text(name, color=_INK, fontsize=9)
        axis.set_major_locator(MultipleLocator(step))
        axis.set_tick_params(labelsize=8, colors=_INK)

    _fill_figure(figure, axes, low, high)
    depth = np.linspace(low[1], high[1], 60)
    left, right = (np.clip(slope * depth, low[0], high[0]) for slope in edges[:2])
    seen = np.stack([np.append(left, right[::-1]), np.append(depth, depth[::-1])], axis=1)
    seen = np.pad(seen, ((0, 0), (0, 1)), constant_values=low[2])
    axes.add_collection3d(Poly3DCollection([seen], facecolors=_SEEN, zorder=-1))
    xs, zs = (np.arange(low[k], high[k] + step / 2, step) for k in (0, 1))
    grid = [[(x, low[1], low[2]), (x, high[1], low[2])] for x in xs]
    grid += [[(low[0], z, low[2]), (high[0], z, low[2])] for z in zs]
    axes.add_collection3d(Line3DCollection(grid, colors=_GRID, linewidths=0.8, zorder=0))
    _draw_camera(axes, edges, low[2], image)

    for order, person in enumerate(people, start=2):
        foot = np.append(person.root[:2], low[2])
        stem = np.stack([person.root, foot]).T
        axes.plot(*stem, ":", color=person.colour, linewidth=1.2, zorder=order)
        axes.scatter(*foot, color=person.colour, s=16, zorder=order)
        for width, shades in ((5, _INK), (3.4, person.limb_colours)):
            style = {"linewidths": width, "capstyle": "round", "zorder": order}
            axes.add_collection3d(Line3DCollection(person.limbs, colors=shades, **style))
        style = {"s": 70, "edgecolors": _INK, "depthshade": False, "zorder": order}
        axes.scatter(*person.head.T, color=person.colour, **style)


def _draw_camera(axes: Axes3D, edges, ground: float, image: np.ndarray | None) -> None:
    """The pyramid of view with the picture on its base, and its place on the ground."""
    left, right, top, bottom = edges * _CAMERA_DEPTH
    base = ((left, top), (right, top), (right, bottom), (left, bottom))
    corners = [(x, _CAMERA_DEPTH, up) for x, up in base]
    if image is not None:
        small = cv2.resize(image, (60, 45), interpolation=cv2.INTER_AREA)[..., ::-1] / 255
        x, up = np.meshgrid(np.linspace(left, right, 61), np.linspace(top, bottom, 46))
        style = {"rstride": 1, "cstride": 1, "shade": False, "antialiased": False, "zorder": 1}
        axes.plot_surface(x, np.full_like(x, _CAMERA_DEPTH), up, facecolors=small, **style)
    lines = [[(0, 0, 0), corner] for corner in corners]
    lines += [[corners[k], corners[k - 1]] for k in range(4)]
    axes.add_collection3d(Line3DCollection(lines, colors=_INK, linewidths=1, zorder=1))
    axes.plot([0, 0], [0, 0], [0, ground], ":", color=_INK, linewidth=1.2, zorder=1)


def _draw_map(figure, people: list[_Person], edges, low, high) -> None:
    axes = figure.add_axes((0.11, 0.09, 0.86, 0.87))
    # Limits of the axes' own shape, so that both directions have one scale.
    ratio = figure.get_figwidth() * 0.86 / (figure.get_figheight() * 0.87)
    near = low[1] - 0.05 * (high[1] - low[1])
    half, middle = max(high[0] - low[0], (high[1] - near) * ratio) / 2, (low[0] + high[0]) / 2
    axes.set(xlim=(middle - half, middle + half), ylim=(near, near + 2 * half / ratio))
    axes.set_aspect("equal")
    axes.set_xlabel("X right, m", color=_INK, fontsize=9)
    axes.set_ylabel("Z depth, m", color=_INK, fontsize=9)
    axes.tick_params(labelsize=8, colors=_INK)
    axes.spines[:].set_color(_GRID)

    reach, around = 2 * axes.get_ylim()[1], np.linspace(0, np.pi, 181)
    axes.fill([0, *(edges[:2] * reach)], [0, reach, reach], color=_SEEN, zorder=0)
    for radius in np.arange(1, reach / _grid_step(low, high)) * _grid_step(low, high):
        ring = radius * np.cos(around), radius * np.sin(around)
        axes.plot(*ring, color=_GRID, linewidth=0.8, zorder=1)
    axes.plot([0], [0], "^", color=_INK, markersize=9)
    for person in people:
        colour, (x, z, _) = person.colour, person.root
        circle = {"facecolor": (*colour, 0.12), "edgecolor": colour, "linewidth": 1.6}
        axes.add_patch(Circle((x, z), 0.35, **circle, zorder=2))
        style = {"linewidths": 3, "capstyle": "round", "zorder": 3}
        lines = LineCollection(person.limbs[..., :2], colors=person.limb_colours, **style)
        axes.add_collection(lines)
        head = {"color": colour, "markersize": 8, "markeredgecolor": _INK, "zorder": 4}
        axes.plot(*person.head[:, :2].T, "o", **head)
        style = {"ha": "center", "va": "bottom", "fontsize": 10, "color": 0.75 * colour}
        axes.annotate(f"{z:.2f} m", (x, z + 0.38), **style, zorder=5, clip_on=True)
