"""What a little more of each limit is worth, read from the duals of an optimum and put into the words of the district.

A dual is the slope of the cost in one bound or right-hand side. Where an optimum lies on a kink the slope to one side
differs from that to the other, and the solver gives one between them. Where whole numbers are decided, they are held:
the prices are those of the decision taken.

    energy_value[s] = d cost / d (power taken in slot s) / hours[s]                                   [currency/kWh]
    local_value[i, s]: the same at the asset's bus, with what the feeder's limits add there            [currency/kWh]

Source: Schweppe, Caramanis, Tabors and Bohn, Spot Pricing of Electricity, Kluwer 1988, chapters 2 and 7.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from optimization.affine import AffineModel, Lp
from optimization.network import FACET_SHARE, FACETS_DEG, SIDE_DEG, Network
from optimization.phases import number_words
from optimization.problem import Limit, Problem, Schedule, ShadowPrices
from optimization.reactive import CORNER_SHARE
from optimization.slots import Floats
from optimization.structure import Structure

AT_BOUND = 1e-6
COMFORT = {"warm_enough": ("comfort_low_c", "least"), "cool_enough": ("comfort_high_c", "most")}
"""Rows that hold a zone in its band, and what of it they hold."""
NOTHING = 1e-9
"""A limit that is worth less in every slot does not bind [currency per unit]."""


@dataclass(frozen=True, slots=True, eq=False)
class Duals:
    """An optimum with its duals.

    Args:
        model: the compiled model, for its names.
        lp: what was asked.
        x: values of the columns.
        cost: slope of the cost in the bound that a column lies at; of whole numbers none, they are held.
        row: slope of the cost in the right-hand side of each row.
    """

    model: AffineModel
    lp: Lp
    x: Floats
    cost: Floats
    row: Floats

    def value(self, name: str) -> Floats:
        """Give the values of a variable."""
        return self.x[self.model.columns[name]]

    def most(self, name: str) -> Floats:
        """Find what one more of each upper bound of a variable saves; nothing where it is not reached."""
        place = self.model.columns[name]
        at = self.x[place] >= self.lp.col_upper[place] - AT_BOUND
        return np.where(at, np.maximum(-self.cost[place], 0.0), 0.0)

    def least(self, name: str) -> Floats:
        """Find what one less of each lower bound of a variable saves; nothing where it is not reached."""
        place = self.model.columns[name]
        at = self.x[place] <= self.lp.col_lower[place] + AT_BOUND
        return np.where(at, np.maximum(self.cost[place], 0.0), 0.0)

    def steepness(self, name: str) -> Floats:
        """Find what loosening each row of an inequality by one saves."""
        return np.abs(self.row[self.model.rows[name]])

    def demanded(self, name: str, column: str) -> Floats:
        """Find what one more on the side of an equality that a variable's first columns have to meet costs, row by row.

        Pyomo may turn an equality about: only the sign of the variable in the row says how it stands.
        """
        row, place = self.model.rows[name], self.model.columns[column]
        columns = place.start + np.arange(row.stop - row.start)
        sign = np.sign(self.lp.matrix[np.arange(row.start, row.stop), columns])
        slope: Floats = self.row[row] * np.asarray(sign).ravel()
        return slope


def shadow_prices(problem: Problem, shape: Structure, duals: Duals, schedules: Mapping[str, Schedule]) -> ShadowPrices:
    """Read the prices of an optimum.

    Args:
        problem: the question.
        shape: its structure.
        duals: the optimum's.
        schedules: its schedules by asset id, to tell wishes from limits.
    """
    hours = problem.slots.duration_h
    taken = duals.demanded("balance", "import_kw")
    supplied = {
        supply.id: duals.demanded(f"supply[{k}].balance", f"supply[{k}].import_kw")
        for k, supply in enumerate(problem.supplies)
    }
    at = {member: supplied[supply.id] for supply in problem.supplies for member in supply.members}
    tan = {
        a.id: 0.0 if a.id in problem.inverters else f.reactive_per_active
        for a, f in zip(problem.assets, shape.assets, strict=True)
    }
    return ShadowPrices(
        energy_value=taken / hours,
        local_value={
            asset.id: (at.get(asset.id, taken) + _on_the_way(problem.network, asset.bus, tan[asset.id], duals)) / hours
            for asset in problem.assets
            if asset.has_power
        },
        limits=tuple(
            limit
            for limit in (
                *_of_connections(problem, duals),
                *_of_network(problem, duals),
                *_of_groups(problem, duals),
                *_of_reserves(problem, duals),
                *_of_assets(problem, duals, schedules),
            )
            if limit.worth.max() > NOTHING
        ),
        supplied_value={name: value / hours for name, value in supplied.items()},
    )


def _on_the_way(network: Network | None, bus: int, tan: float, duals: Duals) -> Floats | float:
    """Find what a kW more at a bus costs in the feeder's limits on its way [currency/kW]; nothing at its head."""
    if network is None or network.position(bus) == 0:
        return 0.0
    way: Floats = _at(network, bus, tan, duals, "")
    for k, after in enumerate(network.outages):
        way = way + _at(after, bus, tan, duals, f"outage[{k}].")
    return way


def _at(network: Network, bus: int, tan: float, duals: Duals, block: str) -> Floats:
    buses, lower = len(network.bus_ids) - 1, np.array(network.places(bus)) - 1
    active = duals.demanded(f"{block}flow_balance_kw", f"{block}flow_kw").reshape(buses, -1)
    reactive = duals.demanded(f"{block}flow_balance_kvar", f"{block}flow_kvar").reshape(buses, -1)
    there: Floats = (active[lower] + tan * reactive[lower]).mean(axis=0)
    return there


def _of_connections(problem: Problem, duals: Duals) -> Iterator[Limit]:
    names = [("", ""), *((f"supply[{k}].", f":{supply.id}") for k, supply in enumerate(problem.supplies))]
    for block, name in names:
        yield Limit("", f"import_limit_kw{name}", "most", duals.most(f"{block}import_kw"))
        yield Limit("", f"export_limit_kw{name}", "most", duals.most(f"{block}export_kw"))


def _of_network(problem: Problem, duals: Duals) -> Iterator[Limit]:
    """Name each voltage [currency/pu] and loading [currency/kVA]; the names are those of the fast loop's rows."""
    if problem.network is None:
        return
    yield from _of_feeder(problem.network, len(problem.slots), duals, "")
    for k, after in enumerate(problem.network.outages):
        yield from _of_feeder(after, len(problem.slots), duals, f"outage[{k}].")


def _of_feeder(network: Network, n: int, duals: Duals, block: str) -> Iterator[Limit]:
    after = f" after {network.after}" if network.after else ""
    floor, ceiling = (np.sqrt(band[1:]) for band in network.squared_band(n))
    high = 2.0 * ceiling * duals.steepness(f"{block}voltage_ceiling").reshape(-1, n)
    low = 2.0 * floor * duals.steepness(f"{block}voltage_floor").reshape(-1, n)
    at_end = 1.0 + duals.value(f"{block}v").reshape(-1, n)[network.lower - 1]
    carried = FACET_SHARE / 2.0 * at_end
    loading = duals.steepness(f"{block}flow_limit").reshape(len(FACETS_DEG), -1, n).sum(axis=0) * carried
    if network.governed is not None:
        aside = duals.steepness("flow_limit_aside").reshape(len(SIDE_DEG), -1, n).sum(axis=0)
        loading += aside * CORNER_SHARE / 2.0 * at_end
    for bus, most, least in zip(network.bus_ids[1:].tolist(), high, low, strict=True):
        yield Limit("", f"voltage_pu:bus {number_words(bus)}{after}", "most", most)
        yield Limit("", f"voltage_pu:bus {number_words(bus)}{after}", "least", least)
    for branch, worth in zip(network.branch_names, loading, strict=True):
        yield Limit("", f"flow_kva:{branch}{after}", "most", worth)


def _of_groups(problem: Problem, duals: Duals) -> Iterator[Limit]:
    for side in ("most", "least") if problem.groups else ():
        worths = duals.steepness(f"group_{side}").reshape(len(problem.groups), -1)
        for group, worth in zip(problem.groups, worths, strict=True):
            yield Limit("", f"power_kw:{group.id}", side, worth)


def _of_reserves(problem: Problem, duals: Duals) -> Iterator[Limit]:
    """Name what a kW less of each band, and a kW or kWh less for an island, would save."""
    for side in ("up", "down") if problem.reserves else ():
        worths = duals.steepness(f"reserve_{side}_held").reshape(len(problem.reserves), -1)
        for reserve, worth in zip(problem.reserves, worths, strict=True):
            yield Limit("", f"reserve_{side}_kw:{reserve.id}", "least", worth)
    if problem.survival is not None:
        yield Limit("", "island_kw", "least", duals.steepness("survival_power"))
        yield Limit("", "island_kwh", "least", duals.steepness("survival_start") + duals.steepness("survival_end"))


def _of_assets(problem: Problem, duals: Duals, schedules: Mapping[str, Schedule]) -> Iterator[Limit]:
    n = len(problem.slots)
    for i, asset in enumerate(problem.assets):
        prefix, wishes = f"asset[{i}].", schedules[asset.id].slack
        for key in duals.model.columns:
            name = key.removeprefix(prefix)
            if name != key and name not in wishes:
                yield from _of_variable(asset.id, name, duals, key, n)
        yield from _of_wishes(asset.id, duals, prefix, n)


def _of_variable(asset: str, name: str, duals: Duals, key: str, n: int) -> Iterator[Limit]:
    """Name both bounds of a variable of each slot; several of a slot (cars at a point) are added up."""
    place = duals.model.columns[key]
    if (place.stop - place.start) % n:
        return
    least, at_zero = duals.least(key), duals.lp.col_lower[place] == 0.0
    # What cannot be at all, a car that is not there, is no limit.
    most = np.where(duals.lp.col_upper[place] > AT_BOUND, duals.most(key), 0.0)
    yield Limit(asset, name, "most", _by_slot(most, n))
    yield Limit(asset, name, "least", _by_slot(np.where(at_zero, 0.0, least), n))
    if name.endswith("_kw") and len(least) == n:
        yield Limit(asset, name, "none", np.where(at_zero, least, 0.0))


def _of_wishes(asset: str, duals: Duals, prefix: str, n: int) -> Iterator[Limit]:
    """Name comfort by slot [currency/K], and what each car waits for [currency/kWh], by the order of its sessions."""
    for row, (name, side) in COMFORT.items():
        if prefix + row in duals.model.rows:
            yield Limit(asset, name, side, _by_slot(duals.steepness(prefix + row), n))
    if prefix + "delivery" in duals.model.rows:
        wanted = duals.demanded(prefix + "delivery", prefix + "shortfall_kwh")
        # Where all is missing the bound of the shortfall is the wish itself.
        worth = wanted - duals.most(prefix + "shortfall_kwh")
        yield Limit(asset, "wanted_kwh", "session", np.maximum(worth, 0.0))


def _by_slot(values: Floats, n: int) -> Floats:
    total: Floats = values.reshape(-1, n).sum(axis=0)
    return total
