"""Batched 3D poses that index, concatenate and move like Detectron2's ``Boxes``.  Torch alone."""

from collections.abc import Iterator, Sequence

import torch

__all__ = ["Poses3D"]


class Poses3D:
    """N poses of J joints in a camera frame.

    Attributes:
        tensor: (N, J, 3) float, millimetres, X right, Y down, Z forward; finite everywhere.
        valid: (N, J) bool, which joints are known.  A person with 2D annotations alone has none.
    """

    def __init__(self, tensor: torch.Tensor, valid: torch.Tensor | None = None):
        """
        Args:
            tensor: (N, J, 3) mm.
            valid: (N, J); all joints where None.
        Raises:
            ValueError: if the shapes do not agree.
        """
        tensor = torch.as_tensor(tensor)
        if not tensor.is_floating_point():
            tensor = tensor.float()
        if tensor.dim() != 3 or tensor.shape[2] != 3:
            raise ValueError(f"poses must have shape (N, J, 3), found {tuple(tensor.shape)}")
        if valid is None:
            valid = torch.ones(tensor.shape[:2], dtype=torch.bool, device=tensor.device)
        valid = torch.as_tensor(valid, dtype=torch.bool, device=tensor.device)
        if valid.shape != tensor.shape[:2]:
            raise ValueError(
                f"validity must have shape {tuple(tensor.shape[:2])}, found {tuple(valid.shape)}"
            )
        self.tensor = tensor
        self.valid = valid

    @property
    def num_joints(self) -> int:
        return self.tensor.shape[1]

    def relative_to(self, joint: int) -> "Poses3D":
        """Poses with one joint (the root) at the origin; all invalid where that joint is."""
        origin = self.tensor[:, joint : joint + 1]
        return Poses3D(self.tensor - origin, self.valid & self.valid[:, joint : joint + 1])

    def mirrored(self, flip_indices: Sequence[int]) -> "Poses3D":
        """Poses as seen in the mirrored image: X changes sign, left and right joints swap.

        Args:
            flip_indices: (J,) permutation, ``Skeleton.flip_indices``.
        """
        index = torch.as_tensor(flip_indices, dtype=torch.long, device=self.tensor.device)
        sign = self.tensor.new_tensor((-1.0, 1.0, 1.0))
        return Poses3D(self.tensor[:, index] * sign, self.valid[:, index])

    def __getitem__(self, item) -> "Poses3D":
        """Index people; an int keeps the batch dimension."""
        if isinstance(item, int):
            item = slice(item, item + 1 or None)
        return Poses3D(self.tensor[item], self.valid[item])

    def __len__(self) -> int:
        return self.tensor.shape[0]

    def __iter__(self) -> Iterator[torch.Tensor]:
        yield from self.tensor

    def __repr__(self) -> str:
        return f"Poses3D(num_instances={len(self)}, num_joints={self.num_joints})"

    @property
    def device(self) -> torch.device:
        return self.tensor.device

    def to(self, *args, **kwargs) -> "Poses3D":
        """Move or cast; the validity follows the device and stays bool."""
        tensor = self.tensor.to(*args, **kwargs)
        return Poses3D(tensor, self.valid.to(tensor.device))

    @staticmethod
    def cat(poses: list["Poses3D"]) -> "Poses3D":
        """Concatenate at least one Poses3D of the same number of joints."""
        return Poses3D(torch.cat([p.tensor for p in poses]), torch.cat([p.valid for p in poses]))
