"""A world seen by a camera: radiance, who is where, and depth."""

from dataclasses import dataclass

import cv2
import numpy as np

from .avatar import PARTS, avatar_of
from .background import draw_background
from .camera import Camera
from .lighting import shadow_map
from .rasteriser import SAMPLES, project, resolve, visibility
from .shading import shade
from .skinning import vertex_normals
from .world import World

_DISTORTION_MARGIN = 0.08


@dataclass(frozen=True)
class Rendering:
    """``radiance`` (H, W, 3) float32 linear RGB, 1 is white; ``owner`` (H, W) int16: k + 1 for the
    world's person k, -1 for objects, 0 for ground and surroundings; ``depth`` (H, W) float32: Z in
    mm of what the pixel shows, 0 where there is nothing near.
    """

    radiance: np.ndarray
    owner: np.ndarray
    depth: np.ndarray


@dataclass(frozen=True)
class Geometry:
    """All triangles of a world at a time, and the light on them, shared by its cameras."""

    vertices: np.ndarray
    normals: np.ndarray
    triangles: np.ndarray
    corner_uv: np.ndarray
    texture: np.ndarray
    cutout: np.ndarray
    tint_of: np.ndarray
    tints: np.ndarray
    owner: np.ndarray
    shadow: np.ndarray
    to_shadow: np.ndarray
    contacts: np.ndarray


def build_geometry(world: World, seconds: float = 0.0) -> Geometry:
    """Collect a world's triangles at a time and draw its shadow map."""
    meshes, tints, contacts = [], [], []
    shadow_triangles = []
    first = 0
    for k, (person, body) in enumerate(zip(world.people, world.bodies(seconds), strict=True)):
        avatar = avatar_of(world.assets, person.look)
        normals = np.empty_like(body.vertices)
        vertex_normals(body.vertices, avatar.triangles, normals)
        triangles = avatar.triangles + np.int32(first)
        texture = np.where(avatar.texture < 0, person.look.skin, avatar.texture)
        tint_of = avatar.part + PARTS * k
        owner = np.full(len(triangles), k + 1, np.int16)
        meshes.append((body.vertices, normals, triangles, avatar.corner_uv, texture,
                       avatar.cutout, tint_of, owner))  # fmt: skip
        shadow_triangles.append(triangles)
        tints.append(person.look.tints)
        first += len(body.vertices)
        low = body.keypoints[17:23]
        contacts.append(low[low[:, 2] < 0.16, :2])
    count = PARTS * len(world.people)
    for prop in world.props:
        normals = np.empty_like(prop.vertices)
        vertex_normals(prop.vertices, prop.triangles, normals)
        triangles = prop.triangles + np.int32(first)
        n = len(triangles)
        meshes.append((prop.vertices, normals, triangles, prop.corner_uv,
                       np.full(n, prop.texture), np.zeros(n, bool), np.full(n, count),
                       np.full(n, -1, np.int16)))  # fmt: skip
        if prop.casts_shadow:
            shadow_triangles.append(triangles)
        tints.append(prop.tint[None])
        count += 1
        first += len(prop.vertices)
    if not meshes:
        meshes = [(np.zeros((0, 3)), np.zeros((0, 3)), np.zeros((0, 3)), np.zeros((0, 3, 2)),
                   np.zeros(0), np.zeros(0, bool), np.zeros(0), np.zeros(0))]  # fmt: skip
        tints = [np.ones((1, 3))]
    dtypes = (np.float32, np.float32, np.int32, np.float32, np.int32, bool, np.int32, np.int16)
    columns = [
        np.ascontiguousarray(np.concatenate(column), dtype)
        for column, dtype in zip(zip(*meshes, strict=True), dtypes, strict=True)
    ]
    vertices, normals, triangles, corner_uv, texture, cutout, tint_of, owner = columns
    casting = np.concatenate(shadow_triangles) if shadow_triangles else np.zeros((0, 3), np.int32)
    within = vertices[: casting.max() + 1] if len(casting) else np.zeros((0, 3), np.float32)
    shadow, to_shadow = shadow_map(within, casting, world.light.direction)
    feet = np.concatenate(contacts) if contacts else np.zeros((0, 2))
    return Geometry(
        vertices,
        normals,
        triangles,
        corner_uv,
        texture,
        cutout,
        tint_of,
        np.concatenate(tints).astype(np.float32),
        owner,
        shadow,
        to_shadow,
        feet.astype(np.float32),
    )


def render(world: World, camera: Camera, geometry: Geometry) -> Rendering:
    """The picture that a camera takes, through its lens if it has distortion."""
    if camera.distortion is None:
        return _render_pinhole(world, camera, geometry)
    margin = int(_DISTORTION_MARGIN * max(camera.size))
    wide = _render_pinhole(world, camera.widened(margin), geometry)
    # Index coordinates of the wide image.
    grid = camera.undistorted_grid() + np.float32(margin - 0.5)
    columns, rows = np.ascontiguousarray(grid[..., 0]), np.ascontiguousarray(grid[..., 1])
    pick = dict(interpolation=cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE)
    smooth = dict(interpolation=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return Rendering(
        cv2.remap(wide.radiance, columns, rows, **smooth),
        cv2.remap(wide.owner, columns, rows, **pick),
        cv2.remap(wide.depth, columns, rows, **pick),
    )


def _render_pinhole(world: World, camera: Camera, geometry: Geometry) -> Rendering:
    width, height = camera.size
    rotation = camera.rotation
    eye = camera.eye
    intrinsics = camera.intrinsics.astype(np.float32)
    screen = np.empty((len(geometry.vertices), 4), np.float32)
    shift = (camera.translation / 1000).astype(np.float32)
    project(geometry.vertices, rotation.astype(np.float32), shift, intrinsics, screen)
    inverse_depth = np.zeros((height * SAMPLES, width * SAMPLES), np.float32)
    index = np.full(inverse_depth.shape, -1, np.int32)
    assets = world.assets
    visibility(
        screen,
        geometry.triangles,
        geometry.corner_uv,
        geometry.texture,
        geometry.cutout,
        assets.atlas,
        assets.starts,
        assets.sizes,
        inverse_depth,
        index,
    )
    radiance = np.empty((height, width, 3), np.float32)
    ground = world.ground
    numbers = [
        ground.radius,
        -1 if ground.texture is None else ground.texture,
        ground.tile,
        1 / camera.intrinsics[0],
        np.cos(ground.turn),
        np.sin(ground.turn),
        *ground.tint,
    ]
    light = (world.light.rows, geometry.shadow, geometry.to_shadow)
    textures = (assets.atlas, assets.starts, assets.sizes)
    draw_background(
        index,
        *light,
        *textures,
        eye.astype(np.float32),
        rotation.astype(np.float32),
        intrinsics,
        world.environment.picture,
        np.array(numbers, np.float32),
        geometry.contacts,
        np.empty((5, width), np.float32),
        radiance,
    )
    shade(
        index,
        screen,
        geometry.vertices,
        geometry.normals,
        geometry.triangles,
        geometry.corner_uv,
        geometry.texture,
        geometry.tints,
        geometry.tint_of,
        *light,
        *textures,
        eye.astype(np.float32),
        np.empty((4, 3), np.float32),
        radiance,
    )
    owner = np.zeros((height, width), np.int16)
    depth = np.zeros((height, width), np.float32)
    resolve(
        index,
        inverse_depth,
        geometry.owner,
        eye,
        rotation,
        camera.intrinsics,
        ground.radius,
        np.zeros(4, np.int64),
        np.zeros(4, np.float32),
        owner,
        depth,
    )
    return Rendering(radiance, owner, depth * 1000)
