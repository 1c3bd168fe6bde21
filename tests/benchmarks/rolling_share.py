"""How much of a year's possible saving a rolling plan captures that foresees perfectly, as far as its horizon.

    python tests/benchmarks/rolling_share.py [DAYS] [--demand EUR_PER_KW] [--horizon HOURS] [--every SLOTS]

The demo house, quarter-hours, network off. One problem after the other, each of `--horizon` hours, of which the first
`--every` slots come true; what is stored at the end of a horizon is worth what the daemon says. The year's optimum and
the house without control are those of `house_year.py`. With a demand charge the planner pays for what exceeds the
month's peak so far and the peak that the month ahead is worth, as the daemon asks it, once a day.

    captured share = (without control - rolling) / (without control - optimum)
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from ems.one_thread import keep_to_one_thread  # noqa: E402

keep_to_one_thread()

import numpy as np  # noqa: E402

from ems.slow.question import heat_value, stored_value  # noqa: E402
from optimization.assets import (  # noqa: E402
    BatteryInputs,
    ChargePointInputs,
    EvSession,
    HeatPumpInputs,
    Load,
    LoadInputs,
    Pv,
    PvInputs,
)
from optimization.extract import Solution  # noqa: E402
from optimization.month_ahead import MonthAhead, Movable, Store  # noqa: E402
from optimization.month_ahead_lp import look_ahead  # noqa: E402
from optimization.problem import Connection, DemandTerms, Problem, TariffSeries  # noqa: E402
from optimization.slots import Floats, uniform  # noqa: E402
from optimization.solve import Solver  # noqa: E402
from tests.benchmarks.house_year import (  # noqa: E402
    A_DAY,
    FIRST_C,
    FIRST_SOC,
    STEP_H,
    STEP_S,
    Year,
    optimum,
    place,
    without_control,
    year_of_the_house,
)

AN_HOUR = 4
HEAT_BLOCK = 6


@dataclass
class House:
    """How the house stands, and what it has cost."""

    energy_kwh: float
    air_c: float = FIRST_C
    mass_c: float = FIRST_C
    delivered_kwh: dict[int, float] = field(default_factory=dict)
    money: float = 0.0
    peak_kw: dict[int, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Rolling:
    """Plans the year piece by piece.

    Args:
        year: its numbers. days: how many count.
        horizon: slots of a plan. every: slots of it that come true.
        peak_price: of a month's highest quarter-hour [currency/kW]; 0 for none.
        idle: what is taken where nobody steers, by asset.
    """

    year: Year
    days: int
    horizon: int
    every: int
    peak_price: float
    idle: dict[str, Floats]

    def run(self) -> House:
        """Live through the days."""
        year, solver = self.year, Solver()
        house, target_kw = House(FIRST_SOC * year.battery.capacity_kwh), 0.0
        for first in range(0, self.days * A_DAY, self.every):
            if self.peak_price and first % A_DAY == 0:
                target_kw = self.worth_kw(house, first)
            solution = solver.solve(self.question(house, first, target_kw))
            assert isinstance(solution, Solution), solution
            self.live(house, first, solution)
        house.money += self.peak_price * sum(house.peak_kw.values())
        return house

    def question(self, house: House, first: int, target_kw: float) -> Problem:
        """Ask for the horizon from a slot on."""
        year, now = self.year, slice(first, first + self.horizon)
        slots = uniform(year.slots.starts[first], self.horizon, STEP_S)
        tariff = TariffSeries(year.buy[now], year.sell[now], year.carbon[now], year.carbon_price)
        stored = stored_value(tariff, slots) * year.battery.discharge_efficiency
        outdoor_c, low_c = year.outdoor_c[now], year.low_c[now]
        heat = heat_value(year.pump, tariff, slots, outdoor_c, low_c)
        zone = HeatPumpInputs(
            house.air_c, house.mass_c, outdoor_c, year.gains_kw[now], low_c, year.high_c[now], end_value_per_kwh=heat
        )
        limits = (np.full(self.horizon, kw) for kw in year.limits_kw)
        return Problem(
            slots,
            (Load("load"), Pv("sun", 10.0), year.battery, year.point, year.pump),
            {
                "load": LoadInputs(year.load_kw[now]),
                "sun": PvInputs(year.pv_kw[now]),
                year.battery.id: BatteryInputs(house.energy_kwh, stored),
                year.point.id: ChargePointInputs(self.cars(house, first)),
                year.pump.id: zone,
            },
            tariff,
            Connection(*limits),
            weights=year.weights,
            demand=self.terms(house, first, target_kw) if self.peak_price else None,
        )

    def cars(self, house: House, first: int) -> tuple[EvSession, ...]:
        """Give the cars that stand or come within the horizon, with what they still want."""
        year, found = self.year, []
        for k, stay in enumerate(year.stays):
            arrival, departure = place(year, stay.arrival), place(year, stay.departure)
            if departure > first and arrival < first + self.horizon:
                left = stay.energy_kwh - house.delivered_kwh.get(k, 0.0)
                begins = year.slots.starts[max(arrival, first)]
                found.append(replace(stay, arrival=begins, energy_kwh=max(left, 0.0)))
        return tuple(found)

    def live(self, house: House, first: int, solution: Solution) -> None:
        """Let the first slots of a plan come true."""
        year, done, now = self.year, slice(0, self.every), slice(first, first + self.every)
        battery, pump = (solution.schedules[name] for name in (year.battery.id, year.pump.id))
        import_kw, export_kw = solution.import_kw[done], solution.export_kw[done]
        money = (year.buy + year.carbon_price * year.carbon)[now] * import_kw - year.sell[now] * export_kw
        money += year.battery.wear_per_kwh * np.maximum(-battery.power_kw[done], 0.0)
        money += year.weights.discomfort * pump.slack["discomfort_k"][done]
        house.money += (
            float(money.sum()) * STEP_H + year.weights.grid_limit * float(solution.excess_kw[done].sum()) * STEP_H
        )
        last = self.every - 1
        house.energy_kwh = float(battery.states["energy_kwh"][last])
        house.air_c, house.mass_c = (float(pump.states[name][last]) for name in ("temperature_c", "mass_c"))
        for s in range(self.every):
            month = int(year.month[first + s])
            house.peak_kw[month] = max(house.peak_kw.get(month, 0.0), float(import_kw[s]))
            self._charge(house, first + s, float(solution.schedules[year.point.id].power_kw[s]))

    def _charge(self, house: House, slot: int, power_kw: float) -> None:
        for k, stay in enumerate(self.year.stays):
            if place(self.year, stay.arrival) <= slot < place(self.year, stay.departure):
                kwh = house.delivered_kwh.get(k, 0.0) + power_kw * self.year.point.efficiency * STEP_H
                house.delivered_kwh[k] = kwh
                if slot + 1 == place(self.year, stay.departure):
                    house.money += self.year.weights.ev_shortfall * max(stay.energy_kwh - kwh, 0.0)

    def terms(self, house: House, first: int, target_kw: float) -> DemandTerms:
        """State the demand charge for a horizon: of the running month what is reached or worth it is free."""
        month = self.year.month[first : first + self.horizon] - self.year.month[first]
        free = np.zeros(int(self.year.month.max()) + 2)[: month.max() + 1]
        free[0] = max(target_kw, house.peak_kw.get(int(self.year.month[first]), 0.0))
        return DemandTerms(self.peak_price, STEP_S, month, free)

    def worth_kw(self, house: House, first: int) -> float:
        """Find the peak that the running month is worth, from true hours until its end."""
        year, month = self.year, int(self.year.month[first])
        of_month = np.flatnonzero(year.month[: self.days * A_DAY] == month)
        last = int(of_month[-1]) + 1
        last -= (last - first) % AN_HOUR
        if last - first < AN_HOUR:
            return house.peak_kw.get(month, 0.0)

        def hourly(series: Floats) -> Floats:
            return np.asarray(series[first:last].reshape(-1, AN_HOUR).mean(axis=1))

        battery, (low_kwh, high_kwh) = year.battery, year.battery.band_kwh
        store = Store(
            high_kwh - low_kwh, float(np.clip(house.energy_kwh - low_kwh, 0.0, high_kwh - low_kwh)),
            battery.charge_kw, battery.discharge_kw, battery.charge_efficiency, battery.discharge_efficiency,
            battery.standby_kw, battery.wear_per_kwh,
        )  # fmt: skip
        heat = hourly(self.idle["pump"])
        hours = len(heat)
        movable = [
            Movable(
                at,
                np.full(len(heat[at : at + HEAT_BLOCK]), year.pump.rated_kw),
                float(heat[at : at + HEAT_BLOCK].sum()),
            )
            for at in range(0, hours, HEAT_BLOCK)
        ]
        for k, stay in enumerate(year.stays):
            begins, ends = ((place(year, at) - first) / AN_HOUR for at in (stay.arrival, stay.departure))
            at, until = max(0, int(np.floor(begins))), min(hours, int(np.ceil(ends)))
            left = stay.energy_kwh - house.delivered_kwh.get(k, 0.0)
            if at < until and ends > 0 and left > 0.0:
                within = np.clip(
                    np.minimum(np.arange(at, until) + 1.0, ends) - np.maximum(np.arange(at, until), begins), 0, 1
                )
                movable.append(Movable(at, year.point.most_kw(stay) * within, left / year.point.efficiency))
        buy = hourly(year.buy + year.carbon_price * year.carbon)
        found = look_ahead(
            MonthAhead(
                year.slots.starts[first], 3600.0, hourly(year.load_kw - year.pv_kw), buy, hourly(year.sell),
                hourly(year.carbon), store, tuple(movable), np.zeros(hours, dtype=np.int64),
                np.array([house.peak_kw.get(month, 0.0)]), self.peak_price,
            )
        )  # fmt: skip
        return float(found.peak_kw[0])


def idle_money(year: Year, days: int, idle: dict[str, Floats], peak_price: float) -> float:
    """Give what the house costs without control; the sun is held back at the export limit."""
    n = days * A_DAY
    fixed_kw = year.load_kw[:n] + idle["ev"] + idle["pump"]
    net_kw = fixed_kw - np.minimum(year.pv_kw[:n], fixed_kw + year.limits_kw[1])
    bought, sold = np.maximum(net_kw, 0.0), np.maximum(-net_kw, 0.0)
    price = (year.buy + year.carbon_price * year.carbon)[:n]
    peaks = [bought[year.month[:n] == m].max() for m in np.unique(year.month[:n])]
    return float((price * bought - year.sell[:n] * sold).sum()) * STEP_H + peak_price * float(sum(peaks))


def measure(options: argparse.Namespace) -> dict[str, object]:
    year = year_of_the_house(options.days)
    idle = without_control(year, options.days)
    n, before = options.days * A_DAY, time.process_time()
    end = slice(n - options.horizon * AN_HOUR, n)
    tariff = TariffSeries(year.buy[end], year.sell[end], year.carbon[end], year.carbon_price)
    slots = uniform(year.slots.starts[end.start], options.horizon * AN_HOUR, STEP_S)
    ends = (
        stored_value(tariff, slots) * year.battery.discharge_efficiency,
        heat_value(year.pump, tariff, slots, year.outdoor_c[end], year.low_c[end]),
    )
    best = optimum(year, options.days, options.demand, ends)
    optimum_s, before = time.process_time() - before, time.process_time()
    house = Rolling(year, options.days, options.horizon * AN_HOUR, options.every, options.demand, idle).run()
    pump = year.pump
    left = ends[0] * house.energy_kwh + ends[1] * (
        pump.air_kwh_per_k * house.air_c + pump.mass_kwh_per_k * house.mass_c
    )
    start = (
        ends[0] * FIRST_SOC * year.battery.capacity_kwh + ends[1] * (pump.air_kwh_per_k + pump.mass_kwh_per_k) * FIRST_C
    )
    none = idle_money(year, options.days, idle, options.demand)
    rolling, best = house.money - left + start, best + start
    return {
        "days": options.days,
        "horizon_h": options.horizon,
        "every_slots": options.every,
        "demand_per_kw": options.demand,
        "without_control": round(none, 2),
        "rolling": round(rolling, 2),
        "optimum": round(best, 2),
        "captured_share": round((none - rolling) / (none - best), 5),
        "peaks_kw": [round(kw, 2) for _, kw in sorted(house.peak_kw.items())],
        "optimum_cpu_s": round(optimum_s, 1),
        "rolling_cpu_s": round(time.process_time() - before, 1),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("days", type=int, nargs="?", default=365)
    parser.add_argument("--demand", type=float, default=0.0)
    parser.add_argument("--horizon", type=int, default=48)
    parser.add_argument("--every", type=int, default=1)
    print(json.dumps(measure(parser.parse_args()), indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
