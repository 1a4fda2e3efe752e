"""Tests of the table of attacks in docs/security.md: complete rows, and names of existing tests."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
TABLE = ROOT / "docs" / "security.md"
COLUMNS = 4


def rows() -> list[list[str]]:
    """Return the cells of each row of the table."""
    lines = [line for line in TABLE.read_text().splitlines() if line.startswith("| ")]
    found = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
    return [row for row in found if row[0] not in ("attack", "---")]


@cache
def named_in(path: str) -> frozenset[str]:
    """Return the names of the tests in a file."""
    tree = ast.parse((ROOT / path).read_text())
    return frozenset(
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )


def test_table_of_attacks_has_many_rows_and_no_duplicates() -> None:
    attacks = [row[0] for row in rows()]
    assert len(attacks) >= 60
    assert len(set(attacks)) == len(attacks)


@pytest.mark.parametrize("row", rows(), ids=lambda row: row[0][:60])
def test_row_of_an_attack_is_complete_and_its_tests_exist(row: list[str]) -> None:
    assert len(row) == COLUMNS and all(row)
    named = re.findall(r"(tests/[\w/]+\.py)?::(test_\w+)", row[3])
    assert named and named[0][0]
    path = ""
    for file, name in named:
        path = file or path
        assert name in named_in(path), f"{path} has no {name}"
