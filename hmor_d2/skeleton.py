"""Joint sets as data: names, parts, flip pairs, root, and mapping between sets by name.

A *skeleton* names the joints of one convention in order.  Two conventions are related through
their joint names alone: a joint that the source lacks is invalid in the target, never guessed.
Sources of the orders: MuCo-3DHP, MuPoTS-3D and Human3.6M as packaged by Moon et al., COCO, the CMU
Panoptic toolbox, and SMPL.  This module needs numpy alone.
"""

import itertools
from dataclasses import dataclass
from functools import cached_property

import numpy as np

__all__ = ["JointMapping", "Skeleton", "available_skeletons", "get_skeleton"]


@dataclass(frozen=True)
class Skeleton:
    """One joint convention.

    Attributes:
        name: registered name, e.g. ``"muco17"``.
        joint_names: J names in the convention's order.
        parts: S pairs (start, end) of joint indices, the body parts t = k_end - k_start of
            the paper's section 3.2.
        flip_pairs: pairs of joint indices that a mirrored image exchanges.
        root_index: index of the pelvis, or None where the convention has none.
        midpoints: joints that another convention may derive from this one, as
            (name, name_a, name_b): the middle of a and b, valid where both are.
    """

    name: str
    joint_names: tuple[str, ...]
    parts: tuple[tuple[int, int], ...]
    flip_pairs: tuple[tuple[int, int], ...]
    root_index: int | None
    midpoints: tuple[tuple[str, str, str], ...] = ()

    @property
    def num_joints(self) -> int:
        return len(self.joint_names)

    @property
    def num_parts(self) -> int:
        return len(self.parts)

    @cached_property
    def flip_indices(self) -> np.ndarray:
        """(J,) permutation: joint j of a mirrored person is joint ``flip_indices[j]``."""
        indices = np.arange(self.num_joints)
        for a, b in self.flip_pairs:
            indices[[a, b]] = b, a
        return indices

    def index(self, joint_name: str) -> int:
        """Index of a joint.  Raises KeyError, naming the skeleton, for an unknown name."""
        try:
            return self.joint_names.index(joint_name)
        except ValueError:
            raise KeyError(f"skeleton '{self.name}' has no joint '{joint_name}'") from None

    def mapping_to(self, target: "Skeleton") -> "JointMapping":
        """The mapping that brings joints of this convention into the order of ``target``."""
        derived = {name: (a, b) for name, a, b in self.midpoints}
        sources = []
        for name in target.joint_names:
            a, b = derived.get(name, (name, name))
            known = a in self.joint_names and b in self.joint_names
            sources.append((self.index(a), self.index(b)) if known else (-1, -1))
        return JointMapping(self.num_joints, np.array(sources, dtype=np.int64).reshape(-1, 2))


@dataclass(frozen=True)
class JointMapping:
    """Maps arrays over the joints of one skeleton to another's; built by ``mapping_to``.

    Attributes:
        num_source_joints: joints that :meth:`apply` expects.
        sources: (J_target, 2) source indices whose mean is the target joint (twice the same
            index for a plain copy), -1 where the source has no such joint.
    """

    num_source_joints: int
    sources: np.ndarray

    @property
    def known(self) -> np.ndarray:
        """(J_target,) bool: the source has this joint."""
        return self.sources[:, 0] >= 0

    def apply(self, coordinates: np.ndarray, flags: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Map coordinates and their flags.

        Args:
            coordinates: (..., J_source, D).
            flags: (..., J_source), visibility (0, 1, 2) or validity (bool); 0 is invalid.

        Returns:
            (..., J_target, D) coordinates, zero where invalid, and (..., J_target) flags: the
            smaller flag of the two sources, 0 for joints that the source lacks.

        Raises:
            ValueError: if the arrays do not have ``num_source_joints`` joints.
        """
        found = (coordinates.shape[-2], flags.shape[-1])
        if found != (self.num_source_joints,) * 2:
            raise ValueError(f"expected {self.num_source_joints} joints, found {found}")
        a, b = self.sources.T
        mapped_flags = np.where(self.known, np.minimum(flags[..., a], flags[..., b]), 0)
        mapped_flags = mapped_flags.astype(flags.dtype)
        mean = (coordinates[..., a, :] + coordinates[..., b, :]) / 2
        return np.where(mapped_flags[..., None] > 0, mean, 0), mapped_flags


def _define(name, joint_names, limbs, root="pelvis", midpoints=()):
    """Build a Skeleton; parts come from chains of joints, flip pairs from left_/right_ names."""
    names = tuple(joint_names.split())
    chains = [[names.index(n) for n in chain.split()] for chain in limbs]
    return Skeleton(
        name=name,
        joint_names=names,
        parts=tuple(pair for chain in chains for pair in itertools.pairwise(chain)),
        flip_pairs=tuple(
            (i, names.index(n.replace("right_", "left_", 1)))
            for i, n in enumerate(names)
            if n.startswith("right_")
        ),
        root_index=names.index(root) if root in names else None,
        midpoints=midpoints,
    )


_ARMS = tuple(f"neck {s}_shoulder {s}_elbow {s}_wrist" for s in ("right", "left"))
_LEGS = tuple(f"pelvis {s}_hip {s}_knee {s}_ankle" for s in ("right", "left"))
_BODY = ("neck head_top", *_ARMS, *_LEGS, "pelvis neck")
_MUCO17 = (
    "head_top neck right_shoulder right_elbow right_wrist left_shoulder left_elbow left_wrist "
    "right_hip right_knee right_ankle left_hip left_knee left_ankle pelvis spine head"
)
_PANOPTIC15 = (
    "neck {} pelvis left_shoulder left_elbow left_wrist left_hip left_knee left_ankle "
    "right_shoulder right_elbow right_wrist right_hip right_knee right_ankle"
)
_COCO17 = (
    "nose left_eye right_eye left_ear right_ear left_shoulder right_shoulder left_elbow "
    "right_elbow left_wrist right_wrist left_hip right_hip left_knee right_knee left_ankle "
    "right_ankle"
)
# Human3.6M's Torso, Neck, Nose and Head lie where MuCo's Spine, Thorax, Head and Head_top do.
_H36M17 = (
    "pelvis right_hip right_knee right_ankle left_hip left_knee left_ankle spine neck head "
    "head_top left_shoulder left_elbow left_wrist right_shoulder right_elbow right_wrist"
)
# SMPL's neck, head and spine lie elsewhere than the joints of these names in other sets.
_SMPL24 = (
    "pelvis left_hip right_hip spine1 left_knee right_knee spine2 left_ankle right_ankle spine3 "
    "left_toe right_toe smpl_neck left_collar right_collar smpl_head left_shoulder "
    "right_shoulder left_elbow right_elbow left_wrist right_wrist left_hand right_hand"
)
_SKELETONS = {
    skeleton.name: skeleton
    for skeleton in (
        _define("muco17", _MUCO17, _BODY),
        _define("muco21", _MUCO17 + " right_hand left_hand right_toe left_toe", _BODY),
        _define("panoptic15", _PANOPTIC15.format("head_top"), _BODY),
        _define(
            "panoptic19",
            _PANOPTIC15.format("nose") + " left_eye left_ear right_eye right_ear",
            ("neck nose", *_ARMS, *_LEGS, "pelvis neck"),
        ),
        _define("h36m17", _H36M17, _BODY),
        _define(
            "smpl24",
            _SMPL24,
            (
                "smpl_neck smpl_head",
                *(arm.replace("neck", "smpl_neck") for arm in _ARMS),
                *_LEGS,
                "pelvis smpl_neck",
            ),
        ),
        _define(
            "coco17",
            _COCO17,
            (
                "left_shoulder left_elbow left_wrist",
                "right_shoulder right_elbow right_wrist",
                "left_hip left_knee left_ankle",
                "right_hip right_knee right_ankle",
                "left_shoulder right_shoulder right_hip left_hip left_shoulder",
                "left_ear left_eye nose right_eye right_ear",
            ),
            midpoints=(
                ("neck", "left_shoulder", "right_shoulder"),
                ("pelvis", "left_hip", "right_hip"),
            ),
        ),
    )
}


def available_skeletons() -> list[str]:
    """Names that :func:`get_skeleton` knows."""
    return sorted(_SKELETONS)


def get_skeleton(name: str) -> Skeleton:
    """Return a skeleton by name.  Raises KeyError that lists the known names."""
    try:
        return _SKELETONS[name]
    except KeyError:
        raise KeyError(f"unknown skeleton '{name}'; known: {available_skeletons()}") from None
