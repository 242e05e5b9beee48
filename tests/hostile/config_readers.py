"""Readers of configs and of their dataset entries, with hostile files."""

import itertools
import json
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from detectron2.config import get_cfg

from hmor_d2 import add_hmor_config
from hmor_d2.config_file import ConfigError, merge_config_file
from hmor_d2.data import register_custom_datasets
from tests.hostile.hostile_reader import HostileReader
from tests.hostile.mutations import spoil_bytes, spoil_value

__all__ = ["CONFIG_READERS", "multiplying_yaml", "small_config"]


def small_config() -> Any:
    cfg = get_cfg()
    add_hmor_config(cfg)
    cfg.INPUT.MIN_SIZE_TRAIN, cfg.MODEL.HMOR.SKELETON = (48,), "coco17"
    return cfg


def multiplying_yaml() -> str:
    """Lists of nine aliases of lists of nine aliases of ...: 9**9 values in 500 characters."""
    lines = ["A: &a [x, x, x, x, x, x, x, x, x]"]
    for inner, name in itertools.pairwise("abcdefghi"):
        lines.append(f"{name.upper()}: &{name} [{', '.join([f'*{inner}'] * 9)}]")
    return "\n".join(lines) + "\n"


def configs() -> HostileReader:
    base = small_config()
    whole = {
        "VERSION": 2,
        "MODEL": {
            "WEIGHTS": "a.pth",
            "HMOR": {"SKELETON": "muco17"},
            "PIXEL_MEAN": [1.0, 2.0, 3.0],
        },
        "INPUT": {"MIN_SIZE_TRAIN": [640, 800]},
        "DATASETS": {"CUSTOM": [{"name": "mine", "format": "coco"}], "TRAIN": ["a", "b"]},
        "SOLVER": {"BASE_LR": 0.1},
    }
    lines = (
        "_BASE_: hostile.yaml\n", "_BASE_: [a, b]\n", "_BASE_: {a: b}\n", "_BASE_: /dev/null\n",
        "_BASE_: gone.yaml\n", "X: !!python/object/apply:os.system ['touch /tmp/evidence']\n",
        "X: !!python/name:os.system\n", "X: !!python/object/new:type {}\n", "X: *unknown\n",
        multiplying_yaml(),
        "X: " + "[" * 5000 + "\n", "X: " + "{a: " * 5000 + "\n", "? [a]\n: b\n", "- a\n",
        "X: !!binary x\n", "X: !!timestamp 99999-99-99\n", "X: 1" + "0" * 5000 + "\n", "\x00",
        "X: 1:60:60:60:60\n", "<<: *a\n", "X: &x [*x]\n", "X: !!set {a: b}\n",
    )  # fmt: skip

    def write(rng: random.Random, folder: Path) -> Path:
        path = folder / "hostile.yaml"
        kind = rng.random()
        text = yaml.safe_dump(whole)
        if kind < 0.4:
            values = (
                None,
                -1,
                "x",
                [],
                {},
                1e300,
                float("nan"),
                True,
                "$(x)",
                "eval(1)",
                [[]],
                {"A": 1},
            )
            path.write_text(yaml.safe_dump(spoil_value(rng, whole, values)))
        elif kind < 0.7:
            path.write_bytes(spoil_bytes(rng, text.encode()))
        else:
            path.write_text(text + rng.choice(lines))
        return path

    def read(path: Path) -> None:
        merge_config_file(base.clone(), path)
        assert not os.path.exists("/tmp/evidence")

    return HostileReader(read, write, (ConfigError,), 40)


def custom_datasets() -> HostileReader:
    """Entries of DATASETS.CUSTOM; the errors name the entry."""
    entry = {"name": "hostile", "format": "muco", "json_file": "a.json", "image_root": "b"}

    def write(rng: random.Random, folder: Path) -> Path:
        path = folder / "entries.json"
        path.write_text(json.dumps(spoil_value(rng, [entry])))
        return path

    def read(path: Path) -> None:
        content = json.loads(path.read_text())
        register_custom_datasets(content if isinstance(content, list) else [content])

    return HostileReader(read, write, mention="dataset ")


CONFIG_READERS: dict[str, Callable[[], HostileReader]] = {
    "configs": configs,
    "custom datasets": custom_datasets,
}
