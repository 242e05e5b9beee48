"""Scripts of the repository as modules."""

import importlib.util
from pathlib import Path
from types import ModuleType

__all__ = ["ROOT", "load_script"]

ROOT = Path(__file__).parents[1]


def load_script(path: str) -> ModuleType:
    """Import a script anew by its path in the repository, such as ``tools/evaluate.py``."""
    spec = importlib.util.spec_from_file_location(Path(path).stem, ROOT / path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
