"""What is known exactly of everybody in a picture: joints, visibility, masks, boxes."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from .assets import Assets
from .camera import Camera
from .compiling import kernel
from .renderer import Rendering
from .rig import COCO_NAMES, JOINT_NAMES
from .world import World

# How deep keypoints of the face lie under the skin at most, metres, for a stature of 1.75 m.
_FACE_DEPTH = {"nose": 0.04, "eye": 0.045, "ear": 0.06}
# What hair and the head's own width put before a joint that lies near an end of the body.
_LEAST_DEPTH = {"head_top": 0.11, "head": 0.12, "neck": 0.11}
_EXTREMITY_DEPTH = 0.08
_CLOTHES = 0.04


@dataclass(frozen=True)
class PersonTruth:
    """One person in one picture.

    Attributes:
        person: index in the world; owner number ``person + 1`` in ``Rendering.owner``.
        subject_id: the body's number in the pack.
        joints_world (17, 3): metres, world frame.
        joints_cam (17, 3): ``muco17`` joints in the camera frame, mm.
        joints_px (17, 2): continuous pixels of the undistorted image.
        visible (17,): inside the image and the first surface there is this person's, no further
            in front of the joint than the body is thick.
        coco_cam (17, 3), coco_px (17, 2), coco_visible (17,): COCO's joints likewise.
        extremities_cam (4, 3), extremities_px (4, 2), extremities_visible (4,): the right and the
            left hand (knuckles), the right and the left toe, which follow in ``muco21``.
        box_amodal (4,): x0, y0, x1, y1 around the whole body, not clipped to the image.
        box_visible (4,): around the visible pixels; None where there are none.
        visible_pixels: number of pixels that show this person.
    """

    person: int
    subject_id: int
    joints_world: np.ndarray
    joints_cam: np.ndarray
    joints_px: np.ndarray
    visible: np.ndarray
    coco_cam: np.ndarray
    coco_px: np.ndarray
    coco_visible: np.ndarray
    extremities_cam: np.ndarray
    extremities_px: np.ndarray
    extremities_visible: np.ndarray
    box_amodal: np.ndarray
    box_visible: np.ndarray | None
    visible_pixels: int


@lru_cache(maxsize=128)
def joint_depths(assets: Assets, subject_index: int) -> tuple[np.ndarray, np.ndarray]:
    """(17,) and (17,) mm: how far a surface may lie before a ``muco17`` or a COCO joint.

    Measured on the rest body: the furthest of the skin in front of, behind and beside the joint.
    """
    subject = assets.subjects[subject_index]
    skin = subject.vertices[assets.skin_vertices[::3]]
    steep = np.cos(np.radians(20))
    scale = subject.stature / 1.75
    depths = np.empty(len(JOINT_NAMES))
    for k, name in enumerate(JOINT_NAMES):
        x, y, z = np.ascontiguousarray((skin - subject.joints[k]).T)
        distance = np.maximum(np.sqrt(x * x + y * y + z * z), 1e-6)
        views = [-y, y]
        if name.endswith(("hip", "knee", "ankle", "shoulder")):
            views.append(x if name.startswith("left") else -x)
        reach = [_LEAST_DEPTH.get(name, 0.05) * scale]
        edge = steep * distance
        for along in views:
            cone = distance[along > edge]
            if len(cone):
                reach.append(float(cone.min()))
        depths[k] = max(reach) * 1.2 + _CLOTHES
    by_name = dict(zip(JOINT_NAMES, depths, strict=True))
    coco = [
        by_name.get(name) or _FACE_DEPTH[name.split("_")[-1]] * scale + 0.02 for name in COCO_NAMES
    ]
    return 1000 * depths, 1000 * np.array(coco)


def _depth_test(
    camera: Camera, rendering: Rendering, number: int, points: np.ndarray, depths: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Pixels (N, 2) and visibility (N,) of camera points (N, 3)."""
    pixels = camera.project(points)
    seen = camera.distort(pixels) if camera.distortion is not None else pixels
    width, height = camera.size
    in_front = points[:, 2] > 0
    inside = in_front & (seen >= 0).all(axis=1) & (seen < [width, height]).all(axis=1)
    columns, rows = np.where(inside[:, None], seen, 0).astype(int).T
    own = rendering.owner[rows, columns] == number
    near = points[:, 2] - rendering.depth[rows, columns] <= depths
    return pixels, inside & own & near


def _outline(camera: Camera, vertices: np.ndarray) -> np.ndarray:
    """Box (4,) around the projections of those world vertices (V, 3) that are in front."""
    rows = np.concatenate([camera.rotation, camera.translation[:, None] / 1000], axis=1)
    u0, v0, u1, v1 = _slopes(vertices, rows)
    fx, fy, cx, cy = camera.intrinsics
    return np.array([fx * u0 + cx, fy * v0 + cy, fx * u1 + cx, fy * v1 + cy])


@kernel
def _slopes(vertices, rows):
    """Smallest x/z and y/z, then the largest, of vertices in front of a camera (3, 4), float64."""
    u0, v0, u1, v1 = np.inf, np.inf, -np.inf, -np.inf
    for k in range(np.uint64(vertices.shape[0])):
        a, b = np.float64(vertices[k, 0]), np.float64(vertices[k, 1])
        c = np.float64(vertices[k, 2])
        z = rows[2, 0] * a + rows[2, 1] * b + rows[2, 2] * c + rows[2, 3]
        if z > 0.1:
            u = (rows[0, 0] * a + rows[0, 1] * b + rows[0, 2] * c + rows[0, 3]) / z
            v = (rows[1, 0] * a + rows[1, 1] * b + rows[1, 2] * c + rows[1, 3]) / z
            u0, u1, v0, v1 = min(u0, u), max(u1, u), min(v0, v), max(v1, v)
    return u0, v0, u1, v1


def _visible_box(owner: np.ndarray, number: int) -> tuple[np.ndarray | None, int]:
    """Box (4,) around an owner's pixels and how many there are; None and 0 without any."""
    mask = owner == number
    rows = np.flatnonzero(mask.any(axis=1))
    if not len(rows):
        return None, 0
    mask = mask[rows[0] : rows[-1] + 1]
    columns = np.flatnonzero(mask.any(axis=0))
    box = [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
    return np.array(box, float), int(np.count_nonzero(mask))


def observe(
    world: World, camera: Camera, rendering: Rendering, seconds: float = 0.0
) -> list[PersonTruth]:
    """Truth of everybody who is in front of the camera with all joints, visible or not."""
    people = []
    for k, (person, body) in enumerate(zip(world.people, world.bodies(seconds), strict=True)):
        joints = camera.to_camera(body.joints)
        coco = camera.to_camera(body.keypoints[:17])
        extremities = camera.to_camera(body.extremities)
        if min(points[:, 2].min() for points in (joints, coco, extremities)) <= 100:
            continue
        depths, coco_depths = joint_depths(world.assets, person.subject_id)
        pixels, visible = _depth_test(camera, rendering, k + 1, joints, depths)
        coco_pixels, coco_visible = _depth_test(camera, rendering, k + 1, coco, coco_depths)
        stature = world.assets.subjects[person.subject_id].stature
        reach = 1000 * (_EXTREMITY_DEPTH * stature / 1.75 + _CLOTHES)
        tips, tips_seen = _depth_test(
            camera, rendering, k + 1, extremities, np.full(len(extremities), reach)
        )
        outline = _outline(camera, body.vertices)
        box, shown = _visible_box(rendering.owner, k + 1)
        people.append(
            PersonTruth(
                k,
                person.subject_id,
                body.joints,
                joints,
                pixels,
                visible,
                coco,
                coco_pixels,
                coco_visible,
                extremities,
                tips,
                tips_seen,
                outline,
                box,
                shown,
            )
        )
    return people
