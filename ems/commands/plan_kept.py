"""A plan as the journal keeps it, told without single values of personal zones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ems.config.site import Site
from ems.privacy import Discretion, discretion
from ems.slow.plan_record import HELD
from ems.slow.plan_resumed import read_plan
from optimization.problem import Plan


@dataclass(frozen=True, slots=True, eq=False)
class Kept:
    """A plan as the journal keeps it: the plan, and all that stands beside it there."""

    plan: Plan
    body: Mapping[str, Any]

    @classmethod
    def of(cls, body: Mapping[str, Any], site: Site) -> Kept:
        """Read a record's body, without single values of personal zones; raises what `read_plan` raises."""
        told = _discreet(body, discretion(site))
        return cls(read_plan(told), told)

    @property
    def energy_value(self) -> list[float] | None:
        """What a kWh more at the connection costs in each slot [currency/kWh]; None where it was not kept."""
        prices = self.body.get("prices")
        return None if prices is None else prices["energy_value"]


def _discreet(body: Mapping[str, Any], discretion: Discretion) -> dict[str, Any]:
    by_asset = ("power_kw", "states", "slack", "not_planned_with", "reactive_kvar", "inverter_v_pu", "season")
    told: dict[str, Any] = {
        key: {a: v for a, v in body[key].items() if not discretion.hides(a)} for key in by_asset if key in body
    }
    if "held_reserves" in body:
        told["held_reserves"] = {
            band: held | {side: {a: kw for a, kw in held[side].items() if not discretion.hides(a)} for side in HELD}
            for band, held in body["held_reserves"].items()
        }
    if "spinning_kw" in (alone := body.get("survived") or {}):
        ready_kw = {a: kw for a, kw in alone["spinning_kw"].items() if not discretion.hides(a)}
        told["survived"] = alone | {"spinning_kw": ready_kw}
    prices = body.get("prices")
    if prices is not None:
        limits = [limit for limit in prices["limits"] if not discretion.hides(limit["asset"])]
        told["prices"] = {**prices, "limits": limits}
    return {**body, **told}
