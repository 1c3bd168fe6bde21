"""Equations of `optimization.reactive` in Pyomo."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyomo.environ as pyo

from optimization.losses import SLOPES, changes_with_flows
from optimization.network import Network
from optimization.network_block import BusPower
from optimization.reactive import CORNER_SHARE, CORNERS_DEG, TERMS, InverterShape


def add_inverters(m: Any, n: int, shapes: tuple[InverterShape, ...], network: Network) -> None:
    """Add what the feeder's balances need: `inverter_kvar[k, s]`, and the Params of what branches lose.

    A feeder without inverters, on which something moves in steps, has the losses all the same.
    """
    index = (range(len(shapes)), range(n))
    rows = dict.fromkeys(TERMS, len(shapes)) | {"kvar_per_pu2": _places(shapes, network)}
    for name, count in rows.items():
        m.add_component(name, pyo.Param(range(count), range(n), mutable=True, initialize=1.0))
    for name in ("grid_loss_kw", "grid_loss_kvar"):
        m.add_component(name, pyo.Param(range(len(network.bus_ids) - 1), range(n), mutable=True, initialize=1.0))
    if changes_with_flows(network):
        for name in SLOPES:
            m.add_component(name, pyo.Param(range(len(network.upper)), range(n), mutable=True, initialize=1.0))
    m.kvar_cost = pyo.Param(range(n), mutable=True, initialize=1.0)
    # A column of its own, because the power of an asset may hold Params, and so does what it is multiplied with.
    m.inverter_kw, m.inverter_kvar = pyo.Var(*index), pyo.Var(*index)
    m.inverter_power = pyo.Constraint(
        *index, rule=lambda b, k, s: b.inverter_kw[k, s] == b.asset[shapes[k].asset].power_kw[s]
    )
    m.inverter_over_kva = pyo.Var(*index, bounds=(0.0, None))


def kvar_at(m: Any, shapes: tuple[InverterShape, ...], network: Network) -> BusPower:
    """Say how to add up the reactive power of the inverters at a place of the feeder; at three phases it is even."""
    at: dict[int, list[tuple[int, float]]] = {}
    for k, shape in enumerate(shapes):
        places = network.places(shape.bus)
        for place in places:
            at.setdefault(place, []).append((k, 1.0 / len(places)))
    return lambda bus, s: pyo.quicksum(times(share, m.inverter_kvar[k, s]) for k, share in at.get(bus, ()))


def losses_at(m: Any, network: Network) -> tuple[BusPower, BusPower]:
    """Say what is lost at a place of the feeder, half of each branch's at each of its ends [kW, kvar]."""
    near: dict[int, list[int]] = {}
    if changes_with_flows(network):
        for k, ends in enumerate(zip(network.upper.tolist(), network.lower.tolist(), strict=True)):
            for bus in ends:
                near.setdefault(bus, []).append(k)

    def lost(fixed: Any, ohm: list[float]) -> BusPower:
        return lambda bus, s: (
            fixed[bus - 1, s] + pyo.quicksum(ohm[k] / 2.0 * _along(m, k, s) for k in near.get(bus, ()))
        )

    return lost(m.grid_loss_kw, network.r_pu_per_kw.tolist()), lost(m.grid_loss_kvar, network.x_pu_per_kvar.tolist())


def _along(m: Any, k: int, s: int) -> Any:
    return m.grid_loss_per_kw[k, s] * m.flow_kw[k, s] + m.grid_loss_per_kvar[k, s] * m.flow_kvar[k, s]


def times(share: float, power: Any) -> Any:
    """Give a share of a power; all of it as it stands."""
    return power if share == 1.0 else share * power


def add_inverter_rows(m: Any, n: int, shapes: tuple[InverterShape, ...], network: Network) -> Any:
    """Add what governs each inverter, once the feeder's voltages are there; returns what choosing costs."""
    by_voltage = _by_voltage(m, m.kvar_per_pu2, shapes, network)

    def curve(b: Any, k: int, s: int) -> Any:
        straight = b.kvar_at_nothing[k, s] + b.kvar_per_kw[k, s] * b.inverter_kw[k, s]
        return b.inverter_kvar[k, s] == straight + by_voltage(k, s)

    _add_rating(m, n, shapes)
    m.inverter_curve = pyo.Constraint(
        [k for k, shape in enumerate(shapes) if not shape.is_chosen], range(n), rule=curve
    )
    _add_ceilings(m, n, shapes, network)
    cost = _add_choice(m, n, [k for k, shape in enumerate(shapes) if shape.is_chosen])
    _add_least_cos_phi(m, n, [k for k, shape in enumerate(shapes) if shape.has_least_cos_phi])
    return cost


def _places(shapes: Sequence[InverterShape], network: Network) -> int:
    """Count the places whose voltages some inverters go by, one after another."""
    return sum(len(network.places(shape.bus)) for shape in shapes)


def _by_voltage(m: Any, per_pu2: Any, shapes: Sequence[InverterShape], network: Network) -> Any:
    """Say what the squared voltages at each inverter's places do; a row of `per_pu2` for each of these places."""
    places = [network.places(shape.bus) for shape in shapes]
    first = np.cumsum([0, *map(len, places)]).tolist()

    def summed(k: int, s: int) -> Any:
        rows = enumerate(places[k], start=first[k])
        return sum(per_pu2[row, s] * (m.v[place, s] if place else network.slack_pu**2) for row, place in rows)

    return summed


def _add_rating(m: Any, n: int, shapes: tuple[InverterShape, ...]) -> None:
    cosine, sine = np.cos(np.radians(CORNERS_DEG)).tolist(), np.sin(np.radians(CORNERS_DEG)).tolist()

    def facet(b: Any, a: int, k: int, s: int) -> Any:
        along = cosine[a] * b.inverter_kw[k, s] + sine[a] * b.inverter_kvar[k, s]
        return along - b.inverter_over_kva[k, s] <= CORNER_SHARE * b.inverter_kva[k, s]

    m.inverter_rating = pyo.Constraint(range(len(cosine)), range(len(shapes)), range(n), rule=facet)


def _add_ceilings(m: Any, n: int, shapes: tuple[InverterShape, ...], network: Network) -> None:
    owner = [k for k, shape in enumerate(shapes) for _ in range(shape.ceilings)]
    if not owner:
        return
    owners = [shapes[k] for k in owner]
    for name, count in (("ceiling_kw", len(owner)), ("ceiling_per_pu2", _places(owners, network))):
        m.add_component(name, pyo.Param(range(count), range(n), mutable=True, initialize=1.0))
    by_voltage = _by_voltage(m, m.ceiling_per_pu2, owners, network)

    def ceiling(b: Any, c: int, s: int) -> Any:
        k = owner[c]
        beyond = -b.inverter_kw[k, s] - by_voltage(c, s)
        return beyond - b.inverter_over_kva[k, s] <= b.ceiling_kw[c, s]

    m.inverter_ceiling = pyo.Constraint(range(len(owner)), range(n), rule=ceiling)


def _add_choice(m: Any, n: int, chosen: list[int]) -> Any:
    """Split what is chosen into what is taken and what is given, so that its size has a price."""
    most = {"bounds": lambda b, k, s: (0.0, b.inverter_most_kvar[k, s])}
    m.taken_kvar, m.given_kvar = pyo.Var(chosen, range(n), **most), pyo.Var(chosen, range(n), **most)
    m.inverter_choice = pyo.Constraint(
        chosen, range(n), rule=lambda b, k, s: b.inverter_kvar[k, s] == b.taken_kvar[k, s] - b.given_kvar[k, s]
    )
    return pyo.quicksum(m.kvar_cost[s] * (m.taken_kvar[k, s] + m.given_kvar[k, s]) for k in chosen for s in range(n))


def _add_least_cos_phi(m: Any, n: int, limited: list[int]) -> None:
    """Limit what is chosen by the power that is given with it."""
    if not limited:
        return
    m.kvar_per_given_kw = pyo.Param(range(len(limited)), range(n), mutable=True, initialize=1.0)

    def within(b: Any, j: int, s: int) -> Any:
        k = limited[j]
        return b.taken_kvar[k, s] + b.given_kvar[k, s] + b.kvar_per_given_kw[j, s] * b.inverter_kw[k, s] <= 0.0

    m.inverter_least_cos_phi = pyo.Constraint(range(len(limited)), range(n), rule=within)
