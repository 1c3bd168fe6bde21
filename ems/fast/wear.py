"""How often a point may be written whose register wears. Pure.

    a wish waits  where n >= N, or n >= N - r and t - t_last < 24 h / r        r = ceil(N / 4)

Symbols: n writes within the last 24 h, N the budget, r the rest that is rationed, t the instant, t_last of the newest.

Law 1: mere wishes write no more than the budget within any 24 h, over restarts too.
Law 2: where wishes alone write, none waits for longer than 24 h / r: the rest lasts until what was spent is a day old.
Law 3: what a limit, a person or a safe value asks for is written whatever is left, and counts; so does the return of an
asset from its own control.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from math import ceil
from typing import Any

from drivers.registry import RoleInfo, profile_points
from ems.config.binding import Bindings
from ems.config.site import Site

DAY_S = 86_400.0
RATIONED_SHARE = 0.25


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a point may be written.

    Args:
        per_day: writes within any 24 h.
        is_kept: whether its device keeps a command for ever, so that none is renewed.
    """

    per_day: int
    is_kept: bool

    @property
    def rest(self) -> int:
        """How many of the writes are rationed."""
        return ceil(RATIONED_SHARE * self.per_day)

    @property
    def gap_s(self) -> float:
        """Least time between two of these [s]."""
        return DAY_S / self.rest


class WriteBudget:
    """Counts the writes to points that wear.

    Args:
        allowances: by point; what is missing wears not.
    """

    def __init__(self, allowances: Mapping[str, Allowance]) -> None:
        self.allowances = allowances
        self._written_s: dict[str, deque[float]] = {point: deque() for point in allowances}

    def restore(self, told: Iterable[tuple[float, str]]) -> None:
        """Take up the writes of before a restart: each instant [monotonic s] and point, oldest first."""
        for at_s, point in told:
            self.count(point, at_s)

    def count(self, point: str, at_s: float) -> None:
        """Note a write [monotonic s]."""
        if point in self._written_s:
            self._written_s[point].append(at_s)

    def spent(self, point: str, now_s: float) -> int:
        """Give the writes within the last 24 h."""
        written_s = self._written_s[point]
        while written_s and now_s - written_s[0] >= DAY_S:
            written_s.popleft()
        return len(written_s)

    def is_kept(self, point: str) -> bool:
        """Tell whether a proven command there needs no renewal."""
        return point in self.allowances and self.allowances[point].is_kept

    def is_low(self, point: str, now_s: float) -> bool:
        """Tell whether only the rationed rest is left, or nothing."""
        allowance = self.allowances[point]
        return self.spent(point, now_s) >= allowance.per_day - allowance.rest

    def waits(self, point: str, now_s: float) -> bool:
        """Tell whether a mere wish must wait."""
        if point not in self.allowances or not self.is_low(point, now_s):
            return False
        allowance, written_s = self.allowances[point], self._written_s[point]
        return len(written_s) >= allowance.per_day or (bool(written_s) and now_s - written_s[-1] < allowance.gap_s)

    def told(self, point: str, now_s: float) -> dict[str, int] | None:
        """Give the writes within 24 h and the budget, for whoever looks on; None for what wears not."""
        if point not in self.allowances:
            return None
        return {"within_24_h": self.spent(point, now_s), "most": self.allowances[point].per_day}


def allowances(site: Site, bindings: Bindings) -> dict[str, Allowance]:
    """Give what every commanded point may be written that wears: by the site file, else by its profile."""
    found: dict[str, Allowance] = {}
    for asset, command in bindings.commands.items():
        device = site.file.devices[command.device]
        profile = profile_points(device.protocol, device.profile)
        roles = {f"{command.device}.{role.point}": role for role in profile.roles.values()}
        for point in bindings.points_of(asset):
            most = _most(device.writes_per_day, roles.get(point))
            if most is not None:
                found[point] = Allowance(most, is_kept=not profile.has_watchdog)
    return found


def _most(by_site: int | None, role: RoleInfo | None) -> int | None:
    if role is None or not role.writable:
        return None
    return role.writes_per_day if by_site is None else by_site


def journalled(
    records: Iterable[tuple[datetime, str, Mapping[str, Any]]], points: Iterable[str]
) -> list[tuple[datetime, str]]:
    """Find the writes to points in the journal.

    Args:
        records: `intent` and `result` records with instant, kind and body, oldest first.
        points: that wear.

    Returns:
        Instants and points, oldest first. An intent that nothing of its point came after counts as a write: the process
        may have ended between that and its record.
    """
    wanted, newest = set(points), dict[str, tuple[datetime, str]]()
    found = []
    for at, kind, body in records:
        if (point := str(body.get("point"))) in wanted:
            newest[point] = at, kind
            if kind == "result":
                found.append((at, point))
    return found + [(at, point) for point, (at, kind) in newest.items() if kind == "intent"]
