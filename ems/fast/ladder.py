"""The ladder: plan -> shifted last plan -> rules -> safe. It wishes; arbitration decides. Pure.

Every wish carries a sentence that an operator can read, for example
`plan 12:05: charge 12.0 kW, energy is cheap now (0.21 EUR/kWh)`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from ems.fast.decisions import UNPOWERED, AssetKind, Lever, Rung, Wish
from ems.fast.prices import Prices
from ems.fast.rules import RuleSettings, RuleView, decide, price_sense
from optimization.problem import Plan

NOTHING_KW = 0.3
"""A planned exchange with the grid below this is none."""


@dataclass(frozen=True, slots=True)
class PlanNow:
    """The published plan at this instant.

    Args:
        plan: the plan.
        slot: index of the slot that holds now.
        rung: `PLAN` in its own time, `SHIFTED_PLAN` when newer ones are missing.
    """

    plan: Plan
    slot: int
    rung: Rung

    def power_kw(self, asset: str) -> float | None:
        """Give the planned power of an asset; None for one that the plan does not know."""
        schedule = self.plan.schedules.get(asset)
        return None if schedule is None else float(schedule.power_kw[self.slot])

    def wanted_kw(self, lever: Lever) -> float | None:
        """Give the planned power of an asset, or the planned fuel or heat of what has none; None for an unknown one."""
        schedule = self.plan.schedules.get(lever.asset)
        if schedule is None or lever.kind not in UNPOWERED:
            return self.power_kw(lever.asset)
        wanted_kw = schedule.states.get("fuel_kw" if lever.kind is AssetKind.BOILER else "heat_kw")
        return None if wanted_kw is None else abs(float(wanted_kw[self.slot]))

    @property
    def grid_kw(self) -> float:
        """Planned exchange with the grid, import positive [kW]."""
        return float(self.plan.import_kw[self.slot] - self.plan.export_kw[self.slot])


def plan_now(plan: Plan | None, now: datetime, *, every_s: float, max_age_s: float) -> PlanNow | None:
    """Find the plan's slot; None without a plan, past its horizon, or when it is older than `max_age_s` [s]."""
    if plan is None:
        return None
    age_s = (now - plan.made_at).total_seconds()
    slot = plan.slots.index_at(now)
    if slot is None or age_s > max_age_s:
        return None
    return PlanNow(plan, slot, Rung.PLAN if age_s <= 2.0 * every_s else Rung.SHIFTED_PLAN)


@dataclass(frozen=True, slots=True)
class Teller:
    """Puts wishes into words: prices in the site's currency, times in its zone."""

    currency: str
    zone: ZoneInfo

    def price(self, prices: Prices) -> str:
        """Say what energy costs, as a clause with its comma; nothing when no price is known."""
        if prices.import_price is None:
            return ""
        sense = price_sense(prices.import_price, prices.known, RuleSettings())
        word = "cheap now" if sense.cheap else "dear now" if sense.dear else "at a middling price"
        return f", energy is {word} ({prices.import_price:.2f} {self.currency}/kWh)"

    def plan(self, at: PlanNow, kind: AssetKind, kw: float, prices: Prices) -> str:
        """Say what a plan wants."""
        return f"{self.name(at)}: {action(kind, kw)}{self._price_of(kind, prices)}"

    def name(self, at: PlanNow) -> str:
        """Say which plan it is."""
        made = at.plan.made_at.astimezone(self.zone).strftime("%H:%M")
        return f"plan {made}" if at.rung is Rung.PLAN else f"last plan, of {made}"

    def rule(self, kind: AssetKind, kw: float, prices: Prices) -> str:
        """Say what the rules want."""
        return f"rules, as no plan is valid: {action(kind, kw)}{self._price_of(kind, prices)}"

    def _price_of(self, kind: AssetKind, prices: Prices) -> str:
        """Say what power costs, where it is power that is taken."""
        return "" if kind in UNPOWERED else self.price(prices)


def action(kind: AssetKind, kw: float) -> str:
    """Say a power in the words of its asset."""
    kw = round(kw, 1)
    match kind:
        case AssetKind.BATTERY | AssetKind.HYBRID:
            return storing(kind, kw)
        case AssetKind.CHARGE_POINT:
            does = "charge at" if kw > 0.0 else "give back"
            return "let the car wait" if kw == 0.0 else f"let the car {does} {abs(kw):.1f} kW"
        case AssetKind.HEAT_PUMP | AssetKind.CHILLER | AssetKind.BOILER | AssetKind.PIPE | AssetKind.COLD_PIPE:
            return heating(kind, kw)
        case AssetKind.GENSET:
            return "stand" if kw == 0.0 else f"generate {abs(kw):.1f} kW"
        case AssetKind.DEFERRABLE:
            return "let its run wait" if kw == 0.0 else "run"
        case AssetKind.PV:
            return f"generate up to {abs(kw):.1f} kW"


def storing(kind: AssetKind, kw: float) -> str:
    """Say a power in the words of what has a battery; a hybrid's is that of sun and battery together."""
    into, out, neither = ("charge", "discharge", "rest")
    if kind is AssetKind.HYBRID:
        into, out, neither = ("take", "give", "neither take nor give power")
    return neither if kw == 0.0 else f"{into if kw > 0 else out} {abs(kw):.1f} kW"


def heating(kind: AssetKind, kw: float) -> str:
    """Say a power, fuel, heat or cold in the words of what heats or chills."""
    if kind in {AssetKind.PIPE, AssetKind.COLD_PIPE}:
        what = "heat" if kind is AssetKind.PIPE else "cold"
        return f"send no {what}" if kw == 0.0 else f"send up to {kw:.1f} kW of {what}"
    does = "chill" if kind is AssetKind.CHILLER else "heat"
    fuel = " of fuel" if kind is AssetKind.BOILER else ""
    return f"do not {does}" if kw == 0.0 else f"{does} with {kw:.1f} kW{fuel}"


def plan_wish(at: PlanNow, lever: Lever, kw: float, prices: Prices, teller: Teller) -> Wish:
    """Make a wish of a planned power [kW]."""
    return Wish(at.rung, kw, teller.plan(at, lever.kind, kw, prices))


def keep_grid_side(planned_grid_kw: float, battery_kw: float, others_kw: float) -> float:
    """Correct the batteries' planned power so that a deviation does not turn buying into selling, nor the other way.

    A plan that exchanges nothing with the grid is followed at the meter; one that sells never makes the battery buy,
    and one that buys never makes it sell.

    Args:
        planned_grid_kw: planned exchange, import positive.
        battery_kw: planned power of all batteries together.
        others_kw: measured power of everything else, import positive.
    """
    if planned_grid_kw <= NOTHING_KW:
        battery_kw = min(battery_kw, -others_kw)
    if planned_grid_kw >= -NOTHING_KW:
        battery_kw = max(battery_kw, -others_kw)
    return battery_kw


def share_by_room(kw: float, rooms_kw: Mapping[str, tuple[float, float]]) -> dict[str, float]:
    """Share a power over assets by the room that each has in its direction; what no room is left for is left.

    Were it given to each of them whole, two batteries would answer one deviation twice, and swing.

    Args:
        kw: to be shared, of either sign.
        rooms_kw: how far each asset may go down (at most 0) and up (at least 0).
    """
    room = {asset: max(up, 0.0) if kw > 0.0 else min(down, 0.0) for asset, (down, up) in rooms_kw.items()}
    whole_kw = sum(room.values())
    part = min(1.0, kw / whole_kw) if whole_kw else 0.0
    return {asset: part * each for asset, each in room.items()}


def rule_wishes(view: RuleView, levers: Mapping[str, Lever], prices: Prices, teller: Teller) -> dict[str, Wish]:
    """Ask the rules; assets that they cannot see are missing."""
    wanted = decide(view)
    return {
        asset: Wish(Rung.RULES, kw, teller.rule(levers[asset].kind, kw, prices))
        for asset, kw in wanted.items()
        if asset in levers
    }


def safe_wish(lever: Lever, why: str) -> Wish:
    """Fall to the declared safe value, saying why."""
    what = "its own control" if lever.safe_kw is None else action(lever.kind, lever.safe_kw)
    return Wish(Rung.SAFE, lever.safe_kw, f"safe value ({what}): {why}")


@dataclass(slots=True)
class _Quota:
    """Energy that one charge point is due in one slot of one plan."""

    plan: str
    slot: int
    due_kwh: float
    start_kwh: float


class SlotEnergy:
    """Keeps charge points to the energy of the running slot where its mean power is below what a car can take."""

    def __init__(self) -> None:
        self._quotas: dict[str, _Quota] = {}

    def power_kw(self, lever: Lever, at: PlanNow, register_kwh: float, now: datetime) -> float:
        """Give the power at which to run now: whole steps, and the least power until the slot's energy is delivered."""
        planned_kw = at.power_kw(lever.asset) or 0.0
        if planned_kw >= lever.minimum_kw:
            self._quotas.pop(lever.asset, None)
            return min(_ceil_steps(planned_kw, lever.step_kw), lever.upper_kw)
        quota = self._quotas.get(lever.asset)
        if quota is None or (quota.plan, quota.slot) != (at.plan.id, at.slot):
            left_s = _slot_end_s(at) - (now - at.plan.slots.start).total_seconds()
            quota = _Quota(at.plan.id, at.slot, planned_kw * left_s / 3600.0, register_kwh)
            self._quotas[lever.asset] = quota
        return lever.minimum_kw if register_kwh - quota.start_kwh < quota.due_kwh - 0.02 else 0.0


def _ceil_steps(kw: float, step_kw: float) -> float:
    return -(-round(kw / step_kw, 3) // 1) * step_kw


def _slot_end_s(at: PlanNow) -> float:
    return float(at.plan.slots.offset_s[at.slot] + at.plan.slots.duration_s[at.slot])
