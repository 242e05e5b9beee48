"""Trained models, configs and backbone weights that come with the package.

from hmor_d2 import model_zoo
model = model_zoo.get(model_zoo.available()[0])
"""

from .model_zoo import UnknownModelError, available, get, get_config, get_config_file
from .packaged_weights import PackagedWeightsHandler

__all__ = [
    "PackagedWeightsHandler",
    "UnknownModelError",
    "available",
    "get",
    "get_config",
    "get_config_file",
]
