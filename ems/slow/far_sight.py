"""What is expected beyond the horizon, in hours, until the month (or the week) of the horizon's end is over.

The rule: within the horizon the foresight holds. Beyond it each coming week of a load is taken to be like a past one,
the next like the last, the one after it like the one before that; where the past has a gap, what the load's present
method foresees of that hour holds.
Prices, carbon, sun and outdoor temperature repeat the horizon's mean day. Where a year is given, they and the loads are
taken to be as 52 weeks before, where that is known. Cars come as expected and may be charged at
any time of their stay; heat pumps hold the floor of their comfort band, their heat movable within six hours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from zoneinfo import ZoneInfo

import numpy as np

from ems.comfort import comfort_band
from ems.config.asset_models import asset_models, planned_assets
from ems.config.assets import BatteryAsset, ForeseenAsset, HeatPumpAsset, MeteredLoad
from ems.config.forecasts import UNMETERED
from ems.config.hybrid_asset import HybridAsset
from ems.config.site import Site
from ems.slow.feed_desk import POINTS, WIND
from ems.slow.foresee import Foreseer, Foresight
from ems.slow.generation import generation_kw
from ems.slow.hybrids import at_grid_kw
from ems.slow.measured_past import Table
from ems.slow.situation import AssetNow
from optimization.assets import Battery, ChargePoint, EvSession, HeatPump, Hybrid
from optimization.forecast.building import cop, zone_gains_kw
from optimization.forecast.past import DAY_S, Past
from optimization.month_ahead import MonthAhead, Movable, Store
from optimization.periods import month_of_slots, month_start, week_start
from optimization.slots import Floats, Slots, uniform

HOUR_S = 3600.0
WEEK_S = 7 * DAY_S
WEEKS_BACK = 4
YEAR_WEEKS = 52.0
"""A year before, on the same day of the week."""
HEAT_STEPS = 6
DAY_H, WEEK_H = 24, 168
CARS_H = 7 * WEEK_H
"""So far ahead each car is expected by itself, where a look ahead is longer than a month [h]."""


@dataclass(frozen=True, slots=True, eq=False)
class FarSight:
    """Asks about the month ahead of one site.

    Args:
        site: the site.
        foreseer: knows the past of the loads and the cars that are expected.
        zone: the site's time zone.
        knows_rest: whether what no meter shows hangs on the connection that is asked about.
        year: prices, carbon and weather of a year, by point; where they are given, series go on as 52 weeks before.
    """

    site: Site
    foreseer: Foreseer
    zone: ZoneInfo
    knows_rest: bool = True
    year: Mapping[str, Past] | None = None

    def question(
        self,
        table: Table,
        slots: Slots,
        foresight: Foresight,
        situation: Mapping[str, AssetNow],
        peaks_kw: Floats,
        *,
        until: datetime | None = None,
    ) -> MonthAhead:
        """Put the question.

        Args:
            table: the measured past.
            slots: the horizon.
            foresight: what is foreseen on it.
            situation: what is measured.
            peaks_kw: peak of each month that was reached already, from the running month on, shape (months,).
            until: how far to look; None for the end of the month and week of the horizon's end.
        """
        hours = self._hours(slots, until)
        steps = _Steps(slots, hours, self.year)
        buy, sell = self.site.tariff.series(hours, steps.expected("price", foresight.price))
        carbon = steps.expected("carbon", foresight.carbon)
        outdoor = steps.expected("outdoor_c", foresight.outdoor_c)
        sun = steps.expected("irradiance_w_m2", foresight.irradiance)
        planning, charge = self.site.file.planning, self.site.tariff.demand
        # Each car of a year by itself would take seconds in the core.
        near = hours if until is None else uniform(hours.start, min(len(hours), CARS_H), HOUR_S)
        cars = list(self._cars(near, slots, foresight))
        cars = cars if len(near) == len(hours) else list(again_weekly(cars, len(near), len(hours)))
        return MonthAhead(
            start=hours.start,
            step_s=HOUR_S,
            fixed_kw=self._fixed_kw(table, steps, foresight),
            import_price=buy + planning.carbon_price_per_kg * carbon,
            export_price=sell,
            carbon_kg_per_kwh=carbon,
            store=self._store(situation),
            movable=(*cars, *self._heat(hours, outdoor, sun)),
            month=np.minimum(month_of_slots(hours, self.zone, len(peaks_kw)), len(peaks_kw) - 1),
            free_kw=peaks_kw,
            price_per_kw=0.0 if charge is None else charge.price_per_kw,
        )

    def heat_kw(self, table: Table, slots: Slots, foresight: Foresight, until: datetime) -> dict[str, Floats]:
        """Give what each load of heat is expected to take in whole hours until an instant, by asset id [kW]."""
        steps = _Steps(slots, self._hours(slots, until), self.year)
        return {
            name: np.maximum(self._echoed(steps, name, kw, self.foreseer.heat_past(name, table)), 0.0)
            for name, kw in foresight.heat_kw.items()
        }

    def outdoor_c(self, slots: Slots, foresight: Foresight, until: datetime) -> Floats:
        """Give the outdoor temperature that is expected in whole hours until an instant [degC]."""
        return _Steps(slots, self._hours(slots, until), self.year).expected("outdoor_c", foresight.outdoor_c)

    def _hours(self, slots: Slots, until: datetime | None) -> Slots:
        """Lay whole hours of UTC from the first one within the horizon to the end of its last month and week."""
        first_s = np.ceil(slots.start.timestamp() / HOUR_S) * HOUR_S
        end = until or max(month_start(slots.end, self.zone, 1), week_start(slots.end, self.zone, 1))
        count = int(np.ceil((end.timestamp() - first_s) / HOUR_S))
        return uniform(datetime.fromtimestamp(first_s, slots.start.tzinfo), count, HOUR_S)

    def _fixed_kw(self, table: Table, steps: _Steps, foresight: Foresight) -> Floats:
        """Sum up the loads less the sun, as expected."""
        air = {point: steps.a_year_ago(point) for point in (*POINTS["weather"], WIND)}
        plants = [
            at_grid_kw(spec, steps.given_by(kw, partial(generation_kw, spec, air)))
            for name, kw in foresight.pv_kw.items()
            if isinstance(spec := self.site.file.assets.get(name), ForeseenAsset)
        ]
        total = -np.sum(plants or [np.zeros(len(steps.at_s))], axis=0)
        rest_kw = foresight.load_kw if self.knows_rest else None
        loads = [(UNMETERED, rest_kw, self.foreseer.residual_past(table))] if rest_kw is not None else []
        for name, spec in planned_assets(self.site).items():
            if isinstance(spec, MeteredLoad) and name in foresight.metered_kw:
                loads.append((name, foresight.metered_kw[name], self.foreseer.metered_past(name, table)))
        return np.asarray(total + np.sum([self._echoed(steps, *load) for load in loads], axis=0))

    def _echoed(self, steps: _Steps, name: str, kw: Floats, past: Past) -> Floats:
        """Continue a load; its present method fills the gaps of its past."""
        return steps.echoed(kw, past, lambda at_s: self.foreseer.load_ahead(name, past, at_s, steps.start))

    def _store(self, situation: Mapping[str, AssetNow]) -> Store | None:
        """Take all batteries that can be steered as one; None where there is none."""
        models = asset_models(self.site, {})
        found = [
            (model.battery if isinstance(model := models[name], Hybrid) else model, situation[name].values["soc_pct"])
            for name, spec in planned_assets(self.site).items()
            if isinstance(spec, BatteryAsset | HybridAsset) and name in situation and not situation[name].blocked
        ]
        stores = [(battery, soc_pct) for battery, soc_pct in found if isinstance(battery, Battery)]
        if not stores:
            return None
        usable = [b.capacity_kwh * (b.soc_max_pct - b.soc_min_pct) / 100.0 for b, _ in stores]
        held = [b.capacity_kwh * (soc_pct - b.soc_min_pct) / 100.0 for b, soc_pct in stores]
        return Store(
            capacity_kwh=sum(usable),
            energy_kwh=float(np.clip(held, 0.0, usable).sum()),
            charge_kw=sum(b.charge_kw for b, _ in stores),
            discharge_kw=sum(b.discharge_kw for b, _ in stores),
            charge_efficiency=float(np.average([b.charge_efficiency for b, _ in stores], weights=usable)),
            discharge_efficiency=float(np.average([b.discharge_efficiency for b, _ in stores], weights=usable)),
            standby_kw=sum(b.standby_kw for b, _ in stores),
            wear_per_kwh=float(np.average([b.wear_per_kwh for b, _ in stores], weights=usable)),
        )

    def _cars(self, hours: Slots, slots: Slots, foresight: Foresight) -> Iterable[Movable]:
        """Turn stays into energy that can be moved: those of the foresight, then those that come after the horizon."""
        models = asset_models(self.site, {})
        later = self.foreseer.expected_cars(slots.start, hours.end, after=slots.end)
        for name, cars in foresight.cars.items():
            point = models.get(name)
            if isinstance(point, ChargePoint):
                for stay in (*cars, *later.get(name, ())):
                    yield from _stay(point, stay, hours)

    def _heat(self, hours: Slots, outdoor_c: Floats, irradiance: Floats) -> Iterable[Movable]:
        """Turn each zone's steady need of heat into electricity that can be moved within some hours."""
        for name, model in asset_models(self.site, {}).items():
            spec = self.site.file.assets[name]
            if isinstance(model, HeatPump) and isinstance(spec, HeatPumpAsset):
                low_c, _ = comfort_band(spec.comfort, hours, self.zone)
                loss = 1.0 / model.air_out_k_per_kw + 1.0 / (model.air_mass_k_per_kw + model.mass_out_k_per_kw)
                heat_kw = loss * (low_c - outdoor_c) - zone_gains_kw(spec.gains_kw, spec.window_m2, irradiance)
                power = np.clip(heat_kw / cop(model, outdoor_c), 0.0, model.rated_kw)
                for first in range(0, len(power), HEAT_STEPS):
                    block = power[first : first + HEAT_STEPS]
                    if block.any():
                        yield Movable(first, np.full(len(block), model.rated_kw), float(block.sum()))


class _Steps:
    """Lays series of the horizon on the hours ahead."""

    def __init__(self, slots: Slots, hours: Slots, year: Mapping[str, Past] | None = None) -> None:
        self.start, self._year = slots.start, year
        self._slots, self.at_s = slots, hours.start.timestamp() + hours.offset_s
        self._begin_s = self.at_s - slots.start.timestamp()
        length_s = float(slots.offset_s[-1] + slots.duration_s[-1])
        self._inside = self._begin_s + HOUR_S <= length_s + 1e-6

    def within(self, series: Floats) -> Floats:
        """Give a series' mean over each hour, `nan` beyond the horizon."""
        slots = self._slots
        edges = np.append(slots.offset_s, slots.offset_s[-1] + slots.duration_s[-1])
        area = np.concatenate([[0.0], np.cumsum(series * slots.duration_s)])
        mean = (np.interp(self._begin_s + HOUR_S, edges, area) - np.interp(self._begin_s, edges, area)) / HOUR_S
        return np.where(self._inside, mean, np.nan)

    def expected(self, point: str, series: Floats) -> Floats:
        """Continue a series that is published: as a year before where that is known, else with its mean day."""
        usual, past = self.repeated(series), self.a_year_ago(point)
        return np.where(self._inside | np.isnan(past), usual, past)

    def given_by(self, series: Floats, model: Callable[[], Floats]) -> Floats:
        """Continue what a plant gives: by its model in the weather of a year before, else with its mean day."""
        usual = self.repeated(series)
        if not self._year:
            return usual
        modelled = model()
        return np.where(self._inside | np.isnan(modelled), usual, modelled)

    def a_year_ago(self, point: str) -> Floats:
        """Give what a year's file says of each hour 52 weeks before, `nan` where it does not."""
        past = (self._year or {}).get(point)
        return (
            np.full(len(self.at_s), np.nan) if past is None else self._echo(past, np.full(len(self.at_s), YEAR_WEEKS))
        )

    def repeated(self, series: Floats) -> Floats:
        """Continue a series with its mean day."""
        known = self.within(series)
        hour = np.floor_divide(self.at_s, HOUR_S).astype(np.int64) % 24
        count = np.bincount(hour[self._inside], minlength=24)
        total = np.bincount(hour[self._inside], known[self._inside], minlength=24)
        flat = float(np.average(series, weights=self._slots.duration_s))
        day = np.where(count > 0, total / np.maximum(count, 1), flat)
        return np.where(self._inside, known, day[hour])

    def echoed(self, series: Floats, past: Past, foresee: Callable[[Floats], Floats | None]) -> Floats:
        """Continue a load with past weeks, mirrored at the present; what is foreseen at instants [s] fills gaps."""
        known, now_s = self.within(series), self._slots.start.timestamp()
        settled = past.before(now_s).known()
        if not settled.at_s.size:
            return self.repeated(series)
        weeks = np.floor_divide(self.at_s - now_s, WEEK_S)
        seen = self._echo(settled, np.minimum(2.0 * weeks + 1.0, weeks + WEEKS_BACK))
        if self._year is not None:
            past_year = self._echo(settled, np.full(len(self.at_s), YEAR_WEEKS))
            seen = np.where(np.isnan(past_year), seen, past_year)
        heard = np.isfinite(seen)
        echo, gap = np.where(heard, np.nan_to_num(seen), self.repeated(series)), ~heard & ~self._inside
        if gap.any() and (told := foresee(self.at_s[gap] + HOUR_S / 2.0)) is not None:
            echo[gap] = told
        return np.where(self._inside, known, echo)

    def _echo(self, past: Past, weeks_back: Floats) -> Floats:
        """Give the mean of each hour so many weeks before, `nan` unless all of it is known; no future is read."""
        quarters = self.at_s[:, None] - weeks_back[:, None] * WEEK_S + np.arange(4) * HOUR_S / 4.0
        seen = past.before(self.start.timestamp()).at(quarters.ravel()).reshape(quarters.shape)
        return np.where(np.isfinite(seen).all(axis=1), np.nan_to_num(seen).mean(axis=1), np.nan)


def again_weekly(moves: list[Movable], known_h: int, until_h: int) -> Iterable[Movable]:
    """Give what begins a day or more before the end of what is known, its last week again and again until an hour."""
    last = known_h - DAY_H
    for move in moves:
        if move.first < last:
            yield move
        if last - WEEK_H <= move.first < last:
            for first in range(move.first + WEEK_H, until_h - len(move.most_kw) + 1, WEEK_H):
                yield replace(move, first=first)


def _stay(point: ChargePoint, stay: EvSession, hours: Slots) -> Iterable[Movable]:
    most = point.most_kw(stay) * stay.presence(hours)
    there = np.flatnonzero(most)
    if there.size and stay.energy_kwh > 0.0:
        first, last = int(there[0]), int(there[-1]) + 1
        yield Movable(first, most[first:last], stay.energy_kwh / point.efficiency)
