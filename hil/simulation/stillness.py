"""Which powers stand still against their own energy registers, by what the drivers read, for I3.

still    read alike to the last digit for 120 s, 20 reads and four times its register's longest pause between two
         steps while power flowed that way, of which it made ten; its register meanwhile told less than 40 or more than
         160 percent of it, by more than two of its greatest steps

It is looser than the daemon may be (a power that was lost, or whose register leapt, is looked at again when it first
moves after a quarter of an hour, as the daemon may not have believed it before), and never tighter.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from drivers.points import Measurement, Quality
from ems.config.binding import Bindings
from ems.config.site import Site

LEAST_S, LEAST_READS, LEAST_STEPS, PAUSES, STEPS = 120.0, 20, 10, 4.0, 2.0
REST_KW = 0.2
OFF_BY = 0.6
LEAP_KWH = 1.5
UNSURE_S = 930.0
UNSURE = math.inf
SLACK_S = 30.0
"""Some cycles, in which doubt becomes the safe value."""


@dataclass(slots=True)
class Watched:
    """A power and its registers.

    Args:
        into: register of what flows in; None for none. out: likewise out.
    """

    into: str | None
    out: str | None
    kw: float | None = None
    since_s: float = 0.0
    reads: int = 0
    began_kwh: float = 0.0
    wrong_s: float = math.inf
    """Since when it stands still against its register [s]."""
    register: str | None = None
    moved_s: float | None = None
    unsure_until_s: float = -math.inf
    told_kwh: dict[str, float] = field(default_factory=dict)
    pauses_s: dict[str, float] = field(default_factory=dict)
    steps_kwh: dict[str, float] = field(default_factory=dict)
    steps: dict[str, int] = field(default_factory=dict)

    def look(self, kw: float, kwh: float | None, now_s: float) -> None:
        """Take a power [kW] and what its register tells of this direction [kWh]."""
        register = self.into if kw > 0.0 else self.out
        if register is None or kwh is None or kw != self.kw:
            knows = kwh is not None and self.kw != UNSURE
            self.kw, self.since_s, self.reads, self.wrong_s = kw, now_s, 0, math.inf
            self.began_kwh = kwh if kwh is not None and knows else math.nan
        if register is None or kwh is None or register != self.register:
            self.moved_s = None
        self.register = register
        if register is None or kwh is None:
            return
        self.reads += 1
        self._follow(register, kwh, flows=abs(kw) > REST_KW, now_s=now_s)
        if not self._is_wrong(abs(kw), kwh - self.began_kwh, now_s - self.since_s, register):
            self.wrong_s = math.inf
        elif self.wrong_s == math.inf:
            self.wrong_s = now_s

    def _follow(self, register: str, kwh: float, *, flows: bool, now_s: float) -> None:
        """Learn the longest pause between two steps of a register while power flows its way."""
        before_kwh = self.told_kwh.get(register, kwh)
        if not flows or self.wrong_s < math.inf:
            self.moved_s = None
        if kwh != before_kwh or register not in self.told_kwh:
            if self.moved_s is not None:
                self.pauses_s[register] = max(self.pauses_s.get(register, 0.0), now_s - self.moved_s)
                self.steps_kwh[register] = max(self.steps_kwh.get(register, 0.0), abs(kwh - before_kwh))
                self.steps[register] = self.steps.get(register, 0) + 1
            self.moved_s = now_s if flows else None
        if not 0.0 <= kwh - before_kwh <= LEAP_KWH:
            self.doubt(now_s)
        self.told_kwh[register] = kwh

    def _is_wrong(self, kw: float, told_kwh: float, passed_s: float, register: str) -> bool:
        if kw <= REST_KW or self.steps.get(register, 0) < LEAST_STEPS or self.reads < LEAST_READS:
            return False
        expected_kwh = kw * passed_s / 3600.0
        off_kwh = OFF_BY * expected_kwh + STEPS * self.steps_kwh[register]
        return passed_s >= max(LEAST_S, PAUSES * self.pauses_s[register]) and abs(told_kwh - expected_kwh) > off_kwh

    def doubt(self, now_s: float) -> None:
        """Look away for a while, and then until it moves: since when it stands still, the daemon may know otherwise."""
        self.unsure_until_s, self.kw, self.wrong_s = now_s + UNSURE_S, UNSURE, math.inf
        self.moved_s = None


class Stillness:
    """Watches the powers of a site that have an energy register.

    Args:
        site: the site. bindings: which point measures what.
    """

    def __init__(self, site: Site, bindings: Bindings) -> None:
        self._site, self._bindings = site, bindings
        self._watched: dict[str, Watched] = {}
        self.born()

    def born(self) -> None:
        """A new process has learnt nothing yet."""
        self._watched = dict(_powers(self._site, self._bindings))

    def saw(self, measurements: Sequence[Measurement], possible: Mapping[str, tuple[float, float]]) -> None:
        """Take what a driver read, and what its points can possibly tell."""
        told = {one.point: one for one in measurements}
        for point in self._watched.keys() & told.keys():
            power, one = self._watched[point], told[point]
            lower, upper = possible.get(point, (-math.inf, math.inf))
            if one.quality is not Quality.GOOD or one.value is None or not lower <= one.value <= upper:
                power.doubt(one.monotonic_s)
            elif one.monotonic_s >= power.unsure_until_s:
                register = told.get((power.into if one.value > 0.0 else power.out) or "")
                good = register is not None and register.quality is Quality.GOOD
                power.look(one.value, register.value if register is not None and good else None, one.monotonic_s)

    def why(self, point: str, now_s: float) -> str:
        """Say how long a power stands still that nobody may believe any more; empty if there is none."""
        power = self._watched.get(point)
        if power is None or now_s - power.wrong_s <= SLACK_S:
            return ""
        return f"stands still against its register for {now_s - power.since_s:.1f} s"


def _powers(site: Site, bindings: Bindings) -> Mapping[str, Watched]:
    found = {}
    for asset in site.file.assets:
        power, either = bindings.measure(asset, "power_kw"), bindings.measure(asset, "energy_kwh")
        into = bindings.measure(asset, "import_kwh") or bindings.measure(asset, "charge_kwh") or either
        out = bindings.measure(asset, "export_kwh") or bindings.measure(asset, "discharge_kwh") or either
        if power is not None and (into or out):
            found[power] = Watched(into, out)
    return found
