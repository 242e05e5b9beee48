"""The joints that ``muco21`` has beyond ``muco17``: hands and toes, rigid with hand and foot."""

import numpy as np

from .rig import JOINT_NAMES, SEGMENT_INDEX

EXTREMITY_NAMES = ("right_hand", "left_hand", "right_toe", "left_toe")
HAND_SEGMENTS = np.array([SEGMENT_INDEX["hand.R"], SEGMENT_INDEX["hand.L"]])
# The knuckles, on the line from the wrist along the palm: the share of the way to the fingertips.
_KNUCKLES = 0.5
# Keypoints of the toes among those of a body: big and small toe of each side, right side first.
_TOES = np.array([[18, 20], [17, 19]])


def rest_hands(
    vertices: np.ndarray, segments: np.ndarray, joints: np.ndarray, frames: np.ndarray
) -> np.ndarray:
    """(2, 3) right and left hand of a body at rest: the knuckles.

    Args:
        vertices: (V, 3) skin; segments: (V,) the segment that moves each vertex most.
        joints: (17, 3) ``muco17``; frames: (25, 3, 3) anatomical frames, Y of hands along the palm.
    """
    hands = []
    for name, segment in zip(("right_wrist", "left_wrist"), HAND_SEGMENTS, strict=True):
        wrist, along = joints[JOINT_NAMES.index(name)], frames[segment, :, 1]
        reach = ((vertices[segments == segment] - wrist) @ along).max()
        hands.append(wrist + _KNUCKLES * reach * along)
    return np.stack(hands)


def place_extremities(
    hands: np.ndarray, rotations: np.ndarray, translations: np.ndarray, keypoints: np.ndarray
) -> np.ndarray:
    """(4, 3) ``EXTREMITY_NAMES`` of a posed body; a toe is the middle of big and small toe.

    Args:
        hands: (2, 3) of :func:`rest_hands`; keypoints: (23, 3) of the posed body.
        rotations, translations: (25, 3, 3), (25, 3) of the segments.
    """
    turned = np.einsum("hij,hj->hi", rotations[HAND_SEGMENTS], hands)
    return np.concatenate([turned + translations[HAND_SEGMENTS], keypoints[_TOES].mean(axis=1)])
