"""What a study needs of a plant, and where one is found.

A plant for studies is offered by a stranger (the pretend world is one) through the entry point group `ems.plants`: a
callable `maker(site, period, seed) -> Bench`.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from drivers.driver import Driver, DriverClock
from ems.config.site import Site
from ems.exit_codes import CommandError, Exit
from ems.slow.feed_desk import Feed
from ems.store.requests import Request
from optimization.assets import EvSession
from optimization.slots import Floats

GROUP = "ems.plants"


@dataclass(frozen=True, slots=True)
class Period:
    """What is studied: from one aware UTC instant to another."""

    start: datetime
    end: datetime

    @property
    def seconds(self) -> float:
        """Its length [s]."""
        return (self.end - self.start).total_seconds()


class Bench(Protocol):
    """A site's plant under the nature of a period, with what was published in it. Time moves by `advance` only."""

    @property
    def feeds(self) -> Mapping[str, Feed]:
        """What was published, as it was known at each instant, by feed name."""

    def drivers(self, clock: DriverClock) -> Mapping[str, Driver]:
        """Put the drivers' contract in front of every device, by device id."""

    def advance(self, to_s: float) -> Sequence[Request]:
        """Let the plant live until an instant [s since the start]; gives what cars asked for on the way."""

    def called(self, park: str, car: str, point: str) -> None:
        """Tell a waiting car to which charge point it may go."""

    def verdict(self) -> Mapping[str, Any]:
        """Judge what has happened: cost, energy, carbon, limits, cars, comfort, peaks."""

    def track(self) -> Mapping[str, Sequence[float]]:
        """Give what has happened, every 15 minutes: `elapsed_s`, `import_kw` and one column an asset [kW]."""

    def truth(self, start: datetime, end: datetime, step_s: float) -> Mapping[str, Floats]:
        """Tell the future, for the oracle only: means over steps, shape (steps,) each.

        `outdoor_c`, `irradiance_w_m2`, `price`, `carbon`, `kw:<asset>` of fixed loads, `available_kw:<asset>` of PV,
        `sun_kw:<asset>` of hybrids on their direct-current side.
        """

    def stays(self) -> Mapping[str, tuple[EvSession, ...]]:
        """Tell every stay at each charge point as far as it is decided, past and future; for the oracle only."""


Maker = Callable[[Site, Period, int], Bench]


def find_maker() -> Maker:
    """Find the plant to study with; raises `CommandError` where nobody offers one, or more than one does."""
    points = list(importlib.metadata.entry_points(group=GROUP))
    if len(points) != 1:
        known = ", ".join(point.value for point in points) or "none"
        words = f"a study needs one plant in the entry point group `{GROUP}`, found {known}; install one of them"
        raise CommandError(words, Exit.FAILURE)
    maker: Maker = points[0].load()
    return maker
