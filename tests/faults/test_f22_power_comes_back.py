"""F22: the whole site's power comes back: nothing is written before all is well, then loads come one after another."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from daemon_show import CYCLE_S, Show, show
from hypothesis import given
from hypothesis import strategies as st
from stage import levers_of, make_plan, make_site, snapshot

from ems.config.binding import bind
from ems.fast.turns import GOOD_POLLS, STAGE_S, STAGE_SHARE, Turns
from ems.health import State
from ems.ownership import RECORD_FILE

__all__ = ["show"]

DEVICES = ("meter", "inverter", "store", "wallbox", "heater")
LOADS = {"battery": "store", "car": "wallbox", "heat": "heater"}
PLAN = {"battery": 20.0, "heat": 6.0, "pv": -30.0, "car": 11.0}
SITE = make_site()


def after_a_power_cut(show, boots_s: dict[str, float], **more: Any) -> Show:
    """Build the daemon anew as after a boot of its machine; each device answers from its own instant on [s]."""
    one: Show = show(car_in=lambda _s: True, load_kw=lambda _s: 5.0, **more)
    one.daemon._stores.owner.release()
    record = one.state / RECORD_FILE
    record.write_text(json.dumps({**json.loads(record.read_text()), "boot_id": "of yesterday"}))
    one.daemon._stores.close()
    one.daemon = one.build()
    one.publish(make_plan(PLAN, slots=96))
    for number, (device, at_s) in enumerate(boots_s.items()):
        driver = one.yard.drivers[device]
        driver.offline = "no power"
        one.script[at_s + 0.01 * number] = lambda driver=driver: setattr(driver, "offline", "")
    return one


async def story(one: Show, until_s: float) -> list[dict[str, Any]]:
    """Live on cycle by cycle, and note what was written, what is commanded and what is taken."""
    seen = []
    while one.clock.monotonic() < until_s:
        await one.run_until(one.clock.monotonic() + CYCLE_S)
        powers = {device: one.yard.drivers[device].values["power_kw"] or 0.0 for device in DEVICES}
        seen.append({"at_s": one.clock.monotonic(), "writes": one.yard.writes, "kw": powers,
                     "state": one.daemon._health.state})  # fmt: skip
    return seen


IN_ANY_ORDER = {"meter": 25.0, "inverter": 12.0, "store": 44.0, "wallbox": 5.0, "heater": 33.0}
AT_ONCE = dict.fromkeys(IN_ANY_ORDER, 5.0)


@pytest.mark.parametrize("boots", [IN_ANY_ORDER, AT_ONCE], ids=["in any order", "at once"])
async def test_f22_nothing_is_written_before_three_good_polls_and_loads_come_in_turn(
    show, boots: dict[str, float]
) -> None:
    one = after_a_power_cut(show, boots)
    seen = await story(one, 240.0)
    for device, boots_s in boots.items():
        first_s = next((s["at_s"] for s in seen if s["writes"][device]), float("inf"))
        assert first_s >= boots_s + (GOOD_POLLS - 1) * CYCLE_S, f"{device} was written too early"
    assert seen[-1]["state"] is State.NORMAL
    taken = {device: seen[-1]["kw"][device] for device in LOADS.values()}
    assert taken == pytest.approx({"store": 20.0, "wallbox": 11.0, "heater": 6.0}, abs=0.6)
    rises = [(s["at_s"], d) for p, s in pairwise(seen) for d in taken if s["kw"][d] > p["kw"][d] + 0.3]
    first = {device: min(at_s for at_s, d in rises if d == device) for device in taken}
    print(f"first power, by device [s]: {first}")
    assert len(set(first.values())) == len(first), f"two loads took up power at once: {first}"
    if boots is AT_ONCE:
        assert sorted(first, key=first.__getitem__) == ["heater", "wallbox", "store"], "who is shed last comes first"
    assert max(s["kw"]["meter"] for s in seen) <= one.site.file.grid.import_limit_kw


async def test_f22_a_restart_of_the_daemon_alone_waits_for_nothing(show) -> None:
    one: Show = show()
    one.publish(make_plan({**PLAN, "car": 0.0}))
    await one.run_until(60.0)
    one.daemon._stores.owner.release()
    one.daemon._stores.close()
    one.daemon = one.build()
    one.publish(make_plan({**PLAN, "car": 0.0}, slots=96))
    await one.run_until(one.clock.monotonic() + CYCLE_S)
    assert len(one.daemon.loop.last.outcome.decisions) == 4


async def test_f22_who_comes_back_alone_does_not_wait(show) -> None:
    one: Show = show()
    one.publish(make_plan({**PLAN, "car": 0.0}, slots=96))
    one.script[60.0] = lambda: setattr(one.yard.drivers["heater"], "offline", "no power")
    one.script[200.0] = lambda: setattr(one.yard.drivers["heater"], "offline", "")
    await one.run_until(200.0)
    await story(one, 200.0 + (GOOD_POLLS - 1) * CYCLE_S)
    assert "heat" not in one.daemon.loop.last.outcome.decisions
    await story(one, 200.0 + GOOD_POLLS * CYCLE_S)
    assert one.command("heater") == PLAN["heat"]


def turns() -> Turns:
    return Turns(SITE, levers_of(SITE), bind(SITE), cold=True)


@given(st.lists(st.sets(st.sampled_from(["pv", "battery", "car", "heat", "connection"])), max_size=40))
def test_f22_laws_of_whatever_order_of_booting(lost: list[set[str]]) -> None:
    """Nobody is told anything before three good polls in a row; no stage lets more load on than a tenth, or one."""
    watched, rated = turns(), {asset: lever.upper_kw for asset, lever in levers_of(SITE).items()}
    points = {a: f"{d}.power_kw" for a, d in {**LOADS, "pv": "inverter", "connection": "meter"}.items()}
    good, waiting = dict.fromkeys(points, 0), frozenset()
    for cycle, gone in enumerate([*lost, *[set()] * 8]):
        values = {points[asset]: None for asset in gone}
        turn = watched.look(snapshot(values, now_s=STAGE_S * cycle))
        good = {asset: 0 if asset in gone else count + 1 for asset, count in good.items()}
        assert not {a for a in good if good[a] == 0} & turn.waiting
        assert {asset for asset, count in good.items() if count == 0} <= turn.settling
        admitted = sorted(rated[a] for a in waiting - turn.waiting - gone)
        assert sum(admitted[:-1]) <= STAGE_SHARE * SITE.file.grid.import_limit_kw
        assert all(bound.upper_kw >= 0.0 for a in turn.waiting for bound in turn.bounds(a, -3.0))
        waiting = turn.waiting
    assert (turn.settling, turn.waiting) == (frozenset(), frozenset())
