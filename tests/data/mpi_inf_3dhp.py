"""Reads a sample of MPI-INF-3DHP, MuCo-3DHP's source, as dataset dicts of joint set muco17.

The sample holds four pictures; two npz files with ``imgname``, ``part`` (17 x (x, y, inside the
image), pixels by index), ``S`` (17 x (X, Y, Z, 1), metres in the camera frame), ``center`` and
``scale`` (of a square box of 200 * scale pixels); and a pickle of cameras by the name of the
sequence.  The 17 joints are MuCo's first 17 in MuCo's order: projected, they meet ``part`` (hips
and spine to 2 pixels, the others to 0.2).  MuCo's hands and toes are not in it, so that it cannot
be written as a MuCo file of 21 joints without inventing them.
"""

from pathlib import Path

import numpy as np
from detectron2.structures import BoxMode

from hmor_d2.data.safe_pickle import load_pickle

_SIDE = 2048  # the height in the training cameras' pickle is a slip: 204


def load_mpi_inf_3dhp(folder: Path) -> list[dict]:
    records = []
    for split in ("train", "test"):
        cameras = load_pickle(str(folder / f"cameras_{split}.pkl"))
        with np.load(folder / f"test_3dhp_{split}.npz", allow_pickle=False) as content:
            fields = [content[name] for name in ("imgname", "part", "S", "center", "scale")]
        for name, part, points, center, scale in zip(*fields, strict=True):
            camera = cameras[str(name).rsplit("_", 1)[0]]
            focal, middle = (np.asarray(camera[key]).ravel() for key in ("f", "c"))
            half = 100 * scale
            flags = np.where(part[:, 2] > 0, 2, 1)
            person = {
                "bbox": [*(center - half).tolist(), *(center + half).tolist()],
                "bbox_mode": BoxMode.XYXY_ABS,
                "category_id": 0,
                "iscrowd": 0,
                "keypoints": np.column_stack((part[:, :2] + 0.5, flags)).ravel().tolist(),
                "keypoints_cam": (points[:, :3] * 1000).astype(np.float32),
                "keypoints_cam_valid": points[:, 3] > 0,
            }
            records.append(
                {
                    "file_name": str(folder / str(name)),
                    "image_id": str(name),
                    "height": _SIDE,
                    "width": _SIDE,
                    "intrinsics": [*focal.tolist(), *(middle + 0.5).tolist()],
                    "joint_set": "muco17",
                    "annotations": [person],
                }
            )
    return records
