"""What may come otherwise than foreseen, for the plans of sites that ask for it: scenarios of loads and sun.

Loads go wrong as the method that foresees them now did on whole days before, each issued as its day began; a day of
which no issue is kept is foreseen anew by the calendar. Where the method knows how far it goes wrong, the paths get
that spread. The sun wanders, as far as the ladder of each plant knows it to go wrong, and until then by a stated
spread. A few paths stand for all (`optimization.forecast.representatives`).

Law 1: nothing that lies after the present instant is read.
Law 2: with every plan the forecast of one day before is made anew, and no more: plans are on time after a start, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol
from zoneinfo import ZoneInfo

import numpy as np

from ems.config.asset_models import planned_assets
from ems.config.assets import LoadAsset, MeteredLoad, PvAsset
from ems.config.site import Site
from ems.slow.foresee import Foresight
from ems.slow.measured_past import Table
from optimization.assets import PvInputs
from optimization.forecast.dressed import dressed
from optimization.forecast.methods import LEVELS
from optimization.forecast.past import DAY_S, QUARTER_S, Past, epoch_s, slot_means, slot_pieces
from optimization.forecast.representatives import QUARTERS, day_errors, error_paths, representatives
from optimization.forecast.spread import Errors
from optimization.problem import Problem
from optimization.slots import Floats, Slots
from optimization.uncertainty import Scenario, Uncertainty

LOAD = "load"
DAYS = 28
"""So many days back a path may lie."""
LEAST_PATHS = 7
"""From fewer paths nothing is concluded: what is foreseen is planned for alone."""
CHOSEN_S = 6 * 3600.0
"""Paths stand for all others for so long: a plan shall not move because others are chosen."""
ASSUMED_SUN = 0.25
"""Share by which the sun goes wrong, of what was foreseen and of a little of its rating ..."""
LEAST_SUN = 0.05
"""... namely so much of it."""


class KnowsItsLoads(Protocol):
    """The daemon's foresight: the pasts that its loads are foreseen from, and how that went."""

    def residual_past(self, table: Table) -> Past:
        """Give the past of what no device explains [kW]."""

    def metered_past(self, name: str, table: Table) -> Past:
        """Give the past of a metered load [kW]."""

    def day_errors(self, name: str, before: int) -> Mapping[int, Floats]:
        """Tell how what was foreseen of a load's days before one went wrong, shape (96,) each, by day of UTC [kW]."""


class Futures:
    """Makes the scenarios of one site, if it asks for them.

    Args:
        site: the site.
        loads: the pasts of its loads.
    """

    def __init__(self, site: Site, loads: KnowsItsLoads) -> None:
        self._asked, self._zone = site.file.planning.uncertainty, ZoneInfo(site.file.site.timezone)
        self._specs, self._loads = planned_assets(site), loads
        self._errors: dict[str, dict[int, Floats]] = {}
        self._looked_at: set[int] = set()
        self._choice = _Choice(-1, (), np.ones(1))

    def added(self, problem: Problem, foresight: Foresight, table: Table, now: datetime) -> Problem:
        """Add scenarios to a question; it is left as it is where nobody asks or too little is known."""
        if self._asked is None:
            return problem
        self._look_back(table, int(epoch_s(now) // DAY_S))
        days, series = self._series(problem, foresight)
        if not series:
            return problem
        net = np.sum([each.sign * (each.paths - each.foreseen) for each in series], axis=0)
        choice = self._chosen(days, net, problem.slots.duration_h, int(epoch_s(now) // CHOSEN_S))
        paths = [days.index(day) for day in choice.days]
        energy = net[paths] @ problem.slots.duration_h
        extremes = {float(energy.min()), float(energy.max())} if paths else set()
        scenarios = tuple(
            Scenario(
                f"{day} days before",
                float(p),
                {each.asset: {each.key: each.paths[path]} for each in series},
                has_network=kwh in extremes,
            )
            for day, path, p, kwh in zip(choice.days, paths, choice.probability[1:], energy, strict=True)
        )
        asked = Uncertainty(scenarios, self._asked.risk_weight, self._asked.tail_pct / 100.0)
        return replace(problem, uncertainty=asked)

    def _chosen(self, days: list[int], net: Floats, hours: Floats, period: int) -> _Choice:
        """Choose the days whose paths stand for all, or keep those that are chosen."""
        assert self._asked is not None
        if period != self._choice.period or not set(self._choice.days) <= set(days):
            chosen, probability = representatives(net, hours, self._asked.scenarios - 1)
            self._choice = _Choice(period, tuple(days[path] for path in chosen), probability)
        return self._choice

    def _look_back(self, table: Table, today: int) -> None:
        """Look at one more day: the newest one that was not looked at yet."""
        oldest = today - DAYS - 2
        self._looked_at = {day for day in self._looked_at if day >= oldest}
        day = next((day for day in range(today - 1, oldest - 1, -1) if day not in self._looked_at), None)
        if day is None:
            return
        self._looked_at.add(day)
        for name, past in self._pasts(table).items():
            known = {each: errors for each, errors in self._errors.get(name, {}).items() if each >= oldest}
            errors = day_errors(past, day, self._zone)
            self._errors[name] = known if errors is None else {**known, day: errors}

    def _pasts(self, table: Table) -> dict[str, Past]:
        metered = [name for name, spec in self._specs.items() if isinstance(spec, MeteredLoad)]
        found = {name: self._loads.metered_past(name, table) for name in metered}
        if any(isinstance(spec, LoadAsset) for spec in self._specs.values()):
            found[LOAD] = self._loads.residual_past(table)
        return found

    def _series(self, problem: Problem, foresight: Foresight) -> tuple[list[int], list[_Series]]:
        """Give the days whose paths are known, and what each asset's forecast would be on each path."""
        today = int(epoch_s(problem.slots.start) // DAY_S)
        known = {name: {**errors, **self._loads.day_errors(name, today)} for name, errors in self._errors.items()}
        laid = {name: error_paths(errors, problem.slots, DAYS) for name, errors in known.items()}
        days = sorted(set.intersection(*map(set, laid.values()))) if laid else list(range(1, DAYS + 1))
        if len(days) < LEAST_PATHS:
            return days, []
        wrong = {name: np.array([paths[day] for day in days]) for name, paths in laid.items()}
        told = foresight.spread_kw
        wrong |= {name: dressed(errors, LEVELS, told[name]) for name, errors in wrong.items() if name in told}
        found = []
        for name, spec in self._specs.items():
            if isinstance(spec, LoadAsset) and foresight.load_kw is not None:
                total_kw = np.maximum(foresight.load_kw + wrong[LOAD], 0.0)
                foreseen_kw = spec.residual_share * foresight.load_kw
                found.append(_Series(name, "demand_kw", 1.0, foreseen_kw, spec.residual_share * total_kw))
            elif isinstance(spec, MeteredLoad):
                told_kw = foresight.metered_kw[name]
                found.append(_Series(name, "demand_kw", 1.0, told_kw, np.maximum(told_kw + wrong[name], 0.0)))
            elif isinstance(spec, PvAsset) and isinstance(problem.inputs[name], PvInputs):
                sun_kw = foresight.pv_kw[name]
                scale_kw = sun_kw + LEAST_SUN * spec.rated_kw * (sun_kw > 0.0)
                wandering_kw = sun_kw + self._sun_errors(name, scale_kw, problem.slots, foresight)[days]
                found.append(_Series(name, "available_kw", -1.0, sun_kw, np.clip(wandering_kw, 0.0, spec.rated_kw)))
        return days, found

    def _sun_errors(self, name: str, scale_kw: Floats, slots: Slots, foresight: Foresight) -> Floats:
        """Give how a plant's forecast goes wrong on each path, shape (DAYS + 1, n) [kW]."""
        errors = scale_kw * _wandering(name, slots, DAYS + 1)
        told = foresight.spread_kw.get(name)
        return errors if told is None else dressed(errors, LEVELS, told)


@dataclass(frozen=True, slots=True, eq=False)
class _Series:
    """A forecast that may turn out otherwise: foreseen of shape (n,), on each path (paths, n) [kW].

    `sign` is that of what it adds to the net power.
    """

    asset: str
    key: str
    sign: float
    foreseen: Floats
    paths: Floats


@dataclass(frozen=True, slots=True, eq=False)
class _Choice:
    """The days that stand for all in a period, and the probability of the foreseen and of each of them."""

    period: int
    days: tuple[int, ...]
    probability: Floats


def _wandering(name: str, slots: Slots, count: int) -> Floats:
    """Draw paths of the stated spread, each day of UTC the same ones whenever it is asked for, shape (count, n)."""
    at_s, slot = slot_pieces(slots)
    day, quarter = np.divmod(np.floor_divide(at_s, QUARTER_S).astype(np.int64), QUARTERS)
    touched, place = np.unique(day, return_inverse=True)
    keys = [f"{name} {each}" for each in touched]
    drawn = Errors(QUARTER_S, QUARTERS, dict.fromkeys(keys, ASSUMED_SUN)).draw(keys, 0.0, "", count)
    days = np.array([drawn[key] for key in keys])
    return np.stack([slot_means(days[place, k, quarter], slot) for k in range(count)])
