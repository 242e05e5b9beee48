"""The rows of the paper's Table 4: their names, the keys that make them, and the paper's figures.

A row's keys stand in its file of configs/ablations, which bases them on the paper's training; here
they are put onto any other base.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

__all__ = ["ROOT", "ROWS", "WARM_START", "Row", "flat_options", "row_named", "row_options"]

ROOT = Path(__file__).parents[2]
# Not a row of the paper: the weights that the rows start from.
WARM_START = "warm_start"


@dataclass(frozen=True)
class Row:
    """A row of Table 4.

    ``name``: of its file in configs/ablations; ``title``: as in the paper, which trains on its
    own data; ``mpjpe``, ``pa``, ``absolute``: the paper's, on 3DPW, mm; ``is_main``: one of the
    comparisons that the study is for, trained with several seeds.
    """

    name: str
    title: str
    mpjpe: float
    pa: float
    absolute: float
    is_main: bool = False


ROWS = (
    Row("a0_baseline", "(a) baseline", 95.7, 63.6, 169.3, is_main=True),
    Row("a1_abs", "(a) + L_abs", 94.6, 61.1, 158.2, is_main=True),
    Row("a2_joint", "(a) + jt", 89.9, 59.7, 132.8),
    Row("a3_part", "(a) + part", 90.2, 60.3, 143.2),
    Row("a4_instance", "(a) + instance", 93.3, 61.2, 128.3),
    Row("a5_joint_part", "(a) + jt + part", 89.1, 58.3, 125.9),
    Row("a6_joint_instance", "(a) + jt + instance", 89.2, 58.5, 122.3),
    Row("a7_part_instance", "(a) + part + instance", 89.5, 59.5, 123.6),
    Row("a8_all", "(a) + jt + part + instance", 88.3, 57.8, 119.6, is_main=True),
    Row("b_particle_part", "(b) + jt + particle-part + instance", 89.0, 58.2, 119.5),
    Row("c_sampled_views", "(c) all + sampled views", 87.7, 57.4, 118.5, is_main=True),
    Row("d_without_refinement", "(d) (c) without refinement", 88.4, 58.1, 133.6, is_main=True),
)


def row_named(name: str) -> Row:
    """
    Raises:
        KeyError: for another name; it lists the known ones.
    """
    for row in ROWS:
        if row.name == name:
            return row
    raise KeyError(f"found row '{name}', expected one of {[row.name for row in ROWS]}")


def row_options(name: str, folder: Path = ROOT / "configs/ablations") -> dict[str, Any]:
    """A row's own keys, without those of its base: {"MODEL.HMOR.LEVELS": [...], ...}.

    Raises:
        FileNotFoundError: for a row without a file in ``folder``.
    """
    # As yacs reads it; a file of configs/ has no Python objects.
    content = yaml.safe_load((folder / f"{name}.yaml").read_text())
    del content["_BASE_"]
    return dict(_flat(content, ()))


def _flat(node: dict[str, Any], path: tuple[str, ...]) -> Iterable[tuple[str, Any]]:
    for key, value in node.items():
        if isinstance(value, dict):
            yield from _flat(value, (*path, key))
        else:
            yield ".".join((*path, key)), value


def flat_options(options: dict[str, Any]) -> list[str]:
    """KEY VALUE pairs for a command line, as ``CfgNode.merge_from_list`` reads them."""
    return [
        text
        for key, value in options.items()
        for text in (key, value if isinstance(value, str) else repr(value))
    ]
