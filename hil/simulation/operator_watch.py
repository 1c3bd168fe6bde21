"""What the grid operator's limits demand of every decision, by what was read at his gateway, for I2.

lost      no change of the heartbeat for 120 s; until the next change the failsafe limit holds as well
demanded  the lower of the connection's own limit, the limit in the newest whole reading and, while lost, the failsafe

It is looser than the daemon may be (a restart keeps a failsafe that this forgets with the next heartbeat), and never
tighter; the daemon's own machine is tested for the rest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import inf

from drivers.points import Measurement, Quality
from ems.config.site import Site
from ems.limits.sources import sources_of

MISSING_S = 120.0
SLACK_S = 20.0
"""A reading and a cycle."""
Limits = tuple[float, float]


@dataclass(slots=True)
class OperatorWatch:
    """The limits of one site's grid operator, as his gateway shows them.

    Args:
        site: the site; without a gateway its own limits hold always.
    """

    site: Site
    _heartbeat: str = ""
    _points: Sequence[str] = ()
    _failsafe_kw: Limits = (inf, inf)
    _newest_kw: Limits = (inf, inf)
    _beat: float | None = None
    _alive_s: float = 0.0
    _known: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        sources, spec = sources_of(self.site), self.site.file.grid_operator
        if sources is None or spec is None or not sources.registers:
            return
        gateway = next(iter(sources.registers.values()))
        self._heartbeat, self._points = gateway.heartbeat, tuple(gateway.limits.values())
        both = (spec.failsafe_import_kw, spec.failsafe_export_kw)
        self._failsafe_kw = (both[0] if both[0] is not None else inf, both[1] if both[1] is not None else inf)

    def born(self, now_s: float) -> None:
        """A new process listens from now on [s]."""
        self._alive_s = max(self._alive_s, now_s) if self._beat is None else self._alive_s

    def saw(self, measurements: Sequence[Measurement], now_s: float) -> None:
        """Take what a driver read, if it is the gateway's."""
        if not measurements or measurements[0].point.partition(".")[0] != self._heartbeat.partition(".")[0]:
            return
        good = {m.point: m.value for m in measurements if m.quality is Quality.GOOD and m.value is not None}
        if not all(point in good for point in self._points):
            return
        self._newest_kw = (good[self._points[0]], good[self._points[1]])
        beat = good.get(self._heartbeat)
        if beat is not None and beat != self._beat:
            self._beat, self._alive_s = beat, now_s

    def demanded_kw(self, now_s: float) -> Limits:
        """Give the import and the export limit that must hold [kW]."""
        grid = self.site.file.grid
        lost = now_s - self._alive_s >= MISSING_S + SLACK_S
        failsafe = self._failsafe_kw if lost else (inf, inf)
        own = (grid.import_limit_kw, grid.export_limit_kw)
        return (
            min(own[0], self._newest_kw[0], failsafe[0]),
            min(own[1], self._newest_kw[1], failsafe[1]),
        )
