"""Turns what a cycle found into alarms and the state of health: which thing, what is wrong, since when."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from drivers.driver import Driver
from drivers.points import Outcome, Quality
from ems.config.binding import KVAR_ROLE
from ems.fast.bands import Band
from ems.fast.decisions import Rung
from ems.fast.following import Following
from ems.fast.foreign import REASSERTS
from ems.fast.oscillation import MANY_TURNS, WINDOW_S, Swing
from ems.fast.outcome import Outcome as Decided
from ems.fast.wear import WriteBudget
from ems.fast.writing import Writer, Written
from ems.health import Alarms, Health
from ems.hygiene import Hygiene
from ems.privacy import Discretion
from ems.process_image import Reading, Snapshot
from ems.standing import Standing


@dataclass(frozen=True, slots=True)
class DeviceState:
    """Whether a device can be read, since when not, and whether it falls back by itself."""

    online: bool
    lost_since: datetime | None
    has_watchdog: bool


PATIENCE_CYCLES = 3
"""A limit that is passed for fewer cycles is being dealt with."""


class Watchman:
    """Keeps the alarms of the fast loop.

    Args:
        alarms: the alarms in force.
        health: the state machine.
        drivers: by device id.
        told: whose values may be named in an alarm or a cause.
    """

    def __init__(
        self, alarms: Alarms, health: Health, drivers: Mapping[str, Driver], told: Discretion | None = None
    ) -> None:
        self._told = told or Discretion({}, frozenset(), frozenset())
        self._alarms = alarms
        self._health = health
        self._drivers = drivers
        self._excess_cycles = 0
        self._looking = False
        self._doubted: frozenset[str] = frozenset()

    def look(self, snapshot: Snapshot) -> None:
        """Raise and end the alarms of devices that cannot be read."""
        for device, driver in self._drivers.items():
            lost = lost_readings(snapshot, driver)
            worst = min(lost, key=lambda reading: reading.monotonic_s) if lost else None
            self._alarms.set(f"device:{device}", _lost_text(device, worst), snapshot.at, since=_since(worst))

    def devices(self, snapshot: Snapshot) -> dict[str, DeviceState]:
        """Tell how every device is."""
        found = {}
        for device, driver in self._drivers.items():
            lost = lost_readings(snapshot, driver)
            since = min((since for reading in lost if (since := _since(reading)) is not None), default=None)
            found[device] = DeviceState(not lost, since, driver.has_watchdog)
        return found

    def judge(self, decided: Decided, standing: Standing, following: Following, snapshot: Snapshot) -> None:
        """Raise and end the alarms of what was decided, and move the state of health."""
        now = snapshot.at
        self._excess_cycles = self._excess_cycles + 1 if decided.excess else 0
        late = self._excess_cycles >= PATIENCE_CYCLES
        self._alarms.set("limits", _excess_text(decided) if late else None, now)
        self._alarms.set("island", decided.island.words or None, now)
        for limit in decided.building:
            self._alarms.set(f"building:{limit.source}.{limit.role}", limit.trouble or None, now)
        for held in decided.limits:
            self._alarms.set(f"grid_limit:{held.direction}", held.trouble or None, now)
        for asset in following.assets:
            text, since = None, None
            if (lost := following.lost(asset)) is not None:
                since = now - timedelta(seconds=snapshot.monotonic_s - lost[0])
                text = f"{asset} {lost[1]} since {since:%H:%M:%S} UTC"
            self._alarms.set(f"following:{asset}", text, now, since=since)
        self._looking = self._looking or not (decided.powers.grid_kw is None or decided.settling)
        self._health.update(
            looking=self._looking,
            override=standing.released or _overridden(standing),
            unsafe=decided.unsafe,
            degraded=self._degraded(decided),
        )

    def steady(self, assets: Iterable[str], swings: Mapping[str, Swing], now: datetime) -> None:
        """Raise and end the alarms of assets whose commands swing."""
        for asset in assets:
            swing = swings.get(asset)
            text = f"{asset} was told to and fro {MANY_TURNS} times within {WINDOW_S / 60.0:g} min: it is calmed"
            self._alarms.set(f"oscillation:{asset}", text if swing is not None and swing.swinging else None, now)

    def stored(self, bands: Iterable[Band], snapshot: Snapshot) -> None:
        """Raise and end the alarms of stores outside their planning bands; one that cannot be read keeps its own."""
        for band in bands:
            value, was_left = snapshot.good(band.point), f"band:{band.asset}" in self._alarms
            if value is not None:
                shown = None if self._told.hides(band.asset) else value
                text = band.words(shown) if band.is_left(value, was_left=was_left) else None
                self._alarms.set(f"band:{band.asset}", text, snapshot.at)

    def spare(self, budget: WriteBudget, snapshot: Snapshot) -> None:
        """Raise the alarms of points whose writes are nearly spent; they end once less than half are."""
        for point, allowance in budget.allowances.items():
            key, most = f"writes:{point}", allowance.per_day
            spent = budget.spent(point, snapshot.monotonic_s)
            low = budget.is_low(point, snapshot.monotonic_s) or (key in self._alarms and 2 * spent >= most)
            text = (
                f"{point} was written {spent} times within 24 h, of {most} at the most: plan and rules change it once "
                f"in {allowance.gap_s / 60.0:.0f} min only, limits and orders as before; look for what moves it so much"
            )
            self._alarms.set(f"writes:{point}", text if low else None, snapshot.at)

    def obey(self, assets: Iterable[str], foreign: Mapping[str, str], now: datetime) -> None:
        """Raise and end the alarms of assets that somebody else steers."""
        for asset in assets:
            found = foreign.get(asset)
            why = found if found is None or not self._told.hides(asset) else "the journal says what"
            remedy = f"it is left alone after {REASSERTS} attempts; find who writes there, then put it in control again"
            self._alarms.set(f"foreign:{asset}", why and f"somebody else steers {asset}: {why}; {remedy}", now)

    def heed(self, hygiene: Mapping[str, Hygiene], now: datetime) -> None:
        """Raise and end the alarms of tanks that were not hot in time."""
        for asset, tank in hygiene.items():
            self._alarms.set(f"hygiene:{asset}", tank.trouble(asset, hides=self._told.hides(asset)), now)

    def doubt(self, reasons: Mapping[str, str], now: datetime) -> None:
        """Raise and end the alarms of points that stand still and cannot be true."""
        for point in sorted(self._doubted | reasons.keys()):
            why = "it stands still" if self._told.hides_point(point) else reasons.get(point)
            text = f"{point} is not believed: {why}; look after its device" if point in reasons else None
            self._alarms.set(f"standstill:{point}", text, now)
        self._doubted = frozenset(reasons)

    def answered(self, written: Iterable[Written], writer: Writer, now: datetime) -> None:
        """Raise and end the alarms of what was written."""
        self._alarms.set("journal", writer.late_commit or None, now)
        for one in written:
            asset, result = one.command.decision.asset, one.result
            refused = result.outcome is Outcome.REFUSED
            why = "the journal says why" if self._told.hides(asset) else result.reason
            what, key = ("reactive power", f"{asset}:kvar") if one.command.beside == KVAR_ROLE else ("command", asset)
            self._alarms.set(f"refused:{key}", f"{asset} refuses its {what}: {why}" if refused else None, now)

    def _degraded(self, decided: Decided) -> str:
        if self._alarms.active:
            return self._alarms.active[0].text
        fallen = [d for d in decided.decisions.values() if d.rung in (Rung.SHIFTED_PLAN, Rung.RULES, Rung.SAFE)]
        if not fallen:
            return ""
        shown = [decision for decision in fallen if not self._told.hides(decision.asset)]
        return shown[0].reason if shown else f"{fallen[0].asset} is steered by {fallen[0].rung}"


def lost_readings(snapshot: Snapshot, driver: Driver) -> list[Reading]:
    """Give the bad readings of a device of which no point can be read; none while anything can."""
    for point in driver.points:
        if snapshot.quality(point) is not Quality.BAD:
            return []
    return [reading for point in driver.points if (reading := snapshot.readings.get(point)) is not None]


def _since(worst: Reading | None) -> datetime | None:
    return None if worst is None else worst.at or worst.bad_since


def _lost_text(device: str, worst: Reading | None) -> str | None:
    if worst is None:
        return None
    if worst.at is None:
        return f"{device} was never read: {worst.reason}; check its power, its address and its profile"
    return f"{device} gives no good reading since {worst.at:%H:%M:%S} UTC: {worst.reason}"


def _excess_text(decided: Decided) -> str:
    by_hand = f"; switch off by hand, in this order: {', '.join(decided.by_hand)}" if decided.by_hand else ""
    return f"nothing is left to relieve: {', '.join(decided.excess)}{by_hand}"


def _overridden(standing: Standing) -> str:
    return "; ".join(f"{asset}: {override.reason}" for asset, override in standing.overrides.items())
