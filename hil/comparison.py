"""Holds the arms of a case beside each other and says which criteria hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from hil.measurables import MEASURABLES, Evidence
from hil.scenario import Arm, Limit

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
NAMES: Mapping[Arm, str] = {Arm.PLAN: "plan", Arm.NONE: "no_control", Arm.RULES: "rules"}


@dataclass(frozen=True, slots=True)
class Criterion:
    """One thing that must hold: its name, what was seen, what was wanted."""

    name: str
    value: float | None
    wanted: str
    passed: bool


def compare(evidence: Evidence, criteria: Mapping[str, Limit]) -> dict[str, Any]:
    """Put one case into one object.

    Args:
        evidence: what the run left; the arm without control tells `ev_unavoidable_kwh`.
        criteria: what must hold, by measurable.
    """
    plan, counters = evidence.arms[Arm.PLAN], evidence.counters
    judged = judge_criteria(evidence, criteria)
    told = {arm: {key: verdict[key] for key in ARM_KEYS} for arm, verdict in evidence.arms.items()}
    return {
        "schema": SCHEMA,
        "passed": all(criterion.passed for criterion in judged),
        "criteria": [asdict(criterion) for criterion in judged],
        "currency": plan["currency"],
        **{key: counters[key] for key in DAEMON_KEYS},
        **{key: plan[key] for key in RUN_KEYS},
        "ev_shortfall_kwh": plan["ev_shortfall_kwh"],
        "ev_unavoidable_kwh": evidence.arms.get(Arm.NONE, {}).get("ev_unavoidable_kwh"),
        "comfort_kh": plan["comfort_kh"],
        **{name: told.get(arm) for arm, name in NAMES.items()},
    }


def judge_criteria(evidence: Evidence, criteria: Mapping[str, Limit]) -> list[Criterion]:
    """Judge every criterion of a case."""
    return [_judged(name, limit, evidence) for name, limit in criteria.items()]


def _judged(name: str, limit: Limit, evidence: Evidence) -> Criterion:
    measurable = MEASURABLES[name]
    value, base = measurable.of(evidence), 1.0 if limit.times is None else MEASURABLES[limit.times].of(evidence)
    if value is None or base is None:
        missing = name if value is None else limit.times
        return Criterion(name, value, f"{missing} is not told by this run", passed=False)
    if limit.at_most is not None:
        most = limit.at_most * base + measurable.grain
        return Criterion(name, value, f"at most {most:g}", value <= most)
    least = (limit.at_least or 0.0) * base - measurable.grain
    return Criterion(name, value, f"at least {least:g}", value >= least)
