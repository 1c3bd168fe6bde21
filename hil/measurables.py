"""What a criterion may be put on: named figures of a run, with their units. Missing is never zero: it fails.

General criteria hold for every scenario, unless it says otherwise: no cycle late, limits kept, no plan without a power
flow, commands proven, cars charged as far as anyone could, and a plan that costs no more than the rules.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from hil.scenario import Arm, Criteria, Limit, Scenario

EV_GRAIN_KWH = 0.05
"""A car that leaves within so little of its wish is full: a charger's own meter is no finer."""
VERIFIED_SHARE = 0.95


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a run leaves.

    Args:
        arms: verdicts by arm; the plan's always, the others as far as they ran.
        counters: of the daemon.
        found: what was found out besides: emergencies, the connection, what was commanded.
    """

    arms: Mapping[Arm, Mapping[str, Any]]
    counters: Mapping[str, Any]
    found: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Measurable:
    """A named figure.

    Args:
        unit: empty for numbers and shares.
        words: what it is.
        of: takes it out of the evidence; None where the run does not tell it.
        arms: controllers that it needs besides the plan.
        grain: so much beyond a limit is within it.
    """

    unit: str
    words: str
    of: Callable[[Evidence], float | None]
    arms: frozenset[Arm] = frozenset()
    grain: float = 0.0


def _plan(*path: str) -> Callable[[Evidence], float | None]:
    return lambda evidence: _at(evidence.arms[Arm.PLAN], path)


def _counted(*path: str) -> Callable[[Evidence], float | None]:
    return lambda evidence: _at(evidence.counters, path)


def _found(*path: str) -> Callable[[Evidence], float | None]:
    return lambda evidence: _at(evidence.found, path)


def _of(arm: Arm, *path: str) -> Callable[[Evidence], float | None]:
    return lambda evidence: _at(evidence.arms.get(arm, {}), path)


def _at(inside: Any, path: tuple[str, ...]) -> float | None:
    for key in path:
        inside = inside.get(key) if isinstance(inside, Mapping) else None
    return None if inside is None else float(inside)


def _verified(evidence: Evidence) -> float:
    setpoints = evidence.counters["setpoints"]
    return float(setpoints["verified"] / max(1, setpoints["issued"]))


def _cost_gap(evidence: Evidence) -> float | None:
    plan, rules = _plan("cost")(evidence), _of(Arm.RULES, "cost")(evidence)
    return None if plan is None or rules is None else plan - rules


_RULES, _NONE = frozenset({Arm.RULES}), frozenset({Arm.NONE})

MEASURABLES: Mapping[str, Measurable] = MappingProxyType({
    "plans": Measurable("", "plans that were published", _counted("plans")),
    "missed_deadlines": Measurable("", "control cycles that came late", _counted("missed_deadlines")),
    "plan_excursions": Measurable(
        "", "how often the plan's arm left the limits, judged by AC power flow every 10 s: voltage as 10-minute means, "
        "loading as 1-minute means at most 100 % and never above 120 % for more than 10 s",
        _plan("plant_limits", "excursions"),
    ),
    "plans_unconverged": Measurable("", "plans without a converged power flow", _counted("ac", "unconverged")),
    "setpoints_verified_share": Measurable(
        "", "share of the changed commands that were read back and followed by the meter", _verified
    ),
    "ev_shortfall_kwh": Measurable(
        "kWh", "energy that cars missed when they left", _plan("ev_shortfall_kwh"), grain=EV_GRAIN_KWH
    ),
    "ev_unavoidable_kwh": Measurable(
        "kWh", "what they must miss even with perfect foresight", _of(Arm.NONE, "ev_unavoidable_kwh"), _NONE
    ),
    "drivers_short": Measurable("", "drivers that left short", _plan("drivers", "short")),
    "rules_drivers_short": Measurable(
        "", "drivers that the rules leave short, which serve first come, first served",
        _of(Arm.RULES, "drivers", "short"), _RULES,
    ),
    "runs_ended": Measurable("", "runs of deferrable loads that ended", _plan("runs", "ended")),
    "runs_late": Measurable("", "runs that had not begun when they should have", _plan("runs", "late")),
    "runs_disturbed": Measurable("", "orders to wait in a run that nothing interrupts", _plan("runs", "disturbed")),
    "automation_excess_kwh": Measurable(
        "kWh", "energy beyond what building automation allowed, after 60 s of grace", _plan("automation_excess_kwh")
    ),
    "comfort_kh": Measurable("Kh", "kelvin-hours outside the comfort bands", _plan("comfort_kh")),
    "plan_cost_minus_rules_cost": Measurable("currency", "what the plan costs more than the rules", _cost_gap, _RULES),
    "no_control_violation_share": Measurable(
        "", "share of time beyond a limit without control: it keeps the scenario honest",
        _of(Arm.NONE, "violation_share"), _NONE,
    ),
    "devices_offline": Measurable(
        "", "devices that cannot be read at the end",
        lambda e: float(e.counters["devices_total"] - e.counters["devices_online"]),
    ),
    "limit_kept_after_s": Measurable(
        "s", "longest time from the grid operator's limit to the meter showing that it is kept",
        _found("limit_kept_after_s"),
    ),
    "emergency_steps": Measurable(
        "", "assets switched by the grid operator's limits, down and up again", _found("emergency_steps")
    ),
    "critical_shed": Measurable("", "critical assets that gave way", _found("critical_shed")),
    "shed_out_of_rank": Measurable(
        "", "assets that gave way more than 30 s before one of a lower rank", _found("shed_out_of_rank")
    ),
    "operator_loss_alarm_s": Measurable(
        "s", "from the loss of the grid operator to the alarm and the failsafe limit", _found("operator_loss_alarm_s")
    ),
    "island_seen_cycles": Measurable(
        "", "control cycles from the opening of the connection to the daemon's knowing it", _found("island_seen_cycles")
    ),
    "forming_commands": Measurable(
        "", "commands to the battery that holds the island, while it does", _found("forming_commands")
    ),
    "island_s": Measurable("s", "time as an island", _found("island_s")),
    "island_trips": Measurable("", "how often the island broke down", _found("island_trips")),
    "dark_s": Measurable("s", "time without any power on the bus", _found("dark_s")),
    "lowest_hz": Measurable("Hz", "lowest frequency of the island", _found("lowest_hz")),
    "highest_hz": Measurable("Hz", "highest frequency of the island", _found("highest_hz")),
    "beyond_return_kw": Measurable(
        "kW", "most that an asset took or gave beyond a tenth of its rating a minute after the connection closed",
        _found("beyond_return_kw"),
    ),
    "emergency_faster_share": Measurable(
        "", "by which share limit, shedding and recovery were faster than 20 s a step by hand; the worst emergency",
        _found("emergency_faster_share"),
    ),
})  # fmt: skip

GENERAL: Criteria = MappingProxyType({
    "plans": Limit(at_least=1.0),
    "missed_deadlines": Limit(at_most=0.0),
    "plan_excursions": Limit(at_most=0.0),
    "plans_unconverged": Limit(at_most=0.0),
    "setpoints_verified_share": Limit(at_least=VERIFIED_SHARE),
    "ev_shortfall_kwh": Limit(at_most=1.01, times="ev_unavoidable_kwh"),
    "plan_cost_minus_rules_cost": Limit(at_most=0.0),
})  # fmt: skip


def criteria_of(scenario: Scenario) -> dict[str, Limit]:
    """Give what must hold: the general criteria that the scenario's arms can tell, and its own in their place."""
    arms = set(scenario.arms)
    merged = {name: limit for name, limit in GENERAL.items() if _needs(name, limit) <= arms} | dict(scenario.holding)
    return {name: limit for name in MEASURABLES if (limit := merged.get(name)) is not None}


def _needs(name: str, limit: Limit | None) -> frozenset[Arm]:
    base = limit.times if limit is not None else None
    return MEASURABLES[name].arms | (MEASURABLES[base].arms if base else frozenset())
