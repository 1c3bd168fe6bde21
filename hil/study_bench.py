"""The pretend world as a plant for studies: no sockets, time moves by calls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from drivers.driver import Driver, DriverClock
from ems.config.binding import bind
from ems.config.site import Site
from ems.slow.feed_desk import POINTS, Feed
from ems.store.requests import Request
from ems.study.bench import Period
from hil.baselines import PublishedFeed
from hil.in_process import NOMINAL_V, plant_drivers
from hil.plant.charge_point import Car, ChargePoint
from hil.plant.draws import Floats
from hil.plant.weather import Kind
from hil.scenario import Scenario
from hil.verdict import judge
from hil.wishes import car_requests
from hil.world import World
from optimization.assets import EvSession

TRACK_S = 900.0
TRACKED = ":power_kw"


class PretendBench:
    """A site's pretend world behind the protocol of studies.

    Args:
        site: the site.
        world: its world, at the start of the period.
    """

    def __init__(self, site: Site, world: World) -> None:
        self._site, self._world = site, world
        published = world.published
        self.feeds: Mapping[str, Feed] = {what: PublishedFeed(published, what) for what in POINTS}

    def drivers(self, clock: DriverClock) -> Mapping[str, Driver]:
        """Put the drivers' contract in front of every device, by device id."""
        return plant_drivers(self._world.plant, self._site, bind(self._site), clock)

    def advance(self, to_s: float) -> Sequence[Request]:
        """Let the plant live until an instant [s since the start]; gives what cars asked for on the way."""
        self._world.advance(to_s - self._world.plant.elapsed_s)
        return [request for event in self._world.take_events() for request in car_requests(event.as_json())]

    def verdict(self) -> Mapping[str, object]:
        """Judge what has happened."""
        return judge(self._site, self._world.plant)

    def track(self) -> Mapping[str, Sequence[float]]:
        """Give means every 15 minutes: `elapsed_s` (start), `import_kw` and `<asset>:kw`."""
        records = self._world.plant.records
        count = round(TRACK_S / (records["time_s"][1] - records["time_s"][0]))
        whole = len(records) // count * count

        def means(values: Floats) -> list[float]:
            return [round(v, 3) for v in values[:whole].reshape(-1, count).mean(axis=1).tolist()]

        powers = {f"{name}:kw": means(kw) for name, kw in records.ending(TRACKED).items()}
        elapsed = [TRACK_S * i for i in range(whole // count)]
        return {"elapsed_s": elapsed, "import_kw": means(records["import_kw"]), **powers}

    def truth(self, start: datetime, end: datetime, step_s: float) -> Mapping[str, Floats]:
        """Tell the future, for the oracle only."""
        return self._world.plant.truth(start, end, step_s)

    def stays(self) -> Mapping[str, tuple[EvSession, ...]]:
        """Tell every stay at each charge point, for the oracle only."""
        plant = self._world.plant
        points = {name: device for name, device in plant.devices.items() if isinstance(device, ChargePoint)}
        return {name: tuple(_stay(car, plant.start) for car in point.cars) for name, point in points.items()}


def _stay(car: Car, start: datetime) -> EvSession:
    arrival, departure = (start + timedelta(seconds=s) for s in (car.arrival_s, car.departure_s))
    return EvSession(arrival, departure, car.energy_kwh, car.phases * NOMINAL_V * car.maximum_a / 1000.0)


def maker(site: Site, period: Period, seed: int) -> PretendBench:
    """Make a bench of a site's recorded past; raises `ScenarioError` where it has none for the period."""
    scenario = Scenario(
        name="backtest", title="backtest", start=period.start.replace(tzinfo=None), duration_s=period.seconds,
        weather=Kind.WINTER, price="winter",
    )  # fmt: skip
    return PretendBench(site, World(site, scenario, seed, witness=False))
