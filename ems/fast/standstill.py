"""Whether what stands still is a measurement at all: powers by their registers, the rest by `ems/fast/stuck.py`. Pure.

Many powers stand still honestly: nothing at night, a battery at rest, an inverter at its limit. Their energy registers
tell. A power that is read alike to the last digit while its register tells otherwise is uncertain until it moves.

    expected = |power| x time;    uncertain where |expected - register| > expected / 2 + step

It is judged after `LEAST_S`, and after three times the pause that the register makes between two steps while power
flows: how coarse a register is, and how seldom a meter renews it, is learnt. Of the last twenty pauses and steps the
third greatest counts, so that a device that was frozen for a while, and then caught up, teaches nothing. Before five
steps nothing is said. What agreed for long enough to tell is let go: an honest night must not hide a frozen morning.

A power at rest (a trifle at most) is judged by both registers: uncertain where one of them makes three steps and more
than half as much again as the trifle would have given. Three steps stand for two whole ones, wherever the first began.
Own derivation.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import inf, nan

from ems.config.binding import Bindings
from ems.config.site import Site
from ems.fast.stuck import Newest, Stuck, watched

LEAST_S = 120.0
LEAST_POLLS = 20
PAUSES = 3.0
REST_KW = 0.2
"""Below that a register may take an hour for a step."""
REST_STEPS = 3
RECENT, LEARNT, ODD = 20, 5, 3
"""So many steps of a register are remembered, so many are needed, and the greatest but two is its habit."""


@dataclass(slots=True)
class _Register:
    """An energy register: what it tells, its steps, and how it makes them while power flows its way.

    Of the latter: its value when it was last looked at for them, and when it last moved then [s].
    """

    kwh: float | None = None
    steps: int = 0
    looked_kwh: float | None = None
    moved_s: float | None = None
    pauses_s: deque[float] = field(default_factory=lambda: deque(maxlen=RECENT))
    steps_kwh: deque[float] = field(default_factory=lambda: deque(maxlen=RECENT))

    def count(self, kwh: float) -> None:
        """Count its steps, whichever way power flows."""
        self.steps += self.kwh is not None and kwh != self.kwh
        self.kwh = kwh

    def see(self, kwh: float, now_s: float, *, flowing: bool, doubted: bool) -> None:
        """Take what it tells now; a step counts only if power flowed all the time and was believed."""
        if not flowing or doubted:
            self.moved_s = None
        if kwh != self.looked_kwh:
            if self.moved_s is not None and self.looked_kwh is not None:
                self.pauses_s.append(now_s - self.moved_s)
                self.steps_kwh.append(abs(kwh - self.looked_kwh))
            self.looked_kwh, self.moved_s = kwh, now_s if flowing else None

    def habit(self) -> tuple[float, float] | None:
        """Give how long it pauses [s] and how far it steps [kWh]; None before that is learnt."""
        if len(self.pauses_s) < LEARNT:
            return None
        return sorted(self.pauses_s)[-ODD], sorted(self.steps_kwh)[-ODD]


@dataclass(frozen=True, slots=True)
class _Mark:
    """An instant [s] with what the registers told then [kWh], and how many steps they had made."""

    at_s: float
    kwh: Mapping[str, float]
    steps: Mapping[str, int]


@dataclass(slots=True)
class _Power:
    """A power with its registers: what it is compared since, and where that may move to.

    A register's pause is no longer than it was read and power flowed its way.
    """

    point: str
    into: str | None
    out: str | None
    kw: float = nan
    polls: int = 0
    began: _Mark = _Mark(-inf, {}, {})
    middle: _Mark | None = None
    read_s: float | None = None
    registers: dict[str, _Register] = field(default_factory=dict)

    def look(self, newest: Newest) -> str:
        """Take the newest values; says why the power is doubted, empty if it is not."""
        told = newest(self.point)
        if told is None or told.value is None:
            return ""
        now_s, kwh, ahead = told.monotonic_s, self._told(newest), self._ahead(told.value)
        for name, counted in self.registers.items():
            if name != ahead or now_s == self.read_s:
                counted.moved_s = None
        self.read_s = now_s
        if told.value != self.kw or ahead not in kwh:
            self.kw, self.polls = told.value, 0
            self.began, self.middle = self._mark(now_s, kwh), None
        self.polls += 1
        if ahead is None or ahead not in kwh:
            return ""
        why = self._judged(ahead, kwh, now_s)
        self.registers[ahead].see(kwh[ahead], now_s, flowing=abs(told.value) > REST_KW, doubted=bool(why))
        return why

    def _ahead(self, kw: float) -> str | None:
        """Name the register of a power's direction; at rest either will do."""
        one, other = (self.into, self.out) if kw > 0.0 else (self.out, self.into)
        return one or (other if abs(kw) <= REST_KW else None)

    def _told(self, newest: Newest) -> dict[str, float]:
        """Read the registers that tell something."""
        kwh = {}
        for name in (self.into, self.out):
            register = newest(name) if name is not None else None
            if name is not None and register is not None and register.value is not None:
                kwh[name] = register.value
                self.registers.setdefault(name, _Register()).count(register.value)
        return kwh

    def _mark(self, now_s: float, kwh: Mapping[str, float]) -> _Mark:
        resting = abs(self.kw) <= REST_KW
        return _Mark(now_s, kwh, {name: self.registers[name].steps for name in kwh} if resting else {})

    def _judged(self, ahead: str, kwh: Mapping[str, float], now_s: float) -> str:
        """Compare, and move on where it agrees."""
        rests, passed_s = abs(self.kw) <= REST_KW, now_s - self.began.at_s
        if self.polls < LEAST_POLLS or passed_s < LEAST_S:
            return ""
        habit = (0.0, 0.0) if rests else self.registers[ahead].habit()
        if habit is None or passed_s < PAUSES * habit[0]:
            return ""
        why = self._rests(kwh, passed_s) if rests else self._flows(kwh[ahead], ahead, habit[1], passed_s)
        since_s = now_s - (self.began if self.middle is None else self.middle).at_s
        tells = rests or abs(self.kw) * since_s / 3600.0 > 2.0 * habit[1]
        if not why and tells and since_s >= max(LEAST_S, PAUSES * habit[0]):
            self.began, self.middle = self.middle or self.began, self._mark(now_s, kwh)
        return why

    def _flows(self, kwh: float, ahead: str, step_kwh: float, passed_s: float) -> str:
        expected_kwh, told_kwh = abs(self.kw) * passed_s / 3600.0, kwh - self.began.kwh[ahead]
        if abs(expected_kwh - told_kwh) <= expected_kwh / 2.0 + step_kwh:
            return ""
        return self._words(passed_s, told_kwh, expected_kwh)

    def _rests(self, kwh: Mapping[str, float], passed_s: float) -> str:
        trifle_kwh = REST_KW * passed_s / 3600.0
        for name, value in kwh.items():
            told_kwh = value - self.began.kwh.get(name, value)
            steps = self.registers[name].steps - self.began.steps.get(name, 0)
            if steps >= REST_STEPS and told_kwh > 1.5 * trifle_kwh:
                return self._words(passed_s, told_kwh, abs(self.kw) * passed_s / 3600.0)
        return ""

    def _words(self, passed_s: float, told_kwh: float, expected_kwh: float) -> str:
        return (
            f"it stands at {self.kw:g} kW for {passed_s:.0f} s, while its register tells {told_kwh:.3f} kWh "
            f"of {expected_kwh:.3f}"
        )


class Standstill:
    """Watches what may stand still unseen at a site.

    Args:
        site: the site.
        bindings: which point measures what.
    """

    def __init__(self, site: Site, bindings: Bindings) -> None:
        self._watched: tuple[_Power | Stuck, ...] = (*_powers(site, bindings), *watched(site, bindings))

    def look(self, newest: Newest) -> Mapping[str, str]:
        """Give the points that are doubted now, and why; to be asked once a cycle."""
        return {one.point: why for one in self._watched if (why := one.look(newest))}


def _powers(site: Site, bindings: Bindings) -> Iterable[_Power]:
    for asset in site.file.assets:
        power = bindings.measure(asset, "power_kw")
        into = bindings.measure(asset, "import_kwh") or bindings.measure(asset, "charge_kwh")
        out = bindings.measure(asset, "export_kwh") or bindings.measure(asset, "discharge_kwh")
        either = bindings.measure(asset, "energy_kwh")
        if power is not None and (into or out or either):
            yield _Power(power, into or either, out or either)
