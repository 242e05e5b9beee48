"""tools/export_model.py as a module."""

import functools
from types import ModuleType

from tests.scripts import ROOT, load_script

__all__ = ["ROOT", "load_tool"]


@functools.cache
def load_tool() -> ModuleType:
    return load_script("tools/export_model.py")
