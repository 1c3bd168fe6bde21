"""Whether what stands still is a measurement at all: powers by their registers, the rest by `ems/fast/stuck.py`. Pure.

Many powers stand still honestly: nothing at night, a battery at rest, an inverter at its limit. Their energy registers
tell. A power that is read alike to the last digit while its register tells otherwise is uncertain until it moves.

    expected = |power| x time;    uncertain where |expected - register| > expected / 2

It is judged after `LEAST_S`, and after three times the longest pause that the register makes between two steps while
power flows: how coarse a register is, and how seldom a meter renews it, is learnt. A register that never moved says
nothing. Own derivation.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ems.config.binding import Bindings
from ems.config.site import Site
from ems.fast.stuck import Newest, Stuck, watched

LEAST_S = 120.0
LEAST_POLLS = 20
PAUSES = 3.0
REST_KW = 0.2
"""Below that nothing is said: a register may take an hour for a step."""


@dataclass(slots=True)
class _Register:
    """An energy register: its value, when it last moved [s], and its longest pause while power flowed [s]."""

    value: float | None = None
    moved_s: float | None = None
    pause_s: float | None = None

    def see(self, value: float, now_s: float, *, flowing: bool, doubted: bool) -> None:
        """Take what it tells now; a pause counts only if power flowed all the time and was believed."""
        if not flowing or doubted:
            self.moved_s = None
        if value != self.value:
            if self.moved_s is not None:
                self.pause_s = max(self.pause_s or 0.0, now_s - self.moved_s)
            self.value, self.moved_s = value, now_s if flowing else None


@dataclass(slots=True)
class _Power:
    """A power with its registers: since when it stands still [s], polls since, what its register told then.

    A register's pause is no longer than it was read and power flowed its way.
    """

    point: str
    into: str | None
    out: str | None
    kw: float | None = None
    since_s: float = 0.0
    polls: int = 0
    began_kwh: float | None = None
    read_s: float | None = None
    registers: dict[str, _Register] = field(default_factory=dict)

    def look(self, newest: Newest) -> str:
        """Take the newest values; says why the power is doubted, empty if it is not."""
        told = newest(self.point)
        if told is None or told.value is None:
            return ""
        name = self.into if told.value > 0.0 else self.out
        for other, counted in self.registers.items():
            if other != name or told.monotonic_s == self.read_s:
                counted.moved_s = None
        self.read_s = told.monotonic_s
        register = newest(name) if name is not None else None
        known = None if register is None or name is None else self.registers.setdefault(name, _Register())
        if told.value != self.kw or known is None or register is None or register.value is None:
            self.kw, self.since_s, self.polls = told.value, told.monotonic_s, 0
            self.began_kwh = None if register is None else register.value
        self.polls += 1
        if known is None or register is None or register.value is None:
            return ""
        why = self._judged(known, register.value, told.monotonic_s)
        known.see(register.value, told.monotonic_s, flowing=abs(told.value) > REST_KW, doubted=bool(why))
        return why

    def _judged(self, register: _Register, kwh: float, now_s: float) -> str:
        passed_s = now_s - self.since_s
        if self.kw is None or abs(self.kw) <= REST_KW or self.began_kwh is None or register.pause_s is None:
            return ""
        if self.polls < LEAST_POLLS or passed_s < max(LEAST_S, PAUSES * register.pause_s):
            return ""
        expected_kwh, told_kwh = abs(self.kw) * passed_s / 3600.0, kwh - self.began_kwh
        if abs(expected_kwh - told_kwh) <= expected_kwh / 2.0:
            return ""
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
