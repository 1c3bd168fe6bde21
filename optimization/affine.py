"""Compile a Pyomo model into matrices: every cost, bound, right-hand side and coefficient as `out = m0 + M @ p`.

p holds the values of all mutable Params. The model is walked once; after that a solve costs one sparse product and no
Pyomo. A model that is not linear in its variables, or whose numbers are not affine in its Params, is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyomo.environ as pyo
from pyomo.core.expr import numeric_expr
from pyomo.repn import generate_standard_repn
from scipy.sparse import csc_matrix, csr_matrix

from optimization.slots import Floats, Ints

PRODUCTS = (numeric_expr.ProductExpression, numeric_expr.NPV_ProductExpression)
SUMS = (numeric_expr.SumExpression, numeric_expr.NPV_SumExpression, numeric_expr.LinearExpression)
NEGATIONS = (numeric_expr.NegationExpression, numeric_expr.NPV_NegationExpression)
QUOTIENTS = (numeric_expr.DivisionExpression, numeric_expr.NPV_DivisionExpression)


class NotAffineError(ValueError):
    """A number of the model is not an affine function of the Params; the message names the component."""


@dataclass(slots=True)
class Affine:
    """A constant and a multiple of each Param, by place in the vector of Params."""

    constant: float = 0.0
    of: dict[int, float] = field(default_factory=dict)

    def add(self, other: Affine, factor: float) -> None:
        """Add a multiple of another one in place."""
        self.constant += factor * other.constant
        for place, value in other.of.items():
            self.of[place] = self.of.get(place, 0.0) + factor * value


@dataclass(frozen=True, slots=True, eq=False)
class Lp:
    """One linear programme: minimise `cost @ x + offset`, row and column bounds, the matrix column by column."""

    cost: Floats
    offset: float
    col_lower: Floats
    col_upper: Floats
    row_lower: Floats
    row_upper: Floats
    matrix: csc_matrix


@dataclass(frozen=True, slots=True, eq=False)
class Turns:
    """What takes the place of what when a ring of n slots is turned: cycles of places, shape (cycles, n) each.

    Args:
        params: in the vector of Params.
        columns: among the columns.
        rows: among the rows.
    """

    params: Ints
    columns: Ints
    rows: Ints


@dataclass(frozen=True, slots=True, eq=False)
class AffineModel:
    """A compiled model.

    Args:
        params: place of each Param in p, by name.
        columns: place of each variable in x, by name.
        rows: place of each constraint among the rows, by name.
        constant: m0, shape (numbers,).
        linear: M, shape (numbers, params).
        starts: first place of cost, offset, column bounds, row bounds and matrix values in the numbers.
        indptr: start of each column of the matrix.
        indices: row of each value.
        integers: columns that are whole numbers.
        turns: how it turns if it is a ring (`optimization.ring`); None where it does not.
    """

    params: Mapping[str, slice]
    columns: Mapping[str, slice]
    rows: Mapping[str, slice]
    constant: Floats
    linear: csr_matrix
    starts: tuple[int, ...]
    indptr: Ints
    indices: Ints
    integers: Ints
    turns: Turns | None = None

    def fill(self, values: Mapping[str, Floats], head: int = 0) -> Lp:
        """Put numbers in; `KeyError` or `ValueError` names a Param that is missing, unknown or of another size.

        Args:
            values: of all Params, in the order of time.
            head: the place of the first slot, above 0 only in a ring.
        """
        vector = self._vector(values)
        if head and self.turns is not None:
            vector = turned(vector, self.turns.params, head)
        numbers = self.linear @ vector
        numbers += self.constant
        cost, offset, low, high, row_low, row_high, coefficient = (
            numbers[a:b] for a, b in zip(self.starts[:-1], self.starts[1:], strict=True)
        )
        matrix = csc_matrix((coefficient, self.indices, self.indptr), shape=(len(row_low), len(cost)), copy=False)
        return Lp(cost, float(offset[0]), low, high, row_low, row_high, matrix)

    def columns_in_time(self, values: Floats, head: int) -> Floats:
        """Put numbers of columns back into the order of time."""
        return turned(values, self.turns.columns, -head) if head and self.turns is not None else values

    def rows_in_time(self, values: Floats, head: int) -> Floats:
        """Put numbers of rows back likewise."""
        return turned(values, self.turns.rows, -head) if head and self.turns is not None else values

    def _vector(self, values: Mapping[str, Floats]) -> Floats:
        if values.keys() != self.params.keys():
            odd = sorted(values.keys() ^ self.params.keys())
            raise KeyError(f"the model's Params and the coefficients differ in {odd}")
        vector = np.empty(self.linear.shape[1])
        for name, place in self.params.items():
            vector[place] = values[name].ravel()
        return vector


def turned(values: Floats, cycles: Ints, by: int) -> Floats:
    """Move each number on by so many places of its cycle."""
    moved = values.copy()
    moved[cycles] = np.roll(values[cycles], by, axis=1)
    return moved


def compile_model(model: Any) -> AffineModel:
    """Compile a Pyomo model; raises `NotAffineError`."""
    return _Compiler(model).compiled()


class _Compiler:
    """Walks a model once and collects its numbers."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._params: dict[str, slice] = {}
        self._place: dict[int, int] = {}
        self._columns: dict[str, slice] = {}
        self._rows: dict[str, slice] = {}
        self._variables: list[Any] = []
        self._column: dict[int, int] = {}
        self._number_params()
        self._number_variables()

    def compiled(self) -> AffineModel:
        """Walk objective, variables and rows, in this order."""
        costs, offset = self._objective()
        bounds = [self._bounds(v) for v in self._variables]
        rows = [self._row(c) for c in self._number_rows()]
        entries = sorted(
            ((column, row, value) for row, (_, _, terms) in enumerate(rows) for column, value in terms.items()),
            key=lambda entry: entry[:2],
        )
        sections: list[list[Affine]] = [costs, [offset], *map(list, zip(*bounds, strict=True))]
        sections += [[row[0] for row in rows], [row[1] for row in rows], [value for _, _, value in entries]]
        counts = np.bincount([column for column, _, _ in entries], minlength=len(costs))
        constant, linear = _stacked([number for section in sections for number in section], len(self._place))
        return AffineModel(
            self._params,
            self._columns,
            self._rows,
            constant,
            linear,
            tuple(int(n) for n in np.cumsum([0, *map(len, sections)])),
            np.concatenate([[0], np.cumsum(counts)]).astype(np.int32),
            np.array([row for _, row, _ in entries], dtype=np.int32),
            np.array([j for j, variable in enumerate(self._variables) if variable.is_integer()], dtype=np.int64),
        )

    def _number_params(self) -> None:
        for param in self._model.component_objects(pyo.Param, descend_into=True):
            if param.mutable:
                first = len(self._place)
                for data in param.values():
                    self._place[id(data)] = len(self._place)
                self._params[param.name] = slice(first, len(self._place))

    def _number_variables(self) -> None:
        for variable in self._model.component_objects(pyo.Var, descend_into=True):
            first = len(self._variables)
            for data in variable.values():
                self._column[id(data)] = len(self._variables)
                self._variables.append(data)
            self._columns[variable.name] = slice(first, len(self._variables))

    def _number_rows(self) -> list[Any]:
        found: list[Any] = []
        for constraint in self._model.component_objects(pyo.Constraint, active=True, descend_into=True):
            first = len(found)
            found += constraint.values()
            self._rows[constraint.name] = slice(first, len(found))
        return found

    def _objective(self) -> tuple[list[Affine], Affine]:
        objective = next(self._model.component_data_objects(pyo.Objective, active=True))
        offset, terms = self._linear(objective.expr, objective.name)
        return [terms.get(j, Affine()) for j in range(len(self._variables))], offset

    def _bounds(self, variable: Any) -> tuple[Affine, Affine]:
        return (
            self._limit(variable.lower, -np.inf, variable.name),
            self._limit(variable.upper, np.inf, variable.name),
        )

    def _row(self, constraint: Any) -> tuple[Affine, Affine, dict[int, Affine]]:
        lower, body, upper = constraint.to_bounded_expression()
        constant, terms = self._linear(body, constraint.name)
        low, high = self._limit(lower, -np.inf, constraint.name), self._limit(upper, np.inf, constraint.name)
        for limit in (low, high):
            if np.isfinite(limit.constant):
                limit.add(constant, -1.0)
        return low, high, terms

    def _linear(self, expression: Any, name: str) -> tuple[Affine, dict[int, Affine]]:
        """Split an expression into a constant and a factor for each variable."""
        repn = generate_standard_repn(expression, compute_values=False, quadratic=False)
        if repn.nonlinear_expr is not None:
            raise NotAffineError(f"{name} is not linear in its variables")
        factors = zip(repn.linear_vars, repn.linear_coefs, strict=True)
        terms = {self._column[id(variable)]: self._affine(factor, name) for variable, factor in factors}
        return self._affine(repn.constant, name), terms

    def _limit(self, expression: Any, missing: float, name: str) -> Affine:
        return Affine(missing) if expression is None else self._affine(expression, name)

    def _affine(self, expression: Any, name: str) -> Affine:
        """Read an expression of Params as a constant and a factor for each; sums may be nested thousands deep."""
        total, waiting = Affine(), [(expression, 1.0)]
        while waiting:
            part, factor = waiting.pop()
            if isinstance(part, int | float | np.number):
                total.constant += factor * float(part)
            elif id(part) in self._place:
                total.add(Affine(0.0, {self._place[id(part)]: 1.0}), factor)
            elif isinstance(part, SUMS):
                waiting.extend((arg, factor) for arg in part.args)
            elif isinstance(part, NEGATIONS):
                waiting.append((part.args[0], -factor))
            else:
                total.add(*self._scaled(part, factor, name))
        return total

    def _scaled(self, part: Any, factor: float, name: str) -> tuple[Affine, float]:
        """Read a product or a quotient, of which one side has to be constant."""
        if isinstance(part, PRODUCTS):
            left, right = (self._affine(arg, name) for arg in part.args)
            if not (left.of and right.of):
                return (left, factor * right.constant) if left.of else (right, factor * left.constant)
        elif isinstance(part, QUOTIENTS):
            left, right = (self._affine(arg, name) for arg in part.args)
            if not right.of:
                return left, factor / right.constant
        raise NotAffineError(f"{name} holds {part}, which is not affine in the Params: derive it in numpy")


def _stacked(numbers: list[Affine], width: int) -> tuple[Floats, csr_matrix]:
    """Stack affine numbers into m0 and M."""
    constant = np.array([number.constant for number in numbers])
    counts = [len(number.of) for number in numbers]
    places = [place for number in numbers for place in number.of]
    values = [value for number in numbers for value in number.of.values()]
    indptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    return constant, csr_matrix((values, places, indptr), shape=(len(numbers), width))
