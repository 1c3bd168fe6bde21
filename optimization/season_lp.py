"""The season ahead as a linear programme in coarse steps, and what a store's energy is worth in it.

    minimise sum over s of (buy[s] * i[s] - sell[s] * e[s] + excess * x[s]) * h + wear * d * h + cost * y * h
             + lacking * (l + u) * h + price_per_kw * sum over m of peak[m] - end_value * E[last]
    i + x - e - w = fixed + c - d (of batteries) + power_per_kw * y + pump * f
    heat = heat_per_kw * y - c + d (of the tank) - f (sent) + (1 - loss_share) * f - standing (arriving) + l - u
    E[s] = a * E[s-1] + r * (eta_c * c - d / eta_d - drain),   a = exp(-loss * h),   r = (1 - a) / loss, h without one
    0 <= E <= capacity,   peak[m] >= free[m],   peak[m] >= i + x   in every step of month m

    worth between E_k and E_k+1 = (V(E_k) - V(E_k+1)) / (E_k+1 - E_k),   V(E): the optimum after the horizon from E on

Symbols: i, e, x, w [kW] import, export, import beyond the limit, sun that is turned down; c, d [kW] into and out of a
store, E [kWh] stored; y [kW] what a maker takes, f [kW] sent into a pipe, l, u [kW] heat that is lacking or cannot be
got rid of, h [h]. The optimum of a linear programme is convex in its right sides, so that the worth falls with the
energy; stores are valued one by one, the others as expected. The loss of a tank is exact over steps of any length while
what flows into it is held. Own derivation.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from scipy.sparse import coo_matrix

from optimization.affine import Lp
from optimization.exclusive import Pairs
from optimization.season import Season, SeasonAhead, SeasonStore, Worth
from optimization.slots import Floats, Ints
from optimization.warm import SolveError, WarmModel

NONE = np.zeros(0, dtype=np.int64)
PIECES = 6
"""Of the worth of each store, between the least and the most that it may hold at the end of the horizon."""
NARROWEST = 0.01
"""Where hardly anything can change until then, so much of the capacity is looked at."""
AT_END = 1e-3
"""A store so near an end of its band is empty or full [share of its capacity]."""


class SeasonError(Exception):
    """No optimum was found; the message says how the solver ended."""


def look_ahead(asked: Season) -> SeasonAhead:
    """Find what the energy of each valued store is worth; raises `SeasonError`."""
    numbers = {"fixed_kw": asked.fixed_kw, "import_price": asked.import_price, "export_price": asked.export_price}
    numbers |= {f"heat_kw of {node}": kw for node, kw in asked.heat_kw.items()}
    if broken := [name for name, value in numbers.items() if not np.isfinite(value).all()]:
        raise SeasonError(f"{', '.join(broken)} of the season: a number is not finite; mend the forecast")
    whole = _Programme(asked).solved()
    later = _Programme(_rest(asked, whole))
    worth = {store.id: _worth(asked, store, k, whole, later) for k, store in enumerate(asked.stores) if store.is_valued}
    power_kw = sum((m.power_per_kw * whole[f"y{k}"] for k, m in enumerate(asked.makers)), np.zeros(len(asked.hours)))
    power_kw = sum((p.pump_kw_per_kw * whole[f"f{k}"] for k, p in enumerate(asked.pipes)), power_kw)
    lacking = sum(float(whole[f"l{node}"] @ asked.hours) for node in asked.heat_kw)
    return SeasonAhead(asked, worth, power_kw, whole.cost, lacking)


def _rest(asked: Season, whole: _Optimum) -> Season:
    """Cut off what lies within the horizon; peaks that are reached there are free."""
    k = asked.end_step
    reached = asked.free_kw.copy()
    np.maximum.at(reached, asked.month[:k], (whole["i"] + whole["x"])[:k])
    stores = tuple(replace(store, energy_kwh=_before(whole, j, k, store)) for j, store in enumerate(asked.stores))
    return replace(
        asked,
        start=asked.ends_at(k - 1),
        duration_s=asked.duration_s[k:],
        end_step=0,
        stores=stores,
        makers=tuple(replace(maker, heat_per_kw=maker.heat_per_kw[k:]) for maker in asked.makers),
        heat_kw={node: kw[k:] for node, kw in asked.heat_kw.items()},
        free_kw=reached,
        **{name: getattr(asked, name)[k:] for name in ("fixed_kw", "import_price", "export_price", "month")},
    )


def _before(whole: _Optimum, j: int, step: int, store: SeasonStore) -> float:
    return float(np.clip(whole[f"E{j}"][step - 1], 0.0, store.capacity_kwh))


def _worth(asked: Season, store: SeasonStore, j: int, whole: _Optimum, later: _Programme) -> Worth:
    level = np.linspace(*_reachable(asked, store), PIECES + 1)
    costs = np.array([later.solved({j: float(kwh)}).cost for kwh in level])
    per_kwh = np.maximum(np.minimum.accumulate(-np.diff(costs) / np.diff(level)), 0.0)
    k, energy, near = asked.end_step, whole[f"E{j}"], AT_END * store.capacity_kwh
    turns = np.flatnonzero((energy[k:] <= near) | (energy[k:] >= store.capacity_kwh - near))
    at = k + int(turns[0]) if turns.size else len(energy) - 1
    turn = "end" if not turns.size else "empty" if energy[at] <= near else "full"
    later_h = float(asked.hours[k : at + 1].sum())
    planned = _before(whole, j, k, store)
    then = float(whole.price[store.node][at])
    return Worth(
        level, per_kwh, energy, planned, turn, asked.ends_at(at), then, float(np.exp(-store.loss_per_h * later_h))
    )


def _reachable(asked: Season, store: SeasonStore) -> tuple[float, float]:
    """Find the least and the most that a store can hold at the end of the horizon [kWh]."""
    makes_kw = store.charge_kw
    if store.node:
        fed_kw = sum(m.rated_kw * float(m.heat_per_kw.max()) for m in asked.makers if m.node == store.node)
        fed_kw += sum(p.rated_kw for p in asked.pipes if p.to_node == store.node)
        makes_kw = min(makes_kw, fed_kw)
    keep, gain = store.step(asked.hours[: asked.end_step])
    low = high = store.energy_kwh
    for a, r in zip(keep, gain, strict=True):
        low = max(0.0, a * low - r * (store.discharge_kw / store.discharge_efficiency + store.drain_kw))
        high = a * high + r * (makes_kw * store.charge_efficiency - store.drain_kw)
        high = float(np.clip(high, 0.0, store.capacity_kwh))
    narrow = NARROWEST * store.capacity_kwh
    low = min(low, max(0.0, high - narrow))
    return low, max(high, low + narrow)


@dataclass(frozen=True, slots=True, eq=False)
class _Optimum:
    """What was found: columns by name, their cost, and the price of a kWh by node, of power under the empty name."""

    columns: dict[str, Floats]
    cost: float
    price: dict[str, Floats]

    def __getitem__(self, name: str) -> Floats:
        return self.columns[name]


@dataclass(frozen=True, slots=True)
class _Plain:
    """A programme without whole numbers."""

    integers: Ints = field(default_factory=lambda: NONE)


@dataclass(slots=True, eq=False)
class _Rows:
    """Rows of a sparse matrix with their right sides, written block by block."""

    count: int = 0
    parts: list[tuple[Ints, Ints, Floats]] = field(default_factory=list)
    most: list[Floats] = field(default_factory=list)
    least: list[Floats] = field(default_factory=list)

    def add(self, most: Floats, *terms: tuple[Ints, Any], least: Floats | None = None) -> Ints:
        """Add one row for each number on the right side, its least the same if not told; gives their places.

        A term is its columns and their factors; where there are fewer columns than rows they are those of the last.
        """
        rows = self.count + np.arange(len(most))
        self.parts += [(rows[-len(cols) :], cols, np.broadcast_to(factor, len(cols))) for cols, factor in terms]
        self.most.append(most)
        self.least.append(most if least is None else least)
        self.count += len(most)
        return rows

    def lp(self, cost: Floats, low: Floats, high: Floats) -> Lp:
        """Give the programme of these rows and some columns."""
        row, column, value = (np.concatenate([part[k] for part in self.parts]) for k in range(3))
        matrix = coo_matrix((value, (row, column)), shape=(self.count, len(cost))).tocsc()
        return Lp(cost, 0.0, low, high, np.concatenate(self.least), np.concatenate(self.most), matrix)


class _Programme:
    """The programme of a season; solved as often as one asks, from other energies."""

    def __init__(self, asked: Season) -> None:
        self._asked, self._h = asked, asked.hours
        self._at: dict[str, Ints] = {}
        self._low: list[Floats] = []
        self._high: list[Floats] = []
        self._cost: list[Floats] = []
        self._rows = _Rows()
        self._power()
        for k, store in enumerate(asked.stores):
            self._store(k, store)
        for k, maker in enumerate(asked.makers):
            self._column(f"y{k}", maker.cost_per_kwh * self._h, maker.rated_kw)
        for k, pipe in enumerate(asked.pipes):
            self._column(f"f{k}", 0.0 * self._h, pipe.rated_kw)
        self._balances = {"": self._power_balance()} | {node: self._heat_balance(node) for node in asked.heat_kw}
        self._states = [self._state(k, store) for k, store in enumerate(asked.stores)]
        self._peaks()
        self._lp = self._rows.lp(*(np.concatenate(each) for each in (self._cost, self._low, self._high)))
        self._solver = WarmModel(_Plain(), Pairs(NONE.reshape(0, 1), NONE.reshape(0, 1), NONE))

    @property
    def _size(self) -> int:
        return sum(len(each) for each in self._cost)

    def solved(self, energies: dict[int, float] | None = None) -> _Optimum:
        """Solve it, with some stores at other energies [kWh], by their place."""
        moved = np.zeros(self._rows.count)
        for k, kwh in (energies or {}).items():
            store = self._asked.stores[k]
            moved[self._states[k][0]] = store.step(self._h)[0][0] * (kwh - store.energy_kwh)
        lp = replace(self._lp, row_lower=self._lp.row_lower + moved, row_upper=self._lp.row_upper + moved)
        try:
            found = self._solver.solve(lp, None)
        except SolveError as error:
            raise SeasonError(f"the season ahead has no optimum: {error}") from error
        slope = self._solver.slopes()[2]
        price = {node: slope[rows] / self._h for node, rows in self._balances.items()}
        return _Optimum({name: found.x[at] for name, at in self._at.items()}, found.objective, price)

    def _column(self, name: str, cost: Floats, high: Floats | float = np.inf, low: Floats | float = 0.0) -> None:
        size = len(cost)
        self._at[name] = self._size + np.arange(size)
        self._cost.append(np.asarray(cost, dtype=float))
        self._low.append(np.broadcast_to(np.asarray(low, dtype=float), size))
        self._high.append(np.broadcast_to(np.asarray(high, dtype=float), size))

    def _power(self) -> None:
        """Name import, export, excess and sun turned down; buying never costs less than selling earns."""
        asked, h = self._asked, self._h
        sold = np.maximum(asked.export_price, 0.0)
        self._column("i", np.maximum(asked.import_price, sold) * h, asked.import_limit_kw)
        self._column("e", -sold * h, asked.export_limit_kw)
        self._column("x", (np.maximum(asked.import_price, sold) + asked.excess_per_kwh) * h)
        self._column("w", 0.0 * h)
        for node in asked.heat_kw:
            self._column(f"l{node}", asked.lacking_per_kwh * h)
            self._column(f"u{node}", asked.lacking_per_kwh * h)

    def _store(self, k: int, store: SeasonStore) -> None:
        h, worth = self._h, np.zeros(len(self._h))
        worth[-1] = -store.end_value_per_kwh
        self._column(f"c{k}", 0.0 * h, store.charge_kw)
        self._column(f"d{k}", store.wear_per_kwh * h, store.discharge_kw)
        self._column(f"E{k}", worth, store.capacity_kwh)

    def _power_balance(self) -> Ints:
        asked, at = self._asked, self._at
        terms: list[tuple[Ints, Any]] = [(at["i"], 1.0), (at["x"], 1.0), (at["e"], -1.0), (at["w"], -1.0)]
        for k, store in enumerate(asked.stores):
            terms += [] if store.node else [(at[f"c{k}"], -1.0), (at[f"d{k}"], 1.0)]
        terms += [(at[f"y{k}"], -maker.power_per_kw) for k, maker in enumerate(asked.makers) if maker.power_per_kw]
        terms += [(at[f"f{k}"], -pipe.pump_kw_per_kw) for k, pipe in enumerate(asked.pipes) if pipe.pump_kw_per_kw]
        return self._rows.add(asked.fixed_kw, *terms)

    def _heat_balance(self, node: str) -> Ints:
        asked, at = self._asked, self._at
        terms: list[tuple[Ints, Any]] = [(at[f"l{node}"], 1.0), (at[f"u{node}"], -1.0)]
        for k, store in enumerate(asked.stores):
            terms += [(at[f"c{k}"], -1.0), (at[f"d{k}"], 1.0)] if store.node == node else []
        terms += [(at[f"y{k}"], maker.heat_per_kw) for k, maker in enumerate(asked.makers) if maker.node == node]
        wanted = asked.heat_kw[node].copy()
        for k, pipe in enumerate(asked.pipes):
            terms += [(at[f"f{k}"], -1.0)] if pipe.node == node else []
            if pipe.to_node == node:
                terms.append((at[f"f{k}"], 1.0 - pipe.loss_share))
                wanted += pipe.standing_kw
        return self._rows.add(wanted, *terms)

    def _state(self, k: int, store: SeasonStore) -> Ints:
        at, (keep, gain) = self._at, store.step(self._h)
        right = -gain * store.drain_kw
        right[0] += keep[0] * store.energy_kwh
        return self._rows.add(
            right,
            (at[f"E{k}"], 1.0),
            (at[f"E{k}"][:-1], -keep[1:]),
            (at[f"c{k}"], -gain * store.charge_efficiency),
            (at[f"d{k}"], gain / store.discharge_efficiency),
        )

    def _peaks(self) -> None:
        asked = self._asked
        self._column("peak", np.full(len(asked.free_kw), asked.price_per_kw), low=asked.free_kw)
        peak = self._at["peak"][asked.month]
        none = np.zeros(len(self._h))
        self._rows.add(none, (self._at["i"], 1.0), (self._at["x"], 1.0), (peak, -1.0), least=none - np.inf)
