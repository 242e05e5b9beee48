"""Configs that come with the package, and the models that were trained with them."""

from pathlib import Path

import torch
from detectron2.config import CfgNode
from detectron2.modeling import build_model
from torch import nn

from ..checkpoint import HMORCheckpointer
from ..config_file import read_config
from .packaged_weights import TRAINED_MODELS, PackagedWeightsHandler

__all__ = ["UnknownModelError", "available", "get", "get_config", "get_config_file"]

# setup.py puts the configs beside this file; editable installs use the repository's own.
_INSTALLED = Path(__file__).parent / "configs"
CONFIGS = _INSTALLED if _INSTALLED.is_dir() else Path(__file__).parents[2] / "configs"


class UnknownModelError(KeyError):
    """The package has no model or config of this name."""

    def __str__(self) -> str:
        return self.args[0]  # KeyError puts it in quotes


def available() -> list[str]:
    """Names of the trained models, FOLDER/NAME, in alphabetical order."""
    return sorted(TRAINED_MODELS)


def get_config_file(name: str) -> str:
    """Path of a config of the package, for ``CfgNode.merge_from_file``.

    Args:
        name: FOLDER/NAME of configs/FOLDER/NAME.yaml, which may end in ".yaml".
    Raises:
        UnknownModelError: where there is no such config; it lists those there are.
    """
    files = {_without_suffix(str(f.relative_to(CONFIGS))): f for f in CONFIGS.rglob("*.yaml")}
    if _without_suffix(name) not in files:
        raise UnknownModelError(f"no config '{name}' in the package; it has {_listed(files)}")
    return str(files[_without_suffix(name)])


def get_config(name: str, pretrained: bool = True) -> CfgNode:
    """The config of a model; it can be changed.

    Args:
        name: one of ``available()``, or without ``pretrained`` any for ``get_config_file``.
        pretrained: whether MODEL.WEIGHTS is the trained model's.  Else it is what trainings with
            the config begin with.
    Raises:
        UnknownModelError: where there is no such model; it lists those there are.
    """
    weights = TRAINED_MODELS.get(_without_suffix(name))
    if pretrained and weights is None:
        raise UnknownModelError(
            f"no trained model '{name}' in the package; it has {_listed(TRAINED_MODELS)}"
        )
    cfg = read_config(get_config_file(name))
    if pretrained:
        cfg.MODEL.WEIGHTS = PackagedWeightsHandler.PREFIX + weights.file
    return cfg


def get(name: str, pretrained: bool = True, device: str | torch.device | None = None) -> nn.Module:
    """A model, in evaluation mode.

    Args:
        name, pretrained: as ``get_config``.  Without ``pretrained`` the weights are random.
        device: where to; None: as the config says, but the CPU where there is no GPU.
    Raises:
        UnknownModelError: where there is no such model; it lists those there are.
        CheckpointError: where the weights' file is not the one that was packaged.
    """
    cfg = get_config(name, pretrained)
    if device is None and not torch.cuda.is_available():
        device = "cpu"
    if device is not None:
        cfg.MODEL.DEVICE = str(device)
    model = build_model(cfg)
    if pretrained:
        HMORCheckpointer(model).load(cfg.MODEL.WEIGHTS)
    return model.eval()


def _without_suffix(name: str) -> str:
    return Path(name).as_posix().removesuffix(".yaml")


def _listed(names) -> str:
    return ", ".join(sorted(names)) or "none"
