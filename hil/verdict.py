"""Judges a run: limits by AC, cost, energy, carbon, cars and comfort; one function for every arm that is compared.

1. Voltage is judged as means of 10 minutes; loading, import and export as means of 1 minute at most at their limits and
   never above 120 % for more than 10 s. A window in violation marks all its steps of 10 s; a run of marked steps is one
   excursion.
2. The cost is the bill on energy metered every 15 minutes, the carbon price, the energy that cars miss at departure,
   and discomfort; less the value of what is stored at the end above what was stored at the start, and less the part
   of the demand charge that falls to the rest of its month.
3. Stored energy is worth the period's mean import price: in the battery times its one-way efficiency, in a car that
   still stands there over it, in a building (heat above the unoccupied floor) over the COP, and nothing where the
   period was too warm to heat. Heat in a tank is worth what it costs to make on its node in the cheapest way, and heat
   that houses do not get costs what plans take for it. What no arm can move, all arms share.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from ems.config.assets import BatteryAsset, ChargePointAsset, DeferrableAsset, GensetAsset, HeatPumpAsset
from ems.config.heat_assets import BoilerAsset
from ems.config.hybrid_asset import HybridAsset
from ems.config.site import Site
from hil.heat_verdict import burnt, heat_parts, heat_told
from hil.plant.draws import Floats
from hil.plant.feeder import Plant
from hil.plant.purchase import Purchase
from hil.plant.records import RECORD_S, Records
from hil.plant.weather import Weather
from hil.service import as_told
from optimization.bill import bill, demand_ahead
from optimization.slots import chain
from optimization.tariff import carbon_kg

METERED_S, WEEK_S = 900.0, 7 * 86400.0
VOLTAGE_WINDOW_S, LOADING_WINDOW_S = 600.0, 60.0
NEVER_ABOVE = 1.2

Marks = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Limits:
    """What the limits say of every step.

    Args:
        violated: whether a step lies in a violation, shape (steps,).
        margin: least distance to a limit as a share of it, negative in excess, shape (steps,).
        overloaded: whether a step's own mean is above a limit, before any averaging, shape (steps,).
    """

    violated: Marks
    margin: Floats
    overloaded: Marks


def judge(site: Site, plant: Plant, *, from_s: float = 0.0, peak_before_kw: float = 0.0) -> dict[str, Any]:
    """Judge what a plant has lived through.

    Args:
        site: limits, tariff and prices.
        plant: after the run.
        from_s: steps before this are not judged against limits [s since the start]: nobody was in control yet.
        peak_before_kw: highest mean import of a metering interval in this month before the start [kW].

    Returns:
        `cost` [currency] and its `cost_parts`, `energy_kwh` (grid import), `peak_import_kw`,
        `co2_kg`, `violation_share`,
        `carbon_over_budget_kg`, `ev_shortfall_kwh`, `drivers`, `comfort_kh` and `comfort_by_zone_kh`,
        `automation_excess_kwh`, `heat` (missing, and tanks outside of their bands), `plant_limits`, `reaction_s` (how
        long a step's own mean stayed beyond a limit), `power_flow` (the witness), `currency`.
    """
    limits = judge_limits(site, plant.records, from_s)
    people = as_told(site, plant, from_s)
    parts = _cost_parts(site, plant, people, peak_before_kw)
    return {
        "currency": site.file.site.currency,
        "cost": sum(parts.values()),
        "cost_parts": parts,
        "energy_kwh": _total(plant.records, "import_kwh"),
        "export_kwh": _total(plant.records, "export_kwh"),
        **_peaks(plant.records),
        "co2_kg": carbon_of(plant),
        "violation_share": float(limits.violated.mean()) if len(limits.violated) else 0.0,
        "carbon_over_budget_kg": carbon_over_budget_kg(site, plant),
        **people,
        **_runs_of_loads(site, plant),
        **heat_told(site, plant),
        "plant_limits": {
            "steps_judged": len(limits.violated),
            "worst_margin": float(limits.margin.min()) if len(limits.margin) else 1.0,
            "excursions": len(_runs(limits.violated)),
        },
        "reaction_s": _reaction(limits),
        "power_flow": _witness(plant),
    }


def judge_limits(site: Site, records: Records, from_s: float = 0.0) -> Limits:
    """Hold voltages, loadings and the connection's power against the site's limits, while anything feeds the site."""
    grid = site.file.grid
    rows = (records["time_s"] > from_s) & (records["supply"] > 0.0)
    volts = np.stack([v[rows] for v in records.starting("v:").values()], axis=1)
    branches = [v[rows] / grid.loading_max_pct for v in records.starting("loading:").values()]
    import_kw = records["import_kw"][rows]
    loads = np.stack([*branches, import_kw / grid.import_limit_kw, -import_kw / grid.export_limit_kw], axis=1)
    if not len(volts):
        return Limits(np.zeros(0, dtype=bool), np.zeros(0), np.zeros(0, dtype=bool))
    slow, quick = _window_means(volts, VOLTAGE_WINDOW_S), _window_means(loads, LOADING_WINDOW_S)
    margin = np.minimum(_voltage_margin(slow, grid.voltage_min_pu, grid.voltage_max_pu), (1.0 - quick).min(axis=1))
    above: Marks = np.asarray((loads > NEVER_ABOVE).any(axis=1))
    held = above & (np.append(False, above[:-1]) | np.append(above[1:], False))
    own = np.minimum(_voltage_margin(volts, grid.voltage_min_pu, grid.voltage_max_pu), (1.0 - loads).min(axis=1))
    return Limits((margin < 0.0) | held, margin, own < 0.0)


def carbon_of(plant: Plant) -> float:
    """Add up the carbon of grid import, metered every 15 minutes [kg]."""
    ends_s, imported, _ = _metered(plant.records)
    return carbon_kg(imported, _factors(plant, ends_s))


def carbon_over_budget_kg(site: Site, plant: Plant) -> float:
    """Add up what each local week emitted beyond its budget, which counts for as much of it as was lived [kg]."""
    budget_kg = site.file.planning.carbon_budget_kg_per_week
    if budget_kg is None:
        return 0.0
    ends_s, imported, _ = _metered(plant.records)
    zone, factors = ZoneInfo(site.file.site.timezone), _factors(plant, ends_s)
    weeks = np.array([_week(plant, s, zone) for s in ends_s[:-1]])
    over = 0.0
    for week in np.unique(weeks):
        here = weeks == week
        share = float(np.diff(ends_s)[here].sum()) / WEEK_S
        over += max(0.0, carbon_kg(imported[here], factors[here]) - budget_kg * share)
    return over


def _factors(plant: Plant, ends_s: Floats) -> Floats:
    middles = [plant.start + timedelta(seconds=float(s)) for s in (ends_s[1:] + ends_s[:-1]) / 2.0]
    return np.array([plant.market.carbon_at(at) for at in middles])


def _week(plant: Plant, elapsed_s: float, zone: ZoneInfo) -> int:
    local = (plant.start + timedelta(seconds=float(elapsed_s))).astimezone(zone)
    return (local.toordinal() - local.weekday()) // 7


def _cost_parts(site: Site, plant: Plant, people: Mapping[str, Any], peak_before_kw: float) -> dict[str, float]:
    planning, zone = site.file.planning, ZoneInfo(site.file.site.timezone)
    ends_s, imported, exported = _metered(plant.records)
    times = [plant.start + timedelta(seconds=float(s)) for s in ends_s]
    price = np.array([plant.market.price_at(at) for at in times[:-1]])
    mean_price = float(site.tariff.import_price(price, chain(times[0], np.diff(ends_s))).mean()) if len(price) else 0.0
    charged = bill(
        site.tariff, times, imported, exported, price,
        peak_before_kw=peak_before_kw, zone=zone,
        reactive_kvarh=None if site.tariff.reactive is None else np.abs(_counted(plant.records, "reactive_kvarh")[1]),
        # A recorded world tells nobody what was bought: then nothing is settled.
        bought_kwh=_bought_kwh(plant, times) if site.tariff.imbalance and isinstance(plant.weather, Weather) else None,
    )  # fmt: skip
    return {
        "bill": charged.total,
        "carbon": planning.carbon_price_per_kg * carbon_of(plant),
        "carbon_budget": planning.carbon_budget_price_per_kg * carbon_over_budget_kg(site, plant),
        "ev_shortfall": planning.ev_shortfall_per_kwh * people["ev_shortfall_kwh"],
        "discomfort": planning.discomfort_per_kh * people["comfort_kh"],
        **_fuel(site, plant),
        **_not_run(site, plant),
        **heat_parts(site, plant, mean_price),
        "stored": -mean_price * _stored_kwh(site, plant),
        "demand_ahead": -demand_ahead(site.tariff.demand, times, imported, peak_before_kw=peak_before_kw, zone=zone)
        - sum(demand_ahead(charge, times, imported, zone=zone) for charge in site.tariff.further_demands),
    }


def _fuel(site: Site, plant: Plant) -> dict[str, float]:
    """Give what gensets and boilers have cost: fuel burnt, its carbon, starts and hours; nothing without any."""
    burners = [spec for spec in site.file.assets.values() if isinstance(spec, GensetAsset | BoilerAsset)]
    if not burners:
        return {}
    sets = {name: spec for name, spec in site.file.assets.items() if isinstance(spec, GensetAsset)}
    carbon_price, total = site.file.planning.carbon_price_per_kg, burnt(site, plant)
    for name, spec in sets.items():
        state = plant.state(name)
        total += state["fuel_kwh"] * (spec.fuel_price_per_kwh + carbon_price * spec.fuel_kg_per_kwh)
        total += state["starts"] * spec.start_cost + state["run_h"] * spec.run_cost_per_h
    return {"fuel": total}


def _not_run(site: Site, plant: Plant) -> dict[str, float]:
    """Give what runs cost that did not begin in their window; nothing where no load may wait."""
    loads = _deferrable(site)
    return {"not_run": sum(s.not_run_cost * plant.state(n)["runs_late"] for n, s in loads.items())} if loads else {}


def _runs_of_loads(site: Site, plant: Plant) -> dict[str, Any]:
    """Count runs that ended, began too late, paused, were told to wait in vain; nothing where no load may wait."""
    states = [plant.state(name) for name in _deferrable(site)]
    if not states:
        return {}
    return {
        "runs": {key: sum(state[f"runs_{key}"] for state in states) for key in ("ended", "late", "paused", "disturbed")}
    }


def _deferrable(site: Site) -> dict[str, DeferrableAsset]:
    return {name: spec for name, spec in site.file.assets.items() if isinstance(spec, DeferrableAsset)}


def _stored_kwh(site: Site, plant: Plant) -> float:
    """Give what is stored at the end above the start, as grid energy that it saves [kWh]."""
    return float(sum(_stored_in(spec, name, plant) for name, spec in site.file.assets.items()))


def _stored_in(spec: Any, name: str, plant: Plant) -> float:
    records = plant.records
    if not len(records):
        return 0.0
    match spec:
        case BatteryAsset():
            energy_kwh = float(records[f"{name}:energy_kwh"][-1]) - plant.began[name]["energy_kwh"]
            return energy_kwh * spec.discharge_efficiency
        case HybridAsset():
            energy_kwh = float(records[f"{name}:energy_kwh"][-1]) - plant.began[name]["energy_kwh"]
            return energy_kwh * spec.discharge_efficiency * spec.give_efficiency
        case ChargePointAsset():
            return float(records[f"{name}:delivered_kwh"][-1]) / spec.efficiency
        case HeatPumpAsset():
            return _heat_kwh(spec, name, plant)
        case _:
            return 0.0


def _heat_kwh(spec: HeatPumpAsset, name: str, plant: Plant) -> float:
    """Give the electric energy that the heat stored above the floor saves, by the site file's figures [kWh]."""
    records = plant.records
    outdoor_c = float(np.mean([plant.weather.outdoor_c(s) for s in records["time_s"][::30]]))
    conductance = 1.0 / spec.air_out_k_per_kw + 1.0 / (spec.mass_out_k_per_kw + spec.air_mass_k_per_kw)
    if outdoor_c > spec.comfort.occupied_low_c - spec.gains_kw / conductance - 1.0:
        return 0.0
    heat = 0.0
    for key, kwh_per_k in (("temperature_c", spec.air_kwh_per_k), ("mass_c", spec.mass_kwh_per_k)):
        end_c, start_c = float(records[f"{name}:{key}"][-1]), plant.began[name][key]
        heat += kwh_per_k * (max(end_c - spec.comfort.low_c, 0.0) - max(start_c - spec.comfort.low_c, 0.0))
    return heat / (spec.cop_0 + spec.cop_slope * outdoor_c)


def _metered(records: Records) -> tuple[Floats, Floats, Floats]:
    """Read the meter every 15 minutes: instants [s], shape (n+1,), import and export between them [kWh], shape (n,)."""
    (ends_s, imported), (_, exported) = (_counted(records, name) for name in ("import_kwh", "export_kwh"))
    return ends_s, imported, exported


def _counted(records: Records, register: str) -> tuple[Floats, Floats]:
    """Read a register every 15 minutes: instants [s], shape (n+1,), and what it counted between them, shape (n,)."""
    times = np.concatenate([[0.0], records["time_s"]])
    last = float(times[-1])
    ends_s = np.append(np.arange(0.0, last - 1e-6, METERED_S), last)
    return ends_s, np.diff(np.interp(ends_s, times, np.concatenate([[0.0], records[register]])))


def _bought_kwh(plant: Plant, times: Sequence[datetime]) -> Floats:
    """Give what was bought ahead for each metered interval [kWh], `nan` where nothing was."""
    purchase = Purchase(plant, plant.now)
    return np.array([purchase.kw(at) * (end - at).total_seconds() / 3600.0 for at, end in pairwise(times)])


def _peaks(records: Records) -> dict[str, float]:
    """Give the highest mean import and export of a quarter-hour [kW]."""
    ends_s, imported, exported = _metered(records)
    hours = np.diff(ends_s) / 3600.0
    return {
        "peak_import_kw": float(np.max(imported / hours, initial=0.0)),
        "peak_export_kw": float(np.max(exported / hours, initial=0.0)),
    }


def _total(records: Records, column: str) -> float:
    return float(records[column][-1]) if len(records) else 0.0


def _window_means(values: Floats, window_s: float) -> Floats:
    """Replace every step by the mean of its window; the last window may be short. Shape (steps, columns)."""
    window = np.arange(len(values)) // round(window_s / RECORD_S)
    starts = np.flatnonzero(np.diff(window, prepend=-1))
    counts = np.diff(np.append(starts, len(values)))
    return np.asarray((np.add.reduceat(values, starts, axis=0) / counts[:, None])[window], dtype=float)


def _voltage_margin(volts: Floats, lower: float, upper: float) -> Floats:
    return np.asarray(np.minimum((upper - volts) / upper, (volts - lower) / lower).min(axis=1), dtype=float)


def _runs(marked: Marks) -> list[int]:
    """Give the length of every run of marked steps."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], marked.astype(int), [0]])))
    return [int(b - a) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def _reaction(limits: Limits) -> dict[str, float]:
    """Tell how long excesses of single steps lasted [s]: what a disturbance shows before anyone can react."""
    lasted = [run * RECORD_S for run in _runs(limits.overloaded)]
    return {
        "excesses": len(lasted),
        "max": max(lasted, default=0.0),
        "p95": float(np.percentile(lasted, 95)) if lasted else 0.0,
    }


def _witness(plant: Plant) -> Mapping[str, float]:
    witness = plant.witness
    return {"asked": witness.asked, "worst_pu": witness.worst_pu} if witness is not None else {"asked": 0}
