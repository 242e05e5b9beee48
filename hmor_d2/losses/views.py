"""View directions of the ordinal relations: the camera's own and random ones.  Torch alone."""

import math

import torch
from torch import Tensor

__all__ = ["plane_basis", "sample_view_normals"]


def sample_view_normals(
    num_views: int,
    generator: torch.Generator | None = None,
    *,
    batch_size: int | None = None,
    include_camera: bool = False,
    device: torch.device | str | None = None,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Draw virtual view normals, uniform on the half sphere in front of the camera (eq. 10).

    n_v = (sqrt(1 - u^2) cos(theta), sqrt(1 - u^2) sin(theta), u), u ~ U[0, 1], theta ~ U[0, 2 pi).
    By Archimedes' theorem a uniform height u makes the direction uniform.

    Args:
        num_views: V, virtual views; 0 is allowed.
        generator: source of the numbers; torch's default one where None.  The numbers are drawn
            on the generator's device, so that a seed gives the same views on every device.
        batch_size: B; draw views for each of B images.
        include_camera: put the camera's own normal (0, 0, 1) before the virtual ones.
        device, dtype: of the result.  Without a device: the generator's, else the CPU.

    Returns:
        (V, 3) unit vectors in the camera frame, or (B, V, 3) with ``batch_size``; V + 1 instead
        of V with ``include_camera``.

    Raises:
        ValueError: for a negative number of views.
    """
    if num_views < 0:
        raise ValueError(f"num_views must not be negative, found {num_views}")
    shape = (num_views,) if batch_size is None else (batch_size, num_views)
    source = torch.device("cpu") if generator is None else generator.device
    # Drawn in float64 whatever the result's type: the views of a seed do not depend on it.
    u, turn = torch.rand((2, *shape), generator=generator, device=source, dtype=torch.float64)
    theta = 2 * math.pi * turn
    radius = torch.sqrt(1 - u * u)
    normals = torch.stack([radius * torch.cos(theta), radius * torch.sin(theta), u], dim=-1)
    if include_camera:
        camera = normals.new_tensor((0.0, 0.0, 1.0)).expand(*shape[:-1], 1, 3)
        normals = torch.cat([camera, normals], dim=-2)
    return normals.to(device=device, dtype=dtype)


def plane_basis(normals: Tensor) -> tuple[Tensor, Tensor]:
    """Orthonormal basis (e1, e2) of the planes perpendicular to unit normals, e1 x e2 = n.

    Hence (a x b) . n = (a . e1)(b . e2) - (a . e2)(b . e1).  Branch-free and continuous on either
    half sphere (Duff et al., "Building an Orthonormal Basis, Revisited", JCGT 2017); the camera
    normal (0, 0, 1) gives exactly the image axes X and Y.

    Args:
        normals: (..., 3) unit vectors.

    Returns:
        Two tensors (..., 3).
    """
    x, y, z = normals.unbind(-1)
    sign = torch.copysign(torch.ones_like(z), z)
    a = -1 / (sign + z)
    b = x * y * a
    first = torch.stack([1 + sign * x * x * a, sign * b, -sign * x], dim=-1)
    second = torch.stack([b, sign + y * y * a, -y], dim=-1)
    return first, second
