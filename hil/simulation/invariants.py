"""What must hold at every instant, judged from what passed between the daemon and its devices, not by its own word.

I1 no setpoint outside what the site file says the asset can do     I2 the connection's limit is never commanded over
I3 nothing but the declared safe value on stale data                I4 no discharge at the reserve, no charge when full
I5 no faster than the asset's ramp                                  I6 what is not safe has a lease that has not run out
I7 no write by an epoch that does not own the site                  I8 each write has intent, result, reason
I9 what the journal acknowledged survives a crash                   I10 a decision every cycle

The numbering is that of the project's issue on reliability. A point counts as known for `stale_after_s` from the last
good and possible value that its driver gave, whatever the process image makes of it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from drivers.points import Measurement, Outcome, Quality, Setpoint, WriteResult
from ems.config.assets import (
    BatteryAsset,
    BuildingAutomation,
    ChargePointAsset,
    ForeseenAsset,
    GridMeter,
    HeatMeter,
)
from ems.config.binding import PHASES_ROLE, Bindings, CommandBinding, bind
from ems.config.site import Site
from ems.fast.decisions import Decision
from ems.standing import Standing
from hil.simulation.connection import commanded, excess, tolerance_kw
from hil.simulation.operator_watch import OperatorWatch
from hil.simulation.possible import able_kw, cuts_run, possible, rests_on
from hil.simulation.reactive_watch import KvarWatch, Told
from hil.simulation.stillness import Stillness

SAME = 1e-4
HOLD_TOLERANCE = 0.02
"""A register holds a command as exactly as its scale factor lets it [share of the rating]."""
TIMER_S = 15.0
"""A device's timer is seen to have ended so much later at most: a cycle, and a step of its world."""
NEWEST_S = 5.0
"""What was read so shortly before belongs to the newest scan [s]."""
RESTS_KW = 0.1
"""A charge point that takes no more charges no car."""
RAMPS_KW_PER_S = {"charge_point": 0.5, "heat_pump": 0.2, "electric_boiler": 0.2, "heat_source": 0.2, "chiller": 0.2}
LONGEST_RAMP_S = 30.0
RAMPED = frozenset({"plan", "shifted_plan", "rules", "operator"})
"""A command of these rungs is nobody's emergency: it moves at the asset's ramp."""


class Invariant(StrEnum):
    """The ten, by their names in the issue."""

    BOUNDS = "I1"
    CONNECTION = "I2"
    STALE = "I3"
    RESERVE = "I4"
    RAMP = "I5"
    LEASE = "I6"
    OWNER = "I7"
    JOURNALLED = "I8"
    KEPT = "I9"
    EVERY_CYCLE = "I10"


@dataclass(frozen=True, slots=True)
class Violation:
    """What did not hold: which invariant, when [s since the start], and the facts."""

    invariant: Invariant
    at_s: float
    facts: str

    def __str__(self) -> str:
        """Say it in a line."""
        return f"{self.invariant} at {self.at_s:.3f} s: {self.facts}"


@dataclass(frozen=True, slots=True)
class Intent:
    """What the journal was told before a write; `acked` once the journal has said that it keeps it."""

    value: float | None
    rung: str
    reason: str
    acked: Callable[[], bool]


@dataclass(slots=True)
class InForce:
    """The command last written to an asset: its value, power [kW], when it was new and when last written [s]."""

    value: float | None
    kw: float | None
    since_s: float
    written_s: float
    rung: str


@dataclass(slots=True)
class Judge:
    """Judges every write before it goes out and after it came back.

    Args:
        site: the site.
        tell: told every violation.
    """

    site: Site
    tell: Callable[[Violation], None]
    bindings: Bindings = field(init=False)
    intents: dict[str, Intent] = field(default_factory=dict)
    writes: int = 0
    most_over_kw: float = 0.0
    lost_records: int = 0
    _by_point: dict[str, CommandBinding] = field(default_factory=dict)
    _phased: dict[str, str] = field(default_factory=dict)
    _kvar: KvarWatch = field(init=False)
    _good: dict[str, tuple[float, float]] = field(default_factory=dict)
    _possible: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    _in_force: dict[str, InForce] = field(default_factory=dict)
    _owed: dict[str, tuple[float, float | None]] = field(default_factory=dict)
    _scanned_s: float = 0.0
    _operator: OperatorWatch = field(init=False)
    _stillness: Stillness = field(init=False)

    def __post_init__(self) -> None:
        self.bindings = bind(self.site)
        self._operator = OperatorWatch(self.site)
        self._stillness = Stillness(self.site, self.bindings)
        self._possible = possible(self.site, self.bindings)
        self._by_point = {command.point: command for command in self.bindings.commands.values()}
        self._kvar = KvarWatch.of(self.site, self.bindings)
        self._phased = {
            point: asset
            for asset, spec in self.site.file.assets.items()
            if isinstance(spec, ChargePointAsset) and spec.least_phases < spec.most_phases
            if (point := self.bindings.measure(asset, PHASES_ROLE)) is not None
        }

    def saw(self, measurements: Sequence[Measurement], now_s: float) -> None:
        """Take what a driver read."""
        self._scanned_s = now_s
        self._operator.saw(measurements, now_s)
        self._stillness.saw(measurements, self._possible)
        for one in measurements:
            if one.quality is Quality.GOOD and one.value is not None and self._is_possible(one.point, one.value):
                self._good[one.point] = (one.value, one.monotonic_s)

    def _is_possible(self, point: str, value: float) -> bool:
        lower, upper = self._possible.get(point, (-math.inf, math.inf))
        return lower <= value <= upper

    def born(self, now_s: float) -> None:
        """A new process begins [s]."""
        self._operator.born(now_s)
        self._stillness.born()

    def heard_intent(self, point: str, intent: Intent) -> None:
        """Take what the journal was told before a write."""
        self.intents[point] = intent

    def heard_result(self, point: str) -> None:
        """Take that the journal was told what became of a write."""
        self._owed.pop(point, None)

    def died(self) -> None:
        """The process is dead: what was under way may stay unfinished."""
        self._owed.clear()
        self.intents.clear()

    def before_write(self, setpoints: Sequence[Setpoint], lease_s: float, now_s: float) -> None:
        """Judge commands that are about to go out."""
        for setpoint in setpoints:
            self.writes += 1
            binding = self._by_point.get(setpoint.point)
            asset = self._phased.get(setpoint.point)
            if asset is not None or setpoint.point in self._kvar.most_kvar:
                self._lease(setpoint, lease_s, now_s)
                self._journalled(setpoint, self._kvar.told.get(setpoint.point), now_s, reducing=setpoint.value is None)
                if asset is not None:
                    self._phases(asset, setpoint, now_s)
                elif words := self._kvar.beyond(setpoint):
                    self._say(Invariant.BOUNDS, now_s, words)
                continue
            if binding is None:
                self._say(Invariant.BOUNDS, now_s, f"{setpoint.point} is not a point that is commanded")
                continue
            kw = self._kw(binding, setpoint.value)
            self._bounds(binding, kw, now_s)
            state, intent = self._fresh(self.bindings.measure(binding.asset, "state")), self.intents.get(setpoint.point)
            if cuts_run(self.site.file.assets[binding.asset], kw, state, intent.rung if intent else ""):
                self._say(Invariant.BOUNDS, now_s, f"{setpoint.point} is told to wait in a run that nothing interrupts")
            self._stale(binding, setpoint, now_s)
            self._reserve(binding, kw, now_s)
            self._lease(setpoint, lease_s, now_s)
            old = self._in_force.get(binding.asset)
            self._journalled(setpoint, old, now_s, reducing=self._is_reducing(binding, setpoint.value, old))
            self._ramp(binding, kw, now_s)

    def after_write(
        self, setpoints: Sequence[Setpoint], results: Sequence[WriteResult], began_s: float, now_s: float
    ) -> None:
        """Remember what was commanded; one that may not have arrived counts as commanded too.

        Args:
            setpoints: what went out.
            results: what the driver says of it.
            began_s: when the write was begun [s].
            now_s: when it was over [s].
        """
        outcomes = {result.point: result.outcome for result in results}
        self._kvar.heard(setpoints, outcomes)
        for setpoint in setpoints:
            binding = self._by_point.get(setpoint.point)
            if binding is None or outcomes.get(setpoint.point) is Outcome.REFUSED:
                continue
            if setpoint.expires_s <= began_s:
                facts = f"{setpoint.point} was written, its lease was over for {began_s - setpoint.expires_s:.1f} s"
                self._say(Invariant.LEASE, now_s, facts)
            old = self._in_force.get(binding.asset)
            changed = old is None or not _same(old.value, setpoint.value)
            since_s = now_s if changed or old is None else old.since_s
            kw = self._kw(binding, setpoint.value)
            intent = self.intents.get(binding.point)
            rung = intent.rung if intent is not None else ""
            self._in_force[binding.asset] = InForce(setpoint.value, kw, since_s, now_s, rung)

    def after_cycle(self, now_s: float) -> None:
        """Ask for what the cycle owed the journal."""
        for point, (at_s, value) in sorted(self._owed.items()):
            if at_s < now_s:
                self._say(Invariant.JOURNALLED, now_s, f"{point} was written {value} at {at_s:.3f} s, without a result")
        self._owed.clear()

    def decided(self, decisions: Mapping[str, Decision], standing: Standing, now_s: float) -> None:
        """Judge what a cycle's decisions come to at the connection (I2), by what the drivers last read."""
        file = self.site.file
        known: dict[str, float] = {}
        for asset in self.bindings.devices:
            value = self._fresh(self.bindings.measure(asset, "power_kw"))
            if value is not None and not isinstance(file.assets[asset], BuildingAutomation | HeatMeter):
                known[asset] = value
        grid_kw = known.pop(self._grid_meter(), None)
        powered = (asset for asset in decisions if self.bindings.measure(asset, "power_kw") is not None)
        if grid_kw is None or any(asset not in known for asset in powered):
            return
        charge = {asset: self._fresh(self.bindings.measure(asset, "soc_pct")) for asset in known}
        soc_pct = {asset: value for asset, value in charge.items() if value is not None}
        total = commanded(self.site, decisions, standing, known, grid_kw=grid_kw, soc_pct=soc_pct)
        limits_kw = self._operator.demanded_kw(self._scanned_s)
        for what, over_kw, limit_kw in zip(("import", "export"), excess(limits_kw, total), limits_kw, strict=True):
            self.most_over_kw = max(self.most_over_kw, over_kw)
            if over_kw > tolerance_kw(limit_kw):
                told = ", ".join(f"{d.asset} {d.kw} ({d.rung})" for d in decisions.values())
                facts = (
                    f"{what} of {abs(total.import_kw):.2f} kW is commanded, the limit is {limit_kw:g}: {told}; {known}"
                )
                self._say(Invariant.CONNECTION, now_s, facts)

    def _fresh(self, point: str | None) -> float | None:
        """Give a point's value if it came with the newest scan."""
        known = self._good.get(point or "")
        return known[0] if known is not None and self._scanned_s - known[1] <= NEWEST_S else None

    def held(self, commands: Mapping[str, float | None], written_s: Mapping[str, float], now_s: float) -> None:
        """Compare what a device with a lease obeys with when it was last told to.

        Args:
            commands: what each asset truly obeys [kW]; None while it goes by itself.
            written_s: when a write last arrived at each device [s].
            now_s: the instant [s].
        """
        lease_s = self.site.file.control.lease_s
        for asset, kw in sorted(commands.items()):
            spec = self.site.file.assets[asset]
            if kw is None or not isinstance(spec, BatteryAsset | ForeseenAsset):
                continue
            silent_s = now_s - written_s[spec.device]
            if silent_s > lease_s + TIMER_S and not self._is_safe_kw(asset, kw):
                facts = f"{asset} obeys {kw:.2f} kW, last written {silent_s:.0f} s ago under a lease of {lease_s:g} s"
                self._say(Invariant.LEASE, now_s, facts)

    def _bounds(self, binding: CommandBinding, kw: float | None, now_s: float) -> None:
        able = able_kw(self.site.file.assets[binding.asset])
        if kw is None or able is None:
            return
        lower, upper, least = able
        room = SAME + 1e-3 * max(abs(lower), abs(upper))
        if not math.isfinite(kw) or not lower - room <= kw <= upper + room:
            self._say(Invariant.BOUNDS, now_s, f"{binding.asset} is told {kw:.3f} kW, it can {lower:g} to {upper:g}")
        elif 0.0 < abs(kw) < least - room:
            self._say(Invariant.BOUNDS, now_s, f"{binding.asset} is told {kw:.3f} kW, it runs from {least:g} kW on")

    def _stale(self, binding: CommandBinding, setpoint: Setpoint, now_s: float) -> None:
        if setpoint.value is None or self._is_safe(binding, setpoint.value):
            return
        told = f"{setpoint.point} is told {setpoint.value:g} ({setpoint.reason})"
        for point in self._inputs(binding.asset):
            age_s = self._scanned_s - self._good[point][1] if point in self._good else math.inf
            if age_s > self.site.file.control.stale_after_s + SAME:
                self._say(Invariant.STALE, now_s, f"{told} while {point} is {age_s:.1f} s old")
            elif why := self._stillness.why(point, self._scanned_s):
                self._say(Invariant.STALE, now_s, f"{told} while {point} {why}")

    def _inputs(self, asset: str) -> list[str]:
        """Name the points that steering an asset rests on."""
        wanted = [(self._grid_meter(), "power_kw"), *rests_on(self.site, asset)]
        return [point for name, role in wanted if (point := self.bindings.measure(name, role)) is not None]

    def _grid_meter(self) -> str:
        return next(name for name, spec in self.site.file.assets.items() if isinstance(spec, GridMeter))

    def _reserve(self, binding: CommandBinding, kw: float | None, now_s: float) -> None:
        spec = self.site.file.assets[binding.asset]
        if not isinstance(spec, BatteryAsset) or kw is None or self._is_safe_kw(binding.asset, kw):
            return
        known = self._good.get(self.bindings.measure(binding.asset, "soc_pct") or "")
        if known is None:
            return
        if (kw < -SAME and known[0] <= spec.soc_min_pct) or (kw > SAME and known[0] >= spec.soc_max_pct):
            facts = f"{binding.asset} is told {kw:.2f} kW at {known[0]:.1f} % of its charge"
            self._say(Invariant.RESERVE, now_s, facts)

    def _lease(self, setpoint: Setpoint, lease_s: float, now_s: float) -> None:
        most_s = self.site.file.control.lease_s
        left_s = setpoint.expires_s - now_s
        if not 0.0 < lease_s <= most_s or left_s > most_s + SAME:
            facts = f"{setpoint.point}: its lease of {lease_s:g} s has {left_s:.1f} s left; the site's is {most_s:g} s"
            self._say(Invariant.LEASE, now_s, facts)

    def _phases(self, asset: str, setpoint: Setpoint, now_s: float) -> None:
        """Judge an order to change phases (I1): one or three, and only where no car charges."""
        power = self._good.get(self.bindings.measure(asset, "power_kw") or "")
        if setpoint.value not in (1.0, 3.0) or power is None or power[0] > RESTS_KW:
            told = "nothing is known of its power" if power is None else f"it takes {power[0]:.2f} kW"
            self._say(Invariant.BOUNDS, now_s, f"{setpoint.point} is told {setpoint.value} while {told}")

    def _journalled(self, setpoint: Setpoint, old: InForce | Told | None, now_s: float, *, reducing: bool) -> None:
        intent = self.intents.get(setpoint.point)
        if not setpoint.reason.strip():
            self._say(Invariant.JOURNALLED, now_s, f"{setpoint.point} is told {setpoint.value} without a reason")
        if old is not None and _same(old.value, setpoint.value):
            return  # a renewal: what the disk kept from going out meanwhile is no newer command
        if intent is None or not _same(intent.value, setpoint.value):
            said = "nothing" if intent is None else f"{intent.value}"
            facts = f"{setpoint.point} is told {setpoint.value}; the journal's newest intent says {said}"
            self._say(Invariant.JOURNALLED, now_s, facts)
            return
        if not intent.acked() and not reducing:
            facts = f"{setpoint.point} is told {setpoint.value} before the journal has kept its intent"
            self._say(Invariant.JOURNALLED, now_s, facts)
        self._owed[setpoint.point] = (now_s, setpoint.value)

    def _ramp(self, binding: CommandBinding, kw: float | None, now_s: float) -> None:
        spec, old = self.site.file.assets[binding.asset], self._in_force.get(binding.asset)
        ramp = None if binding.states else RAMPS_KW_PER_S.get(spec.kind)
        intent = self.intents.get(binding.point)
        if kw is None or old is None or old.kw is None or ramp is None or intent is None or intent.rung not in RAMPED:
            return
        if abs(kw) <= abs(old.kw) + SAME:
            return
        least = abs(binding.minimum / binding.per_kw)
        reach_kw = max(ramp * min(now_s - old.since_s, LONGEST_RAMP_S), least, 1.0 / abs(binding.per_kw))
        if abs(kw - old.kw) > reach_kw + 0.05:
            facts = (
                f"{binding.asset} goes from {old.kw:.2f} to {kw:.2f} kW in {now_s - old.since_s:.1f} s ({intent.rung})"
            )
            self._say(Invariant.RAMP, now_s, facts)

    def _kw(self, binding: CommandBinding, value: float | None) -> float | None:
        """Give the power that a command stands for, on the phases that its device told last [kW]."""
        point = self.bindings.measure(binding.asset, PHASES_ROLE)
        phases = self._good.get(point) if point in self._phased and point is not None else None
        return None if value is None else binding.on(None if phases is None else int(phases[0])).to_kw(value)

    def _is_reducing(self, binding: CommandBinding, value: float | None, old: InForce | None) -> bool:
        if value is None or self._is_safe(binding, value):
            return True
        kw, old_kw = self._kw(binding, value) or 0.0, (old.kw or 0.0) if old is not None else 0.0
        return abs(kw) <= abs(old_kw) + SAME and kw * old_kw >= 0.0

    def _is_safe(self, binding: CommandBinding, value: float) -> bool:
        safe_kw = self.bindings.safe_kw(binding.asset)
        return safe_kw is not None and _same(binding.to_point(safe_kw), value)

    def _is_safe_kw(self, asset: str, kw: float) -> bool:
        safe_kw = self.bindings.safe_kw(asset)
        rating = max(abs(self.bindings.commands[asset].lower_kw), abs(self.bindings.commands[asset].upper_kw))
        return safe_kw is not None and abs(safe_kw - kw) <= HOLD_TOLERANCE * rating

    def _say(self, invariant: Invariant, now_s: float, facts: str) -> None:
        self.tell(Violation(invariant, now_s, facts))


def _same(one: float | None, other: float | None) -> bool:
    return one is other or (one is not None and other is not None and abs(one - other) <= SAME)
