"""Whether an exported file finds what the model finds."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from .graph import OUTPUTS
from .metadata import METADATA_FILE, METADATA_KEY

__all__ = ["Agreement", "open_exported", "show_agreement", "time_exported"]

ExportedFunction = Callable[[np.ndarray, np.ndarray], dict[str, np.ndarray]]


@dataclass(frozen=True)
class Agreement:
    """How far an exported file is from the model on one image.

    Attributes:
        people: found by the model.
        found: by the exported file; the differences are those of equally many people only,
            else infinite.
        joint_mm: largest distance of a joint.
        root_depth_mm: largest difference.
        pixels: largest difference of boxes and 2D joints.
        score: largest difference.
    """

    people: int
    found: int
    joint_mm: float
    root_depth_mm: float
    pixels: float
    score: float

    def holds(self, joint_mm: float = 1.0) -> bool:
        """The same people, and no joint further away than so many millimetres."""
        return self.people == self.found and self.joint_mm <= joint_mm

    def __str__(self) -> str:
        if self.people != self.found:
            return f"the model finds {self.people} people, the exported file {self.found}"
        return (
            f"{self.people} people; largest differences: joint {self.joint_mm:.2g} mm, root depth "
            f"{self.root_depth_mm:.2g} mm, 2D {self.pixels:.2g} px, score {self.score:.2g}"
        )


def open_exported(path: str | Path) -> tuple[ExportedFunction, dict[str, Any]]:
    """Load an exported file, by its suffix, .onnx or .ts.

    Returns:
        a function from an image (3, H, W) and intrinsics (4,), both float32, to arrays by the
        names of ``OUTPUTS``; and the file's metadata.

    Raises:
        ImportError: for .onnx without the package onnxruntime.
        ValueError: for files that were not exported by this package.
    """
    path = Path(path)
    metadata = ""
    if path.suffix == ".onnx":
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.log_severity_level = 3
        session = onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )
        metadata = session.get_modelmeta().custom_metadata_map.get(METADATA_KEY, "")

        def run(image: np.ndarray, intrinsics: np.ndarray) -> dict[str, np.ndarray]:
            values = session.run(list(OUTPUTS), {"image": image, "intrinsics": intrinsics})
            return dict(zip(OUTPUTS, values, strict=True))
    else:
        extra = {METADATA_FILE: ""}
        module = torch.jit.load(str(path), map_location="cpu", _extra_files=extra)
        metadata = extra[METADATA_FILE]

        def run(image: np.ndarray, intrinsics: np.ndarray) -> dict[str, np.ndarray]:
            with torch.no_grad():
                values = module(torch.from_numpy(image), torch.from_numpy(intrinsics))
            return {name: value.numpy() for name, value in zip(OUTPUTS, values, strict=True)}

    if not metadata:
        raise ValueError(f"{path}: found no metadata of hmor_d2, expected a file exported by it")
    return run, json.loads(metadata)


def show_agreement(
    model: nn.Module, run: ExportedFunction, image: np.ndarray, intrinsics: np.ndarray
) -> Agreement:
    """Run both on one image.

    Args:
        model: HMORRCNN on a CPU, as it was trained.
        run: of :func:`open_exported`.
        image: (3, H, W) float32, values from 0 to 255.
        intrinsics: (4,) float32, in pixels of ``image``.
    """
    model_input = {"image": torch.from_numpy(image), "intrinsics": torch.from_numpy(intrinsics)}
    with torch.no_grad():
        (people,) = model.inference([model_input], do_postprocess=False)
    found = run(image, intrinsics)
    if len(people) != len(found["scores"]):
        return Agreement(len(people), len(found["scores"]), *[float("inf")] * 4)

    def largest(difference: np.ndarray) -> float:
        return float(np.abs(difference).max(initial=0.0))

    joints = people.pred_keypoints_cam.numpy() - found["keypoints_cam"]
    boxes = people.pred_boxes.tensor.numpy() - found["boxes"]
    keypoints = people.pred_keypoints.numpy() - found["keypoints"]
    return Agreement(
        people=len(people),
        found=len(people),
        joint_mm=largest(np.linalg.norm(joints, axis=2)),
        root_depth_mm=largest(people.pred_root_depth.numpy() - found["root_depth"]),
        pixels=max(largest(boxes), largest(keypoints[..., :2])),
        score=max(largest(people.scores.numpy() - found["scores"]), largest(keypoints[..., 2])),
    )


def time_exported(
    model: nn.Module,
    run: ExportedFunction,
    image: np.ndarray,
    intrinsics: np.ndarray,
    turns: int = 15,
) -> np.ndarray:
    """Both on one image by turns.

    Args:
        model: HMORRCNN on a CPU, best of ``optimize_for_inference``.
        run, image, intrinsics: see :func:`show_agreement`.
        turns: how often, after one that is not timed.

    Returns:
        (turns, 2) seconds of the model and of the exported file.
    """
    model_input = {"image": torch.from_numpy(image), "intrinsics": torch.from_numpy(intrinsics)}
    seconds = np.zeros((turns + 1, 2))
    with torch.inference_mode():
        for turn in seconds:
            start = time.perf_counter()
            model.inference([model_input], do_postprocess=False)
            middle = time.perf_counter()
            run(image, intrinsics)
            turn[:] = middle - start, time.perf_counter() - middle
    return seconds[1:]
