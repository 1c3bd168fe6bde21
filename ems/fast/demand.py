"""The demand charge in the fast loop: which mean import the running interval aims at, and what that is worth.

A kW of an interval's mean costs `price_per_kw` once it is the month's highest, so a kWh that is not drawn is worth
`price_per_kw / interval_h`. An asset takes part where not drawing costs less: a battery its wear, a car nothing as long
as it can still be full in time and its shortfall price after that, a heat pump nothing while its zone is warm enough
and discomfort below that.

Law 1: the target is the plan's, never below the month's peak so far, which is paid already. Without a plan it is that
peak, once `LEAST_DAYS` of the month were metered: before, a quiet night would set it. Otherwise there is none.
Law 2: every interval that ends is journalled, so that a restart knows the month's peak.
Law 3: where intervals slide, each part between two of their begins aims at the target, and at less where the parts
before it leave less: what one part drew above the target, those after it would have to go without.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from ems.config.assets import GridMeter
from ems.config.binding import Bindings
from ems.config.site import Site
from ems.fast.metering import Closed, Running, advance, begin, begin_at_register, interval_start
from ems.process_image import Snapshot
from optimization.tariff import DemandCharge

RECORD = "demand_interval"
"""Journal kind of a metering interval that is over."""
AIM_SHARE = 0.99
"""So much of the target is aimed at: a device answers a cycle or two late."""
LEAST_DAYS = 3.0
DAY_S = 86_400.0
STEPPED_S = 1.0
SO_FAR = "the month's peak so far"
KEPT = timedelta(days=31)
"""Journalled intervals older than this say nothing of a running month."""

Record = Callable[[str, Mapping[str, Any]], object]
RegisterAt = Callable[[str, datetime], float | None]
"""Looks up what a register read at an instant of the stored past."""


class PlanLike(Protocol):
    """What is needed of a plan in force."""

    @property
    def demand_target_kw(self) -> float | None:
        """Mean import that no metering interval shall pass [kW]; None where it plans none."""


@dataclass(frozen=True, slots=True)
class DemandNow:
    """The running metering interval and its target.

    Args:
        running: what was imported so far.
        price_per_kw: what a kW of the month's peak costs [currency/kW].
        target_kw: mean import that shall not be passed [kW]; None where nobody knows one.
        basis: where the target comes from, in words.
        peak_kw: the month's highest known mean so far [kW]; None as long as none is known.
        earlier: the parts of a sliding interval before the running one.
        window_s: length of a sliding interval [s]; None where they do not slide.
    """

    running: Running
    price_per_kw: float
    target_kw: float | None
    basis: str
    peak_kw: float | None
    earlier: tuple[Closed, ...] = ()
    window_s: float | None = None

    @property
    def worth_per_kwh(self) -> float:
        """Give what it is worth not to draw a kWh in this interval [currency/kWh]."""
        return self.price_per_kw * 3600.0 / (self.window_s or self.running.interval_s)

    @property
    def allowed_kw(self) -> float | None:
        """Give the import that the rest of the interval may draw [kW]; None without a target."""
        return None if self.target_kw is None else self.running.allowed_kw(self._aim_kw(AIM_SHARE * self.target_kw))

    def _aim_kw(self, target_kw: float) -> float:
        """Give what the running part may draw in the mean [kW]; what nobody measured before counts as at the target."""
        over_kw = sum(each.mean_kw - target_kw for each in self.earlier if each.is_known)
        return max(0.0, min(target_kw, target_kw - over_kw))

    def words(self) -> str:
        """Say for an operator what is aimed at and what is known."""
        if self.target_kw is None:
            return f"no demand target: {self.basis}"
        unknown = f", {self.running.unknown_s:.0f} s of it unknown" if self.running.unknown_s >= 1.0 else ""
        return f"demand target {self.target_kw:.1f} kW ({self.basis}) to {self.running.end:%H:%M} UTC{unknown}"


class DemandDesk:
    """Keeps the running interval and the month's peak.

    Args:
        site: the site.
        bindings: which point measures what.
        record: appends to the journal.
    """

    def __init__(self, site: Site, bindings: Bindings, record: Record) -> None:
        self._charge: DemandCharge | None = site.tariff.demand
        self._zone = ZoneInfo(site.file.site.timezone)
        self._record = record
        meter = next((name for name, spec in site.file.assets.items() if isinstance(spec, GridMeter)), "")
        self._power = bindings.measure(meter, "power_kw")
        self._register = bindings.measure(meter, "import_kwh")
        self._running: Running | None = None
        self._seen: tuple[datetime, float] | None = None
        self._closed_to: datetime | None = None
        self._parts: tuple[Closed, ...] = ()
        self._peaks: dict[tuple[int, int], _Peak] = {}

    def restore(self, bodies: Iterable[Mapping[str, Any]], register_at: RegisterAt, now: datetime) -> None:
        """Take up after a restart: the month's intervals that were journalled, and the running one's first register."""
        for body in bodies:
            closed = Closed(
                datetime.fromisoformat(str(body["start"])),
                float(body["mean_kw"]),
                float(body["unknown_s"]),
                float(body["interval_s"]),
            )
            self._note(closed)
        if self._charge is None or self._register is None:
            return
        start = interval_start(now, self._charge.every_s)
        register_kwh = register_at(self._register, start)
        if register_kwh is not None:
            self._running = begin_at_register(start, register_kwh, self._charge.every_s)

    def update(self, snapshot: Snapshot, plan: PlanLike | None) -> DemandNow | None:
        """Account for one snapshot; None where the tariff has no demand charge.

        Args:
            snapshot: the process image.
            plan: the plan in force now; None without one.
        """
        charge = self._charge
        if charge is None:
            return None
        power_kw, register_kwh = snapshot.good(self._power), snapshot.good(self._register)
        running = self._running or begin(snapshot.at, charge.every_s)
        if self._seen is not None and _is_stepped(self._seen, snapshot):
            running, self._parts = begin(snapshot.at, charge.every_s), ()
        self._seen = (snapshot.at, snapshot.monotonic_s)
        self._running = running = advance(running, snapshot.at, power_kw, register_kwh)
        for closed in running.closed:
            whole = closed if charge.sliding_s is None else self._joined(closed, charge)
            if whole is not None:
                self._close(whole, closed)
        peak = self._peaks.get(self._month(running.start))
        target_kw, basis = _target(plan, peak)
        peak_kw = None if peak is None else peak.kw
        if charge.sliding_s is None:
            return DemandNow(running, charge.price_per_kw, target_kw, basis, peak_kw)
        earlier = self._parts[1 - charge.interval_s // charge.every_s :]
        return DemandNow(running, charge.price_per_kw, target_kw, basis, peak_kw, earlier, float(charge.interval_s))

    def _joined(self, part: Closed, charge: DemandCharge) -> Closed | None:
        """Join a part with those before it to the sliding interval that ends with it; None while one is missing."""
        count = charge.interval_s // charge.every_s
        follows = bool(self._parts) and self._parts[-1].end == part.start
        self._parts = (*(self._parts if follows else ()), part)[-count:]
        if len(self._parts) < count:
            return None
        mean_kw = sum(each.mean_kw for each in self._parts) / count
        unknown_s = sum(each.unknown_s for each in self._parts)
        return Closed(self._parts[0].start, mean_kw, unknown_s, float(charge.interval_s))

    def _close(self, closed: Closed, newest: Closed) -> None:
        """Journal an interval by the newest part of it, once, whatever the wall clock has done since."""
        if self._closed_to is not None and newest.start < self._closed_to:
            return
        self._closed_to = newest.end
        body = {"start": closed.start.isoformat(), "interval_s": closed.interval_s}
        self._record(RECORD, body | {"mean_kw": closed.mean_kw, "unknown_s": closed.unknown_s})
        self._note(closed)

    def _note(self, closed: Closed) -> None:
        if closed.is_known:
            peak = self._peaks.setdefault(self._month(closed.start), _Peak())
            sliding_s = None if self._charge is None else self._charge.sliding_s
            peak.kw, peak.metered_s = max(peak.kw, closed.mean_kw), peak.metered_s + (sliding_s or closed.interval_s)

    def _month(self, at: datetime) -> tuple[int, int]:
        local = at.astimezone(self._zone)
        return local.year, local.month


def _is_stepped(before: tuple[datetime, float], now: Snapshot) -> bool:
    """Tell whether the clock of the records was set since an instant (UTC, monotonic [s]): that is no time passed."""
    at, monotonic_s = before
    return abs((now.at - at).total_seconds() - (now.monotonic_s - monotonic_s)) > STEPPED_S


@dataclass(slots=True)
class _Peak:
    """A month's highest known mean [kW], and how much of the month it was taken from [s]."""

    kw: float = 0.0
    metered_s: float = 0.0


def _target(plan: PlanLike | None, peak: _Peak | None) -> tuple[float | None, str]:
    planned_kw = None if plan is None else plan.demand_target_kw
    if planned_kw is not None:
        return (planned_kw, "planned") if peak is None or planned_kw >= peak.kw else (peak.kw, SO_FAR)
    if peak is None or peak.metered_s < LEAST_DAYS * DAY_S:
        return None, f"no plan names one and less than {LEAST_DAYS:g} days of the month were metered"
    return peak.kw, SO_FAR
