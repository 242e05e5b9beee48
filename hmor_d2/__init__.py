"""HMOR for Detectron2: absolute 3D poses of every person in an image.

Importing the package registers its meta-architecture, heads and datasets with Detectron2.  The
modules ``losses``, ``skeleton`` and ``structures`` can be imported without Detectron2.
"""

import sys

__version__ = "0.1.0"

_MATHS = ("hmor_d2.losses", "hmor_d2.skeleton", "hmor_d2.structures")


def _is_imported_for_its_maths() -> bool:
    """True while e.g. ``import hmor_d2.losses`` first loads this package, as Python does."""
    frame = sys._getframe()
    while frame is not None:
        name = frame.f_locals.get("name")
        if frame.f_code.co_name == "_find_and_load" and str(name).startswith(_MATHS):
            return True
        frame = frame.f_back
    return False


try:
    import detectron2  # noqa: F401
except ImportError as error:
    if not _is_imported_for_its_maths():
        raise ImportError(
            "hmor_d2 needs Detectron2, which is not installed in this environment. Install it "
            "from its GitHub repository (facebookresearch/detectron2, see its INSTALL.md), or run "
            "'make demo' in a checkout of hmor_d2, which sets up an environment with it."
        ) from error
    __all__ = ["__version__"]
else:
    from . import data, model_zoo, modeling  # noqa: F401  (registration)
    from .config import add_hmor_config

    __all__ = ["__version__", "add_hmor_config"]
