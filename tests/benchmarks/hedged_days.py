"""What plans for several scenarios bring over many days: hour by hour, carried out by arithmetic on the load that came.

Each hour a site's battery is planned for 36 hours beside its load, by the daemon's forecast and with the daemon's
scenarios; the first hour is carried out in quarter-hours. The battery follows the plan, and gives what more is needed
to keep the connection's limit as long as it has it, as the fast loop does. Prices are two waves a day, known to all.
Quicker than `hedged_site`, which lets the daemon run the pretend world. Prints one JSON object:
python -m tests.benchmarks.hedged_days [SITE] [FIRST DAY] [DAYS]
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from ems.config.asset_models import asset_models
from ems.config.loading import load_site
from ems.config.site import Site
from ems.config.sites import find_site
from ems.slow.futures import DAYS
from ems.slow.planning_setup import stored_past
from ems.slow.question import stored_value
from optimization.assets import Battery, BatteryInputs, Load, LoadInputs
from optimization.forecast.load import foresee_load
from optimization.forecast.past import DAY_S, QUARTER_S, Past, epoch_s
from optimization.forecast.representatives import day_errors, error_paths, representatives
from optimization.forecast.spread import means
from optimization.hedging import HedgingSolver
from optimization.problem import Connection, Problem, TariffSeries
from optimization.slots import Floats, uniform
from optimization.uncertainty import Scenario, Uncertainty

SLOTS, DONE = 144, 4
NEAR = 0.01
"""Of the battery's rating."""


@dataclass
class Way:
    """A battery that is run in one way, and what became of it."""

    is_hedged: bool
    energy_kwh: float
    solver: HedgingSolver = field(default_factory=HedgingSolver)
    cost: float = 0.0
    beyond_kwh: float = 0.0
    beyond_quarters: int = 0
    planned_kw: Floats = field(default_factory=lambda: np.empty(0))
    spent_s: list[float] = field(default_factory=list)


@dataclass
class Days:
    """A site, its load, and how its forecasts went wrong."""

    site: Site
    battery: Battery
    load: Past
    errors: dict[int, Floats] = field(default_factory=dict)

    def problem(self, now: datetime, energy_kwh: float) -> Problem:
        """Ask, with scenarios."""
        file, zone = self.site.file, ZoneInfo(self.site.file.site.timezone)
        slots, now_s = uniform(now, SLOTS, QUARTER_S), epoch_s(now)
        at_s = np.asarray(now_s + slots.offset_s + QUARTER_S / 2.0)
        known = self.load.before(now_s)
        today = int(now_s // DAY_S)
        for day in range(today - DAYS - 2, today):
            if day not in self.errors and (found := day_errors(known, day, zone)) is not None:
                self.errors[day] = found
        foreseen = foresee_load(known, at_s, now_s, zone)
        assert foreseen is not None
        price = self.price(at_s)
        tariff = TariffSeries(price, 0.3 * price, np.zeros(SLOTS))
        worth = stored_value(tariff, slots) * self.battery.discharge_efficiency
        limit_kw = np.full(SLOTS, file.grid.import_limit_kw * (1.0 - file.grid.planning_margin_pct / 100.0))
        inputs = {"load": LoadInputs(foreseen), self.battery.id: BatteryInputs(energy_kwh, worth)}
        asked = Problem(slots, (Load("load"), self.battery), inputs, tariff, Connection(limit_kw, limit_kw))
        paths = np.array(list(error_paths(self.errors, slots, DAYS).values()))
        loads = np.maximum(foreseen + paths, 0.0)
        told = file.planning.uncertainty
        assert told is not None
        chosen, p = representatives(loads - foreseen, slots.duration_h, told.scenarios - 1)
        scenarios = tuple(
            Scenario(str(k), float(p[k + 1]), {"load": {"demand_kw": loads[path]}}) for k, path in enumerate(chosen)
        )
        return replace(asked, uncertainty=Uncertainty(scenarios, told.risk_weight, told.tail_pct / 100.0))

    def price(self, at_s: Floats) -> Floats:
        """Give what is paid [currency/kWh]."""
        wave: Floats = 0.25 + 0.06 * np.sin((at_s / 3600.0 % 24.0 - 14.0) / 24.0 * 4.0 * np.pi)
        return wave

    def carry_out(self, way: Way, now: datetime) -> None:
        """Plan, and carry out an hour."""
        asked = self.problem(now, way.energy_kwh)
        begin_s = time.process_time()
        plan = way.solver.solve(asked if way.is_hedged else replace(asked, uncertainty=None))
        way.spent_s.append(time.process_time() - begin_s)
        way.planned_kw = plan.schedules[self.battery.id].power_kw[:DONE]  # type: ignore[union-attr]
        came_kw = means(self.load, epoch_s(now), QUARTER_S, DONE)
        prices = self.price(epoch_s(now) + QUARTER_S * (np.arange(DONE) + 0.5))
        limit_kw, hours = self.site.file.grid.import_limit_kw, QUARTER_S / 3600.0
        for wanted_kw, load_kw, price in zip(way.planned_kw, came_kw, prices, strict=True):
            least_kw, most_kw = self.battery.can_kw(BatteryInputs(way.energy_kwh), way.energy_kwh, hours)
            kw = float(np.clip(min(wanted_kw, limit_kw - load_kw), max(least_kw, -self.battery.discharge_kw),
                               min(most_kw, self.battery.charge_kw)))  # fmt: skip
            way.energy_kwh = self.battery.after_kwh(way.energy_kwh, kw, hours)
            import_kw = load_kw + kw
            way.cost += hours * (price * (import_kw if import_kw > 0.0 else 0.3 * import_kw))
            way.cost += hours * self.battery.wear_per_kwh * max(-kw, 0.0)
            way.beyond_kwh += hours * max(import_kw - limit_kw, 0.0)
            way.beyond_quarters += import_kw > limit_kw + 0.05


def measure(name: str = "demo_court", first: str = "2025-02-06", days: str = "10") -> dict:
    """Run both ways; the plain one tells beside the hedged one's state what it would have done there."""
    site = load_site(find_site(name))
    battery = next(model for model in asset_models(site, {}).values() if isinstance(model, Battery))
    lived = Days(site, battery, stored_past(site).load)
    plain, hedged = (Way(is_hedged, 0.5 * battery.capacity_kwh) for is_hedged in (False, True))
    bound, start = [], datetime.fromisoformat(first).replace(tzinfo=UTC)
    beside = HedgingSolver()
    for hour in range(24 * int(days)):
        now, asked_kwh = start + timedelta(hours=hour), hedged.energy_kwh
        for way in (plain, hedged):
            lived.carry_out(way, now)
        alone = beside.solve(replace(lived.problem(now, asked_kwh), uncertainty=None))
        without_kw = alone.schedules[battery.id].power_kw[:DONE]  # type: ignore[union-attr]
        bound += (np.abs(without_kw - hedged.planned_kw) > NEAR * battery.charge_kw).tolist()
    return {
        "days": int(days),
        "bound_share": float(np.mean(bound)),
        "time_ratio": float(np.median(hedged.spent_s) / np.median(plain.spent_s)),
        **{
            f"{which}_{key}": round(float(getattr(way, key)), 3)
            for which, way in (("plain", plain), ("hedged", hedged))
            for key in ("cost", "beyond_kwh", "beyond_quarters", "energy_kwh")
        },
    }


if __name__ == "__main__":
    print(json.dumps(measure(*sys.argv[1:])))
