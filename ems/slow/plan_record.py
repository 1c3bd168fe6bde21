"""What the journal keeps of a plan: enough to say later what was decided, from what, and by which solve."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from typing import Any

import numpy as np

from ems.slow.foresee import Foresight
from optimization.bands import Held, Spinning
from optimization.problem import Charge, EnergyTiers, Plan, Problem, ShadowPrices, Subscription, Supply

DECIMALS = 4
ROWS = ("group_excess_kw", "unheated_kw", "reactive_kvar", "inverter_v_pu", "positions")
"""What only some plans have: a row of numbers each, by name."""
V_DECIMALS = 6
LATER = frozenset(
    {
        "steps",
        "lifts",
        "positions",
        "supplies",
        "pooled",
        "supplied_value",
        "hot_hold_s",
        "hot_for_s",
        "is_cold",
        "end_drops",
    }
)
LATER_UNUSED: tuple[object, ...] = (None, (), {}, 0.0)
"""Parts of a question that came later are hashed only where they are used."""
HELD, MISSING = ("up_kw", "down_kw"), ("up_missing_kw", "down_missing_kw")
"""What of a band of reserve is told by member, and what in all."""
ALONE = ("need_kwh", "missing_kwh", "missing_kw")
"""What is told of standing alone."""
RESTS = ("rests_kw", "rests_kwh")
"""What of it rests on generating sets."""
WORTH_KEPT = 1e-3
WORTH_DECIMALS = 3
"""A limit that is worth less than `WORTH_KEPT` in a slot is not written down [currency per unit]."""


def digest(problem: Problem) -> str:
    """Hash everything a question consists of; two questions with one digest are the same question."""
    sha = hashlib.sha256()
    _feed(sha, problem)
    return sha.hexdigest()


def _feed(sha: Any, value: Any) -> None:
    """Walk a value in a fixed order; each part is preceded by its type and shape, so that none runs into the next."""
    if is_dataclass(value):
        sha.update(f"<{type(value).__name__}".encode())
        for field in fields(value):
            if field.name in LATER and getattr(value, field.name) in LATER_UNUSED:
                continue
            sha.update(f".{field.name}=".encode())
            _feed(sha, getattr(value, field.name))
    elif isinstance(value, np.ndarray):
        sha.update(f"{value.dtype.str}{value.shape}".encode() + np.ascontiguousarray(value).tobytes())
    elif isinstance(value, Mapping):
        for key in sorted(value):
            sha.update(f"[{key}]".encode())
            _feed(sha, value[key])
    elif isinstance(value, tuple):
        sha.update(f"({len(value)}".encode())
        for item in value:
            _feed(sha, item)
    else:
        sha.update((value.isoformat() if isinstance(value, datetime) else repr(value)).encode() + b";")


def plan_record(problem: Problem, plan: Plan, foresight: Foresight, blocked: Mapping[str, str]) -> dict[str, Any]:
    """Write a plan down.

    Args:
        problem: the question.
        plan: the answer.
        foresight: what the question rests on.
        blocked: why assets were not planned with, by asset id.

    Returns:
        The body of the journal's `plan` record; powers in kW, energies in kWh, rounded to 0.1 W.
    """
    slots = plan.slots
    return {
        "id": plan.id,
        "made_at": plan.made_at,
        "start": slots.start,
        "duration_s": slots.duration_s,
        "power_kw": {name: np.round(s.power_kw, DECIMALS) for name, s in plan.schedules.items()},
        "states": {
            name: {k: np.round(v, DECIMALS) for k, v in s.states.items()}
            for name, s in plan.schedules.items()
            if s.states
        },
        "slack": {
            name: {k: round(float(v.sum()), DECIMALS) for k, v in s.slack.items()}
            for name, s in plan.schedules.items()
            if s.slack
        },
        "import_kw": np.round(plan.import_kw, DECIMALS),
        "export_kw": np.round(plan.export_kw, DECIMALS),
        "excess_kw": round(float(plan.excess_kw.max()), DECIMALS),
        "import_price": np.round(problem.tariff.import_price, 6),
        "export_price": np.round(problem.tariff.export_price, 6),
        "carbon_kg_per_kwh": np.round(problem.tariff.carbon_kg_per_kwh, 6),
        "demand_target_kw": plan.demand_target_kw,
        "demand_free_kw": None if problem.demand is None else np.round(problem.demand.free_kw, DECIMALS),
        "carbon_left_kg": None if problem.carbon_budget is None else problem.carbon_budget.left_kg,
        "carbon_excess_kg": plan.carbon_excess_kg,
        **_further(problem, plan),
        "prices": None if plan.prices is None else _prices(plan.prices),
        "objective": plan.objective,
        "ac": plan.ac,
        "solve": dict(plan.solve),
        "previous": problem.previous.id if problem.previous is not None else None,
        "inputs_sha256": digest(problem),
        "forecast": "degraded forecast" if foresight.degraded else "fresh",
        "labels": dict(foresight.labels),
        "foreseen_by": dict(foresight.methods),
        "not_planned_with": dict(blocked),
    }


def _further(problem: Problem, plan: Plan) -> dict[str, Any]:
    """Write down what only some plans have: by group and by heat node, what each charge counts, and the scenarios."""
    found: dict[str, Any] = {
        key: {name: np.round(each, _decimals(key)) for name, each in values.items()}
        for key in ROWS
        if (values := getattr(plan, key))
    }
    if plan.held_reserves:
        found["held_reserves"] = {name: _held(held) for name, held in plan.held_reserves.items()}
    if plan.survived is not None:
        kept = plan.survived
        found["survived"] = {key: np.round(getattr(kept, key), DECIMALS) for key in ALONE} | _spinning(kept.spinning)
    if plan.charged:
        found["charged"] = [np.round(each, DECIMALS) for each in plan.charged]
        found["charged_names"] = [charge_name(charge) for charge in problem.charges]
    if problem.supplies:
        found["connections"] = {supply.id: _supplied(supply, plan) for supply in problem.supplies}
    if plan.pooled:
        found["pooled"] = [np.round(each, DECIMALS) for each in plan.pooled]
        found["pooled_names"] = [charge_name(charge) for charge in problem.pooled]
    if problem.uncertainty is not None and plan.branches:
        found["scenarios"] = {
            each.name: {"probability": each.probability, "cost": plan.branches[each.name].objective}
            for each in problem.uncertainty.scenarios
        }
    return found


def _supplied(supply: Supply, plan: Plan) -> dict[str, Any]:
    """Write down a connection beside the first one, by the words that the record has for that one."""
    told = plan.supplies[supply.id]
    found: dict[str, Any] = {
        "import_kw": np.round(told.import_kw, DECIMALS),
        "export_kw": np.round(told.export_kw, DECIMALS),
        "excess_kw": round(float(told.excess_kw.max()), DECIMALS),
        "import_price": np.round(supply.tariff.import_price, 6),
        "export_price": np.round(supply.tariff.export_price, 6),
        "demand_target_kw": told.demand_target_kw,
        "demand_free_kw": None if supply.demand is None else np.round(supply.demand.free_kw, DECIMALS),
        "charged": [np.round(each, DECIMALS) for each in told.charged],
        "charged_names": [charge_name(charge) for charge in supply.charges],
    }
    if plan.prices is not None:
        found["energy_value"] = np.round(plan.prices.supplied_value[supply.id], DECIMALS)
    return found


def charge_name(charge: Charge) -> str:
    """Name a charge by its place in the tariff or the site file."""
    own = {EnergyTiers: "import.tiers", Subscription: "subscription"}
    return str(getattr(charge, "name", "")) or own.get(type(charge), type(charge).__name__.lower())


def _decimals(key: str) -> int:
    return V_DECIMALS if key.endswith("_pu") else DECIMALS


def _held(held: Held) -> dict[str, Any]:
    """Write down what is held of a band, by member, and what is missing of it."""
    by_member = {side: {n: np.round(kw, DECIMALS) for n, kw in getattr(held, side).items()} for side in HELD}
    return by_member | {key: np.round(getattr(held, key), DECIMALS) for key in MISSING}


def _spinning(ready: Spinning | None) -> dict[str, Any]:
    """Write down what rests on generating sets that run; nothing where none counts."""
    if ready is None:
        return {}
    by_set = {name: np.round(kw, DECIMALS) for name, kw in ready.by_set_kw.items()}
    return {"spinning_kw": by_set, **{key: np.round(getattr(ready, key), DECIMALS) for key in RESTS}}


def _prices(prices: ShadowPrices) -> dict[str, Any]:
    """Write down what a kWh more is worth, and of each limit the slots in which it binds; nothing of what rests."""
    limits = []
    for limit in prices.limits:
        binds = np.flatnonzero(limit.worth >= WORTH_KEPT)
        if binds.size and limit.side != "none":
            worth = np.round(limit.worth[binds], WORTH_DECIMALS)
            limits.append({"asset": limit.asset, "name": limit.name, "side": limit.side, "at": binds, "worth": worth})
    return {"energy_value": np.round(prices.energy_value, DECIMALS), "limits": limits}
