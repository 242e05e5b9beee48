"""Pictures of results: poses drawn onto the image, in space, from above, along view normals.

``draw_poses`` and ``draw_virtual_view`` need no matplotlib.  ``draw_scene`` and ``draw_panel`` do;
it is imported when they are first used.
"""

import importlib
from typing import TYPE_CHECKING, Any

from .overlay import draw_poses, person_colour
from .virtual_views import draw_virtual_view

if TYPE_CHECKING:
    from .panel import draw_panel
    from .scene3d import draw_scene

__all__ = ["draw_panel", "draw_poses", "draw_scene", "draw_virtual_view", "person_colour"]


def __getattr__(name: str) -> Any:
    modules = {"draw_panel": "panel", "draw_scene": "scene3d"}
    if name in modules:
        return getattr(importlib.import_module(f".{modules[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
