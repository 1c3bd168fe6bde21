"""A run that nobody has drawn: told step by step, from outside, as it goes on."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from ems.clock import Clock
from ems.ownership import NotOwner, Owner
from hil.simulation.faults import Fault, Kind
from hil.simulation.invariants import Invariant, Violation
from hil.simulation.life import Life, Setting
from hil.simulation.simulate import RESTART_S, Order, setting_of
from hil.simulation.variants import variant

LEAST_S = 0.001
"""A process lives for a moment at least [s]."""


@dataclass(slots=True)
class Story:
    """The daemon and its world, at an instant until which all has been told.

    Args:
        order: what is run; its length and its rates count for nothing.
        state: the daemon's state folder, which holds the prepared feeder.

    Attributes:
        violations: what did not hold; the first one ends the story.
    """

    order: Order
    state: Path
    violations: list[Violation] = field(default_factory=list)
    setting: Setting = field(init=False)
    life: Life = field(init=False)

    def __post_init__(self) -> None:
        site = variant(self.order.site, self.order.seed)
        self.setting = setting_of(self.order, site, self.state, (), self.violations.append)
        self._begin(1, 0.0)

    @property
    def now_s(self) -> float:
        """The instant [s since the start]."""
        return self.life.loop.time()

    def wait(self, seconds: float) -> None:
        """Let time pass [s]; a daemon that has lost its site is started anew."""
        until_s = self.now_s + seconds
        self.life.live(until_s)
        while self.life.is_over and not self.violations and self.now_s < until_s:
            self.end(RESTART_S, killed=False)
            self.life.live(until_s)

    def strike(self, kind: Kind, seconds: float, target: str = "", size: float = 0.0) -> None:
        """Let something go wrong for so long [s]; the words are those of a fault."""
        self.setting.town.trouble.strike(Fault(self.now_s, seconds, kind, target, size), self.life.loop)

    def end(self, down_s: float, *, killed: bool) -> None:
        """End the daemon, and start another one so much later [s]."""
        self.life.end(killed=killed)
        start_s = self.now_s + down_s
        self.setting.town.live_until(start_s)
        if not self.violations:
            self._begin(self.life.number + 1, start_s)

    def second_daemon(self) -> None:
        """Start a second daemon: it must end before it could write (I7)."""
        clock: Clock = self.life.clock
        other = Owner(self.state, clock, self.setting.site.file.control.lease_s)
        try:
            other.acquire()
        except NotOwner:
            return
        facts = f"a second daemon owns the site under epoch {other.epoch}"
        other.release()
        self.setting.judge.tell(Violation(Invariant.OWNER, self.now_s, facts))

    def close(self) -> None:
        """End in good order, so that the chain of audit can be judged."""
        try:
            if not self.life.loop.is_closed():
                self.life.end(killed=False)
        finally:
            self.life.tidy_up()

    def _begin(self, number: int, start_s: float) -> None:
        self.life = Life(self.setting, number, start_s)
        self.life.begin()
        self.life.live(start_s + LEAST_S)
