"""Pictures of results: poses drawn onto the image, in space and from above.

``draw_poses`` needs OpenCV alone.  ``draw_scene`` and ``draw_panel`` need matplotlib too, which is
imported when they are first used.
"""

from typing import TYPE_CHECKING, Any

from .overlay import draw_poses, person_colour

if TYPE_CHECKING:
    from .scene3d import draw_panel, draw_scene

__all__ = ["draw_panel", "draw_poses", "draw_scene", "person_colour"]


def __getattr__(name: str) -> Any:
    if name in ("draw_panel", "draw_scene"):
        from . import scene3d

        return getattr(scene3d, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
