"""A standing person with the proportions of an adult, for tests that need plausible bodies."""

import numpy as np

# Panoptic's 19 joints in its world, cm: y down, the floor at 0; facing -z.
STANDING = np.array(
    [
        (0, -145, 0),  # neck
        (0, -155, -18),  # nose
        (0, -92, 0),  # pelvis
        *((-17, -143, 0), (-20, -114, 2), (-21, -90, -3)),  # left arm
        *((-10, -90, 0), (-11, -50, -2), (-12, -9, 3)),  # left leg
        *((17, -143, 0), (20, -114, 2), (21, -90, -3)),  # right arm
        *((10, -90, 0), (11, -50, -2), (12, -9, 3)),  # right leg
        *((-3, -158, -16), (-7, -156, -8), (3, -158, -16), (7, -156, -8)),  # eyes and ears
    ],
    dtype=float,
)


def standing_person(x_cm: float, z_cm: float, turn: float = 0.0) -> np.ndarray:
    """(19, 4): world X, Y, Z in cm and confidence, at a place of the floor, turned by radians."""
    cosine, sine = np.cos(turn), np.sin(turn)
    rotation = np.array([[cosine, 0, sine], [0, 1, 0], [-sine, 0, cosine]])
    joints = STANDING @ rotation.T + (x_cm, 0, z_cm)
    return np.column_stack((joints, np.full(19, 0.8)))
