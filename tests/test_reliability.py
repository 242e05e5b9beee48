"""Every test that docs/reliability.md names is there."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "reliability.md"
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


def test_names(path: Path) -> set[str]:
    """Functions of a test file at its top level."""
    return {
        node.name for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef)
    }


test_names.__test__ = False


def test_named_tests_are_there():
    named = NAMED.findall(PAGE.read_text())
    assert len(named) > 30
    missing = [
        f"{file}::{name}"
        for file, name in named
        if not (ROOT / file).is_file() or name not in test_names(ROOT / file)
    ]
    assert not missing


def test_every_row_names_a_test():
    rows = [line for line in PAGE.read_text().splitlines() if line.startswith("| ")]
    rows = [row for row in rows if "| test |" not in row]
    assert len(rows) > 25
    assert [
        row for row in rows if not NAMED.search(row.rpartition("|")[0].rpartition(" | ")[2])
    ] == []
