"""The process of a control cycle: what every commanded asset shall do now, from one snapshot. No I/O.

Law 1: on stale inputs nothing but the declared safe value is decided. A stale grid meter makes the whole site safe, a
device that cannot be read is not commanded at all until it is back.
Law 2: every decision lies within the asset's device bounds, whatever plan, rules, operator or balancing say.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from ems.arbitration import arbitrate, clamp, narrow, runnable
from ems.balancing import Balance, Flex, balance, pv_limit
from ems.config.binding import Bindings
from ems.config.site import Site
from ems.decisions import AssetKind, Bound, Decision, Lever, Rung, Wish
from ems.ladder import (
    PlanNow,
    SlotEnergy,
    Teller,
    action,
    keep_grid_side,
    plan_now,
    plan_wish,
    rule_wishes,
    safe_wish,
)
from ems.powers import Powers, bounds_of, read_powers, rule_view
from ems.rows import build_rows
from ems.scene import Scene
from optimization.problem import GridRows, Plan

KEEP_KW: Mapping[AssetKind, float] = {
    AssetKind.BATTERY: 1.0,
    AssetKind.CHARGE_POINT: 1.4,
    AssetKind.HEAT_PUMP: 0.6,
    AssetKind.PV: 0.0,
}
"""Commands this near to what relief asks for are not re-issued [kW]."""
PROBE_SHARE = 0.05
"""A curtailed plant is expected to have so much more sun than it shows, as a share of its rating."""
PRESSED_KW = 1.5
NO_EXPORT_KW = 0.5


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one cycle decided.

    Args:
        decisions: by asset; an asset that cannot be read has none.
        powers: what was measured.
        unsafe: why safe values are commanded site-wide; empty when they are not.
        excess: rows that stay past their trigger, in words.
    """

    decisions: Mapping[str, Decision]
    powers: Powers
    unsafe: str = ""
    excess: tuple[str, ...] = ()


class Steering:
    """Decides; between cycles it only remembers what a charge point is due and the newest rows of the grid."""

    def __init__(self, site: Site, bindings: Bindings, levers: Mapping[str, Lever]) -> None:
        self._site = site
        self._bindings = bindings
        self._levers = levers
        self._teller = Teller(site.file.site.currency, ZoneInfo(site.file.site.timezone))
        self._quota = SlotEnergy()
        self._rows: tuple[GridRows, Plan] | None = None

    def decide(self, scene: Scene) -> Outcome:
        """Decide every asset that can be read: wish, arbitrate, balance."""
        powers = read_powers(self._site, self._bindings, scene.snapshot)
        if scene.plan is not None and scene.plan.grid_rows is not None:
            self._rows = (scene.plan.grid_rows, scene.plan)
        readable = {asset: lever for asset, lever in self._levers.items() if asset in powers.metered_kw}
        if powers.grid_kw is None:
            why = "the grid meter cannot be read"
            decisions = {a: self._safe(lever, why) for a, lever in readable.items()}
            return Outcome(decisions, powers, unsafe=why)
        wishes = self._wishes(scene, powers, readable)
        bounds = {asset: bounds_of(self._site, lever, scene, powers) for asset, lever in readable.items()}
        now_s = scene.snapshot.monotonic_s
        shaped = {
            asset: arbitrate(lever, wishes[asset], bounds[asset], scene.held.get(asset), now_s)
            for asset, lever in readable.items()
        }
        return self._balanced(scene, powers, shaped, bounds)

    def _safe(self, lever: Lever, why: str) -> Decision:
        wish = safe_wish(lever, why)
        return Decision(lever.asset, wish.kw, wish.rung, wish.reason)

    def _wishes(self, scene: Scene, powers: Powers, levers: Mapping[str, Lever]) -> dict[str, Wish]:
        at = self._plan_now(scene)
        rules: dict[str, Wish] | None = None
        wishes: dict[str, Wish] = {}
        for asset, lever in sorted(levers.items(), key=lambda item: item[1].kind is AssetKind.BATTERY):
            if asset in scene.snapshot.unavailable:
                wishes[asset] = safe_wish(lever, f"{asset} does not follow its commands")
            elif powers.missing.get(asset):
                wishes[asset] = safe_wish(lever, f"no good value of {powers.missing[asset]}")
            elif at is not None and at.power_kw(asset) is not None:
                wishes[asset] = self._follow_plan(scene, powers, lever, at, wishes)
            else:
                if rules is None:
                    view = rule_view(self._site, scene, powers, levers, ZoneInfo(self._site.file.site.timezone))
                    rules = rule_wishes(view, self._levers, scene.prices, self._teller)
                wishes[asset] = rules.get(asset) or safe_wish(lever, "neither plan nor rules know what to do")
        return wishes

    def _plan_now(self, scene: Scene) -> PlanNow | None:
        planning = self._site.file.planning
        return plan_now(scene.plan, scene.snapshot.at, every_s=planning.every_s, max_age_s=planning.max_plan_age_s)

    def _follow_plan(self, scene: Scene, powers: Powers, lever: Lever, at: PlanNow, others: Mapping[str, Wish]) -> Wish:
        kw = at.power_kw(lever.asset) or 0.0
        match lever.kind:
            case AssetKind.PV:
                kw = lever.lower_kw
            case AssetKind.CHARGE_POINT:
                car = scene.cars.get(lever.asset)
                kw = self._quota.power_kw(lever, at, car.register_kwh, scene.snapshot.at) if car else 0.0
            case AssetKind.BATTERY:
                others_kw = powers.without(lever.asset, {a: w.kw for a, w in others.items() if self._firm(a)})
                kw = keep_grid_side(at.grid_kw, kw, others_kw)
            case AssetKind.HEAT_PUMP:
                pass
        return plan_wish(at, lever, kw, scene.prices, self._teller)

    def _firm(self, asset: str) -> bool:
        """Tell whether a wish is also what the meter will show: not so for limits."""
        return self._levers[asset].kind is AssetKind.HEAT_PUMP

    def _balanced(
        self,
        scene: Scene,
        powers: Powers,
        shaped: Mapping[str, Decision],
        bounds: Mapping[str, tuple[Bound, ...]],
    ) -> Outcome:
        flexes = [
            self._flex(self._levers[asset], decision, bounds[asset], scene, powers)
            for asset, decision in shaped.items()
            if self._is_movable(decision, scene)
        ]
        movable = {flex.asset for flex in flexes}
        fixed = {a: kw for a, kw in {**powers.metered_kw, **powers.loads_kw}.items() if a not in movable}
        grid, slot = self._grid_slot(scene)
        rows = build_rows([*fixed, *movable_order(flexes)], grid, slot, self._limits_kw(scene))
        result = balance(flexes, rows, fixed)
        decisions = dict(shaped)
        for flex in flexes:
            decisions[flex.asset] = self._final(
                flex, shaped[flex.asset], result, bounds[flex.asset], known=grid is not None
            )
        over = tuple(name for name, excess in zip(rows.names, result.excess, strict=True) if excess > 1e-6)
        return Outcome(decisions, powers, excess=over)

    def _is_movable(self, decision: Decision, scene: Scene) -> bool:
        """Tell whether balancing may move an asset: it is written to, it follows, and it is not at its safe value."""
        steered = scene.standing.may_write(self._levers[decision.asset].device)
        return steered and decision.kw is not None and decision.rung is not Rung.SAFE

    def _flex(self, lever: Lever, decision: Decision, bounds: tuple[Bound, ...], scene: Scene, powers: Powers) -> Flex:
        """Describe how far an asset may be moved: within the bounds that rank above the grid's."""
        firm = [b for b in bounds if b.rung in (Rung.LOCKOUT, Rung.DEVICE, Rung.BUILDING)]
        lower_kw, upper_kw, _, _ = narrow(firm)
        held = scene.held.get(lever.asset)
        held_kw = held.kw if held else None
        power_kw = decision.kw or 0.0
        if lever.kind is AssetKind.PV:
            power_kw = -expected_generation_kw(-powers.metered_kw[lever.asset], held_kw, lever.rating_kw)
        return Flex(
            asset=lever.asset,
            kind=lever.kind,
            power_kw=power_kw,
            lower_kw=lower_kw,
            upper_kw=upper_kw,
            minimum_kw=lever.minimum_kw,
            step_kw=lever.step_kw,
            held_kw=held_kw,
            keep_kw=KEEP_KW[lever.kind],
            reserved=lever.asset in scene.standing.overrides,
        )

    def _grid_slot(self, scene: Scene) -> tuple[GridRows | None, int]:
        if self._rows is None:
            return None, 0
        grid, plan = self._rows
        slot = plan.slots.index_at(scene.snapshot.at)
        return grid, len(plan.slots) - 1 if slot is None else slot

    def _limits_kw(self, scene: Scene) -> tuple[float, float]:
        """Give the connection's limits; nothing is sold while that costs money and the plan does not mean to."""
        grid = self._site.file.grid
        price = scene.prices.export_price
        at = self._plan_now(scene)
        pays = price is None or price >= 0.0 or (at is not None and at.grid_kw < -NO_EXPORT_KW)
        return grid.import_limit_kw, grid.export_limit_kw if pays else min(NO_EXPORT_KW, grid.export_limit_kw)

    def _final(
        self, flex: Flex, shaped: Decision, result: Balance, bounds: tuple[Bound, ...], *, known: bool
    ) -> Decision:
        """Clamp last: what the rows ask for, inside the nested bounds."""
        lever = self._levers[flex.asset]
        if flex.kind is AssetKind.PV:
            return self._final_pv(flex, shaped, result, bounds, known=known)
        row = result.because.get(flex.asset)
        if row is None:
            return shaped
        kw = result.power_kw[flex.asset]
        because = Wish(Rung.GRID, kw, f"{row}: {action(flex.kind, kw)}")
        above = [b for b in bounds if b.rung is not Rung.OPERATOR]
        return runnable(lever, clamp(flex.asset, because, above))

    def _final_pv(
        self, flex: Flex, shaped: Decision, result: Balance, bounds: tuple[Bound, ...], *, known: bool
    ) -> Decision:
        lever = self._levers[flex.asset]
        held_kw = None if flex.held_kw is None else -flex.held_kw
        limit_kw = pv_limit(
            -result.power_kw[flex.asset], result.pv_most_kw[flex.asset], held_kw, -flex.power_kw, lever.rating_kw
        )
        why = f"the grid stands no more: {action(flex.kind, limit_kw)}"
        if not known and lever.safe_kw is not None:
            limit_kw, why = min(limit_kw, -lever.safe_kw), "the grid's rows are not known before the first plan"
        grid = Bound(Rung.GRID, -limit_kw, 0.0, why)
        return clamp(flex.asset, replace_kw(shaped), (*bounds, grid))


def replace_kw(decision: Decision) -> Wish:
    """Make the wish of a decision again."""
    return Wish(decision.rung, decision.kw, decision.reason)


def movable_order(flexes: list[Flex]) -> list[str]:
    """Name the movable assets in their order."""
    return [flex.asset for flex in flexes]


def expected_generation_kw(measured_kw: float, held_kw: float | None, rated_kw: float) -> float:
    """Foresee what a plant would give: what it shows, and a little more while its limit presses on it [kW]."""
    if held_kw is None or measured_kw < -held_kw - PRESSED_KW:
        return min(max(measured_kw, 0.0), rated_kw)
    return min(max(measured_kw, 0.0) + PROBE_SHARE * rated_kw, rated_kw)
