"""Reads config files as data: what would run Python, or multiply without end, is refused.

Detectron2's ``CfgNode.merge_from_file`` runs Python that a file names in its tags.
"""

import os
from collections.abc import Sequence
from typing import Any

import yaml
from detectron2.config import CfgNode, get_cfg
from detectron2.utils.file_io import PathManager

from .config import add_hmor_config

__all__ = ["ConfigError", "merge_config_file", "read_config"]

# Characters of a file; values in it, aliases written out; files that are based on one another.
_MAX_CHARACTERS = 1_000_000
_MAX_VALUES = 100_000
_MAX_FILES = 16
_BASE = "_BASE_"


class ConfigError(ValueError):
    """A config file is broken, is more than data, or has a key or value that does not fit."""


def read_config(path: str | os.PathLike, options: Sequence[Any] = ()) -> CfgNode:
    """Detectron2's and this package's config with a file over its defaults, and options over both.

    Args:
        path: see :func:`merge_config_file`, also for its errors.
        options: KEY, VALUE, KEY, VALUE, ..., as on a command line.

    Raises:
        KeyError, ValueError, AssertionError: for options, as ``CfgNode.merge_from_list``.
    """
    cfg = get_cfg()
    add_hmor_config(cfg)
    merge_config_file(cfg, path)
    cfg.merge_from_list(list(options))
    return cfg


def merge_config_file(cfg: CfgNode, path: str | os.PathLike) -> None:
    """``cfg.merge_from_file``, of a file that need not be trusted.

    Args:
        cfg: changed in place; as it was, after an error in the files' form.
        path: of a YAML file, whose ``_BASE_`` may name others.

    Raises:
        OSError: if the file cannot be opened.
        ConfigError: names the file; for what is no YAML of plain values (Python's tags are
            refused), more than a million characters, aliases that multiply, ``_BASE_`` in a
            circle, unknown keys and values of another type.
    """
    path = os.fspath(path)
    _check(path, ())
    try:
        cfg.merge_from_file(path, allow_unsafe=False)
    except OSError:
        raise
    except Exception as error:  # of yacs: KeyError, ValueError, AssertionError, ...
        reason = error.args[0] if isinstance(error, KeyError) and error.args else error
        raise ConfigError(f"{path}: {reason}") from error


def _check(path: str, before: tuple[str, ...]) -> None:
    """Look at a file and those it is based on."""
    path = os.path.normpath(path) if "://" not in path else path
    if path in before or len(before) >= _MAX_FILES:
        raise ConfigError(f"{path}: {_BASE} leads in a circle, or through {len(before)} files")
    with PathManager.open(path, "r") as file:
        try:
            text = file.read(_MAX_CHARACTERS + 1)
            if len(text) > _MAX_CHARACTERS:
                raise ValueError(f"more than {_MAX_CHARACTERS} characters")
            content = yaml.safe_load(text)
        except OSError:
            raise
        except Exception as error:  # YAMLError, UnicodeDecodeError, RecursionError, ...
            expected = "expected YAML of plain values"
            reason = str(error) or type(error).__name__
            raise ConfigError(f"{path}: {reason:.1000}; {expected}") from error
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: found {type(content).__name__}, expected keys and values")
    _count_values(content, path)
    bases = content.get(_BASE, [])
    for base in bases if isinstance(bases, list) else [bases]:
        if not isinstance(base, str):
            raise ConfigError(f"{path}: {_BASE}: found {type(base).__name__}, expected a path")
        base = os.path.expanduser(base)
        if not base.startswith(("/", "http://", "https://")):
            base = os.path.join(os.path.dirname(path), base)
        try:
            _check(base, (*before, path))
        except (OSError, ConfigError) as error:
            raise ConfigError(f"{path}: {_BASE}: {error}") from error


def _count_values(content: Any, path: str) -> None:
    waiting, count = [content], 0
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            value = [*value, *value.values()]
        if isinstance(value, list | tuple | set):
            count += len(value)
            waiting += value
        if count > _MAX_VALUES:
            raise ConfigError(f"{path}: found more than {_MAX_VALUES} values, aliases written out")
