"""The asset pack in memory: bodies, clothes, textures, motion, environments, by pool.

Everything has a pool, ``"train"`` or ``"test"``; the two share nothing but the body's topology.
"""

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from .extremities import rest_hands
from .patterns import make_patterns

PACK = Path(__file__).parent / "pack"
POOLS = ("train", "test")
TEXTURE_SIZE = 512
MIP_LEVELS = 8
VERTEX_STEP = 5e-5  # metres, as in build_body
WEIGHT_STEP = 2e-4
REFERENCE_STATURE = 1.75  # metres: whom clothes' offsets from the skin fit


@dataclass(frozen=True)
class Item:
    """A garment, a pair of shoes, a hat or hair, hung on triples of body vertices.

    ``references`` (V, 3) body vertices, ``reference_weights`` (V, 3), ``offsets`` (V, 3) metres,
    ``triangles`` (T, 3), ``corner_uv`` (T, 3, 2), ``hidden`` body vertices under it, skinning
    ``influences`` and ``weights`` (V, 4), ``texture`` index, ``cutout``: the texture has holes.
    """

    name: str
    kind: str
    pool: str
    references: np.ndarray
    reference_weights: np.ndarray
    offsets: np.ndarray
    triangles: np.ndarray
    corner_uv: np.ndarray
    hidden: np.ndarray
    influences: np.ndarray
    weights: np.ndarray
    texture: int
    cutout: bool


@dataclass(frozen=True)
class Clip:
    """Motion: ``rotations`` (T, 15, 4) quaternions x, y, z, w; ``positions`` (T, 2) leg lengths."""

    name: str
    pool: str
    seated: bool
    rotations: np.ndarray
    positions: np.ndarray

    def __len__(self) -> int:
        return len(self.rotations)


@dataclass(frozen=True)
class Environment:
    """A panorama (256, 512, 3) float32 linear RGB and its light (see ``build_environment``)."""

    name: str
    pool: str
    picture: np.ndarray
    irradiance: np.ndarray
    sun: np.ndarray
    sun_direction: np.ndarray


@dataclass(frozen=True)
class Subject:
    """A body: ``gender``, ``age`` (Anny's scale), rest ``vertices`` (V, 3) and ``joints`` (17, 3).

    ``frames`` (25, 3, 3), ``keypoint_moments`` (23, 25, 4) as in ``build_body``; ``hands`` (2, 3)
    as in ``extremities``.
    """

    index: int
    pool: str
    gender: str
    age: float
    vertices: np.ndarray
    joints: np.ndarray
    frames: np.ndarray
    keypoint_moments: np.ndarray
    hands: np.ndarray

    @property
    def age_group(self) -> str:
        return "young" if self.age < 0.74 else "middleage" if self.age < 0.86 else "old"

    @property
    def stature(self) -> float:
        """Height, metres."""
        return float(self.vertices[:, 2].max() - self.vertices[:, 2].min())


class Assets:
    """The pack.  Use :func:`load_assets`, which reads it once a process.

    Attributes:
        subjects, skins, items, clips, environments: lists; ``of_pool`` filters them.
        triangles, corner_uv, eyes, influences, weights: the body that all subjects share;
            ``skin_vertices``: those of its surface.
        atlas, starts, sizes: textures with their mipmaps as one flat uint8 RGBA array, and the
            (N, MIP_LEVELS) start and edge length of each; white is texture ``white``, and
            textures of objects and grounds are ``patterns``.
    """

    def __init__(self, folder: Path):
        self.manifest = json.loads((folder / "manifest.json").read_text())
        body = dict(np.load(folder / "body.npz"))
        self.triangles = body["triangles"].astype(np.int32)
        self.corner_uv = (body["corner_uv"] / 65535).astype(np.float32)
        self.eyes = body["eyes"]
        self.skin_vertices = np.unique(self.triangles[~self.eyes])
        self.influences = body["influences"].astype(np.int32)
        weights = body["weights"].astype(np.float32)
        self.weights = weights / weights.sum(axis=1, keepdims=True)
        self.subjects = [
            self._subject(i, entry, body) for i, entry in enumerate(self.manifest["subjects"])
        ]
        self._read_textures(folder)
        self._read_items(folder)
        motion = dict(np.load(folder / "motion.npz"))
        self.clips = [
            Clip(
                name,
                entry["pool"],
                entry["seated"],
                motion[f"{name}/rotations"].astype(np.float64) / 32767,
                motion[f"{name}/positions"].astype(np.float64),
            )
            for name, entry in self.manifest["clips"].items()
        ]
        self.environments = [
            Environment(
                name,
                entry["pool"],
                _linear(cv2.imread(str(folder / "environments" / f"{name}.webp"))),
                *(np.array(entry[key]) for key in ("irradiance", "sun", "sun_direction")),
            )
            for name, entry in self.manifest["environments"].items()
        ]

    def of_pool(self, kind: str, pool: str) -> list:
        """The ``subjects``, ``skins``, ``items``, ``clips`` or ``environments`` of a pool."""
        get = (lambda e: e["pool"]) if kind == "skins" else (lambda e: e.pool)
        return [entry for entry in getattr(self, kind) if get(entry) == pool]

    def _subject(self, index: int, entry: dict, body: dict[str, np.ndarray]) -> Subject:
        vertices = body["mean_vertices"] + body["vertex_steps"][index] * VERTEX_STEP
        vertices = vertices.astype(np.float32)
        fields = ("joints", "frames", "keypoint_moments")
        joints, frames, moments = (body[field][index].astype(np.float64) for field in fields)
        skin, strongest = vertices[self.skin_vertices], self.influences[self.skin_vertices, 0]
        hands = rest_hands(skin, strongest, joints, frames)
        pool, gender, age = (entry[field] for field in ("pool", "gender", "age"))
        return Subject(index, pool, gender, age, vertices, joints, frames, moments, hands)

    def _read_textures(self, folder: Path) -> None:
        self.skins = [dict(skin, texture=i) for i, skin in enumerate(self.manifest["skins"])]
        files = [skin["file"] for skin in self.skins]
        files += [item["file"] for item in self.manifest["items"].values()]
        images = [_read_rgba(folder / "textures" / file) for file in files]
        self.white = len(images)
        images.append(np.full((TEXTURE_SIZE, TEXTURE_SIZE, 4), 255, np.uint8))
        patterns = make_patterns(TEXTURE_SIZE)
        self.patterns = range(len(images), len(images) + len(patterns))
        images += patterns
        self._cutouts = [bool(image[..., 3].min() < 128) for image in images]
        chunks, self.starts, self.sizes = [], [], []
        start = 0
        for image in images:
            starts, sizes = [], []
            for level in range(MIP_LEVELS):
                edge = TEXTURE_SIZE >> level
                small = cv2.resize(image, (edge, edge), interpolation=cv2.INTER_AREA)
                chunks.append(small.ravel())
                starts.append(start)
                sizes.append(edge)
                start += small.size
            self.starts.append(starts)
            self.sizes.append(sizes)
        self.atlas = np.concatenate(chunks)
        self.starts, self.sizes = np.array(self.starts), np.array(self.sizes)

    def _read_items(self, folder: Path) -> None:
        raw = dict(np.load(folder / "items.npz"))
        dense = np.zeros((len(self.weights), 25), np.float32)
        np.put_along_axis(dense, self.influences, self.weights, axis=1)
        self.items: list[Item] = []
        for k, (name, entry) in enumerate(self.manifest["items"].items()):
            get = lambda field, name=name: raw[f"{name}/{field}"]  # noqa: E731
            references = get("references").astype(np.int32)
            steps = get("reference_steps") * WEIGHT_STEP
            weights = np.concatenate([steps, 1 - steps.sum(axis=1, keepdims=True)], axis=1)
            # Far from its triple a vertex would get weights out of [0, 1]; they are cut to it.
            blended = (dense[references] * weights.clip(0, 1)[..., None]).sum(axis=1)
            order = np.argsort(-blended, axis=1, kind="stable")[:, :4]
            strongest = np.take_along_axis(blended, order, axis=1)
            texture = len(self.skins) + k
            self.items.append(
                Item(
                    name,
                    entry["kind"],
                    entry["pool"],
                    references,
                    weights.astype(np.float32),
                    (get("offset_steps") * VERTEX_STEP).astype(np.float32),
                    get("triangles").astype(np.int32),
                    (get("corner_uv") / 65535).astype(np.float32),
                    get("hidden").astype(np.int32),
                    order.astype(np.int32),
                    (strongest / strongest.sum(axis=1, keepdims=True)).astype(np.float32),
                    texture,
                    self._cutouts[texture] and entry["kind"] == "hair",
                )
            )


def _linear(image: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(np.square(image[..., ::-1].astype(np.float32) / 255))


def _read_rgba(path: Path) -> np.ndarray:
    image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if image is None:
        raise FileNotFoundError(f"{path}: missing or not an image; the asset pack is incomplete")
    if image.shape[:2] != (TEXTURE_SIZE, TEXTURE_SIZE):
        image = cv2.resize(image, (TEXTURE_SIZE,) * 2, interpolation=cv2.INTER_AREA)
    code = cv2.COLOR_BGRA2RGBA if image.shape[2] == 4 else cv2.COLOR_BGR2RGBA
    return cv2.cvtColor(image, code)


@lru_cache(maxsize=2)
def load_assets(folder: Path = PACK) -> Assets:
    """The pack in ``folder``; read once.  Raises FileNotFoundError where a part is missing."""
    return Assets(folder)
