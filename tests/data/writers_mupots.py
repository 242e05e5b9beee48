"""Writers of MuPoTS-3D's two packagings, from their descriptions and not from the loaders."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from scipy.io import savemat

JOINTS = 17
PELVIS = 14
INTRINSICS = (1500.964, 1495.9, 1030.717, 1045.524)


def make_mupots_arrays(
    seed: int, frames: int, people: int, intrinsics: Sequence[float] = INTRINSICS
) -> dict[str, np.ndarray]:
    """Arrays of a random sequence, named as the fields of ``MuPoTSSequence``; everybody valid.

    2D joints are the projection in index coordinates, rounded to three digits as in the files.
    """
    rng = np.random.default_rng(seed)
    fx, fy, cx, cy = intrinsics
    centers = rng.uniform((-800, -400, 2500), (800, 400, 5000), (frames, people, 1, 3))
    joints = (centers + rng.normal(0, 300, (frames, people, JOINTS, 3))).round(2)
    pixels = joints[..., :2] / joints[..., 2:] * (fx, fy) + (cx, cy)
    root = joints[:, :, PELVIS, None]
    return {
        "annot2": pixels.round(3),
        "annot3": joints,
        "univ_annot3": root + 0.9 * (joints - root),
        "valid": np.ones((frames, people), bool),
        "occluded": rng.random((frames, people, JOINTS)) < 0.2,
    }


def mupots_cells(arrays: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """``annotations`` and ``occlusion_labels``, cells (F, P), nested as in the real files."""
    frames, people = arrays["valid"].shape
    annotations = np.empty((frames, people), object)
    labels = np.empty((frames, people), object)
    for i in range(frames):
        for p in range(people):
            annotations[i, p] = {
                **{k: arrays[k][i, p].T for k in ("annot2", "annot3", "univ_annot3")},
                "isValidFrame": np.array([[arrays["valid"][i, p]]], np.uint8),
            }
            labels[i, p] = arrays["occluded"][i, p].astype(np.uint8)[None]
    return annotations, labels


def write_mupots_cells(folder: Path, annotations: np.ndarray, labels: np.ndarray) -> str:
    """Write ``annot.mat`` and ``occlusion.mat``; returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    savemat(folder / "annot.mat", {"annotations": annotations}, do_compression=True)
    savemat(folder / "occlusion.mat", {"occlusion_labels": labels}, do_compression=True)
    return str(folder)


def write_mupots_sequence(folder: Path, arrays: Mapping[str, np.ndarray]) -> str:
    return write_mupots_cells(folder, *mupots_cells(arrays))


def mupots_content(records: Sequence[Mapping], image_root: str) -> dict:
    """The content of Moon's MuPoTS-3D.json for dataset dicts (continuous pixels)."""
    images, annotations = [], []
    for record in records:
        fx, fy, cx, cy = record["intrinsics"]
        images.append(
            {
                "id": record["image_id"],
                "file_name": str(Path(record["file_name"]).relative_to(image_root)),
                "width": record["width"],
                "height": record["height"],
                "intrinsic": [fx, fy, cx - 0.5, cy - 0.5],
            }
        )
        for person in record["annotations"]:
            keypoints = np.reshape(person["keypoints"], (-1, 3))
            annotations.append(
                {
                    "id": len(annotations),
                    "image_id": record["image_id"],
                    "is_valid": 1,
                    "bbox": person["bbox"],
                    "keypoints_img": (keypoints[:, :2] - 0.5).tolist(),
                    "keypoints_cam": person["keypoints_cam"].tolist(),
                    "keypoints_vis": (keypoints[:, 2] == 2).astype(int).tolist(),
                }
            )
    return {"images": images, "annotations": annotations}
