"""TorchScript files: run by torch.jit.load, in Python with torchvision, and by libtorch."""

import io
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..atomic_file import write_atomically
from .graph import PoseGraph, example_inputs, prepare_for_export
from .metadata import METADATA_FILE, to_json

__all__ = ["export_torchscript"]


def export_torchscript(model: nn.Module, path: str | Path, metadata: dict[str, Any]) -> None:
    """Write a model as a traced module, which takes images of any size, one at a time.

    Its inputs and outputs are those of :class:`PoseGraph`.

    Args:
        model: see ``prepare_for_export``; or a PoseGraph.
        path: the file, which may exist.
        metadata: of ``describe_model``; kept as the extra file METADATA_FILE.
    Raises:
        OSError: where the file cannot be written.
        ValueError: see ``prepare_for_export``.
    """
    graph = model if isinstance(model, PoseGraph) else prepare_for_export(model)
    with torch.no_grad(), warnings.catch_warnings():
        # Tracing warns wherever a tensor becomes a Python number; tests run other sizes.
        warnings.simplefilter("ignore")
        with graph.finding_anybody():
            traced = torch.jit.trace(graph, example_inputs(), check_trace=False)
        buffer = io.BytesIO()
        torch.jit.save(traced, buffer, _extra_files={METADATA_FILE: to_json(metadata)})
    write_atomically(str(path), lambda file: file.write(buffer.getbuffer()))
