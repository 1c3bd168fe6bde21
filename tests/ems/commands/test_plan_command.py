"""`ems plan` says of a journal's plans what the planner knew."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import yaml
from command_kit import Said

from ems.clock import SystemClock
from ems.commands import plan_compared
from ems.config.assets import ChargePointAsset
from ems.config.loading import load_site
from ems.slow.plan_record import plan_record
from ems.store.journal import Journal
from optimization.assets import (
    Battery,
    BatteryInputs,
    ChargePoint,
    ChargePointInputs,
    EvSession,
    Load,
    LoadInputs,
)
from optimization.problem import Connection, Plan, Problem, TariffSeries
from optimization.rolling import Planner
from optimization.slots import uniform

Run = Callable[..., Said]
START = datetime(2025, 5, 22, 10, tzinfo=UTC)
PRICE = np.array([0.2, 0.2, 0.1, 0.5, 0.5, 0.3])


def question(start: datetime, price: Any = PRICE, demand_kw: float = 5.0, stored_kwh: float = 3.0) -> Problem:
    """Ask for a house whose car wants more than it can get, beside a battery that is soon full."""
    n = len(price)
    car = EvSession(start, start + timedelta(hours=2), 30.0, 11.0)
    pairs: list[Any] = [
        (Load("houses_near"), LoadInputs(np.full(n, demand_kw))),
        (Battery("battery", 12.0, 6.0, 6.0, wear_per_kwh=0.02), BatteryInputs(stored_kwh, 0.2)),
        (ChargePoint("charge_point", 11.0), ChargePointInputs((car,))),
    ]
    return Problem(
        uniform(start, n, 3600.0),
        tuple(asset for asset, _ in pairs),
        {asset.id: given for asset, given in pairs},
        TariffSeries(np.asarray(price), np.full(n, 0.05), np.full(n, 0.4)),
        Connection(np.full(n, 14.0), np.full(n, 7.0)),
    )


@pytest.fixture
def keep(site: Path, state: Path, tmp_path: Path) -> Callable[..., Plan]:
    """Plan and leave the plan in the journal, as the daemon does."""
    planner, config = Planner(None, tmp_path), load_site(site).config_hash

    def kept(asked: Problem, **changes: Any) -> Plan:
        plan = planner.plan(asked, asked.slots.start)
        assert isinstance(plan, Plan)
        foresight: Any = SimpleNamespace(degraded=False, labels={"price": "published"}, methods={})
        body = plan_record(asked, plan, foresight, {"pv": "offline"}) | {"config": config} | changes
        journal = Journal(state / "journal.db", SystemClock())
        journal.record("plan", body, at=plan.made_at).result(timeout=10)
        journal.close()
        return plan

    return kept


def test_show_tells_the_newest_plan(ems: Run, keep: Callable[..., Plan]) -> None:
    keep(question(START - timedelta(hours=1)))
    plan = keep(question(START))
    told = ems("plan", "show", "SITE", "--json").json
    assert (told["schema"], told["ok"], told["age_s"]) == ("ems.plan.show/1", True, None)
    assert told["plan"]["id"] == plan.id
    assert [datetime.fromisoformat(at) for at in told["starts"]] == plan.slots.starts
    lines = ems("plan", "show", "SITE").out.splitlines()
    assert lines[0].startswith(f"plan      {plan.id}, made at 2025-05-22 12:00")
    assert "without   pv: offline" in lines
    assert any(line.startswith("lost      charge_point: shortfall_kwh ") for line in lines)
    head, *rows = lines[-7:]
    assert head.split() == ["time", "grid_kw", "price", "kwh_worth", "houses_near_kw", "battery_kw", "battery_kwh",
                            "charge_point_kw"]  # fmt: skip
    first = rows[0].split()
    assert first[:2] == ["22.05.", "12:00"]
    power = [plan.import_kw[0] - plan.export_kw[0], 0.2, None, 5.0, plan.schedules["battery"].power_kw[0]]
    assert [float(x) for x in first[2:4]] == pytest.approx([power[0], 0.2], abs=1e-3)
    assert [float(x) for x in first[5:7]] == pytest.approx(power[3:], abs=1e-3)


def test_show_tells_what_building_and_solving_took(ems: Run, keep: Callable[..., Plan]) -> None:
    plan = keep(question(START))
    solve = ems("plan", "show", "SITE", "--json").json["plan"]["solve"]
    assert (solve["build_wall_s"], solve["wall_s"]) == (plan.solve["build_wall_s"], plan.solve["wall_s"])
    building_s, solving_s = (float(plan.solve[name]) for name in ("build_wall_s", "wall_s"))
    took = f"took      {building_s:.2f} s to build the programme, {solving_s:.2f} s to solve it"
    assert took in ems("plan", "show", "SITE").out.splitlines()
    keep(question(START), solve={"status": "optimal", "wall_s": 0.1})
    assert not any(line.startswith("took ") for line in ems("plan", "show", "SITE").out.splitlines()), "an older record"


def test_a_car_that_is_left_short_is_told_in_kwh_and_minutes(ems: Run, keep: Callable[..., Plan], site: Path) -> None:
    missing_kwh = float(keep(question(START)).schedules["charge_point"].slack["shortfall_kwh"].sum())
    spec = load_site(site).file.assets["charge_point"]
    assert isinstance(spec, ChargePointAsset)
    (said,) = [line for line in ems("plan", "show", "SITE").out.splitlines() if "shortfall_kwh" in line]
    told = re.fullmatch(r"lost      charge_point: shortfall_kwh (.+), at least (\d+) min more at (.+) kW", said)
    assert told is not None, said
    assert float(told[1]) == pytest.approx(missing_kwh, abs=1e-3)
    assert float(told[3]) == spec.charge_kw
    assert float(told[2]) / 60.0 * spec.charge_kw * spec.efficiency == pytest.approx(missing_kwh, abs=0.2)


def test_another_plan_is_shown_by_its_id(ems: Run, keep: Callable[..., Plan]) -> None:
    first = keep(question(START - timedelta(hours=1)))
    keep(question(START))
    assert ems("plan", "show", "SITE", "--plan", first.id, "--json").json["plan"]["id"] == first.id


def test_what_the_journal_has_not_is_said(ems: Run, keep: Callable[..., Plan]) -> None:
    empty = ems("plan", "show", "SITE")
    assert empty.status
    assert "journal.db has no plan;" in empty.err
    keep(question(START))
    assert "has no plan `20250101T000000Z-1`" in ems("plan", "show", "SITE", "--plan", "20250101T000000Z-1").err
    assert "is no id of a plan" in ems("plan", "show", "SITE", "--plan", "newest").err
    assert "no plan before" in ems("plan", "diff", "SITE").err
    strange = ems("plan", "explain", "SITE", "sauna")
    assert strange.status == 2
    assert "has no asset `sauna`; it has houses_near, battery, charge_point" in strange.err
    late = ems("plan", "explain", "SITE", "battery", "--at", "2025-06-01T00:00")
    assert late.status == 2
    assert "is not in plan" in late.err
    assert "is no instant" in ems("plan", "explain", "SITE", "battery", "--at", "noon").err


def test_explain_names_the_limit_its_line_and_what_it_is_worth(ems: Run, keep: Callable[..., Plan], site: Path) -> None:
    keep(question(START))
    told = ems("plan", "explain", "SITE", "charge_point", "--json").json
    lines = (site / "site.yaml").read_text().splitlines()
    limits = {(limit["asset"], limit["name"]): limit for limit in told["limits"]}
    connection = limits["", "import_limit_kw"]
    assert connection["worth"] > 0.5
    assert (connection["key"], lines[connection["line"] - 1].split(":")[0].strip()) == (
        "grid.import_limit_kw",
        "import_limit_kw",
    )
    (wish,) = told["lost"]
    assert (wish["name"], wish["key"]) == ("shortfall_kwh", "planning.ev_shortfall_per_kwh")
    assert wish["amount"] > 1.0
    assert "ev_shortfall_per_kwh" in lines[wish["line"] - 1]
    # The car would take it: a kWh more at the connection is one less for the car, at what a missing one weighs.
    assert told["energy_value"] == pytest.approx(3.0 * ChargePoint("w", 11.0).efficiency, abs=1e-3)
    assert told["site_changed"] is False
    text = ems("plan", "explain", "SITE", "charge_point").out
    assert f"site.yaml:{connection['line']} grid.import_limit_kw" in text
    assert "lost      shortfall_kwh" in text


def test_explain_tells_an_empty_battery(ems: Run, keep: Callable[..., Plan]) -> None:
    plan = keep(question(START, stored_kwh=9.0))
    stored = plan.schedules["battery"].states["energy_kwh"]
    empty = int(np.argmin(stored))
    at = plan.slots.starts[empty].isoformat()
    told = ems("plan", "explain", "SITE", "battery", "--at", at, "--json").json
    (band,) = [limit for limit in told["limits"] if limit["name"] == "energy_kwh"]
    assert (band["side"], band["key"]) == ("least", "battery")
    assert told["power_kw"] == pytest.approx(plan.schedules["battery"].power_kw[empty], abs=1e-3)
    assert datetime.fromisoformat(told["from"]) == plan.slots.starts[empty]


def test_a_key_is_named_only_where_it_is_what_binds(
    ems: Run, keep: Callable[..., Plan], site: Path, tmp_path: Path
) -> None:
    """The battery of the plan is a smaller one than that of the site: what holds it stands in no key."""
    keep(question(START))
    at = (START + timedelta(hours=2)).isoformat()
    said = ems("plan", "explain", "SITE", "battery", "--at", at, "--json").json
    assert {limit["name"]: limit["key"] for limit in said["limits"]}["charge_kw"] == "battery"
    same = tmp_path / "same"
    shutil.copytree(site, same)
    text = yaml.safe_load((same / "site.yaml").read_text())
    text["assets"]["battery"] |= {"capacity_kwh": 12, "charge_kw": 6, "discharge_kw": 6}
    (same / "site.yaml").write_text(yaml.safe_dump(text, sort_keys=False))
    told = ems("plan", "explain", str(same), "--state", str(tmp_path / "state"), "battery", "--at", at, "--json").json
    (limit,) = [limit for limit in told["limits"] if limit["name"] == "charge_kw"]
    assert (limit["key"], limit["side"]) == ("battery.charge_kw", "most")
    assert (same / "site.yaml").read_text().splitlines()[limit["line"] - 1].strip() == "charge_kw: 6"
    assert told["site_changed"] is True


def test_a_plan_that_was_kept_without_prices_is_explained_without(ems: Run, keep: Callable[..., Plan]) -> None:
    keep(question(START), prices=None, config="another")
    told = ems("plan", "explain", "SITE", "battery", "--json").json
    assert (told["energy_value"], told["limits"], told["site_changed"]) == (None, [], True)
    assert "kept without its prices" in ems("plan", "explain", "SITE", "battery").out
    assert "kwh_worth" not in ems("plan", "show", "SITE").out


def test_diff_tells_what_moved_what_it_costs_and_which_inputs_changed(ems: Run, keep: Callable[..., Plan]) -> None:
    old = keep(question(START))
    later = START + timedelta(hours=1)
    new = keep(question(later, np.array([0.2, 0.1, 0.5, 0.1, 0.3, 0.3]), demand_kw=6.0))
    told = ems("plan", "diff", "SITE", "--json").json
    assert (told["old"], told["new"]) == (old.id, new.id)
    assert datetime.fromisoformat(told["from"]) == later
    assert datetime.fromisoformat(told["to"]) == START + timedelta(hours=6)
    moved = new.schedules["battery"].power_kw[:5] - old.schedules["battery"].power_kw[1:]
    assert told["moved"]["battery"]["up_kwh"] == pytest.approx(np.clip(moved, 0, None).sum(), abs=1e-3)
    assert told["moved"]["battery"]["down_kwh"] == pytest.approx(-np.clip(moved, None, 0).sum(), abs=1e-3)
    assert abs(told["moved"]["battery"]["most_kw"]) == pytest.approx(np.abs(moved).max(), abs=1e-3)
    net = [plan.import_kw * price - plan.export_kw * 0.05
           for plan, price in ((old, PRICE), (new, np.array([0.2, 0.1, 0.5, 0.1, 0.3, 0.3])))]  # fmt: skip
    money = told["money"]
    assert [money["old"], money["new"]] == pytest.approx([net[0][1:].sum(), net[1][:5].sum()], abs=1e-3)
    assert money["by_prices"] + money["by_powers"] == pytest.approx(money["new"] - money["old"])
    inputs = {one["input"]: (one["old"], one["new"]) for one in told["inputs"]}
    assert inputs == {"houses_near.power_kw": (5.0, 6.0), "import_price": (0.5, 0.1)}
    text = ems("plan", "diff", "SITE").out
    assert "input     import_price at 22.05. 16:00: 0.5 -> 0.1" in text
    assert f"plans     {old.id} -> {new.id}, both from 22.05. 13:00 to 22.05. 18:00" in text


def test_the_same_question_twice_differs_in_nothing(ems: Run, keep: Callable[..., Plan]) -> None:
    one, other = keep(question(START)), keep(question(START))
    told = ems("plan", "diff", "SITE", "--old", one.id, "--new", other.id)
    assert "moved     nothing" in told.out
    assert "input     no recorded one differs: the same question" in told.out


def test_what_is_not_recorded_is_not_named(ems: Run, keep: Callable[..., Plan]) -> None:
    keep(question(START))
    keep(question(START, stored_kwh=8.0))
    text = ems("plan", "diff", "SITE").out
    assert "moved     battery: " in text
    assert "measured states, cars or limits, which no plan records" in text


def test_plans_that_share_no_time_are_not_compared(ems: Run, keep: Callable[..., Plan]) -> None:
    keep(question(START - timedelta(days=2)))
    keep(question(START))
    assert "share no time" in ems("plan", "diff", "SITE").err


def test_of_a_personal_zone_no_single_value_is_told(
    ems: Run, keep: Callable[..., Plan], site: Path, tmp_path: Path
) -> None:
    keep(question(START))
    keep(question(START, stored_kwh=8.0))
    homes = tmp_path / "homes"
    shutil.copytree(site, homes)
    text = yaml.safe_load((homes / "site.yaml").read_text())
    text["zones"] = {"homes": {"use": "residential", "privacy": "personal"}}
    text["assets"]["battery"]["zone"] = "homes"
    (homes / "site.yaml").write_text(yaml.safe_dump(text, sort_keys=False))
    where = (str(homes), "--state", str(tmp_path / "state"))
    for what in ("show", "diff"):
        for form in ((), ("--json",)):
            assert "battery" in ems("plan", what, "SITE", *form).out
            told = ems("plan", what, *where, *form)
            assert told.status == 0
            assert "battery" not in told.out
    assert "has no asset `battery`" in ems("plan", "explain", *where, "battery").err


def test_a_record_that_is_no_plan_is_said_to_be_none(ems: Run, state: Path) -> None:
    journal = Journal(state / "journal.db", SystemClock())
    journal.record("plan", {"ac": {"status": "feasible"}}, at=START).result(timeout=10)
    journal.close()
    assert "entry 1 of the journal is no plan that this version can read" in ems("plan", "show", "SITE").err


def test_of_nested_words_only_the_parts_that_differ_are_told() -> None:
    old = {"load": {"rung": "fresh", "issued_at": "10:00"}, "price": {"rung": "flat"}}
    new = {"load": {"rung": "fresh", "issued_at": "10:05"}, "price": {"rung": "flat"}, "carbon": {"rung": "flat"}}
    assert [(one["input"], one["old"], one["new"]) for one in plan_compared._differing("labels", old, new)] == [
        ("labels.carbon", None, {"rung": "flat"}),
        ("labels.load.issued_at", "10:00", "10:05"),
    ]
