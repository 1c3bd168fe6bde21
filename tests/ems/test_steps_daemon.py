"""A site whose plans move taps and capacitors: what is asked of the planner, and that nothing is steered there."""

from __future__ import annotations

from stage import NOW, make_plan, make_site

from ems.config.binding import bind
from ems.failsafe import judge
from ems.slow.planning_setup import grid_path
from ems.slow.question import Questioner
from optimization.grid_case import bus_numbers
from optimization.steps import CapacitorBank, Moving, Stepped, TapChanger

STEPS = {
    "grid.tap_changers": {"station": {"trafo": "transformer", "least": -2, "most": 2, "step_pct": 2.5}},
    "grid.capacitor_banks": {"barn_bank": {"bus": "barn", "step_kvar": 10.0, "steps": 3, "on": 2}},
}


async def test_nothing_is_written_where_plans_move_what_nobody_sets(show):
    """Not even after somebody asks for control: the plan's voltages are those of positions that nobody makes."""
    one = show(changes=STEPS)
    one.publish(make_plan({"battery": 5.0}))
    await one.run_until(30.0)
    assert one.command("store") is None
    assert "withheld" in one.alarms()
    one.ask("mode", "store", mode="control")
    await one.run_until(60.0)
    assert one.command("store") is None
    assert one.daemon.loop.last.outcome.decisions["battery"].kw == 5.0


async def test_the_same_site_without_them_is_steered(show):
    one = show()
    one.publish(make_plan({"battery": 5.0}))
    await one.run_until(30.0)
    assert one.command("store") == 5.0


def test_the_check_says_why_no_device_may_be_controlled(tmp_path):
    verdict, bare = (judge(make_site(changes), tmp_path, NOW) for changes in (STEPS, {}))
    unset = [words for words in verdict.problems if words not in bare.problems]
    assert len(unset) == 1, unset
    assert unset[0].startswith("its plans move station, barn_bank, and nothing sets a tap or a bank yet")
    assert not verdict.passed


def test_the_planner_is_asked_about_them():
    site = make_site(STEPS)
    asked = Questioner.of(site, bind(site), site.tariff, bus_numbers(grid_path(site)))
    assert asked.steps == {
        "station": Stepped(TapChanger("transformer", 0, -2, 2, 0, 2.5, 0, Moving(0.1, 900.0)), 0),
        "barn_bank": Stepped(CapacitorBank(5, 10.0, 3, Moving(0.1, 900.0)), 2),
    }
