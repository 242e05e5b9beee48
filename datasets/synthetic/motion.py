"""Pose: a frame of a clip to the rotation of every segment of a given body.

World: X left of someone at heading 0, Y back, Z up, metres.
"""

from dataclasses import dataclass

import numpy as np

from .assets import Clip, Subject
from .build_motion import CAPTURED, FRAMES_PER_SECOND, LIMBS
from .rig import (
    JOINT_SEGMENTS,
    MIRRORED,
    PARENTS,
    PIVOT_JOINTS,
    SEGMENT_INDEX,
    SEGMENTS,
    SIDES,
)
from .rotations import (
    from_quaternion,
    from_vector,
    multiply,
    part_turn,
    part_twist,
    relative,
    swing,
)

_MIRROR = np.diag([-1.0, 1.0, 1.0])
# Standard deviations, radians, of a person's own manner of holding each part.
_STYLE = {
    "head": 0.14,
    "chest": 0.03,
    "upper_arm": 0.09,
    "forearm": 0.09,
    "hand": 0.12,
    "thigh": 0.02,
    "shin": 0.02,
}
_MAX_HEAD_TURN = 1.15
_MAX_WRIST_TURN = 1.2
_CLAVICLE_SHARE = 0.2


@dataclass(frozen=True)
class Motion:
    """What one person does: a clip from ``start`` seconds on, perhaps mirrored, in own style.

    ``style`` (15, 3): rotation vectors added to the captured segments, the same in every frame.
    """

    clip: Clip
    start: float
    mirrored: bool
    style: np.ndarray

    def _frames_at(self, seconds: float) -> tuple[int, float]:
        """The frame before a time, and the share of the next; a clip is played back and forth."""
        last = len(self.clip) - 1
        place = (self.start + seconds) * FRAMES_PER_SECOND % (2 * last)
        place = 2 * last - place if place > last else place
        low = min(int(place), last - 1)
        return low, place - low

    def rotations_at(self, seconds: float) -> np.ndarray:
        """Captured rotations (15, 3, 3) at a time."""
        quaternions = self.clip.rotations[0]
        if len(self.clip) > 1:
            low, part = self._frames_at(seconds)
            pair = self.clip.rotations[low : low + 2]
            quaternions = (1 - part) * pair[0] + part * pair[1]
        return np.stack([from_quaternion(q) for q in quaternions])

    def position_at(self, seconds: float) -> np.ndarray:
        """Ground position (2,) in leg lengths at a time."""
        if len(self.clip) == 1:
            return np.zeros(2)
        low, part = self._frames_at(seconds)
        return (1 - part) * self.clip.positions[low] + part * self.clip.positions[low + 1]


def sample_style(rng: np.random.Generator) -> np.ndarray:
    """(15, 3) rotation vectors for :class:`Motion`."""
    spread = np.array([_STYLE.get(name.split(".")[0], 0.0) for name in CAPTURED])
    return np.clip(rng.standard_normal((len(CAPTURED), 3)), -2, 2) * spread[:, None]


def segment_rotations(subject: Subject, motion: Motion, seconds: float) -> np.ndarray:
    """(25, 3, 3) rotations of the segments from the rest pose to the pose at a time."""
    captured = motion.rotations_at(seconds)
    rest = subject.frames
    turned = {
        name: multiply(captured[k], from_vector(motion.style[k])) for k, name in enumerate(CAPTURED)
    }
    out = np.empty((len(SEGMENTS), 3, 3))

    def put(name: str, rotation: np.ndarray) -> np.ndarray:
        out[SEGMENT_INDEX[name]] = rotation
        return rotation

    pelvis, chest = put("pelvis", turned["pelvis"]), put("chest", turned["chest"])
    put("spine", multiply(pelvis, part_turn(relative(pelvis, chest), 0.5, np.pi)))
    nod = part_turn(relative(chest, turned["head"]), 1.0, _MAX_HEAD_TURN)
    put("head", multiply(chest, nod))
    put("neck", multiply(chest, part_turn(nod, 0.5, np.pi)))
    for side in SIDES:
        own, along = {}, {}
        for limb in LIMBS:
            frame = rest[SEGMENT_INDEX[f"{limb}.{side}"]]
            own[limb] = multiply(turned[f"{limb}.{side}"], frame.T)
            along[limb] = np.ascontiguousarray(frame[:, 1])
        lift = swing(along["upper_arm"], relative(chest, own["upper_arm"]))
        collar = put(f"clavicle.{side}", multiply(chest, from_vector(_CLAVICLE_SHARE * lift)))
        # The half of a limb next to its root takes half of the twist.
        for root, limb in ((collar, "upper_arm"), (pelvis, "thigh")):
            half = part_twist(relative(root, own[limb]), along[limb], 0.5)
            put(f"{limb}.{side}", own[limb])
            put(f"{limb}_a.{side}", multiply(root, half))
        put(f"shin.{side}", own["shin"])
        put(f"foot.{side}", own["foot"])
        # The hand turns the forearm's lower half with it, and no further than a wrist can.
        forearm = put(f"forearm_a.{side}", own["forearm"])
        wrist = part_turn(relative(forearm, own["hand"]), 1.0, _MAX_WRIST_TURN)
        put(f"hand.{side}", multiply(forearm, wrist))
        bend = from_vector(swing(along["forearm"], wrist))
        put(f"forearm.{side}", multiply(forearm, part_turn(relative(bend, wrist), 0.6, np.pi)))
    if motion.mirrored:
        out = _MIRROR @ out[MIRRORED] @ _MIRROR
    return out


def pose_segments(
    subject: Subject, motion: Motion, seconds: float
) -> tuple[np.ndarray, np.ndarray]:
    """Rotations (25, 3, 3) and translations (25, 3) of the segments: posed = R rest + t, metres.

    The pelvis is over (0, 0) at ``seconds`` = 0 and then moves with the clip, at height 0.
    """
    rotations = segment_rotations(subject, motion, seconds)
    pivots = subject.joints[PIVOT_JOINTS]
    hip, knee, ankle = subject.joints[11:14]
    leg = np.linalg.norm(knee - hip) + np.linalg.norm(ankle - knee)
    travelled = (motion.position_at(seconds) - motion.position_at(0.0)) * leg
    if motion.mirrored:
        travelled = travelled * [-1, 1]
    places = np.empty((len(SEGMENTS), 3))
    places[0] = np.append(travelled, 0.0)
    for s in range(1, len(SEGMENTS)):
        parent = PARENTS[s]
        places[s] = places[parent] + rotations[parent] @ (pivots[s] - pivots[parent])
    return rotations, places - np.einsum("sij,sj->si", rotations, pivots)


def joints_of(subject: Subject, rotations: np.ndarray, translations: np.ndarray) -> np.ndarray:
    """(17, 3) ground-truth joints, each carried by its segment."""
    moved = np.einsum("jik,jk->ji", rotations[JOINT_SEGMENTS], subject.joints)
    return moved + translations[JOINT_SEGMENTS]
