"""Whether a value that stands still is stuck: a room's temperature, a charge, what no energy register tells. Pure.

How long a point stands still while it lives depends on its sensor, its resolution and its place; so it is learnt. It is
not counted in time but in what should move it, its drive: the energy of the heat pump for a room, the charge that flows
in for a battery, hours for the outdoor temperature and for a voltage. Where nothing drives it, it may rest for ever: a
heating that is off in summer, a battery at night.

    d = |sum of signed drive| since the value last changed, where it went one way for the most part, else 0
    stuck where d > max(least, TIMES x longest);    longest <- max(d, longest x exp(-passed / MEMORIES least))

Symbols: `least` what is too little to say anything, of each kind of point; `longest` the greatest d that ended with a
change. Nothing is said before `MANY` changes, and `LEARNING` times the least, were seen. Own derivation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import exp, inf

from drivers.points import Measurement
from ems.config.assets import BatteryAsset, GridMeter, HeatPumpAsset, MeteredLoad
from ems.config.binding import Bindings
from ems.config.hybrid_asset import HybridAsset
from ems.config.site import Site

TIMES = 4.0
"""What wanders stands still for times that are spread like waiting times: the longest of `MANY` is four of their means,
and four times that comes by chance once in ten million."""
MANY = 30
LEARNING = 5.0
MEMORIES = 100.0
"""A sensor may be changed for a finer one: what was longest fades with so many times the least."""
GREW = 2.0
"""A standstill that was doubted, and ended, may have been honest: it counts as at most so many times the longest."""
GAP_S = 60.0
"""Between two readings no more than that is known [s]."""
ONE_WAY = 0.5
"""A drive that goes to and fro moves nothing: its sum is at least such a share of its parts."""

ROOM_H = 1.0
"""A heat pump at full power moves a room that well within an hour, also where it only makes up for the cold."""
CHARGE_PCT = 5.0
"""A battery whose charge changed by so much tells another one, however coarse it tells."""
FULL_PCT, EMPTY_PCT = 90.0, 10.0
"""Beyond these a battery may hold its figure while it fills up or runs empty."""
REST_KW, REST_SHARE = 0.2, 0.03
"""What a battery takes at rest, at least and as a share of its rating, is no charge; so with a heat pump's share."""
WEATHER_H = 24.0
"""There is fog that keeps the outdoor temperature for most of a day."""
VOLTAGE_H = 6.0
"""A voltage told in tenths rests for hours of a night, and nothing is commanded by it."""

Newest = Callable[[str], Measurement | None]
"""Gives the newest measurement of a point that was no failed read."""
Drive = Callable[[Newest, Measurement], float]
"""Tells how strongly a point is driven as it is measured [its drive's unit an hour]; signed where that has a sense."""


@dataclass(slots=True)
class Stuck:
    """One point that is watched.

    Args:
        point: its id.
        drive: what moves it.
        least: less drive than that says nothing [its unit].
        happened: what the drive is, in words.
    """

    point: str
    drive: Drive
    least: float
    happened: str
    value: float | None = None
    read_s: float = inf
    net: float = 0.0
    passed: float = 0.0
    most: float = 0.0
    longest: float = 0.0
    lived: float = 0.0
    changes: int = 0
    why: str = ""

    def look(self, newest: Newest) -> str:
        """Take the newest value; says why it is doubted, empty if it is not."""
        told = newest(self.point)
        if told is None or told.value is None or told.monotonic_s == self.read_s:
            return self.why
        hours = min(max(told.monotonic_s - self.read_s, 0.0), GAP_S) / 3600.0
        self.read_s = told.monotonic_s
        driven = self.drive(newest, told) * hours
        if driven != 0.0:
            self.net, self.passed = self.net + driven, self.passed + abs(driven)
            if ONE_WAY * self.passed <= abs(self.net) > self.most:
                self.most = abs(self.net)
        if told.value != self.value:
            self._moved(told.value)
        elif self.most > self.least and self.most > TIMES * self.longest and self._knows():
            before = f"it never stood for more than {self.longest:.1f} before"
            self.why = f"it stands at {told.value:g} while {self.most:.1f} {self.happened}; {before}"
        return self.why

    def _knows(self) -> bool:
        return self.changes >= MANY and self.lived >= LEARNING * self.least

    def _moved(self, value: float) -> None:
        """Begin anew, and learn how long it stood still."""
        if self.passed > 0.0:
            stood = min(self.most, GREW * self.longest) if self.why else self.most
            self.longest = max(stood, self.longest * exp(-self.passed / (MEMORIES * self.least)))
            self.lived += self.passed
        self.changes += self.value is not None
        self.value, self.net, self.passed, self.most, self.why = value, 0.0, 0.0, 0.0, ""


def watched(site: Site, bindings: Bindings) -> Iterable[Stuck]:
    """Give the points of a site on which steering or planning rests and that no register checks."""
    for asset, spec in site.file.assets.items():
        power = bindings.measure(asset, "power_kw")
        if isinstance(spec, HeatPumpAsset) and power is not None:
            if (room := bindings.measure(asset, "temperature_c")) is not None:
                yield Stuck(room, heating(power, spec), ROOM_H * spec.rated_kw, "kWh went into its heat pump")
            if (outdoor := bindings.measure(asset, "outdoor_c")) is not None:
                yield Stuck(outdoor, hours_passing, WEATHER_H, "h passed")
        elif isinstance(spec, BatteryAsset | HybridAsset) and power is not None:
            flow = bindings.measure(asset, "store_kw") or power
            if (charge := bindings.measure(asset, "soc_pct")) is not None:
                yield Stuck(charge, charging(flow, spec), CHARGE_PCT, "% of its capacity flowed")
        elif isinstance(spec, GridMeter | MeteredLoad) and (volts := bindings.measure(asset, "voltage_v")) is not None:
            yield Stuck(volts, hours_passing, VOLTAGE_H, "h passed")


def hours_passing(*_: object) -> float:
    """Time itself is the drive [h/h]."""
    return 1.0


def heating(power: str, spec: HeatPumpAsset) -> Drive:
    """A room is driven by the power of its heat pump while that runs [kW]."""
    rest_kw = max(REST_SHARE * spec.rated_kw, spec.minimum_kw / 2.0)

    def heat(newest: Newest, told: Measurement) -> float:
        kw = abs(_beside(newest(power), told))
        return kw if kw > rest_kw else 0.0

    return heat


def charging(power: str, spec: BatteryAsset | HybridAsset) -> Drive:
    """A charge is driven by what flows into the cells [% of the capacity an hour]."""
    rest_kw = max(REST_KW, REST_SHARE * max(spec.charge_kw, spec.discharge_kw))
    inwards, outwards = 100.0 * spec.charge_efficiency, 100.0 / spec.discharge_efficiency

    def flow(newest: Newest, told: Measurement) -> float:
        kw = _beside(newest(power), told)
        if told.value is None or (-rest_kw <= kw <= rest_kw):
            return 0.0
        if (kw > 0.0 and told.value >= FULL_PCT) or (kw < 0.0 and told.value <= EMPTY_PCT):
            return 0.0
        return kw * (inwards if kw > 0.0 else outwards) / spec.capacity_kwh

    return flow


def _beside(power: Measurement | None, told: Measurement) -> float:
    """Give a power that was read about when the value was [kW]; 0 where none was."""
    if power is None or power.value is None or abs(power.monotonic_s - told.monotonic_s) > GAP_S:
        return 0.0
    return power.value
