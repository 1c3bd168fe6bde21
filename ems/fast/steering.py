"""The process of a control cycle: what every commanded asset shall do now, from one snapshot. No I/O.

Law 1: on stale inputs nothing but the declared safe value is decided. A stale grid meter makes the whole site safe, a
device that cannot be read is not commanded at all until it is back.
Law 2: every decision lies within the asset's device bounds, whatever plan, rules, operator or balancing say.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from zoneinfo import ZoneInfo

from ems.arbitration import arbitrate, clamp, narrow, runnable
from ems.balancing import Balance, Flex, balance, pv_limit
from ems.config.assets import GridMeter
from ems.config.binding import Bindings
from ems.config.inverter_models import set_inverters
from ems.config.site import Site
from ems.fast.building import bounds_on, read_limits
from ems.fast.compressor import least_kw, start_bounds
from ems.fast.decisions import COMPRESSORS, STORES, UNPOWERED, AssetKind, Bound, Decision, Lever, Rung, Wish
from ems.fast.demand_row import soft_level
from ems.fast.island import CONNECTED, IslandWatch
from ems.fast.ladder import (
    NOTHING_KW,
    PlanNow,
    SlotEnergy,
    Teller,
    action,
    keep_grid_side,
    plan_now,
    plan_wish,
    rule_wishes,
    safe_wish,
    share_by_room,
)
from ems.fast.levels import Debt, owe, running_at
from ems.fast.levers import KEEP_KW
from ems.fast.outcome import Outcome
from ems.fast.phases import order_of, stand_bounds
from ems.fast.powers import Powers, bounds_of, ranked_loads, read_powers, rule_view, run_starts
from ems.fast.reactive import kvar_order
from ems.fast.rows import EXPORT, IMPORT, Eye, RowsMaker, blind
from ems.fast.runs import GOES_ON, goes_on
from ems.fast.scene import Scene
from ems.fast.sg_ready import Block, why_released
from ems.fast.shedding import load_of, shed
from ems.limits.in_force import Direction, narrowed
from optimization.problem import GridRows

SETTLES = "the grid meter has not given three good readings in a row yet"
SPARE_KW = 2.0
"""Where selling costs money, a plant may give so much more than the site takes, so that it can find a use."""


class Steering:
    """Decides; between cycles it only remembers what energy is due where only some powers can be told."""

    def __init__(self, site: Site, bindings: Bindings, levers: Mapping[str, Lever], eye: Eye = blind) -> None:
        self._site, self._bindings, self._levers, self._eye = site, bindings, levers, eye
        self._teller = Teller(site.file.site.currency, ZoneInfo(site.file.site.timezone))
        self._meters = {name for name, spec in site.file.assets.items() if isinstance(spec, GridMeter)}
        self._island = IslandWatch(site, bindings) if site.file.island is not None else None
        self._quota = SlotEnergy()
        self._now: tuple[Scene | None, PlanNow | None] = (None, None)
        self._rows = RowsMaker(groups=site.file.groups)
        self._debts: dict[str, Debt] = {}
        self._set = set_inverters(site)

    def decide(self, scene: Scene) -> Outcome:
        """Decide every asset that can be read: wish, arbitrate, balance."""
        powers, operator = read_powers(self._site, self._bindings, scene.snapshot), scene.limits
        island = CONNECTED
        if self._island is not None:
            island, powers = self._island.look(scene.snapshot, powers)
        if island.is_open:
            scene = replace(scene, plan=None, demand=None, limits=island.limits)
        limits = read_limits(self._site, self._bindings, scene.snapshot)
        settling = scene.turn.settling
        kept = settling | {island.forming}
        readable = {a: lever for a, lever in self._levers.items() if powers.taken_kw(a) is not None and a not in kept}
        if powers.grid_kw is None or island.unsafe or settling & self._meters:
            lost = island.unsafe or ("the grid meter cannot be read" if powers.grid_kw is None else "")
            decisions = {a: self._safe(lever, lost or SETTLES) for a, lever in readable.items()}
            return Outcome(decisions, powers, lost, not lost, building=limits, limits=operator, island=island)
        bounds = {
            asset: (
                *bounds_of(self._site, lever, scene, powers),
                *bounds_on(asset, limits),
                *scene.turn.bounds(asset, running_at(lever, powers.taken_kw(asset) or 0.0)),
                *island.bounds(lever, powers.taken_kw(asset) or 0.0),
                *start_bounds(lever, scene.compressors.get(asset), scene.snapshot.monotonic_s),
                *stand_bounds(scene.phases.get(asset), scene.snapshot.monotonic_s),
            )
            for asset, lever in readable.items()
        }
        wishes = self._wishes(scene, powers, readable)
        wishes |= {asset: wish for asset, wish in island.wishes().items() if _by_rules(wishes.get(asset))}
        wishes |= self._in_levels(scene, powers, wishes)
        wishes |= self._on_their_side(scene, powers, wishes, bounds)
        shaped = {asset: self._settled(wishes[asset], lever, bounds[asset], scene) for asset, lever in readable.items()}
        # What a set in an island gives, its governor decides besides: to the balance it is what its meter shows.
        still = {asset for asset, lever in readable.items() if lever.kind in UNPOWERED or asset in island.sets_kw}
        powered = {asset: each for asset, each in shaped.items() if asset not in still}
        outcome = self._balanced(scene, powers, powered, bounds)
        told = {asset: self._with_phases(each, scene) for asset, each in {**shaped, **outcome.decisions}.items()}
        told |= {asset: self._with_kvar(told[asset], scene, powers) for asset in self._set.keys() & told.keys()}
        wanted_kw = self._wanted_kw(scene, wishes, bounds)
        return replace(outcome, decisions=told, building=limits, limits=operator, wanted_kw=wanted_kw, island=island)

    def _with_phases(self, decision: Decision, scene: Scene) -> Decision:
        """Let a charge point change its phases, which it only does while it is told to stand."""
        order = order_of(scene.phases.get(decision.asset)) if decision.kw == 0.0 else None
        return decision if order is None or decision.rung is Rung.SAFE else replace(decision, phases=order)

    def _with_kvar(self, decision: Decision, scene: Scene, powers: Powers) -> Decision:
        """Let an inverter have the reactive power of the plan, if it keeps it."""
        asset = decision.asset
        if decision.rung is Rung.SAFE or asset in scene.snapshot.unset:
            return decision
        taken_kw = powers.taken_kw(asset)
        return replace(
            decision, kvar=kvar_order(self._plan_now(scene), asset, self._set[asset], taken_kw, self._teller)
        )

    def _wanted_kw(
        self, scene: Scene, wishes: Mapping[str, Wish], bounds: Mapping[str, tuple[Bound, ...]]
    ) -> dict[str, float]:
        """Give what is wished of charge points that switch phases, within what is allowed on either number [kW]."""
        found, at = {}, self._plan_now(scene)
        for asset, wish in wishes.items():
            switches = self._levers[asset].switching is not None and asset not in scene.waiting
            if not switches or wish.rung is Rung.SAFE or asset not in scene.cars:
                continue
            planned_kw = at.power_kw(asset) if at is not None and wish.rung is at.rung else wish.kw
            allowed = [bound for bound in bounds[asset] if bound.rung is not Rung.DEVICE]
            found[asset] = clamp(asset, Wish(wish.rung, planned_kw or 0.0, ""), allowed).kw or 0.0
        return found

    def _safe(self, lever: Lever, why: str) -> Decision:
        wish = safe_wish(lever, why)
        return Decision(lever.asset, wish.kw, wish.rung, wish.reason)

    def _settled(self, wish: Wish, lever: Lever, bounds: tuple[Bound, ...], scene: Scene) -> Decision:
        """Arbitrate a wish; a safe value is commanded as it is declared, nobody outranks it (Law 1)."""
        if wish.rung is Rung.SAFE:
            return Decision(lever.asset, wish.kw, wish.rung, wish.reason)
        now_s, held = scene.snapshot.monotonic_s, scene.held.get(lever.asset)
        least = least_kw(lever, scene.compressors.get(lever.asset), now_s)
        swinging, waits = lever.asset in scene.swinging, lever.asset in scene.waiting
        return arbitrate(lever, wish, bounds, held, now_s, least_kw=least, swinging=swinging, waits=waits)

    def _wishes(self, scene: Scene, powers: Powers, levers: Mapping[str, Lever]) -> dict[str, Wish]:
        at = self._plan_now(scene)
        rules: dict[str, Wish] | None = None
        wishes: dict[str, Wish] = {}
        for asset, lever in levers.items():
            if asset in scene.foreign:
                wishes[asset] = safe_wish(lever, f"somebody else steers it: {scene.foreign[asset]}")
            elif goes_on(lever, powers.state.get(asset)):
                wishes[asset] = Wish(Rung.DEVICE, lever.upper_kw, GOES_ON)
            elif asset in scene.snapshot.unavailable:
                wishes[asset] = safe_wish(lever, f"{asset} does not follow its commands")
            elif powers.missing.get(asset):
                wishes[asset] = safe_wish(lever, f"no good value of {powers.missing[asset]}")
            elif at is not None and at.wanted_kw(lever) is not None:
                wishes[asset] = self._follow_plan(scene, lever, at, powers)
            else:
                if rules is None:
                    view = rule_view(self._site, scene, powers, levers, ZoneInfo(self._site.file.site.timezone))
                    rules = rule_wishes(view, self._levers, scene.prices, self._teller)
                wishes[asset] = rules.get(asset) or safe_wish(lever, "neither plan nor rules know what to do")
        return wishes

    def _in_levels(self, scene: Scene, powers: Powers, wishes: Mapping[str, Wish]) -> dict[str, Wish]:
        """Give those that know a few levels only the energy that is wished; what must be let alone is let alone."""
        now_s, found = scene.snapshot.monotonic_s, {}
        for asset, wish in wishes.items():
            lever = self._levers[asset]
            if not lever.levels_kw or wish.kw is None or wish.rung is Rung.SAFE:
                continue
            if why := why_released(scene.blocks.get(asset, Block()), lever, now_s):
                found[asset] = Wish(Rung.DEVICE, None, why)
                continue
            debt = owe(self._debts.get(asset), lever, wish.kw, powers.metered_kw[asset], now_s)
            now = f"; now {action(lever.kind, debt.level_kw)}"
            self._debts[asset] = debt
            found[asset] = Wish(wish.rung, debt.level_kw, wish.reason + now)
        return found

    def _plan_now(self, scene: Scene) -> PlanNow | None:
        """Find the plan's slot, once a scene."""
        if self._now[0] is not scene:
            self._now = (scene, self._find_plan(scene))
        return self._now[1]

    def _find_plan(self, scene: Scene) -> PlanNow | None:
        planning = self._site.file.planning
        return plan_now(scene.plan, scene.snapshot.at, every_s=planning.every_s, max_age_s=planning.max_plan_age_s)

    def _on_their_side(
        self, scene: Scene, powers: Powers, wishes: Mapping[str, Wish], bounds: Mapping[str, tuple[Bound, ...]]
    ) -> dict[str, Wish]:
        """Let the stores that follow the plan keep the connection on the side that the plan has it on, together."""
        at = self._plan_now(scene)
        kinds = {asset: self._levers[asset].kind for asset in wishes}
        planned = {
            asset: wish.kw
            for asset, wish in wishes.items()
            if at is not None and kinds[asset] in STORES and wish.rung is at.rung and wish.kw is not None
        }
        if at is None or not planned:
            return {}
        # A heat pump's wish is also what the meter will show; a limit is only kept.
        firm = {asset: wish.kw for asset, wish in wishes.items() if kinds[asset] in COMPRESSORS}
        planned_kw = sum(planned.values())
        kept_kw = keep_grid_side(at.grid_kw, planned_kw, powers.without(planned, firm))
        edges = {asset: narrow(bounds[asset]) for asset in planned}
        rooms = {asset: (edges[asset][0] - kw, edges[asset][1] - kw) for asset, kw in planned.items()}
        shares = share_by_room(kept_kw - planned_kw, rooms)
        return {
            asset: plan_wish(at, self._levers[asset], kw + shares[asset], scene.prices, self._teller)
            for asset, kw in planned.items()
        }

    def _follow_plan(self, scene: Scene, lever: Lever, at: PlanNow, powers: Powers) -> Wish:
        kw = at.wanted_kw(lever) or 0.0
        match lever.kind:
            case AssetKind.PV:
                kw = lever.lower_kw
            case AssetKind.CHARGE_POINT:
                car = scene.cars.get(lever.asset)
                if kw >= 0.0:
                    kw = self._quota.power_kw(lever, at, car.register_kwh, scene.snapshot.at) if car else 0.0
            case AssetKind.DEFERRABLE:
                kw = lever.upper_kw if kw > 0.0 and run_starts(self._site, scene, powers, lever) else 0.0
            case AssetKind.BATTERY | AssetKind.HYBRID | AssetKind.HEAT_PUMP | AssetKind.CHILLER | AssetKind.GENSET:
                pass
            case AssetKind.BOILER | AssetKind.PIPE | AssetKind.COLD_PIPE:
                pass
        return plan_wish(at, lever, kw, scene.prices, self._teller)

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
        movable = [flex.asset for flex in flexes]
        fixed = {a: kw for a, kw in {**powers.metered_kw, **powers.loads_kw}.items() if a not in movable}
        grid, slot = self._grid_slot(scene, powers)
        limits_kw, said = self._connection(scene)
        rows = self._rows.build([*fixed, *movable], grid, slot, limits_kw, unexplained_kw=powers.unexplained_kw)
        soft = soft_level(self._site, rows.names.index(IMPORT), flexes, scene, powers)
        result = balance(flexes, rows, fixed, soft)
        result = replace(result, because={asset: said.get(row, row) for asset, row in result.because.items()})
        decisions = dict(shaped)
        plants = [flex for flex in flexes if flex.kind is AssetKind.PV]
        others = [flex for flex in flexes if flex.kind is not AssetKind.PV]
        for flex in others:
            rung = Rung.DEMAND if soft and result.because.get(flex.asset) == soft.name else Rung.GRID
            if rung is Rung.DEMAND and flex.asset in scene.waiting:
                continue
            decisions[flex.asset] = self._final(flex, shaped[flex.asset], result, bounds[flex.asset], rung=rung)
        told_kw = {flex.asset: decisions[flex.asset].kw for flex in others}
        for flex in plants:
            wanted, limits, lever = shaped[flex.asset], bounds[flex.asset], self._levers[flex.asset]
            worth_kw = self._worth_kw(scene, powers.without([flex.asset], told_kw), lever)
            safe_kw = lever.safe_kw if grid is None else None
            row = result.because.get(flex.asset, "")
            stood = row if row in said.values() else "the grid stands no more"
            decisions[flex.asset] = self._final_pv(
                flex, wanted, result, limits, worth_kw=worth_kw, blind_kw=safe_kw, stood=stood
            )
        over = [name for name, excess in zip(rows.names, result.excess, strict=True) if excess > 1e-6]
        short_kw = float(result.excess[rows.names.index(IMPORT)])
        idle = [load_of(self._levers[a], powers.metered_kw[a]) for a in shaped if a not in movable]
        by_hand = shed(short_kw, [*idle, *ranked_loads(self._site, powers)]).assets
        return Outcome(decisions, powers, excess=tuple(said.get(name, name) for name in over), by_hand=by_hand)

    def _connection(self, scene: Scene) -> tuple[tuple[float, float], Mapping[str, str]]:
        """Give the import and export limit [kW], and in words those rows that the grid operator has narrowed."""
        own_kw = (self._site.file.grid.import_limit_kw, self._site.file.grid.export_limit_kw)
        now_kw = narrowed(own_kw, scene.limits)
        reasons = {limit.direction: limit.reason for limit in scene.limits}
        narrow = {Direction.IMPORT: (IMPORT, now_kw[0] < own_kw[0]), Direction.EXPORT: (EXPORT, now_kw[1] < own_kw[1])}
        return now_kw, {row: reasons[direction] for direction, (row, is_narrowed) in narrow.items() if is_narrowed}

    def _is_movable(self, decision: Decision, scene: Scene) -> bool:
        """Tell whether balancing may move an asset: it is written to, it follows, and it is not at its safe value."""
        lever = self._levers[decision.asset]
        firm = decision.rung is Rung.SAFE or (lever.is_whole and decision.rung is Rung.DEVICE)
        return scene.standing.may_write(lever.device) and decision.kw is not None and not firm

    def _flex(self, lever: Lever, decision: Decision, bounds: tuple[Bound, ...], scene: Scene, powers: Powers) -> Flex:
        """Describe how far an asset may be moved: within the bounds that rank above the grid's."""
        firm = [b for b in bounds if b.rung in (Rung.LOCKOUT, Rung.DEVICE, Rung.BUILDING)]
        lower_kw, upper_kw, _, _ = narrow(firm)
        held = scene.held.get(lever.asset)
        held_kw = held.kw if held else None
        power_kw = decision.kw or 0.0
        if lever.kind is AssetKind.PV:
            power_kw = min(powers.metered_kw[lever.asset], 0.0)
        overridden, waits = lever.asset in scene.standing.overrides, lever.asset in scene.waiting
        keeps = 0.0 < lever.reserve_pct >= powers.state.get(lever.asset, 0.0) and not overridden
        if lever.kind in {AssetKind.GENSET, AssetKind.DEFERRABLE, AssetKind.CHARGE_POINT}:
            # Relief may lower it; to start it, or to let a car give, is the plan's.
            lower_kw = max(lower_kw, min(power_kw, 0.0))
        if lever.kind is AssetKind.DEFERRABLE:
            upper_kw = min(upper_kw, max(power_kw, 0.0))
        # A set that stands ready for an island stops only once all else was moved.
        ready = lever.spins and power_kw < 0.0 and not overridden
        return Flex(
            asset=lever.asset,
            kind=lever.kind,
            power_kw=power_kw,
            lower_kw=max(lower_kw, 0.0) if keeps else lower_kw,
            upper_kw=max(min(upper_kw, -lever.minimum_kw), lower_kw) if ready else upper_kw,
            minimum_kw=lever.minimum_kw,
            step_kw=lever.step_kw,
            held_kw=held_kw,
            keep_kw=KEEP_KW[lever.kind],
            reserved=overridden or waits,
            least_kw=least_kw(lever, scene.compressors.get(lever.asset), scene.snapshot.monotonic_s),
            shed_rank=lever.shed_rank,
            critical=lever.critical,
            levels_kw=lever.levels_kw,
            last_kw=lower_kw if keeps else None,
            last_upper_kw=upper_kw if ready else None,
        )

    def _grid_slot(self, scene: Scene, powers: Powers) -> tuple[GridRows | None, int]:
        """Give the grid's rows and the slot that counts: the plan's, without one those about this instant.

        Those of an old plan count on a reactive power that nobody sets any more.
        """
        at = self._plan_now(scene)
        if at is not None and at.plan.grid_rows is not None and (at.rung is Rung.PLAN or not self._set):
            return at.plan.grid_rows, at.slot
        return self._eye({**powers.metered_kw, **powers.loads_kw}), 0

    def _worth_kw(self, scene: Scene, taken_kw: float, lever: Lever) -> float:
        """Give the generation that is worth having: all of it, unless selling costs money and nobody plans to sell.

        Then it is what the site takes once it does what it is told now, and what the plan counts on, whichever is more.
        """
        price, at = scene.prices.export_price, self._plan_now(scene)
        pays = lever.asset in scene.waiting or price is None or price >= 0.0
        if pays or at is None or at.grid_kw < -NOTHING_KW:
            return lever.rating_kw
        return max(taken_kw + SPARE_KW, -(at.power_kw(lever.asset) or 0.0), 0.0)

    def _final(
        self, flex: Flex, shaped: Decision, result: Balance, bounds: tuple[Bound, ...], *, rung: Rung
    ) -> Decision:
        """Clamp last: what the rows ask for, inside the bounds that rank above the grid's."""
        row = result.because.get(flex.asset)
        if row is None:
            return shaped
        kw = result.power_kw[flex.asset]
        above = [bound for bound in bounds if bound.rung is not Rung.OPERATOR]
        wish = Wish(rung, kw, f"{row}: {action(flex.kind, kw)}")
        return runnable(self._levers[flex.asset], clamp(flex.asset, wish, above))

    def _final_pv(
        self,
        flex: Flex,
        shaped: Decision,
        result: Balance,
        bounds: tuple[Bound, ...],
        *,
        worth_kw: float,
        blind_kw: float | None,
        stood: str,
    ) -> Decision:
        """Bound a plant by what the rows stand and by what is worth generating; without rows by its safe value."""
        lever, held_kw = self._levers[flex.asset], None if flex.held_kw is None else -flex.held_kw
        cap_kw, most_kw = -result.power_kw[flex.asset], result.pv_most_kw[flex.asset]
        why = stood if cap_kw <= worth_kw else "selling costs money now"
        if blind_kw is not None:
            cap_kw = most_kw = min(cap_kw, -blind_kw)
            why = "the feeder is still being prepared"
        cap_kw, most_kw = min(cap_kw, worth_kw), min(most_kw, worth_kw + SPARE_KW)
        limit_kw = pv_limit(cap_kw, most_kw, held_kw, -flex.power_kw, lever.rating_kw)
        grid = Bound(Rung.GRID, -limit_kw, 0.0, f"{why}: {action(flex.kind, limit_kw)}")
        return clamp(flex.asset, Wish(shaped.rung, shaped.kw, shaped.reason), (*bounds, grid))


def _by_rules(wish: Wish | None) -> bool:
    return wish is not None and wish.rung is Rung.RULES
