"""Random scenes for the tests of the HMOR losses, and padding of scenes into batches."""

import numpy as np
import torch


def make_scene(seed, num_people, num_joints=17, *, depth_mm=4000.0, invalid=0.0, ties=False):
    """A random scene in mm: (pred, gt, valid) as float64 and bool arrays (N, J, 3), (N, J).

    Args:
        invalid: share of joints that are invalid.
        ties: whole millimetres, and every second person a copy of the one before, moved
            sideways: equal depths along the camera normal and equal parts along every one.
    """
    rng = np.random.default_rng(seed)
    places = rng.normal(size=(num_people, 1, 3)) * (1000, 200, 800) + (0, 0, depth_mm)
    gt = np.round(places + rng.normal(size=(num_people, num_joints, 3)) * 350)
    valid = rng.random((num_people, num_joints)) >= invalid
    if ties:
        gt[1::2] = gt[: num_people // 2 * 2 : 2] + np.array([700.0, 0.0, 0.0])
        valid[1::2] = valid[: num_people // 2 * 2 : 2]
    else:
        gt += rng.uniform(-0.5, 0.5, size=gt.shape)
    pred = gt + rng.normal(size=gt.shape) * 300 + rng.normal(size=places.shape) * 1200
    return pred, gt, valid


def make_normals(seed, num_views):
    """(V, 3): the camera normal and V - 1 directions in all of space."""
    normals = np.random.default_rng(seed).normal(size=(num_views, 3))
    normals[0] = (0, 0, 1)
    return normals / np.linalg.norm(normals, axis=1, keepdims=True)


def tensors(arrays, dtype=torch.float64):
    return [
        torch.as_tensor(np.asarray(a), dtype=None if np.asarray(a).dtype == bool else dtype)
        for a in arrays
    ]


def padded(scenes, dtype=torch.float64, fill=float("nan")):
    """Stack scenes (pred, gt, valid, ...) of different sizes, garbage where there is nobody."""
    size = max(len(scene[0]) for scene in scenes)
    batch = []
    for field in zip(*scenes, strict=True):
        filler = False if field[0].dtype == bool else fill
        full = [np.concatenate([f, np.full((size - len(f), *f.shape[1:]), filler)]) for f in field]
        batch.append(np.stack(full))
    return tensors(batch, dtype)


def make_scene_2d(seed, num_people, invalid=0.2):
    """People known in 2D: (pred, gt, valid, box_areas), pixels."""
    pred, gt, valid = make_scene(seed, num_people, invalid=invalid)
    rng = np.random.default_rng(seed)
    return pred[..., :2] / 4, gt[..., :2] / 4, valid, rng.uniform(500, 90000, num_people)
