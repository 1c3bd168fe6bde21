"""`ems hil list`: the scenarios, what each tests, what goes wrong in it and what must hold."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from typing import Any

from ems.commands.output import emit
from ems.exit_codes import CommandError, Exit
from hil.functions import WORDS, Function
from hil.measurables import MEASURABLES, criteria_of
from hil.scenario import Limit, Scenario, ScenarioError
from hil.scenario_file import load_scenario, scenario_names


def command(argv: Sequence[str]) -> int:
    """List the scenarios."""
    options = argparse.ArgumentParser(prog="ems hil list", description="List the scenarios and what they test.")
    options.add_argument("--json", action="store_true", help="print one JSON object on stdout")
    arguments = options.parse_args(argv)
    try:
        told = [described(load_scenario(name)) for name in scenario_names()]
    except ScenarioError as error:
        raise CommandError(str(error), Exit.CONFIG) from error
    emit("hil_list", {"scenarios": told}, _lines(told), as_json=arguments.json)
    return Exit.OK


def described(scenario: Scenario) -> dict[str, Any]:
    """Describe a scenario by its general figures."""
    standard, words = WORDS[scenario.function]
    return {
        "name": scenario.name,
        "title": scenario.title,
        "function": scenario.function.value,
        "standard": standard,
        "tests": words,
        "site": scenario.site,
        "days": scenario.duration_s / 86400.0,
        "arms": [arm.value for arm in scenario.arms],
        "faults": [fault.kind.value for fault in scenario.faults],
        "criteria": [
            {"name": name, "unit": MEASURABLES[name].unit, "wanted": wanted(limit)}
            for name, limit in criteria_of(scenario).items()
        ],
    }


def wanted(limit: Limit) -> str:
    """Say a limit in words."""
    words = f"at most {limit.at_most:g}" if limit.at_most is not None else f"at least {limit.at_least:g}"
    return words if limit.times is None else f"{words} x {limit.times}"


def length(seconds: float) -> str:
    """Write the length of a run in the unit that suits it."""
    days, hours = seconds / 86400.0, seconds / 3600.0
    return f"{days:g} days" if days >= 2.0 else f"{hours:.3g} h" if hours >= 1.0 else f"{seconds / 60.0:.3g} min"


def function_table() -> str:
    """Write the table test function -> scenario -> criteria of all scenarios, as Markdown."""
    rows = ["| test function | standard | scenario | criteria |", "|---|---|---|---|"]
    scenarios = [load_scenario(name) for name in scenario_names()]
    for function in Function:
        standard, words = WORDS[function]
        for scenario in (one for one in scenarios if one.function is function):
            criteria = ", ".join(f"`{name}` {wanted(limit)}" for name, limit in criteria_of(scenario).items())
            rows.append(f"| {words} | {standard} | `{scenario.name}` | {criteria} |")
    return "\n".join(rows) + "\n"


def _lines(told: Sequence[dict[str, Any]]) -> Iterator[str]:
    for one in told:
        about = f"site {one['site'] or 'any'}, {length(one['days'] * 86400.0)}"
        yield f"{one['name']:<22} {one['tests']} ({one['standard']}); {about}"
        yield f"  {one['title']}"
        if one["faults"]:
            yield f"  faults: {', '.join(one['faults'])}"
        for criterion in one["criteria"]:
            unit = f" {criterion['unit']}" if criterion["unit"] and " x " not in criterion["wanted"] else ""
            yield f"  {criterion['name']} {criterion['wanted']}{unit}"
