"""Objects in a world: seats, clutter, walls, and what stands between a camera and the people."""

import numpy as np

from .camera import Camera
from .props import sample_prop, seat, wall
from .world import World, pick


def _free(place: np.ndarray, radius: float, taken: list[tuple[np.ndarray, float]]) -> bool:
    return all(np.linalg.norm(place - other) > radius + r for other, r in taken)


def _footprints(world: World, duration: float = 0.0) -> list[tuple[np.ndarray, float]]:
    """Circles (middle, radius) on the ground that hold each person, every half second."""
    prints = []
    times = np.arange(0.0, duration + 0.5, 0.5) if duration else (0.0,)
    for body in (body for seconds in times for body in world.bodies(float(seconds))):
        flat = body.joints[:, :2]
        middle = (flat.min(axis=0) + flat.max(axis=0)) / 2
        # Hands, feet and clothes reach beyond the joints.
        prints.append((middle, float(np.linalg.norm(flat - middle, axis=1).max()) + 0.2))
    return prints


def add_seats(rng: np.random.Generator, world: World) -> None:
    """Put a stool under everybody whose pose sits on something."""
    for person, body in zip(world.people, world.bodies(0.0), strict=True):
        if not person.motion.clip.seated:
            continue
        pelvis = body.joints[14]
        near = np.linalg.norm(body.vertices[:, :2] - pelvis[:2], axis=1) < 0.12
        height = float(body.vertices[near, 2].min()) - 0.002
        if height > 0.12:
            texture = pick(rng, list(world.assets.patterns))
            stool = seat(0.36, 0.36, height, texture, np.clip(1 + rng.normal(0, 0.3, 3), 0.3, 1.5))
            world.props.append(stool.moved(pelvis[:2], person.spot.heading))


def add_clutter(
    rng: np.random.Generator, world: World, count: int, reach: float, duration: float = 0.0
) -> None:
    """Stand objects around the people, none of them where anybody is until ``duration``."""
    taken = _footprints(world, duration)
    centre, _ = world.extent()
    for _ in range(count):
        prop = sample_prop(rng, world.assets.patterns)
        for _ in range(8):
            angle = rng.uniform(0, 2 * np.pi)
            distance = reach * np.sqrt(rng.uniform(0.02, 1))
            place = centre + distance * np.array([np.cos(angle), np.sin(angle)])
            if _free(place, prop.footprint_radius, taken):
                world.props.append(prop.moved(place, rng.uniform(0, 2 * np.pi)))
                taken.append((place, prop.footprint_radius))
                break


def add_occluder(rng: np.random.Generator, world: World, eye: np.ndarray) -> None:
    """Stand an object between a camera and one of the people, where there is room."""
    taken = _footprints(world)
    if not taken:
        return
    target, _ = pick(rng, taken)
    prop = sample_prop(
        rng, world.assets.patterns, ("crate", "pillar", "barrel", "table", "chair", "board",
                                     "stack", "plant")
    )  # fmt: skip
    line = target - eye[:2]
    length = np.linalg.norm(line)
    for _ in range(8):
        along = rng.uniform(0.35, 0.9)
        side = rng.normal(0, 0.3) * np.array([-line[1], line[0]]) / length
        place = eye[:2] + along * line + side
        clear = np.linalg.norm(place - eye[:2]) > 0.8 + prop.footprint_radius
        if clear and _free(place, prop.footprint_radius, taken):
            facing = np.arctan2(line[1], line[0]) + np.pi / 2 + rng.normal(0, 0.4)
            world.props.append(prop.moved(place, facing))
            return


def add_wall(rng: np.random.Generator, world: World, duration: float = 0.0) -> None:
    """Stand a wall behind the people, until ``duration``, as seen from ``world.view``."""
    away = -np.array([np.cos(world.view), np.sin(world.view)])
    centre, spread = world.extent()
    prints = _footprints(world, duration)
    reach = max(((place - centre) @ away + r for place, r in prints), default=0.0)
    place = centre + away * (reach + rng.uniform(0.6, 5.0))
    turn = rng.normal(0, 0.25)
    # A turned wall cuts less deep beside the people than they reach.
    if abs(turn) > 0.1:
        place = place + away * spread * abs(np.sin(turn))
    world.props.append(wall(rng, world.assets.patterns).moved(place, world.view + np.pi / 2 + turn))


def clear_view(world: World, camera: Camera) -> None:
    """Drop objects that stand right before a camera; walls stay."""
    eye = camera.eye[:2]
    world.props[:] = [
        prop
        for prop in world.props
        if not prop.casts_shadow or np.linalg.norm(prop.vertices[:, :2] - eye, axis=1).min() > 0.7
    ]
