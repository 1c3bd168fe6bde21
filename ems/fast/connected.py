"""Decides at every grid connection of a site, each by itself. Pure.

Law 1: the decisions of one connection rest on its own meter, its own limits, prices and interval: what another one
draws is no room of this one, and a meter that is lost makes its own connection safe and no other.
Law 2: every asset is decided at the one connection that it hangs on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

from ems.config.binding import Bindings
from ems.config.site import Site
from ems.config.site_parts import FIRST, RowsAt, parts_of, plan_at
from ems.fast.decisions import Lever
from ems.fast.outcome import Outcome
from ems.fast.powers import Powers
from ems.fast.rows import Eye, blind
from ems.fast.scene import Scene
from ems.fast.steering import Steering
from optimization.problem import GridRows, Plan

Told = TypeVar("Told")


class Decides(Protocol):
    """Who turns a scene into decisions."""

    def decide(self, scene: Scene) -> Outcome:
        """Decide every asset that can be read."""


def steering_of(site: Site, bindings: Bindings, levers: Mapping[str, Lever], eye: Eye = blind) -> Decides:
    """Give what decides for a site: one steering, or one for each of its connections."""
    return Connected(site, bindings, levers, eye) if site.file.connections else Steering(site, bindings, levers, eye)


class Connected:
    """One steering for each connection.

    Args:
        site: a site with several.
        bindings: which point measures what.
        levers: of the whole site.
        eye: gives the grid's rows of the whole site about measured powers; feeders that no branch joins say nothing
            of each other, so that each connection looks with its own powers.
    """

    def __init__(self, site: Site, bindings: Bindings, levers: Mapping[str, Lever], eye: Eye = blind) -> None:
        self._seats = {name: _Seat.of(name, part, bindings, levers, eye) for name, part in parts_of(site).items()}

    def decide(self, scene: Scene) -> Outcome:
        """Decide at every connection; what is said of another than the first one names it."""
        found = {name: seat.decide(scene) for name, seat in self._seats.items()}
        first, others = found[FIRST], {name: each for name, each in found.items() if name != FIRST}
        every = list(found.values())
        return replace(
            first,
            decisions=_joined([each.decisions for each in every]),
            powers=_together([each.powers for each in every]),
            unsafe="; ".join(_said(name, each.unsafe) for name, each in found.items() if each.unsafe),
            settling=any(each.settling for each in every),
            excess=tuple(_said(name, words) for name, each in found.items() for words in each.excess),
            building=tuple(limit for each in every for limit in each.building),
            by_hand=tuple(asset for each in every for asset in each.by_hand),
            wanted_kw=_joined([each.wanted_kw for each in every]),
            elsewhere=others,
        )


@dataclass(frozen=True, slots=True)
class _Seat:
    """Where one connection is decided."""

    name: str
    site: Site
    steering: Steering
    plans: _Plans

    @classmethod
    def of(cls, name: str, part: Site, bindings: Bindings, levers: Mapping[str, Lever], eye: Eye) -> _Seat:
        """Take what hangs on it; nothing that is only seen from here is commanded here."""
        here = {a: lever for a, lever in levers.items() if a in part.file.assets and _hangs(part, a, name)}
        rows = RowsAt(part.file.assets)

        def mine(power_kw: Mapping[str, float]) -> GridRows | None:
            found = eye(power_kw)
            return None if found is None else rows.of(found)

        return cls(name, part, Steering(part, bindings, here, mine), _Plans(name, part))

    def decide(self, scene: Scene) -> Outcome:
        """Decide with what is known of this connection alone."""
        seen = replace(scene, plan=self.plans.of(scene.plan), elsewhere={})
        if self.name == FIRST:
            return self.steering.decide(seen)
        beside = scene.elsewhere[self.name]
        mine = replace(seen, prices=beside.prices, demand=beside.demand, turn=beside.turn, limits=())
        return self.steering.decide(mine)


class _Plans:
    """Gives a plan's part of a connection, the same one as long as the plan is the same."""

    def __init__(self, name: str, part: Site) -> None:
        self._name, self._assets = name, part.file.assets
        self._kept: tuple[Plan | None, Plan | None] = (None, None)

    def of(self, plan: Plan | None) -> Plan | None:
        """Give it; None without one."""
        if self._kept[0] is not plan:
            self._kept = (plan, plan_at(plan, self._name, self._assets))
        return self._kept[1]


def _hangs(part: Site, asset: str, name: str) -> bool:
    return (part.file.assets[asset].connection or FIRST) == name


def _said(name: str, words: str) -> str:
    return f"at {name}: {words}" if name else words


def _joined(parts: list[Mapping[str, Told]]) -> dict[str, Told]:
    return {asset: each for part in parts for asset, each in part.items()}


def _together(powers: list[Powers]) -> Powers:
    """Give what is measured everywhere; the connection's own power is the first one's."""
    return Powers(
        grid_kw=powers[0].grid_kw,
        metered_kw=_joined([each.metered_kw for each in powers]),
        loads_kw=_joined([each.loads_kw for each in powers]),
        state=_joined([each.state for each in powers]),
        missing=_joined([each.missing for each in powers]),
        burnt_kw=_joined([each.burnt_kw for each in powers]),
    )
