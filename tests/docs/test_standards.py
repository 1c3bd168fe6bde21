"""The page of standards names tests that exist, and at least one for every clause."""

from __future__ import annotations

import ast
import re

import pytest
from docs_pages import ROOT

PAGE = ROOT / "docs" / "STANDARDS.md"
ROWS = [line for line in PAGE.read_text().splitlines() if line.startswith("| ") and not line.startswith("| clause |")]
LINK = re.compile(r"\[(test_\w+)\]\((\S+?\.py)\)")


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.split("|")[1].strip())
def test_a_clause_names_tests_that_exist(row: str) -> None:
    named = LINK.findall(row.split("|")[4])
    assert named
    for test, place in named:
        tree = ast.parse((PAGE.parent / place).resolve().read_text())
        assert test in {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_the_page_speaks_of_every_standard_and_says_what_is_not_claimed() -> None:
    parts = re.split(r"^## ", PAGE.read_text(), flags=re.MULTILINE)[1:]
    standards = ("2030.7", "62443-4-2", "SunSpec", "BACnet", "EN 50160", "EEBUS", "RFC 3161")
    assert all(any(name in part.splitlines()[0] for part in parts) for name in standards)
    assert all("Not claimed:" in part or "not claimed" in part for part in parts)
