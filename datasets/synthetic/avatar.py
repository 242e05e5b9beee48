"""A dressed person: body, clothes, shoes and hair as one skinned mesh."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from .assets import REFERENCE_STATURE, Assets, Item, Subject
from .extremities import place_extremities
from .motion import Motion, joints_of, pose_segments
from .skinning import hang, skin

# Parts of a person, each with its own tint.
SKIN, EYE, IRIS, SUIT, SHOES, HAIR, HAT = range(7)
PARTS = 7
_PART_OF_KIND = {"male": SUIT, "female": SUIT, "shoes": SHOES, "hair": HAIR, "hat": HAT}
# A fit a little under the nominal offset keeps feet out of soles seen from below.
_OFFSET_SCALE = 0.98


@dataclass(frozen=True)
class Look:
    """Who a person is and wears: the subject, its items, the skin's texture and part tints."""

    subject: Subject
    items: tuple[Item, ...]
    skin: int
    tints: np.ndarray  # (PARTS, 3) RGB factors


@dataclass(frozen=True)
class Avatar:
    """A rest mesh with skinning.

    ``vertices`` (V, 3) float32 metres; ``influences``, ``weights`` (V, 4); ``triangles`` (T, 3);
    ``corner_uv`` (T, 3, 2); ``texture`` (T,) (-1: the skin's); ``part`` (T,); ``cutout`` (T,) bool;
    the first ``bare`` vertices are the body's, the others those of clothes.
    """

    vertices: np.ndarray
    influences: np.ndarray
    weights: np.ndarray
    triangles: np.ndarray
    corner_uv: np.ndarray
    texture: np.ndarray
    part: np.ndarray
    cutout: np.ndarray
    bare: int


@dataclass(frozen=True)
class PosedBody:
    """A person at a moment, in the world, metres.

    ``vertices`` (V, 3) float32, ``joints`` (17, 3), ``keypoints`` (23, 3): COCO's 17, then big
    toes, small toes and heels, of each the left first; ``extremities`` (4, 3): hands and toes.
    """

    vertices: np.ndarray
    joints: np.ndarray
    keypoints: np.ndarray
    extremities: np.ndarray

    def moved(self, place: np.ndarray, heading: float) -> "PosedBody":
        """Turned by ``heading`` (radians, about the vertical) and carried to ``place`` (2,)."""
        c, s = np.cos(heading), np.sin(heading)
        turn = np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]])  # transposed
        shift = np.append(place, 0.0)
        v = self.vertices
        moved = np.empty_like(v)
        moved[:, 0] = np.float32(c) * v[:, 0] - np.float32(s) * v[:, 1] + np.float32(place[0])
        moved[:, 1] = np.float32(s) * v[:, 0] + np.float32(c) * v[:, 1] + np.float32(place[1])
        moved[:, 2] = v[:, 2]
        points = (self.joints, self.keypoints, self.extremities)
        return PosedBody(moved, *(p @ turn + shift for p in points))


@dataclass(frozen=True)
class _BareBody:
    """What of the body shows between clothes: ``kept`` vertices and the rest as in Avatar."""

    kept: np.ndarray
    influences: np.ndarray
    weights: np.ndarray
    triangles: np.ndarray
    corner_uv: np.ndarray
    texture: np.ndarray
    part: np.ndarray


@lru_cache(maxsize=40)  # a pool has 36 pairs of suit and shoes
def _bare_body(assets: Assets, covering: tuple[str, ...]) -> _BareBody:
    """The body without triangles that clothes hide, and without vertices that nothing uses."""
    hidden = np.zeros(len(assets.weights), bool)
    for item in assets.items:
        if item.name in covering:
            hidden[item.hidden] = True
    keep = ~hidden[assets.triangles].any(axis=1)
    triangles, eyes = assets.triangles[keep], assets.eyes[keep]
    part = np.where(eyes, EYE, SKIN)
    # The iris is the frontmost patch of each eyeball, of whichever subject.
    centres = assets.subjects[0].vertices[triangles[eyes]].mean(axis=1)
    iris = np.zeros(len(centres), bool)
    for side in (centres[:, 0] > 0, centres[:, 0] <= 0):
        ball = np.flatnonzero(side)
        iris[ball[np.argsort(centres[ball, 1], kind="stable")[: len(ball) // 7]]] = True
    part[np.flatnonzero(eyes)[iris]] = IRIS
    used = np.zeros(len(hidden), bool)
    used[triangles] = True
    renumber = np.cumsum(used, dtype=np.int32) - 1
    return _BareBody(
        np.flatnonzero(used),
        assets.influences[used],
        assets.weights[used],
        renumber[triangles],
        assets.corner_uv[keep],
        np.where(eyes, assets.white, -1).astype(np.int32),
        part.astype(np.int32),
    )


@lru_cache(maxsize=64)
def _shoes_beside(
    assets: Assets, name: str, suits: tuple[str, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Triangles and their corner UV of shoes that show beside suits.

    Socks hang on skin that trousers hide: they would show through them.
    """
    (shoes,) = (item for item in assets.items if item.name == name)
    hidden = np.zeros(len(assets.weights), bool)
    for item in assets.items:
        if item.name in suits:
            hidden[item.hidden] = True
    under = hidden[shoes.references].all(axis=1)
    shown = ~under[shoes.triangles].any(axis=1)
    return shoes.triangles[shown], shoes.corner_uv[shown]


def build_avatar(assets: Assets, subject: Subject, items: tuple[Item, ...]) -> Avatar:
    """Dress a subject."""
    body = _bare_body(assets, tuple(sorted(i.name for i in items if len(i.hidden))))
    size = np.float32(subject.stature / REFERENCE_STATURE * _OFFSET_SCALE)
    vertices, triangles = [subject.vertices[body.kept]], [body.triangles]
    textures, parts, corner_uv = [body.texture], [body.part], [body.corner_uv]
    cutouts = [np.zeros(len(body.triangles), bool)]
    first = len(body.kept)
    for item in items:
        fitted = np.empty_like(item.offsets)
        hang(item.offsets, size, item.references, item.reference_weights, subject.vertices, fitted)
        vertices.append(fitted)
        item_triangles, uv = item.triangles, item.corner_uv
        if item.kind == "shoes":
            names = tuple(other.name for other in items if _PART_OF_KIND[other.kind] == SUIT)
            item_triangles, uv = _shoes_beside(assets, item.name, names)
        triangles.append(item_triangles + np.int32(first))
        corner_uv.append(uv)
        count = len(item_triangles)
        textures.append(np.full(count, item.texture, np.int32))
        parts.append(np.full(count, _PART_OF_KIND[item.kind], np.int32))
        cutouts.append(np.full(count, item.cutout))
        first += len(fitted)
    return Avatar(
        np.concatenate(vertices),
        np.concatenate([body.influences, *(item.influences for item in items)]),
        np.concatenate([body.weights, *(item.weights for item in items)]),
        np.concatenate(triangles),
        np.concatenate(corner_uv),
        np.concatenate(textures),
        np.concatenate(parts),
        np.concatenate(cutouts),
        len(body.kept),
    )


@lru_cache(maxsize=16)
def _cached_avatar(assets: Assets, subject_index: int, item_names: tuple[str, ...]) -> Avatar:
    items = tuple(item for name in item_names for item in assets.items if item.name == name)
    return build_avatar(assets, assets.subjects[subject_index], items)


def avatar_of(assets: Assets, look: Look) -> Avatar:
    """The avatar of a look; the last few are kept."""
    return _cached_avatar(assets, look.subject.index, tuple(item.name for item in look.items))


def pose_avatar(avatar: Avatar, subject: Subject, motion: Motion, seconds: float) -> PosedBody:
    """Pose a person at heading 0 who began over the origin; the lowest vertex is at z = 0."""
    rotations, translations = pose_segments(subject, motion, seconds)
    vertices = np.empty_like(avatar.vertices)
    skin(
        avatar.vertices,
        avatar.influences,
        avatar.weights,
        rotations.astype(np.float32),
        translations.astype(np.float32),
        vertices,
    )
    lowest = vertices[:, 2].min()
    vertices[:, 2] -= lowest
    translations[:, 2] -= lowest
    moments = subject.keypoint_moments
    keypoints = np.einsum("sij,ksj->ki", rotations, moments[..., :3])
    keypoints += np.einsum("ks,si->ki", moments[..., 3], translations)
    extremities = place_extremities(subject.hands, rotations, translations, keypoints)
    return PosedBody(vertices, joints_of(subject, rotations, translations), keypoints, extremities)
