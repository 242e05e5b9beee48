"""HMOR for Detectron2: absolute 3D poses of every person in an image.

Importing the package registers its meta-architecture, heads and datasets with Detectron2.
"""

__version__ = "0.1.0"

try:
    import detectron2  # noqa: F401
except ImportError as error:
    raise ImportError(
        "hmor_d2 needs Detectron2, which is not installed in this environment. Install it from "
        "its GitHub repository (facebookresearch/detectron2, see its INSTALL.md), or run 'make "
        "demo' in a checkout of hmor_d2, which sets up an environment with it."
    ) from error

from . import data, model_zoo, modeling  # noqa: F401  (registration)
from .config import add_hmor_config

__all__ = ["__version__", "add_hmor_config"]
