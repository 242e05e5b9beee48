"""Models that tools/export_model.py exported, run without Detectron2 and hmor_d2.

This file can be copied.  It needs numpy, and onnxruntime for .onnx, or PyTorch and torchvision
for .ts.

    people = ExportedModel("model.onnx")(cv2.imread("street.jpg"), intrinsics)
    people["keypoints_cam"]  # (N, J, 3) mm
"""

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["ExportedModel", "ModelError", "default_intrinsics", "resize"]

FORMAT = 1  # of the metadata
METADATA = "hmor_d2"
OUTPUTS = ("boxes", "scores", "keypoints", "keypoints_cam", "root_depth")
Function = Callable[[np.ndarray, np.ndarray], Sequence[np.ndarray]]


class ModelError(Exception):
    """A file is no exported model, or cannot be run here; the text names it and says why."""


class ExportedModel:
    """An exported model and what its file says of it.

    Attributes:
        metadata: see docs/export.md; "joint_names", "default_fov_deg" and others.
    """

    def __init__(self, path: str | Path, threads: int = 0):
        """
        Args:
            path: .onnx or .ts.
            threads: 0: as many as the runtime likes.
        Raises:
            ModelError: where the file is missing, broken or not an exported model, and where the
                package that runs it is.
        """
        path = Path(path)
        loaders = {".onnx": _load_onnx, ".ts": _load_torchscript}
        if path.suffix not in loaders:
            raise ModelError(f"{path}: expected a name that ends in .onnx or .ts")
        if not path.is_file():
            raise ModelError(f"{path}: there is no such file")
        try:
            self._function, text = loaders[path.suffix](path, threads)
        except ImportError as error:
            raise ModelError(f"{path}: needs the package {error.name}: {error}") from error
        except Exception as error:  # the runtimes have no class of their own for broken files
            raise ModelError(f"{path}: cannot be loaded: {error}") from error
        if not text:
            raise ModelError(f"{path}: found no metadata, expected those of tools/export_model.py")
        self.metadata: dict[str, Any] = json.loads(text)
        if self.metadata["format"] != FORMAT:
            found = self.metadata["format"]
            raise ModelError(f"{path}: found metadata of format {found}, expected {FORMAT}")

    def __call__(
        self, image_bgr: np.ndarray, intrinsics: Sequence[float] | None = None
    ) -> dict[str, np.ndarray]:
        """Estimate the pose of everyone in a picture.

        Args:
            image_bgr: (H, W, 3) uint8, as cv2.imread gives it.
            intrinsics: fx, fy, cx, cy in its continuous pixels (OpenCV's cx and cy plus 0.5);
                None: the field of view that the model assumes.

        Returns:
            of N people, highest score first: boxes (N, 4) XYXY, scores (N,), keypoints (N, J, 3)
            of x, y and score, in pixels of the picture; keypoints_cam (N, J, 3) and root_depth
            (N,) in mm in the camera frame.

        Raises:
            ValueError: for pictures and intrinsics that are none.
        """
        if image_bgr.ndim != 3 or image_bgr.shape[2] != 3 or image_bgr.dtype != np.uint8:
            found = f"{image_bgr.dtype} {image_bgr.shape}"
            raise ValueError(f"the picture is an array of {found}, expected uint8 (H, W, 3)")
        height, width = image_bgr.shape[:2]
        if intrinsics is None:
            intrinsics = default_intrinsics(height, width, self.metadata["default_fov_deg"])
        camera = np.asarray(intrinsics, np.float64)
        if camera.shape != (4,) or not np.isfinite(camera).all() or camera[:2].min() <= 0:
            raise ValueError(
                f"the intrinsics are {intrinsics}, expected 4 finite numbers fx, fy, cx, cy in "
                "pixels, fx and fy positive"
            )
        new_height, new_width = self._size(height, width)
        image = resize(image_bgr, new_height, new_width).astype(np.float32)
        if self.metadata["channels"] == "RGB":
            image = image[:, :, ::-1]
        image = self._padded(image)
        scale_x, scale_y = new_width / width, new_height / height
        camera = camera * (scale_x, scale_y, scale_x, scale_y)
        values = self._function(
            np.ascontiguousarray(image.transpose(2, 0, 1)), camera.astype(np.float32)
        )
        found = dict(zip(OUTPUTS, values, strict=True))
        back = np.array((width / new_width, height / new_height), np.float32)
        boxes = found["boxes"].reshape(-1, 2, 2) * back
        found["boxes"] = boxes.clip(0, (width, height)).astype(np.float32).reshape(-1, 4)
        found["keypoints"] = found["keypoints"] * np.append(back, np.float32(1))
        size = found["boxes"][:, 2:] - found["boxes"][:, :2]
        return {name: value[(size > 0).all(axis=1)] for name, value in found.items()}

    def _size(self, height: int, width: int) -> tuple[int, int]:
        """Of the resized picture; Detectron2's ResizeShortestEdge, or what fits the fixed size."""
        rule = self.metadata["size"]
        if rule["rule"] == "fixed":
            scale = min(rule["height"] / height, rule["width"] / width)
            return max(1, round(scale * height)), max(1, round(scale * width))
        scale = rule["min_size"] / min(height, width)
        scaled = (scale * height, scale * width)
        if max(scaled) > rule["max_size"]:
            shrink = rule["max_size"] / max(scaled)
            scaled = (scaled[0] * shrink, scaled[1] * shrink)
        return int(scaled[0] + 0.5), int(scaled[1] + 0.5)

    def _padded(self, image: np.ndarray) -> np.ndarray:
        """With the mean colour at the right and the bottom, where the size is fixed."""
        rule = self.metadata["size"]
        if rule["rule"] != "fixed":
            return image  # to multiples of a stride the model pads itself
        canvas = np.empty((rule["height"], rule["width"], 3), np.float32)
        canvas[:] = self.metadata["pixel_mean"]
        canvas[: image.shape[0], : image.shape[1]] = image
        return canvas


def _load_onnx(path: Path, threads: int) -> tuple[Function, str]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def run(image: np.ndarray, intrinsics: np.ndarray) -> list[np.ndarray]:
        return session.run(list(OUTPUTS), {"image": image, "intrinsics": intrinsics})

    return run, session.get_modelmeta().custom_metadata_map.get(METADATA, "")


def _load_torchscript(path: Path, threads: int) -> tuple[Function, str]:
    import torch
    import torchvision  # noqa: F401  has the operators nms and roi_align

    if threads:
        torch.set_num_threads(threads)
    extra = {f"{METADATA}.json": ""}
    module = torch.jit.load(str(path), map_location="cpu", _extra_files=extra)

    def run(image: np.ndarray, intrinsics: np.ndarray) -> list[np.ndarray]:
        with torch.no_grad():
            values = module(torch.from_numpy(image), torch.from_numpy(intrinsics))
        return [value.numpy() for value in values]

    return run, extra[f"{METADATA}.json"]


def default_intrinsics(height: int, width: int, fov_deg: float) -> tuple[float, ...]:
    """fx, fy, cx, cy of a camera whose larger side spans so many degrees."""
    focal = max(height, width) / (2 * math.tan(math.radians(fov_deg) / 2))
    return focal, focal, width / 2, height / 2


def resize(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """A (H, W, C) uint8 image in another size, as those that the model was trained on.

    That is Pillow's bilinear filter, which covers all pixels where it shrinks; OpenCV has no
    filter like it.  Columns come first and are rounded before the rows.  So do Pillow's; newer
    versions begin with the rows of some tall images, and differ then by one grey level at most.
    """
    return _resize_axis(_resize_axis(image, width, 1), height, 0)


def _resize_axis(image: np.ndarray, length: int, axis: int) -> np.ndarray:
    old = image.shape[axis]
    if old == length:
        return image
    scale = old / length
    support = max(scale, 1.0)
    centers = (np.arange(length) + 0.5) * scale
    first = np.maximum((centers - support + 0.5).astype(np.int64), 0)
    last = np.minimum((centers + support + 0.5).astype(np.int64), old)
    places = first[:, None] + np.arange(2 * math.ceil(support) + 1)
    weights = (1 - np.abs((places - centers[:, None] + 0.5) * (1 / support))).clip(min=0)
    weights[places >= last[:, None]] = 0
    # Fixed point with 22 bits behind the point.
    weights = (weights / weights.sum(axis=1, keepdims=True) * (1 << 22) + 0.5).astype(np.int32)
    places = places.clip(max=old - 1)
    shape = [1] * image.ndim
    shape[axis] = length
    total: Any = np.int32(1 << 21)
    for place, weight in zip(places.T, weights.T, strict=True):
        total = total + image.take(place, axis) * weight.reshape(shape)
    return (total >> 22).clip(0, 255).astype(np.uint8)
