"""tools/export_model.py as a module."""

import functools
import importlib.util
from pathlib import Path
from types import ModuleType

__all__ = ["ROOT", "load_tool"]

ROOT = Path(__file__).parents[2]


@functools.cache
def load_tool() -> ModuleType:
    path = ROOT / "tools" / "export_model.py"
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
