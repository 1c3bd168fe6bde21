"""The house's budgets: small files, small functions, few public methods, honest names."""

from __future__ import annotations

import ast
import statistics
from graphlib import TopologicalSorter
from itertools import pairwise
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("ems", "optimization", "drivers", "hil")
BANNED = {"utils", "helpers", "common", "manager", "base", "misc"}
FILES = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))


def _functions(tree: ast.AST) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def _length(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    assert node.end_lineno is not None
    return node.end_lineno - node.lineno + 1


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_is_small_and_named_after_what_it_holds(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 400
    assert path.stem not in BANNED


def test_functions_are_short() -> None:
    lengths = [_length(node) for path in FILES for node in _functions(ast.parse(path.read_text()))]
    assert statistics.median(lengths) <= 9
    assert statistics.quantiles(lengths, n=20)[18] <= 45


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_signatures_and_classes_are_narrow(path: Path) -> None:
    tree = ast.parse(path.read_text())
    for function in _functions(tree):
        positional = [argument for argument in function.args.args if argument.arg not in {"self", "cls"}]
        assert len(positional) <= 5, f"{function.name} takes {len(positional)} positional parameters"
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            public = [item for item in _functions(node) if not item.name.startswith("_")]
            assert len(public) <= 15, f"{node.name} has {len(public)} public methods"


def test_no_module_imports_itself_by_a_detour() -> None:
    graph = grimp.build_graph(*ROOMS, exclude_type_checking_imports=True, cache_dir=None)
    imports = {name: graph.find_modules_directly_imported_by(name) for name in graph.modules}
    assert list(TopologicalSorter(imports).static_order())


def test_every_file_of_tests_has_a_name_of_its_own() -> None:
    """Folders of tests are no packages: of two files with one name only one would be collected."""
    names = sorted(path.name for path in (ROOT / "tests").rglob("test_*.py"))
    assert [name for name, following in pairwise(names) if name == following] == []
