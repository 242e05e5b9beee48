"""Pictures of results: poses drawn onto the image, in space and from above.

``draw_poses`` needs OpenCV alone.  ``draw_scene`` and ``draw_panel`` need matplotlib too, which is
imported when they are first used.
"""

import importlib
from typing import TYPE_CHECKING, Any

from .overlay import draw_poses, person_colour

if TYPE_CHECKING:
    from .panel import draw_panel
    from .scene3d import draw_scene

__all__ = ["draw_panel", "draw_poses", "draw_scene", "person_colour"]


def __getattr__(name: str) -> Any:
    modules = {"draw_panel": "panel", "draw_scene": "scene3d"}
    if name in modules:
        return getattr(importlib.import_module(f".{modules[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
