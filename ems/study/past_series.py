"""What a site's forecasts are tried on: each series as it was measured, and what was published beside it.

Loads and cars come from the files in `series/`, everything else from `history/`; a series of which neither holds
anything is left out.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path

import numpy as np

from drivers.feeds import parse_document
from ems.config.assets import ForeseenAsset, HeatPumpAsset, LoadAsset, MeteredLoad, SunAsset, WindAsset
from ems.config.binding import bind
from ems.config.heat_assets import HeatLoadAsset
from ems.config.hybrid_asset import HybridAsset
from ems.config.site import Site
from ems.slow.feed_desk import DHI, DNI, GHI, SMOOTH, SUN, WIND
from ems.slow.foreseen_kinds import CLEAR_SKY
from ems.slow.generation import generation_kw
from ems.slow.hybrids import source_kw
from ems.slow.series_files import own_column, read_load_file, read_places
from ems.slow.sunshine import clear_skies, pv_plant
from ems.store.archive import STEP_S, Wanted, read_archive
from ems.study.bench import Period
from optimization.assets import EvSession
from optimization.forecast.clear_sky import ClearSky, OnPlanes
from optimization.forecast.ladder import all_methods
from optimization.forecast.methods import Asked, Method, TooLittleKnown
from optimization.forecast.past import Past, epoch_s
from optimization.forecast.published import Issue, PublishedPast, smoothed
from optimization.forecast.pv import PvPlant, Told, pv_foreseen
from optimization.slots import Floats

WEATHER = ("irradiance_w_m2", "outdoor_c")
MARKET: Mapping[str, tuple[str, str]] = {
    "price": ("market.price", "{currency}/kWh"),
    "carbon": ("market.carbon_kg_per_kwh", "kg/kWh"),
}
OLDER, LATER = timedelta(days=60), timedelta(days=2)
UNKNOWN_CAR_KW = 11.0
_ROLES: Mapping[type, str] = {HeatLoadAsset: "heat_kw", HybridAsset: "sun_kw"}
"""What is measured of a kind, where that is not its power."""


@dataclass(frozen=True, slots=True, eq=False)
class PastSeries:
    """One series to foresee.

    Args:
        unit: of its values.
        past: measured, means over quarter-hours.
        bounds: what it cannot leave.
        beside: what was published, by name.
        methods: those that only this kind of series has, after all others.
    """

    unit: str
    past: Past
    bounds: tuple[float, float] = (0.0, np.inf)
    beside: Mapping[str, PublishedPast] = field(default_factory=dict)
    methods: Mapping[str, Method] = field(default_factory=dict)

    def ladder(self) -> dict[str, Method]:
        """Give all its methods, the simplest first."""
        return {**all_methods(), **self.methods}


def site_series(site: Site, period: Period) -> dict[str, PastSeries]:
    """Give what a site has of a period, the two months before and two days after, by name: an asset's id, or a word."""
    published = read_published(site.folder / "series" / "published")
    found = dict(_loads(site)) | dict(_cars(site))
    found |= {name: series for name, series in _history(site, period, published) if name not in found}
    return {name: series for name, series in found.items() if np.isfinite(series.past.value).any()}


def _loads(site: Site) -> Iterator[tuple[str, PastSeries]]:
    name = site.file.series.load
    if name is None:
        return
    file = read_load_file(site.folder / "series" / name)
    of_kind = {n: spec for n, spec in site.file.assets.items() if isinstance(spec, LoadAsset | MeteredLoad)}
    unmetered = [n for n, spec in of_kind.items() if isinstance(spec, LoadAsset)]
    if unmetered:
        yield "load", PastSeries("kW", file.residual(unmetered, STEP_S))
    for load, spec in of_kind.items():
        if isinstance(spec, MeteredLoad):
            yield load, PastSeries("kW", file.metered(load, STEP_S))
    for load, asset in site.file.assets.items():
        if isinstance(asset, HeatLoadAsset) and own_column(load) in file.columns:
            yield load, PastSeries("kW", file.metered(load, STEP_S))


def _cars(site: Site) -> Iterator[tuple[str, PastSeries]]:
    name = site.file.series.ev_sessions
    places: dict[str, list[EvSession]] = {}
    for place, stay in read_places(site.folder / "series" / name) if name is not None else ():
        places.setdefault(place or "all", []).append(stay)
    for place, stays in places.items():
        yield f"cars:{place}", PastSeries("kW", drawn(stays))


def drawn(stays: Sequence[EvSession]) -> Past:
    """Give what cars draw that charge as they come, at their full power until they have what they came for [kW]."""
    first_s = np.floor(min(epoch_s(s.arrival) for s in stays) / 86400.0) * 86400.0
    edges_s = np.arange(first_s, max(epoch_s(s.departure) for s in stays) + STEP_S, STEP_S)
    total_kw: Floats = np.zeros(len(edges_s) - 1)
    for stay in stays:
        charge_kw, from_s = stay.charge_kw or UNKNOWN_CAR_KW, epoch_s(stay.arrival)
        until_s = min(from_s + 3600.0 * stay.energy_kwh / charge_kw, epoch_s(stay.departure))
        total_kw += charge_kw * np.diff(np.clip(edges_s, from_s, until_s)) / STEP_S
    return Past(edges_s[:-1], total_kw, STEP_S)


def _history(site: Site, period: Period, published: Mapping[str, PublishedPast]) -> Iterator[tuple[str, PastSeries]]:
    bindings, assets = bind(site), site.file.assets
    measured = {n: s for n, s in assets.items() if isinstance(s, ForeseenAsset | HeatPumpAsset | HeatLoadAsset)}
    points = {name: bindings.measure(name, _ROLES.get(type(spec), "power_kw")) for name, spec in measured.items()}
    wanted = [point for point in points.values() if point] + [point for point, _ in MARKET.values()]
    shelf = site.folder / (site.file.series.history or "history")
    start = period.start - OLDER
    frame = read_archive(shelf, Wanted((), wanted, start, period.end + LATER)).frame.iloc[1:]
    at_s: Floats = np.asarray(epoch_s(start) + STEP_S * np.arange(len(frame)), dtype=np.float64)
    weather = {name: published[name] for name in WEATHER if name in published}
    lit, clear = {name: published[name] for name in SUN if name in published}, clear_skies(site)
    for name, point in points.items():
        spec = assets[name]
        power = Past(at_s, frame[point].to_numpy(dtype=float), STEP_S)
        if isinstance(spec, SunAsset):
            own = dict(_sunny(name, spec, clear, {**weather, **lit}))
            given_kw = power.value if isinstance(spec, HybridAsset) else -power.value
            yield name, PastSeries("kW", Past(at_s, given_kw, STEP_S), (0.0, source_kw(spec)), weather, own)
        elif isinstance(spec, WindAsset):
            blown = {WIND: published[WIND]} if WIND in published else {}
            own = {"wind": partial(wind, spec)} if blown else {}
            yield name, PastSeries("kW", Past(at_s, -power.value, STEP_S), (0.0, spec.rated_kw), blown, own)
        elif isinstance(spec, HeatPumpAsset):
            yield name, PastSeries("kW", power, (0.0, spec.rated_kw), weather)
        else:
            yield name, PastSeries("kW", power, beside=weather)
    for name, (point, unit) in MARKET.items():
        told = {name: published[name]} if name in published else {}
        own = {"published": partial(as_published, name)} if told else {}
        past = Past(at_s, frame[point].to_numpy(dtype=float), STEP_S)
        yield name, PastSeries(unit.format(currency=site.file.site.currency), past, (-np.inf, np.inf), told, own)


def _sunny(
    name: str, spec: SunAsset, clear: Mapping[str, ClearSky], told: Mapping[str, PublishedPast]
) -> Iterator[tuple[str, Method]]:
    """Give the methods that only a PV plant has."""
    if name in clear:
        yield CLEAR_SKY, clear[name]
    if name in clear and GHI in told and WEATHER[1] in told:
        lit = OnPlanes(clear[name].sunlight, clear[name].planes, told[GHI], told.get(DNI), told.get(DHI))
        yield "sun", partial(sun_on, pv_plant(spec), (lit, told[WEATHER[1]]))
    elif told.keys() >= set(WEATHER):
        yield "sun", partial(sun, PvPlant(spec.module_kw, source_kw(spec), spec.temperature_per_k))


def sun(plant: PvPlant, asked: Asked) -> Floats:
    """Foresee a plant from published weather and its own calibration, as the daemon does; a point."""
    return sun_on(plant, (asked.beside[WEATHER[0]], asked.beside[WEATHER[1]]), asked)


def sun_on(plant: PvPlant, weather: tuple[Told, Told], asked: Asked) -> Floats:
    """Foresee it from irradiance and temperature that are given; a point."""
    return asked.point(pv_foreseen(plant, asked.past, weather, asked.at_s, asked.now_s))


def wind(spec: WindAsset, asked: Asked) -> Floats:
    """Foresee a turbine from the published wind by its curve, as the daemon does before it scales it; a point."""
    told = asked.beside[WIND].told(asked.at_s - STEP_S / 2.0, np.full(len(asked.at_s), STEP_S), asked.now_s)
    if np.isnan(told).all():
        raise TooLittleKnown("no wind was published")
    return asked.point(generation_kw(spec, {WIND: told}))


def as_published(name: str, asked: Asked) -> Floats:
    """Foresee what was published of the series itself; a point."""
    told = asked.beside[name].told(asked.at_s - STEP_S / 2.0, np.full(len(asked.at_s), STEP_S), asked.now_s)
    if np.isnan(told).all():
        raise TooLittleKnown("nothing was published")
    return asked.point(told)


def read_published(shelf: Path) -> dict[str, PublishedPast]:
    """Read every issue that a folder keeps, by series; weather runs smoothly, as the daemon takes it."""
    issues: dict[str, list[tuple[float, Issue]]] = {}
    for path in sorted(shelf.glob("*.json.gz")):
        for document in json.loads(gzip.decompress(path.read_bytes())):
            for series in parse_document(document, path.name):
                value = np.array([np.nan if v is None else v for v in series.values], dtype=float)
                issue = Issue(epoch_s(series.valid_from), series.step_s, value)
                issues.setdefault(series.point, []).append((epoch_s(series.issued_at), issue))
    return {point: _in_order(point, kept) for point, kept in issues.items()}


def _in_order(point: str, kept: list[tuple[float, Issue]]) -> PublishedPast:
    kept.sort(key=lambda each: each[0])
    issues = [issue for _, issue in kept]
    if point in SMOOTH:
        issues = [smoothed(issue, issues[max(0, i - 1) : i]) for i, issue in enumerate(issues)]
    return PublishedPast(np.array([at_s for at_s, _ in kept]), tuple(issues))
