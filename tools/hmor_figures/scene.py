"""Three stick people in the camera frame, and how to draw them."""

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch

from hmor_d2.losses.hmor import hmor_losses_batched
from hmor_d2.skeleton import Skeleton, get_skeleton

SKELETON = get_skeleton("muco17")
LEVELS = ("instance", "part", "joint")
CAMERA = torch.tensor([[0.0, 0.0, 1.0]])
COLORS = {"A": "#1b6ca8", "B": "#2f8f5b", "C": "#8a4fa3"}
WRONG = "#d1342f"
GREY = "0.45"

# The pair of parts that the figures follow: A's right upper arm and B's right forearm.
FIRST_PART = (0, "right_shoulder", "right_elbow")
SECOND_PART = (1, "right_elbow", "right_wrist")

# A standing person seen from the front, mm from the pelvis: x to the image's right, y down, z
# away from the camera.
_STANDING = {
    "head_top": (0, -740, 0),
    "head": (0, -620, -20),
    "neck": (0, -500, 0),
    "spine": (0, -250, 0),
    "pelvis": (0, 0, 0),
    "right_shoulder": (-180, -480, 0),
    "right_elbow": (-270, -220, 0),
    "right_wrist": (-310, 10, -60),
    "right_hip": (-110, 0, 0),
    "right_knee": (-125, 420, 0),
    "right_ankle": (-130, 840, 30),
}
_ARM_UP = {"left_elbow": (400, -640, -20), "left_wrist": (430, -890, -60)}
_ARMS_OUT = {
    "right_elbow": (-430, -440, -60),
    "right_wrist": (-600, -330, -220),
    "left_elbow": (300, -250, -100),
    "left_wrist": (200, -130, -300),
}
_STRIDE = {
    "right_knee": (-130, 400, -220),
    "right_ankle": (-130, 800, -150),
    "left_knee": (120, 410, 120),
    "left_ankle": (120, 760, 400),
    "left_elbow": (230, -240, -130),
    "left_wrist": (180, -60, -320),
}


def make_people() -> torch.Tensor:
    """(3, 17, 3): people A, B and C, mm in the camera frame."""
    return torch.stack(
        [
            _make_person((-850, 60, 3900), _ARM_UP),
            _make_person((120, 80, 5300), _ARMS_OUT),
            _make_person((900, 40, 4500), _STRIDE),
        ]
    )


def _make_person(place: tuple[float, ...], changes: dict[str, tuple]) -> torch.Tensor:
    mirrored = {
        name.replace("right_", "left_"): (-x, y, z) for name, (x, y, z) in _STANDING.items()
    }
    joints = mirrored | _STANDING | changes
    pose = torch.tensor([joints[name] for name in SKELETON.joint_names], dtype=torch.float32)
    return pose + torch.tensor(place, dtype=torch.float32)


def part_vector(people: torch.Tensor, part: tuple[int, str, str]) -> torch.Tensor:
    """(3,) from the start to the end of a part (person, start joint, end joint), mm."""
    person, start, end = part
    return people[person, SKELETON.index(end)] - people[person, SKELETON.index(start)]


def compare(
    pred: torch.Tensor,
    gt: torch.Tensor,
    normals: torch.Tensor = CAMERA,
    skeleton: Skeleton = SKELETON,
) -> dict[str, float]:
    """Losses and figures of one image whose joints are all valid."""
    valid = torch.ones(gt.shape[:2], dtype=torch.bool)
    batch = (tensor.unsqueeze(0) for tensor in (pred, gt, valid))
    losses, figures = hmor_losses_batched(*batch, skeleton, normals.unsqueeze(0))
    return {key: value.item() for key, value in (losses | figures).items()}


def draw_person(axes: Axes, points: np.ndarray, color: str, **style) -> None:
    """Draw a pose (17, 2)."""
    for start, end in SKELETON.parts:
        axes.plot(*points[[start, end]].T, color=color, solid_capstyle="round", **style)


def draw_arrow(axes: Axes, start, end, color: str, **style) -> None:
    options = {"arrowstyle": "-|>", "mutation_scale": 12, "lw": 1.6, "shrinkA": 0, "shrinkB": 0}
    axes.add_patch(FancyArrowPatch(start, end, color=color, **(options | style)))


def draw_turn(axes: Axes, centre, first, second, radius: float, color: str) -> None:
    """An arc with an arrow, the shorter way from the direction ``first`` to ``second``."""
    start = np.arctan2(first[1], first[0])
    sweep = (np.arctan2(second[1], second[0]) - start + np.pi) % (2 * np.pi) - np.pi
    angles = start + np.linspace(0, sweep, 40)
    arc = np.asarray(centre) + radius * np.array([np.cos(angles), np.sin(angles)]).T
    axes.plot(*arc.T, color=color, lw=1.3)
    draw_arrow(axes, arc[-5], arc[-1], color, mutation_scale=9, lw=1.0)


def frame(axes: Axes, title: str, centre: tuple[float, float], size: float, y_down=False) -> None:
    """A square panel without ticks, ``size`` wide around ``centre``."""
    axes.set_title(title, fontsize=10, loc="left")
    axes.set_aspect("equal")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_xlim(centre[0] - size / 2, centre[0] + size / 2)
    bottom, top = centre[1] - size / 2, centre[1] + size / 2
    axes.set_ylim(*((top, bottom) if y_down else (bottom, top)))
    for spine in axes.spines.values():
        spine.set_color("0.8")
