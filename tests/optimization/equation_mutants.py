"""Faults put into the planner's equations, one at a time: into its Pyomo rows and into the numpy behind their numbers.

A mutant is a place in a function's syntax tree and what stands there instead. Its code replaces that of the function
while a district is planned, so that nothing on disk changes and the verifier never sees it.
"""

from __future__ import annotations

import ast
import copy
import importlib
import inspect
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import CodeType, FunctionType, ModuleType

BLOCKS = ("battery", "building", "commitment", "deferrable", "ev", "genset", "heat_load", "heat_pump", "heat_unit",
          "hybrid", "load", "pipe", "pv", "tank", "zone")  # fmt: skip
ASSETS = ("battery", "boiler", "deferrable", "ev", "ev_session", "genset", "heat_load", "heat_pump", "heat_source",
          "heat_unit", "hybrid", "load", "loss_curve", "pipe", "pv", "tank", "wind", "zone")  # fmt: skip
OTHERS = ("building", "charges", "charges_block", "coefficients", "commitment", "connection_block", "groups_block",
          "model", "periods", "periods_block")  # fmt: skip
MODULES = (*(f"blocks.{name}" for name in BLOCKS), *(f"assets.{name}" for name in ASSETS), *OTHERS)
NO_EQUATIONS = frozenset({
    "shape", "reach", "carries", "narrowed", "settable_kw", "as_held", "can_kw", "after_kwh", "_terminals_kw", "faults",
    "input_faults", "fallen", "_best_kwh", "_hours", "room_wanted", "exclusive", "exclusive_groups", "order",
    "disorder",
    "anchor", "previous_kw", "resampled", "_add_anchor", "is_whole", "held", "now_faults", "charge_faults", "is_naive",
    "_overlaps", "_in_order", "curve_faults", "_falls", "_rises", "charge_shape", "months_within", "weeks_within",
    "month_start", "week_start", "month_of_slots", "week_shares", "interruptible", "tapered", "_curve_faults",
    "_bus_kw", "drawn_kw", "build_model", "is_due", "comfort_faults", "find_pairs", "at_terminals", "at_store",
    "demand_faults", "first_members", "add_supplies", "add_pooled", "supplied",
})  # fmt: skip
"""What decides no equation of a plan that nobody holds, or decides only what shape they have; and what several grid
connections add, as no drawn district has them: `test_supplies` holds them against scipy."""


@dataclass(frozen=True)
class Mutant:
    """One fault: the module, the function, the place of a node in its tree, which of its faults, and in words."""

    module: str
    function: str
    place: int
    which: int
    words: str


def all_mutants() -> list[Mutant]:
    """Name every fault that can be put in."""
    found = []
    for module in MODULES:
        for qualname, tree in _functions(_source(module)):
            for place, node in enumerate(ast.walk(tree)):
                for which, (words, _) in enumerate(_faults(node)):
                    line = f"{module}.{qualname}:{getattr(node, 'lineno', 0)} {words}"
                    found.append(Mutant(module, qualname, place, which, line))
    return found


@contextmanager
def put_in(mutant: Mutant) -> Iterator[None]:
    """Plan with a fault."""
    function, forget = _found(mutant)
    right = function.__code__
    function.__code__ = _code(mutant)
    forget()
    try:
        yield
    finally:
        function.__code__ = right
        forget()


def right_code(mutant: Mutant) -> CodeType:
    """Give the code that a fault would replace."""
    return _found(mutant)[0].__code__


def _module(name: str) -> ModuleType:
    return importlib.import_module(f"optimization.{name}")


@lru_cache
def _source(name: str) -> ast.Module:
    path = _module(name).__file__
    assert path is not None
    return ast.parse(Path(path).read_text(encoding="utf-8"))


def _functions(source: ast.Module) -> Iterator[tuple[str, ast.FunctionDef]]:
    """Name the functions of a module that write equations, methods among them."""
    for node in source.body:
        owner, nodes = (f"{node.name}.", node.body) if isinstance(node, ast.ClassDef) else ("", [node])
        for each in nodes:
            if isinstance(each, ast.FunctionDef) and each.name not in NO_EQUATIONS and "abstract" not in ast.dump(each):
                yield owner + each.name, each


def _found(mutant: Mutant) -> tuple[FunctionType, Callable[[], None]]:
    """Find the function of a mutant, behind a property or a cache, and how to make it forget what it knows."""
    found: object = _module(mutant.module)
    for part in mutant.function.split("."):
        found = inspect.getattr_static(found, part)
    found = found.fget if isinstance(found, property) else found
    function = inspect.unwrap(found)  # type: ignore[arg-type]
    assert isinstance(function, FunctionType)
    return function, getattr(found, "cache_clear", lambda: None)


def _code(mutant: Mutant) -> CodeType:
    """Compile the module with the fault in it, and take the function's code out."""
    source = copy.deepcopy(_source(mutant.module))
    tree = next(each for name, each in _functions(source) if name == mutant.function)
    target = list(ast.walk(tree))[mutant.place]
    fault = _faults(target)[mutant.which][1]

    class Replacing(ast.NodeTransformer):
        def visit(self, node: ast.AST) -> ast.AST:
            return fault if node is target else self.generic_visit(node)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)
        whole = compile(ast.fix_missing_locations(Replacing().visit(source)), mutant.module, "exec")
    return next(code for code in _codes(whole) if code.co_qualname == mutant.function)


def _codes(code: CodeType) -> Iterator[CodeType]:
    for each in code.co_consts:
        if isinstance(each, CodeType):
            yield each
            yield from _codes(each)


SWAPPED = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult}
TURNED = {ast.LtE: ast.GtE, ast.GtE: ast.LtE, ast.Eq: ast.LtE, ast.Lt: ast.Gt, ast.Gt: ast.Lt}
OTHER_CALL = {"maximum": "minimum", "minimum": "maximum", "max": "min", "min": "max"}


def _faults(node: ast.AST) -> list[tuple[str, ast.AST]]:
    """Say what may stand in the place of a node instead."""
    found: list[tuple[str, ast.AST]] = []
    if isinstance(node, ast.BinOp) and type(node.op) in SWAPPED and "names" not in ast.dump(node):
        other = SWAPPED[type(node.op)]
        found.append((f"{_said(node)} with {other.__name__}", ast.BinOp(node.left, other(), node.right)))
        found.append((f"{_said(node)} without its second part", node.left))
        if isinstance(node.op, ast.Add | ast.Mult):
            found.append((f"{_said(node)} without its first part", node.right))
    if isinstance(node, ast.Compare) and len(node.ops) == 1 and type(node.ops[0]) in TURNED:
        turned = ast.Compare(node.left, [TURNED[type(node.ops[0])]()], node.comparators)
        found.append((f"{_said(node)} turned", turned))
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        found.append((f"{_said(node)} without its sign", node.operand))
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Name) and node.slice.id in "st":
        before = ast.parse(f"max({node.slice.id} - 1, 0)", mode="eval").body
        found.append((f"{_said(node)} of the slot before", ast.Subscript(node.value, before, node.ctx)))
    if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load) and isinstance(node.value, ast.Name):
        if node.attr.startswith("duration_"):
            found.append((f"{_said(node)} forgotten", ast.BinOp(node, ast.Pow(), ast.Constant(0))))
        elif node.value.id in ("self", "inputs", "session", "car", "unit", "now", "charge", "demand"):
            more, less = (ast.BinOp(ast.Constant(factor), ast.Mult(), node) for factor in (1.1, 0.9))
            found += [(f"0.9 * {_said(node)}", less), (f"1.1 * {_said(node)}", more)]
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute | ast.Name):
        found += _of_call(node)
    if isinstance(node, ast.Tuple) and len(node.elts) == 2 and isinstance(node.ctx, ast.Load):
        found += _of_bounds(node)
    if isinstance(node, ast.Assign) and "attr='Constraint'" in ast.dump(node.value):
        found.append((f"{_said(node.targets[0])} forgotten", ast.Pass()))
    return found


def _of_call(node: ast.Call) -> list[tuple[str, ast.AST]]:
    name = node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id
    if name not in OTHER_CALL or node.keywords:
        return []
    func = copy.copy(node.func)
    setattr(func, "attr" if isinstance(func, ast.Attribute) else "id", OTHER_CALL[name])
    return [(f"{_said(node)} with {OTHER_CALL[name]}", ast.Call(func, node.args, []))]


def _of_bounds(node: ast.Tuple) -> list[tuple[str, ast.AST]]:
    """Forget a bound, or loosen it a little."""
    found = []
    for k, other in enumerate(node.elts):
        if isinstance(other, ast.Name) or (isinstance(other, ast.Constant) and not isinstance(other.value, float)):
            continue
        if "attr" in ast.dump(other) or isinstance(other, ast.Constant):
            looser = ast.BinOp(ast.BinOp(ast.Constant(1.05), ast.Mult(), other), ast.Add(), ast.Constant(0.2 * k - 0.1))
            for words, instead in (("without", ast.Constant(None)), ("with a looser", looser)):
                elts = [instead if j == k else each for j, each in enumerate(node.elts)]
                found.append((f"{_said(node)} {words} bound {k}", ast.Tuple(elts, ast.Load())))
    return found


def _said(node: ast.AST) -> str:
    return ast.unparse(node)[:60]
