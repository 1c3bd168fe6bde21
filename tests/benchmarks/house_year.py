"""A year of the demo house as numbers, quarter-hour by quarter-hour, and what the whole year's optimum is.

Weather and market are those of the pretend world, seed 1, from 1 December on. Loads and cars are the half-year that
the site has recorded, twice: the second half 26 weeks later. Cars come and go at full quarter-hours. The optimum of the
year is one linear programme with the equations of the assets' docstrings, written out by hand and solved by interior
points; it knows no month, no horizon and none of the planner's code but the zone's discretisation.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import highspy
import numpy as np
from scipy.sparse import coo_matrix

from ems.comfort import comfort_band, inside
from ems.config.asset_models import asset_models
from ems.config.assets import HeatPumpAsset, PvAsset
from ems.config.loading import load_site
from ems.config.site import Site
from ems.config.sites import find_site
from ems.slow.planning_setup import stored_past
from hil.plant.market import Market
from hil.plant.weather import Era, Kind, Weather
from optimization import building
from optimization.assets import Battery, ChargePoint, EvSession, HeatPump, HeatPumpInputs
from optimization.forecast.building import cop, zone_gains_kw
from optimization.forecast.pv import PvPlant, pv_power_kw
from optimization.periods import month_of_slots
from optimization.slots import Floats, Ints, Slots, uniform
from optimization.weights import Weights

START = datetime(2024, 12, 1, tzinfo=UTC)
STEP_S, STEP_H, A_DAY = 900.0, 0.25, 96
HALF = timedelta(weeks=26)
FIRST_SOC, FIRST_C = 0.5, 20.6


@dataclass(frozen=True)
class Year:
    """The year and two days more, arrays of shape (n,), and the house's assets."""

    slots: Slots
    buy: Floats
    sell: Floats
    carbon: Floats
    load_kw: Floats
    pv_kw: Floats
    outdoor_c: Floats
    gains_kw: Floats
    low_c: Floats
    high_c: Floats
    month: Ints
    stays: tuple[EvSession, ...]
    battery: Battery
    point: ChargePoint
    pump: HeatPump
    carbon_price: float
    limits_kw: tuple[float, float]
    weights: Weights


def year_of_the_house(days: int) -> Year:
    """Lay out so many days, and two more to foresee."""
    site = load_site(find_site("demo_house"))
    zone, grid, planning = ZoneInfo(site.file.site.timezone), site.file.grid, site.file.planning
    slots = uniform(START, (days + 2) * A_DAY, STEP_S)
    weather = Weather(START, len(slots) * STEP_S, Kind.SEASON, Era(1))
    market = Market(weather, "winter", zone, Era(1))
    middles_s = slots.offset_s + STEP_S / 2.0
    outdoor_c, sun = (np.array([look(s) for s in middles_s]) for look in (weather.outdoor_c, weather.irradiance_w_m2))
    price, carbon = (np.array([look(at) for at in slots.starts]) for look in (market.price_at, market.carbon_at))
    buy, sell = site.tariff.series(slots, price)
    models, spec, roof = asset_models(site, {}), site.file.assets["heat_pump"], site.file.assets["pv"]
    battery, point, pump = models["battery"], models["wallbox"], models["heat_pump"]
    assert isinstance(spec, HeatPumpAsset)
    assert isinstance(roof, PvAsset)
    assert isinstance(battery, Battery)
    assert isinstance(point, ChargePoint)
    assert isinstance(pump, HeatPump)
    low_c, high_c = inside(comfort_band(spec.comfort, slots, zone), planning.comfort_margin_k)
    share = 1.0 - grid.planning_margin_pct / 100.0
    return Year(
        slots, buy, sell, carbon,
        load_kw=_loads(site, slots),
        pv_kw=pv_power_kw(PvPlant(roof.module_kw, roof.rated_kw, roof.temperature_per_k), sun, outdoor_c),
        outdoor_c=outdoor_c,
        gains_kw=zone_gains_kw(spec.gains_kw, spec.window_m2, sun),
        low_c=low_c,
        high_c=high_c,
        month=month_of_slots(slots, zone, days // 28 + 2),
        stays=_stays(site, slots),
        battery=battery,
        point=point,
        pump=pump,
        carbon_price=planning.carbon_price_per_kg,
        limits_kw=(grid.import_limit_kw * share, grid.export_limit_kw * share),
        weights=Weights(ev_shortfall=planning.ev_shortfall_per_kwh, discomfort=planning.discomfort_per_kh),
    )  # fmt: skip


def _loads(site: Site, slots: Slots) -> Floats:
    past = stored_past(site).load
    at_s = START.timestamp() + np.mod(slots.offset_s, HALF.total_seconds())
    return np.mean([past.at(at_s + part) for part in (0.0, 300.0, 600.0)], axis=0)


def _stays(site: Site, slots: Slots) -> tuple[EvSession, ...]:
    """Give the recorded stays from one full quarter-hour to another, without overlap."""
    recorded = stored_past(site).stays("wallbox", None)
    found: list[EvSession] = []
    for k in range(int((slots.end - START) / HALF) + 1):
        for stay in recorded:
            first, last = (
                np.array([s.timestamp() for s in (stay.arrival, stay.departure)]) - START.timestamp()
            ) / STEP_S
            arrival, departure = (
                START + k * HALF + timedelta(seconds=STEP_S * float(q)) for q in (np.ceil(first), np.floor(last))
            )
            inside_ = arrival < departure <= slots.end and stay.arrival < START + HALF
            if inside_ and (not found or found[-1].departure <= arrival) and arrival >= START:
                found.append(EvSession(arrival, departure, stay.energy_kwh, stay.charge_kw))
    return tuple(found)


def place(year: Year, at: datetime) -> int:
    """Give the slot that begins at an instant."""
    return round((at - year.slots.start).total_seconds() / STEP_S)


def without_control(year: Year, days: int) -> dict[str, Floats]:
    """Give what each asset takes where nobody steers: cars at once, heat as little as keeps the floor, no battery."""
    n = days * A_DAY
    ev_kw = np.zeros(n)
    for stay in year.stays:
        first, last = place(year, stay.arrival), place(year, stay.departure)
        left_kwh, most_kw = stay.energy_kwh / year.point.efficiency, year.point.most_kw(stay)
        for s in range(first, min(last, n)):
            ev_kw[s] = min(most_kw, left_kwh / STEP_H)
            left_kwh -= ev_kw[s] * STEP_H
    rows = Rows(n)
    pump, air, _, cold = zone_rows(rows, year, n)
    rows.cost[pump] = 1.0
    rows.cost[cold] = 1e3
    x = rows.solved()
    assert air is not None
    return {"ev": ev_kw, "pump": x[pump]}


class Rows:
    """A linear programme of blocks of columns, one column a slot each."""

    def __init__(self, n: int) -> None:
        self.n, self.columns = n, 0
        self._low: list[Floats] = []
        self._high: list[Floats] = []
        self._at: list[tuple[Ints, Ints, Floats]] = []
        self._sides: list[tuple[Floats, Floats]] = []
        self._count = 0
        self.cost = np.zeros(0)

    def block(self, low: Floats | float, high: Floats | float, count: int | None = None) -> slice:
        """Add columns with bounds."""
        count = self.n if count is None else count
        self._low.append(np.broadcast_to(np.asarray(low, float), count))
        self._high.append(np.broadcast_to(np.asarray(high, float), count))
        self.columns += count
        self.cost = np.append(self.cost, np.zeros(count))
        return slice(self.columns - count, self.columns)

    def rows(
        self, low: Floats | float, high: Floats | float, terms: list[tuple[Ints, Ints, Floats]], count: int
    ) -> None:
        """Add rows; each term is rows, columns, values."""
        for term in terms:
            row, column, value = np.broadcast_arrays(*term)
            self._at.append((row + self._count, column, value))
        self._sides.append(
            (np.broadcast_to(np.asarray(low, float), count), np.broadcast_to(np.asarray(high, float), count))
        )
        self._count += count

    def link(self, state: slice, keep: Floats, others: list[tuple[slice, Floats, int]], right: Floats) -> None:
        """Add state[s] - keep * state[s - 1] - sum of value * column[s - lag] = right[s]."""
        every = np.arange(self.n)
        terms = [(every, _index(state), np.ones(self.n)), (every[1:], _index(state)[:-1], -keep[1:])]
        for block, value, lag in others:
            terms.append((every[lag:], _index(block)[: self.n - lag], -value[lag:]))
        self.rows(right, right, terms, self.n)

    def solved(self) -> Floats:
        """Solve by interior points without crossover; raises `RuntimeError` without an optimum."""
        row, column, value = (np.concatenate(each) for each in zip(*self._at, strict=True))
        matrix = coo_matrix((value, (row, column)), shape=(self._count, self.columns)).tocsc()
        lp = highspy.HighsLp()
        lp.num_col_, lp.num_row_, lp.col_cost_ = self.columns, self._count, self.cost
        lp.col_lower_, lp.col_upper_ = np.concatenate(self._low), np.concatenate(self._high)
        lp.row_lower_, lp.row_upper_ = (np.concatenate(side) for side in zip(*self._sides, strict=True))
        lp.a_matrix_.format_ = highspy.MatrixFormat.kColwise
        lp.a_matrix_.start_, lp.a_matrix_.index_, lp.a_matrix_.value_ = matrix.indptr, matrix.indices, matrix.data
        highs = highspy.Highs()
        for name, option in {"output_flag": False, "solver": "ipm", "run_crossover": "off", "threads": 1}.items():
            highs.setOptionValue(name, option)
        highs.passModel(lp)
        highs.run()
        if highs.getModelStatus() != highspy.HighsModelStatus.kOptimal:
            raise RuntimeError(f"no optimum: {highs.modelStatusToString(highs.getModelStatus())}")
        self.bound = highs.getInfo().objective_function_value
        return np.array(highs.getSolution().col_value)


def _index(block: slice) -> Ints:
    return np.arange(block.start, block.stop)


def zone_rows(rows: Rows, year: Year, n: int) -> tuple[slice, slice, slice, slice]:
    """Add heat pump, air, mass and discomfort of the zone."""
    slots = uniform(year.slots.start, n, STEP_S)
    given = HeatPumpInputs(FIRST_C, FIRST_C, year.outdoor_c[:n], year.gains_kw[:n], year.low_c[:n], year.high_c[:n])
    own = building.coefficients(
        year.pump, given, slots, year.weights, gains_kw=given.gains_kw, heat_per_kw=cop(year.pump, given.outdoor_c)
    )
    pump, air = rows.block(0.0, year.pump.rated_kw), rows.block(-np.inf, np.inf)
    mass, cold = rows.block(-np.inf, np.inf), rows.block(0.0, np.inf)
    rows.link(air, own["air_keep"], [(mass, own["air_from_mass"], 1), (pump, own["air_per_kw"], 0)], own["air_fixed_c"])
    rows.link(
        mass,
        own["mass_keep"],
        [(air, own["mass_from_air"], 1), (pump, own["mass_per_kw"], 0)],
        own["mass_fixed_c"],
    )
    every, one = np.arange(n), np.ones(n)
    rows.rows(year.low_c[:n], np.inf, [(every, _index(air), one), (every, _index(cold), one)], n)
    rows.rows(-np.inf, year.high_c[:n], [(every, _index(air), one), (every, _index(cold), -one)], n)
    return pump, air, mass, cold


def optimum(year: Year, days: int, peak_price: float, ends: tuple[float, float]) -> float:
    """Find what the year costs at the least [currency].

    Args:
        year: with `days` and more.
        days: how many count.
        peak_price: of each month's highest quarter-hour [currency/kW].
        ends: what a kWh left in the battery and one of heat left in the house are worth [currency/kWh].
    """
    n, battery = days * A_DAY, year.battery
    rows = Rows(n)
    low_kwh, high_kwh = battery.band_kwh
    buy, sell = rows.block(0.0, year.limits_kw[0]), rows.block(0.0, year.limits_kw[1])
    sun, store = rows.block(0.0, year.pv_kw[:n]), rows.block(low_kwh, high_kwh)
    charge, discharge = rows.block(0.0, battery.charge_kw), rows.block(0.0, battery.discharge_kw)
    pump, air, mass, cold = zone_rows(rows, year, n)
    stays = [stay for stay in year.stays if place(year, stay.departure) <= n]
    most_kw = np.zeros(n)
    for stay in stays:
        most_kw[place(year, stay.arrival) : place(year, stay.departure)] = year.point.most_kw(stay)
    car, short = rows.block(0.0, most_kw), rows.block(0.0, np.inf, len(stays))
    peak = rows.block(0.0, np.inf, int(year.month[:n].max()) + 1)
    every, one = np.arange(n), np.ones(n)
    balance = [(buy, one), (sell, -one), (sun, one), (discharge, one), (charge, -one), (pump, -one), (car, -one)]
    rows.rows(year.load_kw[:n], year.load_kw[:n], [(every, _index(b), v) for b, v in balance], n)
    fixed = np.full(n, -battery.standby_kw * STEP_H)
    fixed[0] += FIRST_SOC * battery.capacity_kwh
    flows = [
        (charge, one * battery.charge_efficiency * STEP_H, 0),
        (discharge, -one * STEP_H / battery.discharge_efficiency, 0),
    ]
    rows.link(store, one, flows, fixed)
    for k, stay in enumerate(stays):
        within = np.arange(place(year, stay.arrival), place(year, stay.departure))
        gain = np.full(len(within), year.point.efficiency * STEP_H)
        rows.rows(
            stay.energy_kwh, stay.energy_kwh,
            [(0 * within, car.start + within, gain), (np.zeros(1, int), np.array([short.start + k]), np.ones(1))], 1,
        )  # fmt: skip
    rows.rows(0.0, np.inf, [(every, peak.start + year.month[:n], one), (every, _index(buy), -one)], n)
    rows.cost[buy] = (year.buy + year.carbon_price * year.carbon)[:n] * STEP_H
    rows.cost[sell] = -year.sell[:n] * STEP_H
    rows.cost[discharge] = battery.wear_per_kwh * STEP_H
    rows.cost[cold], rows.cost[short], rows.cost[peak] = (
        year.weights.discomfort * STEP_H,
        year.weights.ev_shortfall,
        peak_price,
    )
    rows.cost[store.stop - 1] -= ends[0]
    rows.cost[air.stop - 1] -= ends[1] * year.pump.air_kwh_per_k
    rows.cost[mass.stop - 1] -= ends[1] * year.pump.mass_kwh_per_k
    rows.solved()
    return float(rows.bound)
