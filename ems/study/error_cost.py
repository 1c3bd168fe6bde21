"""What errors of forecasts cost in money: plans by different forecasts, all carried out on what really came.

    cost = sum of (import price * import - export price * export + wear * discharge) * h - end value * (E_end - E_start)
    error cost = cost of the plans by a forecast - cost of the plans by what came

Every hour the site's batteries are planned over a day ahead, beside all loads and PV plants, by the medians that were
known at that instant; an hour of the plan is carried out. A battery follows its plan, as under the fast loop, which
steps in at limits only; the connection bears what came otherwise. Prices are known to all, unless what was foreseen of
them is among what is tried; carbon counts at the site's price of it where it is. Cars, heat pumps, demand
charges and the feeder are left out: this is about forecasts of loads and sun alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np

from ems.config.asset_models import asset_models
from ems.config.assets import PvAsset
from ems.config.site import Site
from ems.exit_codes import CommandError, Exit
from ems.slow.end_values import stored_value
from ems.slow.foreseen_kinds import CARBON, PRICE
from ems.study.bench import Period
from ems.study.past_series import PastSeries
from ems.study.skill import LEADS, REFERENCE, SERVED, Replayed
from optimization.assets import Asset, Battery, BatteryInputs, Inputs, Load, LoadInputs, Pv, PvInputs
from optimization.forecast.features import quarter_means
from optimization.forecast.past import QUARTER_S, epoch_s
from optimization.problem import Connection, Problem, Refused, TariffSeries
from optimization.slots import Floats, Slots, uniform
from optimization.solve import Solver

AHEAD, DONE = 96, 4
"""A plan looks so many quarter-hours ahead, and so many of them are carried out."""
OLDEST_H = (LEADS - AHEAD) * QUARTER_S / 3600.0
"""An issue may be so old that its horizon still holds a plan's [h]."""
PERFECT, TODAY = "perfect", "today"
TODAYS: Mapping[bool, str] = {False: "calendar", True: "sun"}
"""What the daemon foresees with: loads, and PV."""
LOAD = "load"
MARKET = (PRICE, CARBON)

Foresee = Callable[[str, float], Floats]
"""Gives a series over the next `AHEAD` quarter-hours of an instant [kW]."""


@dataclass(frozen=True, slots=True, eq=False)
class Tried:
    """What plans are made for.

    Args:
        site: the site; its batteries start half full.
        series: its loads and PV plants by name, as they came, `price`, and `carbon` where it counts.
        replayed: what was foreseen of each.
    """

    site: Site
    series: Mapping[str, PastSeries]
    replayed: Mapping[str, Replayed]

    @property
    def batteries(self) -> dict[str, Battery]:
        """The batteries, by asset id."""
        models = asset_models(self.site, {})
        return {name: model for name, model in models.items() if isinstance(model, Battery)}

    @property
    def plants(self) -> dict[str, Pv]:
        """The PV plants whose past is known, by asset id."""
        specs = self.site.file.assets
        return {n: Pv(n, spec.rated_kw) for n in self.replayed if isinstance(spec := specs.get(n), PvAsset)}

    @property
    def loads(self) -> list[str]:
        """What takes power, by name."""
        return [name for name in self.replayed if name not in self.plants and name not in MARKET]

    def came(self, name: str, now_s: float) -> Floats:
        """Give what came of a series; where nobody measured it, what was foreseen, for all alike."""
        at_s: Floats = np.asarray(now_s + QUARTER_S * (np.arange(AHEAD) + 0.5), dtype=np.float64)
        truth = quarter_means(self.series[name].past, at_s)
        if name not in self.replayed or np.isfinite(truth).all():
            return truth
        return np.where(np.isfinite(truth), truth, self.told(name, SERVED, now_s))

    def told(self, name: str, method: str, now_s: float) -> Floats:
        """Give the medians that were known of a series; what a method does not say the ladder does."""
        newest = [issue for issue in self.replayed[name].served if issue.issued_s <= now_s][-1]
        first = round((now_s - newest.issued_s) / QUARTER_S)
        value = newest.value if method == SERVED else newest.each.get(method, newest.value)
        value = np.where(np.isfinite(value), value, newest.value)
        return np.asarray(value[len(value) // 2, first : first + AHEAD])


def error_costs(
    tried: Tried, period: Period, progress: Callable[[float], None], *, ways: Mapping[str, Foresee] | None = None
) -> dict[str, Any] | None:
    """Plan and carry out a period by each forecast.

    Args:
        tried: what is planned for.
        period: whole hours; what is foreseen must reach a day beyond its end.
        progress: told the share that is done, 0..1.
        ways: to foresee, `perfect` among them; None for `persistence`, `today`, `served` and `perfect`.

    Returns:
        By way: `cost` and `error_cost` [currency]; None for a site without a battery or without recorded prices.

    Raises:
        CommandError: the record has gaps that no forecast fills, or the site has several connections.
    """
    if others := ", ".join(tried.site.file.connections):
        words = "what errors cost is told of one connection alone yet; leave --cost out"
        raise CommandError(f"{tried.site.file.site.id} has `connections` ({others}), and {words}", Exit.USAGE)
    if not tried.batteries or PRICE not in tried.series:
        return None
    ways = _usual_ways(tried) if ways is None else ways
    costs = {}
    for i, (way, foresee) in enumerate(ways.items()):
        costs[way] = _carried_out(tried, period, foresee)
        progress((i + 1) / len(ways))
    return {way: {"cost": cost, "error_cost": cost - costs[PERFECT]} for way, cost in costs.items()}


def _usual_ways(tried: Tried) -> dict[str, Foresee]:
    return {
        REFERENCE: lambda name, now_s: tried.told(name, REFERENCE, now_s),
        TODAY: lambda name, now_s: tried.told(name, TODAYS[name in tried.plants], now_s),
        SERVED: lambda name, now_s: tried.told(name, SERVED, now_s),
        PERFECT: tried.came,
    }


def _carried_out(tried: Tried, period: Period, foresee: Foresee) -> float:
    """Plan hour after hour by one way to foresee, and give what the period then costs [currency]."""
    solver, cost = Solver(), 0.0
    energy_kwh = {n: 0.5 * battery.capacity_kwh for n, battery in tried.batteries.items()}
    started_kwh, worth = sum(energy_kwh.values()), 0.0
    for now_s in np.arange(epoch_s(period.start), epoch_s(period.end), DONE * QUARTER_S).tolist():
        problem, worth = _question(tried, now_s, foresee, energy_kwh)
        true = _tariff(tried, problem.slots, now_s, tried.came)
        solution = solver.solve(problem)
        if isinstance(solution, Refused):
            at = datetime.fromtimestamp(now_s, UTC)
            raise CommandError(f"no plan at {at:%Y-%m-%d %H:%M} UTC: {'; '.join(solution.reasons)}", Exit.FAILURE)
        powers = {name: schedule.power_kw for name, schedule in solution.schedules.items()}
        cost += _paid(tried, problem, true, powers, now_s)
        energy_kwh = {n: float(solution.schedules[n].states["energy_kwh"][DONE - 1]) for n in energy_kwh}
    return cost - worth * (sum(energy_kwh.values()) - started_kwh)


def _question(tried: Tried, now_s: float, foresee: Foresee, energy_kwh: Mapping[str, float]) -> tuple[Problem, float]:
    """Ask for a plan; also gives what a kWh left at its end is worth [currency/kWh]."""
    slots, grid = uniform(datetime.fromtimestamp(now_s, UTC), AHEAD, QUARTER_S), tried.site.file.grid
    prices = _tariff(tried, slots, now_s, foresee)
    worth = stored_value(prices, slots)
    demand_kw = np.sum([foresee(n, now_s) for n in tried.loads], axis=0) + np.zeros(AHEAD)
    inputs: dict[str, Inputs] = {LOAD: LoadInputs(demand_kw)}
    inputs |= {n: PvInputs(np.clip(foresee(n, now_s), 0.0, pv.rated_kw)) for n, pv in tried.plants.items()}
    inputs |= {n: BatteryInputs(kwh, worth) for n, kwh in energy_kwh.items()}
    most = [np.full(AHEAD, limit) for limit in (grid.import_limit_kw, grid.export_limit_kw)]
    assets: tuple[Asset, ...] = (Load(LOAD), *tried.plants.values(), *tried.batteries.values())
    return Problem(slots, assets, inputs, prices, Connection(most[0], most[1])), worth


def _tariff(tried: Tried, slots: Slots, now_s: float, foresee: Foresee) -> TariffSeries:
    feed = (foresee if PRICE in tried.replayed else tried.came)(PRICE, now_s)
    if not np.isfinite(feed).all():
        at = datetime.fromtimestamp(now_s, UTC)
        raise CommandError(f"the day after {at:%Y-%m-%d %H:%M} UTC has no recorded price; end earlier", Exit.USAGE)
    bought, sold = tried.site.tariff.series(slots, feed)
    if CARBON in tried.replayed:
        bought = bought + tried.site.file.planning.carbon_price_per_kg * foresee(CARBON, now_s)
    return TariffSeries(bought, sold, np.zeros(AHEAD))


def _paid(tried: Tried, problem: Problem, tariff: TariffSeries, powers: Mapping[str, Floats], now_s: float) -> float:
    """Give what the hour costs that is carried out, on what came [currency]."""
    net_kw = sum(tried.came(n, now_s) for n in tried.loads) + np.zeros(AHEAD)
    wear = np.zeros(AHEAD)
    for name, plant in tried.plants.items():
        available = np.clip(tried.came(name, now_s), 0.0, plant.rated_kw)
        held_back = -powers[name] < problem.inputs[name].available_kw - 1e-6  # type: ignore[attr-defined]
        net_kw = net_kw - np.where(held_back, np.minimum(available, -powers[name]), available)
    for name, battery in tried.batteries.items():
        net_kw = net_kw + powers[name]
        wear = wear + battery.wear_per_kwh * np.maximum(-powers[name], 0.0)
    bought, sold = np.maximum(net_kw, 0.0), np.maximum(-net_kw, 0.0)
    paid = tariff.import_price * bought - tariff.export_price * sold + wear
    return float(paid[:DONE].sum() * QUARTER_S / 3600.0)


def fits(names: Sequence[str], site: Site) -> list[str]:
    """Name of some series those that plans are made for: loads and PV plants."""
    kinds = {"load", "metered_load", "pv"}
    known = {n for n, spec in site.file.assets.items() if spec.kind in kinds} | {LOAD}
    return [name for name in names if name in known]
