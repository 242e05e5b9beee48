"""A world: people with what they do, objects and light, before any camera looks at it."""

from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from .assets import Assets, Environment
from .avatar import (
    EYE,
    HAIR,
    HAT,
    IRIS,
    PARTS,
    SHOES,
    SKIN,
    SUIT,
    Look,
    PosedBody,
    avatar_of,
    pose_avatar,
)
from .collision import capsule_ends, capsule_radii
from .layout import Figure, Spot, arrange
from .lighting import Light, sample_light
from .motion import Motion, sample_style
from .props import Mesh

_HAIR = {
    "female": ("long01", "bob01", "bob02", "Braid01", "ponytail01"),
    "male": ("short01", "short02", "short03", "short04", "afro01"),
}
_HAIR_COLOURS = np.array(
    [[0.5, 0.4, 0.35], [1, 1, 1], [1.3, 1.0, 0.7], [0.25, 0.22, 0.2], [1.1, 0.7, 0.5]]
)
_GREY = np.array([1.5, 1.5, 1.55])


@dataclass(frozen=True)
class Person:
    """Someone in the world: ``look``, ``motion`` and the ``spot`` where the motion begins.

    ``first``: the body at second 0 before it is moved to its spot, kept to save posing it twice.
    """

    look: Look
    motion: Motion
    spot: Spot

    @property
    def subject_id(self) -> int:
        return self.look.subject.index

    first: PosedBody | None = None

    def posed(self, assets: Assets, seconds: float) -> PosedBody:
        """Body at a time, in the world, metres."""
        body = self.first
        if body is None or seconds:
            avatar = avatar_of(assets, self.look)
            body = pose_avatar(avatar, self.look.subject, self.motion, seconds)
        return body.moved(self.spot.place, self.spot.heading)


@dataclass(frozen=True)
class Ground:
    """The plane z = 0 up to ``radius`` metres: a texture, or where None the panorama itself."""

    texture: int | None
    tile: float
    turn: float
    tint: np.ndarray
    radius: float = 18.0


@dataclass
class World:
    """Everything that cameras may look at.

    ``people``, ``props``; ``light``, ``environment``, ``ground``; ``view``: azimuth, radians, from
    which the arrangement is meant to be seen first.
    """

    assets: Assets
    people: list[Person]
    props: list[Mesh]
    environment: Environment
    light: Light
    ground: Ground
    view: float
    _posed: dict = field(default_factory=dict, repr=False)

    def bodies(self, seconds: float = 0.0) -> list[PosedBody]:
        """Everybody's body at a time; the last time asked for is kept, for several cameras."""
        if seconds not in self._posed:
            self._posed = {seconds: [person.posed(self.assets, seconds) for person in self.people]}
        return self._posed[seconds]

    def extent(self, times: tuple[float, ...] = (0.0,)) -> tuple[np.ndarray, float]:
        """Middle (2,) of the people on the ground over some times, and how far they get from it.

        Metres; (0, 0) and 1 where there is nobody.
        """
        places = [body.joints[14, :2] for seconds in times for body in self.bodies(seconds)]
        if not places:
            return np.zeros(2), 1.0
        centre = np.mean(places, axis=0)
        return centre, float(np.linalg.norm(places - centre, axis=1).max())


def pick(rng: np.random.Generator, options: list):
    """One of a list's entries."""
    return options[int(rng.integers(len(options)))]


@lru_cache(maxsize=8)
def _wardrobe(assets: Assets, pool: str) -> dict[str, list]:
    """The pool's items by kind; subjects, skins and clips too."""
    items = assets.of_pool("items", pool)
    wardrobe = {
        kind: [item for item in items if item.kind == kind]
        for kind in ("male", "female", "shoes", "hair", "hat")
    }
    for kind in ("subjects", "skins", "clips"):
        wardrobe[kind] = assets.of_pool(kind, pool)
    wardrobe["captured"] = [clip for clip in wardrobe["clips"] if len(clip) > 1]
    wardrobe["still"] = [clip for clip in wardrobe["clips"] if len(clip) == 1]
    return wardrobe


def sample_look(
    rng: np.random.Generator,
    assets: Assets,
    pool: str,
    taken: set[int],
    statures: tuple[float, float] | None = None,
) -> Look:
    """A person of a pool whose subject is not in ``taken``, while there are others.

    ``statures``: the least and the largest height, metres; None: any.
    """
    wardrobe = _wardrobe(assets, pool)
    subjects = wardrobe["subjects"]
    if statures is not None:
        subjects = [s for s in subjects if statures[0] <= s.stature <= statures[1]]
    free = [s for s in subjects if s.index not in taken]
    subject = pick(rng, free or subjects)
    gender = subject.gender
    suits = wardrobe[gender]
    if gender == "female" and (not suits or rng.random() < 0.35):
        suits = [s for s in wardrobe["male"] if "elegant" not in s.name]
    own = [h for h in wardrobe["hair"] if h.name in _HAIR[gender]]
    hair = pick(rng, own if own and rng.random() < 0.9 else wardrobe["hair"])
    items = [pick(rng, suits), pick(rng, wardrobe["shoes"]), hair]
    if wardrobe["hat"] and hair.name.startswith("short") and rng.random() < 0.08:
        items.append(wardrobe["hat"][0])
    skins = [s for s in wardrobe["skins"] if s["gender"] == gender]
    aged = [s for s in skins if s["age"] == subject.age_group]
    skin = pick(rng, aged or skins)
    tints = np.ones((PARTS, 3))
    tints[SKIN] = np.clip(1 + rng.normal(0, 0.05), 0.85, 1.15)
    tints[EYE] = 0.8
    tints[IRIS] = pick(rng, [[0.12, 0.07, 0.04], [0.1, 0.16, 0.3], [0.1, 0.2, 0.1]])
    if rng.random() < 0.75:
        tints[SUIT] = np.clip(1 + rng.normal(0, 0.4, 3), 0.2, 1.7) * rng.uniform(0.6, 1.25)
    tints[SHOES] = np.clip(1 + rng.normal(0, 0.3, 3), 0.3, 1.6)
    tints[HAIR] = pick(rng, _HAIR_COLOURS)
    if subject.age > 0.86 and rng.random() < 0.7:
        tints[HAIR] = _GREY
    tints[HAT] = np.clip(1 + rng.normal(0, 0.3, 3), 0.4, 1.6)
    return Look(subject, tuple(items), skin["texture"], tints)


def sample_motion(rng: np.random.Generator, assets: Assets, pool: str, moving: bool) -> Motion:
    """A clip of a pool from a random frame on; ``moving``: mocap alone, no still poses."""
    wardrobe = _wardrobe(assets, pool)
    clip = pick(rng, wardrobe["captured" if moving or rng.random() < 0.72 else "still"])
    start = rng.uniform(0, max(len(clip) - 1, 0) / 30)
    style = sample_style(rng)
    return Motion(clip, float(start), bool(rng.integers(2)), style)


def sample_people(
    rng: np.random.Generator,
    assets: Assets,
    pool: str,
    count: int,
    view: float,
    duration: float = 0.0,
    statures: tuple[float, float] | None = None,
) -> list[Person]:
    """Up to ``count`` people who do not overlap from second 0 to ``duration``.

    ``statures``: see :func:`sample_look`.
    """
    moments = np.arange(0.0, duration + 1e-9, 0.2)
    taken: set[int] = set()
    looks, motions, figures, firsts = [], [], [], []
    for _ in range(count):
        look = sample_look(rng, assets, pool, taken, statures)
        taken.add(look.subject.index)
        motion = sample_motion(rng, assets, pool, duration > 0)
        avatar = avatar_of(assets, look)
        bodies = [pose_avatar(avatar, look.subject, motion, float(t)) for t in moments]
        ends = [capsule_ends(body.joints, body.keypoints[17:]) for body in bodies]
        firsts.append(bodies[0])
        looks.append(look)
        motions.append(motion)
        figures.append(Figure(np.stack(ends), capsule_radii(assets, look.subject.index)))
    spots = arrange(rng, figures, view)
    return [
        Person(look, motion, spot, first)
        for look, motion, spot, first in zip(looks, motions, spots, firsts, strict=True)
        if spot is not None
    ]


def sample_world(
    rng: np.random.Generator,
    assets: Assets,
    pool: str,
    count: int,
    duration: float = 0.0,
    statures: tuple[float, float] | None = None,
) -> World:
    """People, ground, light and surroundings; objects are added with the ``add_`` functions.

    ``statures``: see :func:`sample_look`.
    """
    view = rng.uniform(0, 2 * np.pi)
    environment = pick(rng, assets.of_pool("environments", pool))
    light = sample_light(rng, environment)
    texture = pick(rng, list(assets.patterns)) if rng.random() < 0.55 else None
    tile = rng.uniform(0.7, 2.5) if texture is not None else rng.uniform(1.3, 1.9)
    tint = np.clip(1 + rng.normal(0, 0.15, 3), 0.5, 1.3) * rng.uniform(0.6, 1.1)
    ground = Ground(texture, float(tile), float(rng.uniform(0, 2 * np.pi)), tint)
    people = sample_people(rng, assets, pool, count, view, duration, statures)
    return World(assets, people, [], environment, light, ground, view)
