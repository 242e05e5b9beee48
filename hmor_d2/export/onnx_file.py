"""ONNX files: run by onnxruntime and other runtimes, without PyTorch."""

import inspect
import io
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..atomic_file import write_atomically
from .graph import INPUTS, OUTPUTS, PoseGraph, example_inputs, prepare_for_export
from .metadata import METADATA_KEY, to_json

__all__ = ["OPSET", "export_onnx"]

# RoIAlign with the pixel centres of ROIAlignV2 came with 16.
OPSET = 17


def export_onnx(
    model: nn.Module,
    path: str | Path,
    metadata: dict[str, Any],
    *,
    size: tuple[int, int] | None = None,
) -> None:
    """Write the whole model, NMS included, as one ONNX graph in float32.

    Its inputs and outputs are those of :class:`PoseGraph` by their names.

    Args:
        model: see ``prepare_for_export``; or a PoseGraph.
        path: the file, which may exist.
        metadata: of ``describe_model``; kept as METADATA_KEY of the file's metadata_props.
        size: fixed height and width of images, pixels; None: any.
    Raises:
        ImportError: without the package onnx.
        OSError: where the file cannot be written.
        ValueError: see ``prepare_for_export``.
    """
    try:
        import onnx
    except ImportError as error:
        raise ImportError("ONNX files need the package onnx: pip install onnx") from error
    graph = model if isinstance(model, PoseGraph) else prepare_for_export(model)
    axes: dict[str, dict[int, str]] = {name: {0: "people"} for name in OUTPUTS}
    if size is None:
        axes["image"] = {1: "height", 2: "width"}
    # The exporter on top of torch.export cannot follow numbers of people; this one is named by
    # 'dynamo' since PyTorch 2.5, and was the only one before.
    parameters = inspect.signature(torch.onnx.export).parameters
    exporter = {"dynamo": False} if "dynamo" in parameters else {}
    buffer = io.BytesIO()
    with (
        torch.no_grad(),
        warnings.catch_warnings(),
        graph.finding_anybody(),
    ):
        # Tracing warns wherever a tensor becomes a Python number; tests run other sizes.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            graph,
            example_inputs(size),
            buffer,
            opset_version=OPSET,
            input_names=list(INPUTS),
            output_names=list(OUTPUTS),
            dynamic_axes=axes,
            **exporter,
        )
    file = onnx.load_from_string(buffer.getvalue())
    _set_threshold(file, graph)
    _name_output_shapes(file, graph.num_joints)
    file.producer_name, file.producer_version = "hmor_d2", metadata["hmor_d2_version"]
    onnx.helper.set_model_props(file, {METADATA_KEY: to_json(metadata)})
    onnx.checker.check_model(file)
    write_atomically(str(path), lambda opened: opened.write(file.SerializeToString()))


def _set_threshold(file, graph: PoseGraph) -> None:
    """In place of the threshold that the graph was traced with."""
    from onnx import numpy_helper

    names = [name for name, buffer in graph.named_buffers() if buffer is graph.score_threshold]
    (threshold,) = (value for value in file.graph.initializer if value.name in names)
    value = graph.score_threshold.numpy()
    threshold.CopyFrom(numpy_helper.from_array(value, threshold.name))


def _name_output_shapes(file, num_joints: int) -> None:
    """Say of which shapes outputs are, where the exporter knows no more than the rank."""
    shapes = {
        "boxes": (4,),
        "scores": (),
        "keypoints": (num_joints, 3),
        "keypoints_cam": (num_joints, 3),
        "root_depth": (),
    }
    for output in file.graph.output:
        dims = output.type.tensor_type.shape.dim
        for dim, length in zip(dims[1:], shapes[output.name], strict=True):
            dim.dim_value = length
