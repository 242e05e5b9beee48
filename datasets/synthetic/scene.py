"""Scenes of the embedded dataset, each a function of (split, index, seed) alone.

A *split* is ``"train"`` or ``"test"``, the pool of subjects, clothes, motion and surroundings, or
such a name with a suffix, ``"train/coco"``, for further scenes from the same pool.

    generate_scene       one picture
    generate_multiview   a take: several calibrated cameras around people who move
    generate_sequence    a take: one camera that watches people who move

The package is imported as ``synthetic``, with the folder ``datasets/`` on the path, as scripts
there have it; an installed package of the name ``datasets`` would hide ``datasets.synthetic``.
"""

import zlib
from dataclasses import dataclass

import numpy as np

from .assets import POOLS, load_assets
from .camera import Camera, place_camera, sample_camera
from .furnishing import add_clutter, add_occluder, add_seats, add_wall, clear_view
from .ground_truth import PersonTruth, observe
from .photometrics import Sensor, develop, sample_sensor
from .renderer import build_geometry, render
from .world import World, sample_world

# Share of scenes with 0, 1, ..., 8 people.
COUNTS = (0.05, 0.16, 0.24, 0.2, 0.14, 0.09, 0.06, 0.04, 0.02)


@dataclass(frozen=True)
class Scene:
    """A picture and everything known of it.

    ``image`` (H, W, 3) uint8 BGR; ``camera``; ``people``; ``owner`` (H, W) int16: k + 1 where
    the world's person k shows, -1 objects, 0 else; ``depth`` (H, W) float32 mm (Z), 0 far away;
    ``seconds``: time within its sequence.
    """

    image: np.ndarray
    camera: Camera
    people: list[PersonTruth]
    owner: np.ndarray
    depth: np.ndarray
    seconds: float = 0.0

    def mask(self, person: PersonTruth) -> np.ndarray:
        """(H, W) bool: the pixels that show a person."""
        return self.owner == person.person + 1


def scene_generator(split: str, index: int, seed: int) -> np.random.Generator:
    """The random generator of one scene."""
    return np.random.default_rng(np.random.SeedSequence([seed, zlib.crc32(split.encode()), index]))


def _pool(split: str) -> str:
    pool = split.split("/")[0]
    if pool not in POOLS:
        raise ValueError(f"found split '{split}', expected one that begins with one of {POOLS}")
    return pool


@dataclass(frozen=True)
class Take:
    """Cameras that watch a world at several times.  Any moment can be had without the others.

    ``times`` (T,) seconds; ``cameras``, their ``sensors``; ``states`` (T, C): seeds of noise.
    """

    world: World
    cameras: list[Camera]
    sensors: list[Sensor]
    times: tuple[float, ...]
    states: np.ndarray

    def __len__(self) -> int:
        return len(self.times)

    def scenes(self, moment: int) -> list[Scene]:
        """What each camera sees at ``times[moment]``."""
        seconds = self.times[moment]
        geometry = build_geometry(self.world, seconds)
        scenes = []
        for k, (camera, sensor) in enumerate(zip(self.cameras, self.sensors, strict=True)):
            rendering = render(self.world, camera, geometry)
            people = observe(self.world, camera, rendering, seconds)
            noise = np.random.default_rng(self.states[moment, k])
            image = develop(sensor, noise, rendering.radiance)
            scenes.append(Scene(image, camera, people, rendering.owner, rendering.depth, seconds))
        return scenes


def _take(
    rng: np.random.Generator, world: World, cameras: list[Camera], times: tuple[float, ...]
) -> Take:
    sensors = [sample_sensor(rng, camera.size) for camera in cameras]
    states = rng.integers(0, 2**63, size=(len(times), len(cameras)))
    return Take(world, cameras, sensors, times, states)


def generate_scene(
    split: str,
    index: int,
    seed: int = 0,
    size: tuple[int, int] = (640, 480),
    count: int | None = None,
    statures: tuple[float, float] | None = None,
) -> Scene:
    """Scene ``index`` of a split: a still picture of 0 to 8 people.

    Args:
        size: width and height; the same scene at another size is another drawing of it.
        count: number of people, drawn where None.  Fewer appear where there is no room.
        statures: the least and the largest height of people, metres; None: any, from small
            children on.

    Raises:
        ValueError: for an unknown split.
    """
    pool = _pool(split)
    rng = scene_generator(split, index, seed)
    if count is None:
        count = int(rng.choice(len(COUNTS), p=COUNTS))
    assets = load_assets()
    world = sample_world(rng, assets, pool, count, statures=statures)
    if rng.random() < 0.35:
        add_wall(rng, world)
    centre, spread = world.extent()
    camera = sample_camera(rng, size, centre, spread, world.view + rng.normal(0, 0.12))
    add_seats(rng, world)
    if rng.random() < 0.3:
        for _ in range(int(rng.integers(1, 3))):
            add_occluder(rng, world, camera.eye)
    if rng.random() < 0.65 or count == 0:
        add_clutter(rng, world, int(rng.integers(1, 9)), spread + 3.0)
        clear_view(world, camera)
    return _take(rng, world, [camera], (0.0,)).scenes(0)[0]


def ring_of_cameras(
    rng: np.random.Generator,
    count: int,
    size: tuple[int, int],
    centre: np.ndarray,
    radius: float = 4.2,
) -> list[Camera]:
    """Distorted cameras around a place (2,) that look inwards, like the HD cameras of a dome."""
    cameras = []
    phase = rng.uniform(0, 2 * np.pi)
    for k in range(count):
        azimuth = phase + 2 * np.pi * (k + rng.uniform(-0.2, 0.2)) / count
        away = radius * rng.uniform(0.9, 1.15) * np.array([np.cos(azimuth), np.sin(azimuth)])
        eye = np.array([*(centre + away), rng.uniform(1.2, 2.6)])
        target = np.array([*(centre + rng.normal(0, 0.2, 2)), rng.uniform(0.7, 1.0)])
        radial, tangential = (
            rng.uniform([-0.29, 0.08, -0.04], [-0.2, 0.2, 0.02]),
            rng.normal(0, 4e-4, 2),
        )
        distortion = np.array([*radial[:2], *tangential, radial[2]])
        fov = np.radians(rng.uniform(62, 74))
        roll, off_centre = rng.normal(0, 0.02), rng.normal(0, 6, 2) * max(size) / 960
        cameras.append(place_camera(size, eye, target, fov, roll, off_centre, distortion))
    return cameras


def generate_multiview(
    split: str,
    index: int,
    seed: int = 0,
    size: tuple[int, int] = (960, 540),
    cameras: int = 4,
    times: tuple[float, ...] = (0.0,),
    count: int | None = None,
) -> Take:
    """Recording ``index`` of a dome: several calibrated cameras with distortion, at some times.

    ``PersonTruth.joints_world`` is the same for all cameras.  Arguments as of ``generate_scene``.
    """
    pool = _pool(split)
    rng = scene_generator(split, index, seed)
    if count is None:
        count = int(rng.integers(2, 6))
    world = sample_world(rng, load_assets(), pool, count, max(times))
    centre, spread = world.extent((0.0, max(times)))
    views = ring_of_cameras(rng, cameras, size, centre, max(3.6, spread + 2.6))
    if rng.random() < 0.5:
        add_clutter(rng, world, int(rng.integers(1, 4)), 1.8, max(times))
    return _take(rng, world, views, times)


def generate_sequence(
    split: str,
    index: int,
    seed: int = 0,
    size: tuple[int, int] = (640, 480),
    frames: int = 100,
    frames_per_second: float = 30.0,
    count: int | None = None,
) -> Take:
    """Video ``index``: one camera, ``frames`` moments, 2 to 4 people who move."""
    pool = _pool(split)
    rng = scene_generator(split, index, seed)
    if count is None:
        count = int(rng.integers(2, 5))
    times = tuple(i / frames_per_second for i in range(frames))
    world = sample_world(rng, load_assets(), pool, count, times[-1])
    centre, spread = world.extent(times[:: max(1, frames // 4)])
    if rng.random() < 0.3:
        add_wall(rng, world, times[-1])
    camera = sample_camera(rng, size, centre, spread, world.view)
    return _take(rng, world, [camera], times)
