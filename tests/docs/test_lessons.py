"""The page of lessons names tests that exist, and at least one for every rule."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest
from docs_pages import ROOT

PAGE = ROOT / "docs" / "lessons.md"
ROWS = [line for line in PAGE.read_text().splitlines() if line.startswith("| ") and not line.startswith("| where |")]
LINK = re.compile(r"\[(tests/\S+?\.py)::([\w:]+)\]\((\S+?)\)")


@cache
def names_in(path: Path) -> frozenset[str]:
    """List the tests of a file by name, those of a class with its name before them."""
    found: set[str] = set()
    for node in ast.parse(path.read_text()).body:
        inner = node.body if isinstance(node, ast.ClassDef) else [node]
        within = f"{node.name}::" if isinstance(node, ast.ClassDef) else ""
        found |= {within + each.name for each in inner if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)}
    return frozenset(found)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: re.sub(r"\(\S+\)", "", row.split("|")[1]).strip())
def test_a_rule_names_tests_that_exist(row: str) -> None:
    where, _, _, held_by = (part.strip() for part in row.strip("|").split("|"))
    assert re.search(r"#\d+", where), "a lesson names where it can be read"
    named = LINK.findall(held_by)
    assert len(named) == held_by.count("::test_") == held_by.count("](")
    assert named
    for place, test, link in named:
        assert (PAGE.parent / link).resolve() == ROOT / place
        assert test in names_in(ROOT / place), f"{place} has no {test}"


def test_the_page_speaks_of_all_whose_lessons_were_drawn() -> None:
    parts = [part.splitlines()[0] for part in PAGE.read_text().split("\n## ")[1:]]
    assert parts == ["EMHASS", "OpenEMS", "FlexMeasures", "evcc", "Others"]
    assert len(ROWS) >= 30
