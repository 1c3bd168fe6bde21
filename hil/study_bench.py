"""The pretend world as a plant for studies: no sockets, time moves by calls, nature and forecasts off records.

Weather, prices and loads are those of `history/`, forecasts those of `series/published/`, cars those of the site's
recorded stays. Chance draws only what a site file cannot know: the plant's own parameters.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from drivers.driver import Driver, DriverClock
from ems.config.assets import LoadAsset, MeteredLoad
from ems.config.binding import bind
from ems.config.site import Site
from ems.exit_codes import CommandError, Exit
from ems.slow.feed_desk import Feed
from ems.store.archive import STEP_S, Wanted, months, read_archive
from ems.store.requests import Request
from ems.study.bench import Period
from hil.baselines import published_feeds
from hil.in_process import NOMINAL_V, plant_drivers
from hil.plant.charge_point import Car, ChargePoint
from hil.plant.draws import Floats
from hil.plant.recorded import RecordedMarket, RecordedWeather, RecordError, Track
from hil.plant.surroundings import Nature
from hil.plant.weather import Kind
from hil.plant_build import SLACK_S
from hil.scenario import Scenario
from hil.verdict import judge
from hil.wishes import car_requests
from hil.world import World
from optimization.assets import EvSession

SUBSTEP_S = 10.0
AHEAD = timedelta(hours=54)
"""The oracle looks so far past the end of a period; a record that ends earlier goes on with its last day."""
DAY_ROWS = round(86400.0 / STEP_S)
TRACKED = ":power_kw"
PUBLISHED = ("price", "carbon", "weather")


class PretendBench:
    """A site's pretend world behind the protocol of studies.

    Args:
        site: the site.
        world: its world, at the start of the period.
    """

    def __init__(self, site: Site, world: World) -> None:
        self._site, self._world = site, world
        self.feeds: Mapping[str, Feed] = published_feeds(site, world.published)

    def drivers(self, clock: DriverClock) -> Mapping[str, Driver]:
        """Put the drivers' contract in front of every device, by device id; drivers of cars now wait to be called."""
        self._world.call_cars()
        return plant_drivers(self._world.plant, self._site, bind(self._site), clock)

    def advance(self, to_s: float) -> Sequence[Request]:
        """Let the plant live until an instant [s since the start]; gives what cars asked for on the way."""
        self._world.advance(to_s - self._world.plant.elapsed_s)
        return [request for event in self._world.take_events() for request in car_requests(event.as_json())]

    def called(self, park: str, car: str, point: str) -> None:
        """Tell a waiting car to which charge point it may go."""
        self._world.assign(park, car, point)

    def verdict(self) -> Mapping[str, Any]:
        """Judge what has happened."""
        return judge(self._site, self._world.plant)

    def track(self) -> Mapping[str, Sequence[float]]:
        """Give means every 15 minutes: `elapsed_s` (start), `import_kw` and `<asset>:kw`."""
        records = self._world.plant.records
        count = round(STEP_S / (records["time_s"][1] - records["time_s"][0]))
        whole = len(records) // count * count

        def means(values: Floats) -> list[float]:
            return [round(v, 3) for v in values[:whole].reshape(-1, count).mean(axis=1).tolist()]

        powers = {f"{name}:kw": means(kw) for name, kw in records.ending(TRACKED).items()}
        elapsed = [STEP_S * i for i in range(whole // count)]
        return {"elapsed_s": elapsed, "import_kw": means(records["import_kw"]), **powers}

    def truth(self, start: datetime, end: datetime, step_s: float) -> Mapping[str, Floats]:
        """Tell the future, for the oracle only."""
        return self._world.plant.truth(start, end, step_s)

    def stays(self) -> Mapping[str, tuple[EvSession, ...]]:
        """Tell every stay at each charge point that is in no park, for the oracle only."""
        plant = self._world.plant
        points = {name: device for name, device in plant.devices.items() if isinstance(device, ChargePoint)}
        return {name: tuple(_stay(car, plant.start) for car in point.cars) for name, point in points.items()}


def maker(site: Site, period: Period, seed: int) -> PretendBench:
    """Make a bench of a site's recorded past; raises `CommandError` where it has none for the period."""
    zone = ZoneInfo(site.file.site.timezone)
    scenario = Scenario(
        name="backtest", title="What was recorded", start=period.start.astimezone(zone).replace(tzinfo=None),
        duration_s=period.seconds + (AHEAD.total_seconds() - SLACK_S), weather=Kind.SEASON, price="winter",
    )  # fmt: skip
    try:
        nature = recorded_nature(site, period)
    except RecordError as error:
        held = ", ".join(months(_shelf(site))) or "no months"
        words = f"{site.file.site.id}: {error}; its history holds {held}"
        raise CommandError(words, Exit.CONFIG) from error
    world = World(site, scenario, seed, documents=_documents(site, period), nature=nature, witness=False)
    world.plant.substep_s = SUBSTEP_S
    return PretendBench(site, world)


def recorded_nature(site: Site, period: Period) -> Nature:
    """Read weather, prices and loads of a period off a site's history; raises `RecordError` for a gap in the period."""
    loads = [n for n, spec in site.file.assets.items() if isinstance(spec, LoadAsset | MeteredLoad)]
    names = ["weather.outdoor_c", "weather.irradiance_w_m2", "market.price", "market.carbon_kg_per_kwh"]
    first = period.start - timedelta(hours=1)
    wanted = Wanted((), [*names, *(f"load.{name}_kw" for name in loads)], first, period.end + AHEAD)
    frame = _continued(read_archive(_shelf(site), wanted).frame.iloc[1:], period.end)
    tracks = {str(name): Track(str(name), first, STEP_S, frame[name].to_numpy()) for name in frame}
    outdoor, irradiance, price, carbon = (tracks[name] for name in names)
    span_s = period.seconds + AHEAD.total_seconds()
    weather_s = span_s - STEP_S
    return Nature(
        RecordedWeather(period.start, weather_s, outdoor=outdoor, irradiance=irradiance),
        RecordedMarket(price=price, carbon=carbon),
        {name: tracks[f"load.{name}_kw"].every_10_s(period.start, weather_s) for name in loads},
    )


def _shelf(site: Site) -> Path:
    return site.folder / (site.file.series.history or "history")


def _continued(frame: pd.DataFrame, end: datetime) -> pd.DataFrame:
    """Let a record that ends after the period, but before the oracle's last look, go on with its last day."""
    known = frame.notna().all(axis=1).to_numpy()
    last = len(known) - int(np.argmax(known[::-1])) if known.any() else 0
    if last >= len(frame) or last < DAY_ROWS or frame.index[last - 1] < end:
        return frame
    again = last - DAY_ROWS + (np.arange(len(frame) - last) % DAY_ROWS)
    return pd.concat([frame.iloc[:last], frame.iloc[again]])


def _documents(site: Site, period: Period) -> dict[str, list[dict[str, Any]]]:
    """Read what was published in the months of a period and in the one before."""
    shelf = site.folder / "series" / "published"
    first, last = (f"{at:%Y-%m}" for at in (period.start - timedelta(days=3), period.end + timedelta(days=1)))
    found: dict[str, list[dict[str, Any]]] = {}
    for what in PUBLISHED:
        paths = [p for p in sorted(shelf.glob(f"{what}-*.json.gz")) if first <= p.name[len(what) + 1 :][:7] <= last]
        if not paths:
            words = f"{site.file.site.id}: {shelf.name}/ holds no {what} of {first} to {last}; choose another period"
            raise CommandError(words, Exit.CONFIG)
        found[what] = [document for path in paths for document in json.loads(gzip.decompress(path.read_bytes()))]
    return found


def _stay(car: Car, start: datetime) -> EvSession:
    arrival, departure = (start + timedelta(seconds=s) for s in (car.arrival_s, car.departure_s))
    return EvSession(arrival, departure, car.energy_kwh, car.phases * NOMINAL_V * car.maximum_a / 1000.0)
