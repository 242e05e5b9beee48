"""A small model, and the files that tools/export_model.py makes of it."""

import importlib.util

import pytest

from tests.export.small_model import SmallModel, make_small_model, run_tool

HAS_ONNX = all(importlib.util.find_spec(name) for name in ("onnx", "onnxruntime"))
needs_onnx = pytest.mark.skipif(not HAS_ONNX, reason="onnx or onnxruntime is not installed")


@pytest.fixture(scope="session")
def small(tmp_path_factory) -> SmallModel:
    return make_small_model(tmp_path_factory.mktemp("small"))


@pytest.fixture(scope="session")
def exported(small, tmp_path_factory):
    """The folder of model.ts and, where onnx is installed, model.onnx and fixed.onnx."""
    folder = tmp_path_factory.mktemp("exported")
    names = ["model.ts", "model.onnx"] if HAS_ONNX else ["model.ts"]
    assert run_tool(small, *(folder / name for name in names)) == 0
    if HAS_ONNX:
        assert run_tool(small, folder / "fixed.onnx", "--size", "128", "160") == 0
    return folder


@pytest.fixture(params=["model.ts", pytest.param("model.onnx", marks=needs_onnx)])
def file(request, exported):
    return exported / request.param


@pytest.fixture(params=[pytest.param("fixed.onnx", marks=needs_onnx)])
def fixed_file(request, exported):
    return exported / request.param
