"""Toy figures on a ground plane, for checking that the whole way from data to metrics runs.

A stand-in for tests and demos without licensed data, not a research dataset.  People are round
cones (hulls of two spheres), which a ray meets in closed form; the nearest hit of a pixel wins.
Left limbs are tinted light, right limbs dark.  Lengths in mm; pixels in *index* coordinates (a
pixel's centre is its index) as in Moon et al.'s files, so that the dataset loader adds 0.5.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from hmor_d2.skeleton import get_skeleton

__all__ = ["ToyScene", "make_toy_scene"]

_SUPERSAMPLING = 2
_SKIN = np.array([[125, 165, 220], [95, 135, 195], [60, 90, 145], [45, 65, 100]], float)
_HAIR = np.array([[25, 25, 35], [40, 60, 90], [90, 160, 205], [160, 160, 165]], float)
_HEAD = ("head", "head_top", "chin", "crown", "nose", "nape", "hair")
_TINTS = {"left": (0.6, np.array([150.0, 235, 255])), "right": (0.5, np.array([70.0, 25, 20]))}


@dataclass(frozen=True)
class ToyScene:
    """One picture of N people; frame X right, Y down, Z forward; joints as in "muco21"."""

    image: np.ndarray  # (H, W, 3) uint8, BGR
    focal: np.ndarray  # (2,) pixels
    principal_point: np.ndarray  # (2,) pixels
    keypoints_cam: np.ndarray  # (N, 21, 3) mm
    keypoints_img: np.ndarray  # (N, 21, 2) pixels, the projection of keypoints_cam
    keypoints_vis: np.ndarray  # (N, 21) bool, in the picture and not behind another surface
    boxes: np.ndarray  # (N, 4) XYWH of the visible pixels, where index i spans [i, i + 1]


def _rotation(*turns: tuple[str, float]) -> np.ndarray:
    """Product of rotations (axis name, degrees), the last one applied first."""
    matrix = np.eye(3)
    for axis, degrees in turns:
        matrix = matrix @ cv2.Rodrigues(np.eye(3)["xyz".index(axis)] * np.radians(degrees))[0]
    return matrix


def _sample_joints(rng: np.random.Generator, height: float) -> dict[str, np.ndarray]:
    """Points by name, pelvis at the origin; X is the figure's left, Y down, Z its back."""
    left, down, front = np.eye(3) * [[1], [1], [-1]]
    child = np.clip((1650 - height) / 600, 0, 1)  # large heads and short legs
    leg, head = height * (0.49 - 0.05 * child), height * (0.17 + 0.05 * child)
    trunk = height * 0.95 - leg - head
    squat = rng.choice([0.0, rng.uniform(0.3, 1)], p=[0.8, 0.2])
    swing = rng.choice([rng.normal(0, 4), rng.uniform(-35, 35)])
    twist, tilt, lean = rng.normal([0, 0, 4 + 30 * squat], [14, 6, 5])
    chest = _rotation(("y", twist), ("z", tilt), ("x", lean))
    loins = _rotation(("y", twist / 2), ("z", tilt / 2), ("x", lean / 2))
    skull = chest @ _rotation(("y", rng.normal(0, 20)), ("x", rng.normal(0, 8)))
    points = {"pelvis": np.zeros(3), "spine": -trunk * 0.5 * (loins @ down)}
    points["neck"] = points["spine"] - trunk * 0.5 * (chest @ down)
    for name, up in zip(_HEAD, (0.55, 1, 0.48, 0.69, 0.52, 0.52, 0.7), strict=True):
        forward = {"nose": 0.29, "nape": -0.12, "hair": -0.06}.get(name, 0)
        points[name] = points["neck"] + head * (skull @ (forward * front - up * down))
    for side, sign in (("left", 1), ("right", -1)):
        raised = rng.random() < 0.3
        flexion = rng.uniform(60, 165) if raised else rng.normal(5, 22) - sign * swing
        abduction = rng.uniform(5, 80) if raised else 5 + abs(rng.normal(10, 12))
        rolled = sign * rng.uniform(-20, 50)
        upper = chest @ _rotation(("z", -sign * abduction), ("x", -flexion), ("y", rolled))
        lower = upper @ _rotation(("x", -rng.uniform(5, 130 if raised else 70)))
        shoulder = points["neck"] + height * (chest @ (0.105 * sign * left + 0.015 * down))
        elbow = shoulder + 0.17 * height * (upper @ down)
        wrist, hand = (elbow + length * height * (lower @ down) for length in (0.145, 0.2))
        chest_side = shoulder + 0.04 * height * (chest @ (down - sign * left))
        stride = -85 * squat - sign * swing + rng.normal(0, 3)
        thigh = _rotation(("z", -sign * (1 + abs(rng.normal(0, 5)))), ("x", stride))
        shank = thigh @ _rotation(("x", 110 * squat + 0.6 * max(0, -sign * swing) + 3))
        hip = 0.055 * height * sign * left
        knee = hip + 0.5 * leg * (thigh @ down)
        ankle = knee + 0.42 * leg * (shank @ down)
        foot = (shank @ front) * [1, 0, 1] + down * np.clip((shank @ front)[1], -0.35, 0.3)
        foot = _rotation(("y", sign * rng.uniform(0, 15))) @ foot / np.linalg.norm(foot)
        toe = ankle + height * (0.1 * foot + 0.022 * down)
        heel = ankle + height * (0.018 * down - 0.02 * foot)
        limbs = {"shoulder": shoulder, "elbow": elbow, "wrist": wrist, "hand": hand, "hip": hip}
        limbs |= {"knee": knee, "ankle": ankle, "toe": toe, "heel": heel, "chest": chest_side}
        points |= {f"{side}_{name}": point for name, point in limbs.items()}
    return points


def _sample_cones(rng: np.random.Generator, height: float, head: float) -> list[tuple]:
    """(point a, point b, radius a, radius b, BGR) of every part of a dressed figure."""
    h = height * rng.uniform(0.92, 1.15)  # slim to stout
    shirt, trousers, shoes = rng.uniform(35, [[230], [180], [90]], (3, 3))
    skin, hair = rng.choice(_SKIN), rng.choice(_HAIR)
    cuff = rng.choice([shirt, skin])
    cones = [
        ("left_hip", "right_hip", 0.058 * h, 0.058 * h, trousers),
        ("right_shoulder", "left_shoulder", 0.034 * h, 0.034 * h, shirt),
        ("spine", "pelvis", 0.056 * h, 0.058 * h, shirt),
        ("neck", "head", 0.03 * h, 0.03 * h, skin),
        ("chin", "crown", 0.24 * head, 0.27 * head, skin),
        ("nape", "hair", 0.26 * head, 0.315 * head, hair),
        ("head", "nose", 0.07 * head, 0.05 * head, skin * 0.8),
    ]
    for side, (keep, tint) in _TINTS.items():
        cones.append((f"{side}_chest", "spine", 0.053 * h, 0.056 * h, shirt))
        cones.append((f"{side}_chest", f"{side}_hip", 0.05 * h, 0.05 * h, shirt))
        for a, b, radius_a, radius_b, colour in (
            ("shoulder", "elbow", 0.033, 0.026, shirt),
            ("elbow", "wrist", 0.025, 0.017, cuff),
            ("wrist", "hand", 0.018, 0.021, skin),
            ("hip", "knee", 0.05, 0.034, trousers),
            ("knee", "ankle", 0.034, 0.021, trousers),
            ("heel", "toe", 0.02, 0.016, shoes),
        ):
            colour = keep * colour + (1 - keep) * tint
            cones.append((f"{side}_{a}", f"{side}_{b}", radius_a * h, radius_b * h, colour))
    return cones


def _sample_person(rng: np.random.Generator) -> tuple[dict[str, np.ndarray], list[tuple]]:
    """Points of a figure that stands on the plane Y = 0 and faces anywhere, and its cones."""
    height = rng.choice([rng.normal(1720, 90), rng.uniform(1050, 1550)], p=[0.75, 0.25])
    while True:
        points = _sample_joints(rng, height)
        cones = _sample_cones(rng, height, np.linalg.norm(points["head_top"] - points["neck"]))
        lowest = {c[:2]: max(points[c[0]][1] + c[2], points[c[1]][1] + c[3]) for c in cones}
        feet = np.array([lowest.pop((f"{s}_heel", f"{s}_toe")) for s in _TINTS])
        soles = np.stack([(points[f"{s}_heel"] + points[f"{s}_toe"]) / 2 for s in _TINTS])
        weight = (points["pelvis"] + points["neck"] + points["spine"]) / 3
        offset = weight - soles[feet > feet.max() - 60].mean(axis=0)
        if max(lowest.values()) < feet.max() and np.hypot(*offset[[0, 2]]) < 0.09 * height:
            break  # nothing below the soles, and balanced on them
    turn = _rotation(("y", rng.uniform(-180, 180)))
    return {k: turn @ (v - [0, feet.max(), 0]) for k, v in points.items()}, cones


def _meet_round_cone(rays, a, b, radius_a, radius_b) -> tuple[np.ndarray, np.ndarray]:
    """Distances (M,) along unit rays (M, 3) from the origin, inf for a miss, and normals (M, 3).

    The side is the envelope of spheres with centre a + s (b - a) and radius linear in s: a point
    at distance t is on it where D s^2 - 2 B s + C has the double root s = B / D in [0, 1], with
    B = b0 + t b1 and C = t^2 - 2 t e + g.
    """
    axis, taper = b - a, radius_a - radius_b
    d, e, b1 = axis @ axis - taper**2, rays @ a, rays @ axis
    b0, g = -(a @ axis) - taper * radius_a, a @ a - radius_a**2
    with np.errstate(invalid="ignore", divide="ignore"):
        p, q = d - b1**2, d * e + b0 * b1
        t_side = (q - np.sqrt(q**2 - p * (d * g - b0**2))) / p
        s = (b0 + t_side * b1) / d
        t_a = e - np.sqrt(e**2 - g)
        t_b = e + b1 - np.sqrt((e + b1) ** 2 - (b @ b - radius_b**2))
    hits = np.stack([np.where((s >= 0) & (s <= 1), t_side, np.inf), t_a, t_b])
    hits[np.isnan(hits)] = np.inf
    distance = hits.min(axis=0)
    s = np.choose(hits.argmin(axis=0), [s, 0.0, 1.0])[:, None]
    reached = np.where(np.isfinite(distance), distance, 0)[:, None] * rays
    return distance, (reached - a - s * axis) / (radius_a - s * taper)


def _draw_person(index, points, cones, rays, grid, light, buffers) -> None:
    """Draw points of the camera frame into buffers (distance, owner, BGR), nearest hits only."""
    for name_a, name_b, *radii, bgr in cones:
        ends = np.stack([points[name_a], points[name_b]])
        reach = 1.3 * grid[0] * np.divide(radii, ends[:, 2] - radii)[:, None]
        pixels = grid[0] * ends[:, :2] / ends[:, 2:] + grid[1]
        x0, y0 = np.maximum((pixels - reach).min(axis=0), 0).astype(int)
        x1, y1 = np.maximum((pixels + reach).max(axis=0) + 2, 0).astype(int)
        distance, owner, colour = (buffer[y0:y1, x0:x1] for buffer in buffers)
        hit, normal = _meet_round_cone(rays[y0:y1, x0:x1].reshape(-1, 3), *ends, *radii)
        nearer = (hit < distance.ravel()).nonzero()[0]
        shade = 0.5 + 0.55 * np.maximum(normal[nearer] @ light, 0)
        where = np.unravel_index(nearer, distance.shape)
        distance[where], owner[where], colour[where] = hit[nearer], index, shade[:, None] * bgr


def _draw_background(rng, rays, camera_height, feet) -> np.ndarray:
    """BGR of a tiled floor with soft shadows at feet (K, 3), and a wall; rays (H, W, 3)."""
    grains = (rng.normal(0, 9, (n, n)).astype(np.float32) for n in (8, 32, 256))
    noise = sum(cv2.resize(grain, (512, 512)) for grain in grains)
    tiles, gap = noise.copy(), rng.choice([64, 128])
    tiles[::gap], tiles[:, ::gap] = -45, -45
    to_wall = rng.uniform(8500, 12000) / rays[..., 2]
    with np.errstate(divide="ignore"):
        to_floor = np.where(rays[..., 1] > 0, camera_height / rays[..., 1], np.inf)
    x, y, z = np.moveaxis(rays * np.minimum(to_floor, to_wall)[..., None], -1, 0).astype(np.float32)
    floor = cv2.remap(tiles, x / 8, z / 8, cv2.INTER_LINEAR, None, cv2.BORDER_REFLECT)
    wall = cv2.remap(noise, x / 8, y / 8, cv2.INTER_LINEAR, None, cv2.BORDER_REFLECT) + 0.006 * y
    squared = np.min([(x - foot[0]) ** 2 + (z - foot[2]) ** 2 for foot in feet], axis=0)
    shadow = 0.55 * np.exp(-squared / (2 * 170**2))[..., None]
    paint = rng.uniform(80, 200, (2, 1)) + rng.uniform(-35, 35, (2, 3))
    floor, wall = (floor[..., None] + paint[0]) * (1 - shadow), wall[..., None] + paint[1]
    return np.where((to_floor < to_wall)[..., None], floor, wall)


def _look_up(points: np.ndarray, grid, distance: np.ndarray, owner: np.ndarray):
    """How far points (..., 3) lie behind what is seen there (inf: outside), and whose it is."""
    pixels = points[..., :2] / points[..., 2:] * grid[0] + grid[1]
    column, row = np.moveaxis(np.floor(pixels + 0.5).astype(int), -1, 0)
    inside = (column >= 0) & (column < owner.shape[1]) & (row >= 0) & (row < owner.shape[0])
    pixel = np.where(inside, row, 0), np.where(inside, column, 0)
    behind = np.linalg.norm(points, axis=-1) - distance[pixel]
    return np.where(inside, behind, np.inf), owner[pixel]


def make_toy_scene(rng: np.random.Generator, size: tuple[int, int] = (320, 256)) -> ToyScene:
    """Draw a picture of 1 to 4 people, 2 to 7 m away, of size (width, height) pixels."""
    extent, fine = np.array(size), _SUPERSAMPLING
    focal = extent.max() / 2 / np.tan(np.radians(rng.uniform(22, 35))) * rng.normal(1, 0.005, 2)
    center = (extent - 1) / 2 + extent * rng.uniform(-0.02, 0.02, 2)
    grid = focal * fine, (center + 0.5) * fine - 0.5  # of the supersampled picture
    rays = np.ones((size[1] * fine, size[0] * fine, 3))
    rays[..., :2] = (np.stack(np.meshgrid(*map(np.arange, extent * fine)), -1) - grid[1]) / grid[0]
    rays /= np.sqrt(np.einsum("hwc,hwc->hw", rays, rays))[..., None]
    camera_height = rng.uniform(900, 1900)
    to_camera = _rotation(("x", (camera_height - 900) / 70 + rng.normal(0, 2)))  # looking down
    light = to_camera @ [rng.uniform(-0.8, 0.8), -1, rng.uniform(-1, 0.1)]
    light /= np.linalg.norm(light)
    distance, owner = np.full(rays.shape[:2], np.inf), np.full(rays.shape[:2], -1, np.int8)
    buffers = distance, owner, (colour := np.zeros(rays.shape, np.float32))

    names = get_skeleton("muco21").joint_names
    people, feet = [], np.full((1, 3), np.inf)
    while not people:
        for z in np.sort(rng.uniform(2000, 7000, rng.integers(1, 5))):
            spot = (rng.uniform(0, extent[0]) - center[0]) / focal[0] * z, camera_height, z
            points, cones = _sample_person(rng)
            points = {name: to_camera @ np.add(p, spot) for name, p in points.items()}
            joints = np.stack([points[name] for name in names])
            in_view = np.mean(_look_up(joints, grid, distance, owner)[0] < 0)
            if in_view > 0.3 and np.linalg.norm(feet - to_camera @ spot, axis=1).min() > 600:
                _draw_person(len(people), points, cones, rays, grid, light, buffers)
                radii = {k: r for a, b, ra, rb, _ in cones for k, r in ((a, ra), (b, rb))}
                people.append((joints, np.array([radii.get(name, 0.0) for name in names])))
                feet = np.concatenate([feet, joints[-2:], [points[f"{s}_heel"] for s in _TINTS]])

    coarse = cv2.resize(rays, size, interpolation=cv2.INTER_AREA) @ to_camera
    image = _draw_background(rng, coarse, camera_height, feet[1:] @ to_camera)
    cover = cv2.resize((owner >= 0).astype(np.float32), size, interpolation=cv2.INTER_AREA)
    image = image * (1 - cover[..., None]) + cv2.resize(colour, size, interpolation=cv2.INTER_AREA)
    image = (image + rng.normal(0, 3, image.shape)).clip(0, 255).astype(np.uint8)

    present = [i for i in range(len(people)) if (owner == i).any()]
    boxes = [cv2.boundingRect((owner == i).astype(np.uint8)) for i in present]
    cam, radii = (np.stack([person[k] for person in people])[present] for k in (0, 1))
    img = cam[..., :2] / cam[..., 2:] * focal + center
    behind, whose = _look_up(cam, grid, distance, owner)
    vis = (behind < radii + 40) & (whose == np.array(present)[:, None])  # joints lie in limbs
    return ToyScene(image, focal, center, cam, img, vis, np.divide(boxes, fine))
