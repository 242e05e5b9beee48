"""Pictures of results: poses drawn onto the image, in space, from above, along view normals.

``draw_poses`` and ``draw_virtual_view`` need no matplotlib.  ``draw_scene`` and ``draw_panel`` do;
it is imported when they are first used.  ``write_page`` makes an interactive page and needs plotly.
"""

import importlib
from typing import TYPE_CHECKING, Any

from .overlay import draw_poses, person_colour
from .virtual_views import draw_virtual_view

if TYPE_CHECKING:
    from .page import PageFrame, write_page
    from .panel import draw_panel
    from .scene3d import draw_scene

__all__ = [
    "PageFrame",
    "draw_panel",
    "draw_poses",
    "draw_scene",
    "draw_virtual_view",
    "person_colour",
    "write_page",
]

_LAZY = {
    "PageFrame": "page",
    "draw_panel": "panel",
    "draw_scene": "scene3d",
    "write_page": "page",
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(f".{_LAZY[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
