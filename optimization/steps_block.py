"""Equations of `optimization.steps` in Pyomo.

Each tap changer has a part for each of its steps, 0 or 1, each bank one part that counts its steps. What moves is a
part, so that the relaxation pays for a position it fills in another order than the steps have.
"""

from __future__ import annotations

from typing import Any

import pyomo.environ as pyo

from optimization.blocks.parts import add_coefficients, carried
from optimization.network import Network
from optimization.steps import StepShape, parts_of

MOVED = ("step_begin", "step_room", "step_most", "step_cost")


def add_steps(m: Any, parent: tuple[int, ...], shapes: tuple[StepShape, ...]) -> Any:
    """Add positions and how they move, before the feeder's rows; returns what moving costs.

    Sets `step_part[j, s]` with `step_up` and `step_down`, and `bank_kvar[c, s]` of each bank.
    """
    n, parts = len(parent), parts_of(shapes)
    every = range(parts[-1].stop)
    add_coefficients(m, n, "step_keep")
    for name in MOVED:
        m.add_component(name, pyo.Param(every, range(n), mutable=True, initialize=1.0))
    m.step_part = pyo.Var(every, range(n), domain=pyo.Integers, bounds=lambda b, j, s: (0.0, b.step_room[j, s]))
    most = {"bounds": lambda b, j, s: (0.0, b.step_most[j, s])}
    m.step_up, m.step_down = pyo.Var(every, range(n), **most), pyo.Var(every, range(n), **most)
    m.bank_kvar = pyo.Var(range(len(_banks(shapes))), range(n))
    ordered = [j for own, shape in zip(parts, shapes, strict=True) if shape.is_tap for j in own[1:]]
    m.step_order = pyo.Constraint(ordered, range(n), rule=lambda b, j, s: b.step_part[j, s] <= b.step_part[j - 1, s])

    def change(b: Any, j: int, s: int) -> Any:
        before = carried(b.step_keep, [b.step_part[j, t] for t in range(n)], parent[s], s)
        return b.step_part[j, s] - before == b.step_begin[j, s] + b.step_up[j, s] - b.step_down[j, s]

    m.step_change = pyo.Constraint(every, range(n), rule=change)
    _add_days(m, n, shapes)
    return pyo.quicksum(m.step_cost[j, s] * (m.step_up[j, s] + m.step_down[j, s]) for j in every for s in range(n))


def tap_terms(m: Any, n: int, shapes: tuple[StepShape, ...]) -> dict[int, Any]:
    """Declare what tap changers do to the voltage below them; gives by branch a function of the voltage above.

    What it returns for a slot is `tap_ratio * v_upper` and what the position adds to it [pu^2].
    """
    taps = [(own, shape.place) for own, shape in zip(parts_of(shapes), shapes, strict=True) if shape.is_tap]
    gains = [j for own, _ in taps for j in own]
    for name in ("tap_ratio", "tap_least_pu2"):
        m.add_component(name, pyo.Param(range(len(taps)), range(n), mutable=True, initialize=1.0))
    m.tap_gain_pu2 = pyo.Param(gains, range(n), mutable=True, initialize=1.0)

    def lifted(t: int) -> Any:
        def below(above: Any, s: int) -> Any:
            gained = pyo.quicksum(m.tap_gain_pu2[j, s] * m.step_part[j, s] for j in taps[t][0])
            return m.tap_ratio[t, s] * above + m.tap_least_pu2[t, s] + gained

        return below

    return {place: lifted(t) for t, (_, place) in enumerate(taps)}


def bank_kvar_at(m: Any, shapes: tuple[StepShape, ...], bus: int, s: int) -> Any:
    """Add up the reactive power of the banks at a place of the feeder."""
    return pyo.quicksum(m.bank_kvar[c, s] for c, (_, place) in enumerate(_banks(shapes)) if place == bus)


def all_banks_kvar(m: Any, s: int) -> Any:
    """Add up the reactive power into all banks of a model; 0 where it has none."""
    kvar = m.find_component("bank_kvar")
    return 0.0 if kvar is None else pyo.quicksum(kvar[key] for key in kvar if key[1] == s)


def add_bank_rows(m: Any, n: int, shapes: tuple[StepShape, ...], network: Network) -> None:
    """Say what the banks give, once the feeder's voltages are there."""
    banks = _banks(shapes)
    for name in ("bank_kvar_at_nothing", "bank_kvar_per_step", "bank_kvar_per_pu2"):
        m.add_component(name, pyo.Param(range(len(banks)), range(n), mutable=True, initialize=1.0))

    def given(b: Any, c: int, s: int) -> Any:
        part, place = banks[c]
        squared = b.v[place, s] if place else network.slack_pu**2
        straight = b.bank_kvar_at_nothing[c, s] + b.bank_kvar_per_step[c, s] * b.step_part[part, s]
        return b.bank_kvar[c, s] == straight + b.bank_kvar_per_pu2[c, s] * squared

    m.bank_given = pyo.Constraint(range(len(banks)), range(n), rule=given)


def _banks(shapes: tuple[StepShape, ...]) -> list[tuple[int, int]]:
    """Give the part and the place of each bank."""
    return [(own.start, shape.place) for own, shape in zip(parts_of(shapes), shapes, strict=True) if not shape.is_tap]


def _add_days(m: Any, n: int, shapes: tuple[StepShape, ...]) -> None:
    """Bound the steps of each day, of the devices that have such a bound."""
    rows = [own for own, shape in zip(parts_of(shapes), shapes, strict=True) for _ in range(shape.days)]
    m.step_in_day = pyo.Param(range(len(rows)), range(n), mutable=True, initialize=1.0)
    m.step_left = pyo.Param(range(len(rows)), mutable=True, initialize=1.0)

    def within(b: Any, r: int) -> Any:
        moved = (b.step_in_day[r, s] * (b.step_up[j, s] + b.step_down[j, s]) for j in rows[r] for s in range(n))
        return pyo.quicksum(moved) <= b.step_left[r]

    m.step_day = pyo.Constraint(range(len(rows)), rule=within)
