"""Holds the arms of a case beside each other and says which criteria hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from hil.scenario import Criteria

SCHEMA = "ems.hil/1"
ARM_KEYS = (
    "currency", "cost", "cost_parts", "energy_kwh", "export_kwh", "peak_import_kw", "co2_kg",
    "carbon_over_budget_kg", "violation_share", "ev_shortfall_kwh", "drivers", "comfort_kh", "comfort_by_zone_kh",
    "automation_excess_kwh",
)  # fmt: skip
RUN_KEYS = ("plant_limits", "reaction_s", "power_flow")
DAEMON_KEYS = (
    "cycles", "missed_deadlines", "devices_total", "devices_online", "setpoints", "plans", "ac",
    "sense_to_effect_p95_s", "sense_to_verified_p99_s", "sense_to_verified_p99_cycles", "churn",
)  # fmt: skip
VERIFIED_SHARE = 0.95
EV_GRAIN_KWH = 0.05
"""A car that leaves within so little of its wish is full: a charger's own meter is no finer."""


@dataclass(frozen=True, slots=True)
class Criterion:
    """One thing that must hold: its name, what was seen, what was wanted."""

    name: str
    value: float
    wanted: str
    passed: bool


def compare(
    plan: Mapping[str, Any],
    counters: Mapping[str, Any],
    *,
    rules: Mapping[str, Any],
    no_control: Mapping[str, Any],
    criteria: Criteria,
    least_plans: int = 1,
) -> dict[str, Any]:
    """Put one case into one object.

    Args:
        plan: verdict of the plan's arm.
        counters: of the daemon that ran it.
        rules: verdict of the rules' arm.
        no_control: verdict without control, with `ev_unavoidable_kwh`.
        criteria: what must hold.
        least_plans: so many plans must have been published.
    """
    arms = {"plan": plan, "no_control": no_control, "rules": rules}
    judged = [_at_least("plans", counters["plans"], least_plans), *judge_criteria(arms, counters, criteria)]
    return {
        "schema": SCHEMA,
        "passed": all(criterion.passed for criterion in judged),
        "criteria": [asdict(criterion) for criterion in judged],
        "currency": plan["currency"],
        **{key: counters[key] for key in DAEMON_KEYS},
        **{key: plan[key] for key in RUN_KEYS},
        "ev_shortfall_kwh": plan["ev_shortfall_kwh"],
        "ev_unavoidable_kwh": no_control["ev_unavoidable_kwh"],
        "comfort_kh": plan["comfort_kh"],
        **{name: {key: arm[key] for key in ARM_KEYS} for name, arm in arms.items()},
    }


def judge_criteria(
    arms: Mapping[str, Mapping[str, Any]], counters: Mapping[str, Any], criteria: Criteria
) -> list[Criterion]:
    """Judge every criterion of a case."""
    plan, rules, no_control = arms["plan"], arms["rules"], arms["no_control"]
    setpoints = counters["setpoints"]
    verified = setpoints["verified"] / max(1, setpoints["issued"])
    judged = [
        _at_most("missed_deadlines", counters["missed_deadlines"], 0),
        _at_most("plan_excursions", plan["plant_limits"]["excursions"], criteria.plan_excursions_at_most),
        _at_most("plans_unconverged", counters["ac"]["unconverged"], 0),
        _at_least("setpoints_verified_share", verified, VERIFIED_SHARE),
    ]
    if (above := criteria.ev_shortfall_above_unavoidable_at_most) is not None:
        allowed_kwh = no_control["ev_unavoidable_kwh"] * (1.0 + above)
        judged.append(_at_most("ev_shortfall_kwh", plan["ev_shortfall_kwh"], allowed_kwh + EV_GRAIN_KWH))
    if (share := criteria.plan_drivers_short_share_of_rules_at_most) is not None:
        judged.append(_at_most("drivers_short", plan["drivers"]["short"], share * rules["drivers"]["short"]))
    if (excess_kwh := criteria.plan_automation_excess_kwh_at_most) is not None:
        judged.append(_at_most("automation_excess_kwh", plan["automation_excess_kwh"], excess_kwh))
    if criteria.plan_cost_below_rules:
        judged.append(_at_most("plan_cost_minus_rules_cost", plan["cost"] - rules["cost"], 0.0))
    if (least := criteria.no_control_violation_share_at_least) is not None:
        judged.append(_at_least("no_control_violation_share", no_control["violation_share"], least))
    return judged


def _at_most(name: str, value: float, limit: float) -> Criterion:
    return Criterion(name, value, f"at most {limit:g}", value <= limit)


def _at_least(name: str, value: float, limit: float) -> Criterion:
    return Criterion(name, value, f"at least {limit:g}", value >= limit)
