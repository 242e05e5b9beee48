"""Trained models as files that run without Detectron2: ONNX and TorchScript."""

from .check import Agreement, open_exported, show_agreement, time_exported
from .graph import PoseGraph, example_inputs, prepare_for_export
from .metadata import METADATA_FILE, METADATA_KEY, describe_model
from .onnx_file import export_onnx
from .torchscript_file import export_torchscript

__all__ = [
    "METADATA_FILE",
    "METADATA_KEY",
    "Agreement",
    "PoseGraph",
    "describe_model",
    "example_inputs",
    "export_onnx",
    "export_torchscript",
    "open_exported",
    "prepare_for_export",
    "show_agreement",
    "time_exported",
]
