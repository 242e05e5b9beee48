"""Every test that docs/reliability.md names is there, in italics where it is slow."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "reliability.md"
NAMED = re.compile(r"(\*?)`(tests/[\w/]+\.py)::(\w+)`")


def is_slow_by_name(path: Path) -> dict[str, bool]:
    """Functions of a test file at its top level, and whether they are marked as slow."""
    return {
        node.name: any(ast.unparse(mark) == "pytest.mark.slow" for mark in node.decorator_list)
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.FunctionDef)
    }


def test_named_tests_are_there():
    named = NAMED.findall(PAGE.read_text())
    assert len(named) > 30
    wrong = [
        f"{file}::{name}"
        for star, file, name in named
        if not (ROOT / file).is_file() or is_slow_by_name(ROOT / file).get(name) != bool(star)
    ]
    assert not wrong


def test_every_row_names_a_test():
    rows = [line for line in PAGE.read_text().splitlines() if line.startswith("| ")]
    rows = [row for row in rows if "| test |" not in row]
    assert len(rows) > 25
    assert [
        row for row in rows if not NAMED.search(row.rpartition("|")[0].rpartition(" | ")[2])
    ] == []
