"""When a charge point changes between one phase and three, and what it is told meanwhile."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stage import (
    NOW,
    Device,
    Journal,
    SceneMaker,
    levers_of,
    make_plan,
    make_site,
    make_standing,
    snapshot,
)

from drivers.registry import profile_points
from ems.arbitration import arbitrate
from ems.clock import SimulatedClock
from ems.config.binding import bind
from ems.fast.conduct import Conduct
from ems.fast.decisions import Bound, Decision, Held, PhaseOrder, Rung, Switching, Wish
from ems.fast.phases import GIVE_UP_S, STANDS_KW, Phases, asked, look, on, order_of, stand_bounds
from ems.fast.sessions import Car
from ems.fast.steering import Steering
from ems.fast.writing import Writer

SITE = make_site({
    "devices.wallbox.profile": "alfen_ng9xx",
    "devices.wallbox.safe": {"limit_a": 6.0},
    "assets.car.phases": [1, 3],
    "assets.car.phase_switch": {"pause_s": 10.0, "every_s": 600.0, "wanted_s": 120.0},
})  # fmt: skip
LEVER = levers_of(SITE)["car"]
BATTERY = levers_of(SITE)["battery"]
NOW_S = 10_000.0
LONG_AGO = NOW_S - 5000.0
STANDING = Held(0.0, NOW_S - 60.0)
RESTING = Phases(3, LONG_AGO)


def test_the_site_file_declares_how():
    assert LEVER.switching == Switching(230.0, 22.0, 6.0, 32.0, 6.0, 10.0, 600.0, 120.0)
    assert all(lever.switching is None for lever in levers_of(make_site()).values())
    released = levers_of(make_site({"assets.car.phases": [1, 3], "devices.wallbox.safe": {"limit_a": None}}))["car"]
    assert on(released, 1).safe_kw is None


@pytest.mark.parametrize(
    ("phases", "upper_kw", "minimum_kw", "step_kw"), [(1, 7.36, 1.38, 0.23), (3, 22.0, 4.14, 0.69)]
)
def test_its_powers_follow_the_phases_in_force(phases, upper_kw, minimum_kw, step_kw):
    lever = on(LEVER, phases)
    assert (lever.phases, lever.lower_kw) == (phases, 0.0)
    assert (lever.upper_kw, lever.minimum_kw, lever.step_kw) == pytest.approx((upper_kw, minimum_kw, step_kw))
    assert lever.safe_kw == pytest.approx(minimum_kw), "the declared current on the phases in force"


def test_what_cannot_switch_stays_as_it_is():
    assert on(BATTERY, 1) is BATTERY
    assert look(None, BATTERY, NOW_S, told=None, wish_kw=9.0, power_kw=0.0, held=STANDING) is None
    assert look(RESTING, BATTERY, NOW_S, told=3, wish_kw=9.0, power_kw=0.0, held=STANDING) is None


@pytest.mark.parametrize(
    ("wish_kw", "on_one", "on_three"),
    [(0.0, 1, 3), (-1.0, 1, 3), (0.1, 1, 1), (4.13, 1, 1), (4.15, 1, 3), (7.35, 1, 3), (7.37, 3, 3), (22.0, 3, 3)],
)
def test_a_wish_asks_for_the_other_number_only_where_the_present_one_cannot(wish_kw, on_one, on_three):
    assert (asked(LEVER, wish_kw, 1), asked(LEVER, wish_kw, 3)) == (on_one, on_three)


@pytest.mark.parametrize(("wish_kw", "phases"), [(3.67, 1), (3.69, 1), (4.13, 1), (4.15, 3)])
def test_between_the_most_of_one_and_the_least_of_three_it_stays_on_one(wish_kw, phases):
    sixteen = replace(LEVER, switching=replace(LEVER.switching, maximum_a=16.0))
    assert (asked(sixteen, wish_kw, 1), asked(sixteen, wish_kw, 3)) == (phases, phases)


ASKED = replace(RESTING, other_since_s=NOW_S - 120.0)
CHANGING = replace(ASKED, to=1, begun_s=NOW_S - 20.0)
READY = replace(CHANGING, stands_since_s=NOW_S - 10.0)
TOLD = replace(READY, is_told=True)


@pytest.mark.parametrize(
    ("before", "told", "wish_kw", "power_kw", "held", "expected"),
    [
        # at the start the last change has just been, and nothing is paused for it
        (None, 3, 2.0, 0.0, STANDING, Phases(3, NOW_S)),
        (None, None, 2.0, 0.0, STANDING, Phases(None, NOW_S)),
        (Phases(None, LONG_AGO), 1, 2.0, 0.0, STANDING, Phases(1, NOW_S, free_s=NOW_S)),
        (Phases(None, LONG_AGO), None, 2.0, 0.0, STANDING, Phases(None, LONG_AGO)),
        # whoever changed them: a pause, and the time to the next change begins anew
        (RESTING, 1, 2.0, 5.0, None, Phases(1, NOW_S, free_s=NOW_S + 10.0)),
        (TOLD, 1, 2.0, 0.0, STANDING, Phases(1, NOW_S, free_s=NOW_S + 10.0)),
        # a wish must last
        (RESTING, 3, 2.0, 5.0, STANDING, replace(RESTING, other_since_s=NOW_S)),
        (replace(RESTING, other_since_s=NOW_S - 119.9), 3, 2.0, 0.0, STANDING,
         replace(RESTING, other_since_s=NOW_S - 119.9)),
        (ASKED, 3, 5.0, 0.0, STANDING, RESTING),
        (ASKED, 3, 0.0, 0.0, STANDING, RESTING),
        # who is not commanded, and who does not tell, is not changed
        (ASKED, 3, 2.0, 0.0, None, RESTING),
        (ASKED, None, 2.0, 0.0, STANDING, RESTING),
        (READY, None, 2.0, 0.0, STANDING, RESTING),
        # nor within the least time since the last change
        (replace(ASKED, changed_s=NOW_S - 599.9), 3, 2.0, 0.0, STANDING, replace(ASKED, changed_s=NOW_S - 599.9)),
        (replace(ASKED, changed_s=NOW_S - 600.0), 3, 2.0, 5.0, Held(4.14, 0.0),
         replace(ASKED, changed_s=NOW_S - 600.0, to=1, begun_s=NOW_S)),
        # it is stopped first, and must stand for the pause: told so, and by its meter
        (ASKED, 3, 2.0, 5.0, Held(4.14, 0.0), replace(ASKED, to=1, begun_s=NOW_S)),
        (ASKED, 3, 2.0, 0.0, Held(4.14, 0.0), replace(ASKED, to=1, begun_s=NOW_S)),
        (CHANGING, 3, 2.0, STANDS_KW, STANDING, CHANGING),
        (CHANGING, 3, 2.0, None, STANDING, CHANGING),
        (CHANGING, 3, 2.0, 0.09, STANDING, replace(CHANGING, stands_since_s=NOW_S)),
        (replace(READY, stands_since_s=NOW_S - 9.9), 3, 2.0, 0.0, STANDING,
         replace(READY, stands_since_s=NOW_S - 9.9)),
        (READY, 3, 2.0, 0.2, STANDING, CHANGING),
        (READY, 3, 2.0, 0.0, Held(None, 0.0), CHANGING),
        (READY, 3, 2.0, 0.0, STANDING, TOLD),
        # a wish that has gone ends it before it is told, and not after
        (READY, 3, 5.0, 0.0, STANDING, RESTING),
        (TOLD, 3, 5.0, 0.0, STANDING, TOLD),
        (TOLD, None, 5.0, 0.0, STANDING, TOLD),
        # it is given up where it does not come about
        (replace(TOLD, begun_s=NOW_S - GIVE_UP_S - 9.9), 3, 2.0, 0.0, STANDING,
         replace(TOLD, begun_s=NOW_S - GIVE_UP_S - 9.9)),
        (replace(TOLD, begun_s=NOW_S - GIVE_UP_S - 10.0), 3, 2.0, 0.0, STANDING, Phases(3, NOW_S)),
        (replace(CHANGING, begun_s=NOW_S - GIVE_UP_S - 10.0), 3, 2.0, 5.0, STANDING, Phases(3, NOW_S)),
        # from one to three
        (Phases(1, LONG_AGO, LONG_AGO), 1, 9.0, 0.0, STANDING,
         Phases(1, LONG_AGO, LONG_AGO, 3, NOW_S, NOW_S)),
    ],
)  # fmt: skip
def test_a_change_step_by_step(before, told, wish_kw, power_kw, held, expected):
    assert look(before, LEVER, NOW_S, told=told, wish_kw=wish_kw, power_kw=power_kw, held=held) == expected


@pytest.mark.parametrize(
    ("phases", "reason"),
    [
        (None, ""),
        (RESTING, ""),
        (ASKED, ""),
        (replace(RESTING, free_s=NOW_S), ""),
        (CHANGING, "the car pauses while the point changes to one phase"),
        (TOLD, "the car pauses while the point changes to one phase"),
        (Phases(1, 0.0, to=3), "the car pauses while the point changes to three phases"),
        (replace(RESTING, free_s=NOW_S + 0.1), "the car pauses after the point's change to three phases"),
        (Phases(1, 0.0, free_s=NOW_S + 0.1), "the car pauses after the point's change to one phase"),
    ],
)
def test_it_stands_before_during_and_after_a_change(phases, reason):
    expected = (Bound(Rung.DEVICE, -inf, 0.0, reason),) if reason else ()
    assert stand_bounds(phases, NOW_S) == expected


@pytest.mark.parametrize(
    ("phases", "expected"),
    [
        (None, None), (RESTING, None), (READY, None), (replace(RESTING, is_told=True), None),
        (TOLD, PhaseOrder(1, "change to one phase: less than three phases can give is wished")),
        (Phases(1, 0.0, to=3, is_told=True),
         PhaseOrder(3, "change to three phases: more than one phase can give is wished")),
    ],
)  # fmt: skip
def test_the_device_is_told_once_it_stands(phases, expected):
    assert order_of(phases) == expected


class Point:
    """A charge point with a car, and what tells it: by the second, obeying after `lag` cycles."""

    def __init__(self, phases: int = 3, *, deaf: bool = False) -> None:
        self.phases, self.deaf = phases, deaf
        self.power_kw = 0.0
        self.held: Held | None = None
        self.state: Phases | None = None
        self.changes_s: list[float] = []
        self.stood_s = 0.0

    def cycle(self, now_s: float, wish_kw: float, limit_kw: float) -> None:
        lever = on(LEVER, (self.state.in_force if self.state else None) or 3)
        seen = {"told": self.phases, "wish_kw": wish_kw, "power_kw": self.power_kw, "held": self.held}
        self.state = look(self.state, lever, now_s, **seen)
        lever = on(LEVER, self.state.in_force or 3)
        bounds = [Bound(Rung.DEVICE, 0.0, lever.upper_kw, "rating"), Bound(Rung.GRID, 0.0, limit_kw, "limit")]
        decided = arbitrate(
            lever, Wish(Rung.PLAN, wish_kw, "plan"), [*bounds, *stand_bounds(self.state, now_s)], self.held, now_s
        )
        assert decided.kw <= limit_kw + 1e-6, "a limit never waits for a change"
        order = order_of(self.state)
        if order is not None:
            assert decided.kw == 0.0
            if not self.deaf and order.phases != self.phases:
                assert self.power_kw == 0.0
                assert self.stood_s >= LEVER.switching.pause_s
                self.phases = order.phases
                self.changes_s.append(now_s)
        if self.held is None or self.held.kw != decided.kw:
            self.held = Held(decided.kw, now_s)
        self.power_kw = decided.kw
        self.stood_s = self.stood_s + 5.0 if decided.kw == 0.0 else 0.0


@settings(max_examples=50)
@given(
    st.lists(st.tuples(st.floats(0.0, 22.0), st.sampled_from([0.0, 1.5, 3.0, 5.0, 22.0]), st.integers(1, 60)),
             min_size=1, max_size=40),
    st.sampled_from([1, 3]), st.booleans(),
)  # fmt: skip
def test_law_no_change_under_load_none_too_soon_and_every_limit_kept(spells, phases, deaf):
    point, now_s = Point(phases, deaf=deaf), 0.0
    for wish_kw, limit_kw, cycles in spells:
        for _ in range(cycles):
            point.cycle(now_s, wish_kw, limit_kw)
            now_s += 5.0
    moments = [0.0, *point.changes_s]
    assert all(b - a >= 600.0 for a, b in pairwise(moments))


def test_little_sun_is_charged_on_one_phase_and_much_on_three():
    point, now_s = Point(), 0.0
    given = {}
    for wish_kw, seconds in ((2.0, 1500), (9.0, 1500), (5.0, 1500)):
        for _ in range(seconds // 5):
            point.cycle(now_s, wish_kw, 22.0)
            now_s += 5.0
        given[wish_kw] = (point.phases, point.power_kw)
    assert given[2.0] == (1, pytest.approx(8 * 0.23))
    assert given[9.0] == (3, pytest.approx(13 * 0.69))
    assert given[5.0] == (3, pytest.approx(7 * 0.69)), "what both can give changes nothing"
    assert len(point.changes_s) == 2


def test_a_device_that_does_not_change_gets_its_car_going_again():
    point = Point(deaf=True)
    charging = []
    for i in range(400):
        point.cycle(5.0 * i, 3.0, 22.0)
        charging.append(point.power_kw > 0.0)
    assert charging[-1]
    assert sum(not on_ for on_ in charging) * 5.0 <= 3 * (GIVE_UP_S + 60.0)


# ---- in the fast loop --------------------------------------------------------------------------------------------

MEASURED = {"wallbox.state": 1.0, "wallbox.phases": 3.0}
CAR = Car(NOW - timedelta(hours=1), 100.0, 100.0, 22.0)


def steer(phases: Phases | None, plan_kw: float, *, in_force: int = 3, **more):
    levers = levers_of(SITE)
    levers["car"] = on(levers["car"], in_force)
    scene = SceneMaker(SITE)(MEASURED, plan=make_plan({"car": plan_kw}), **{"cars": {"car": CAR}, **more})
    scene = replace(scene, phases={} if phases is None else {"car": phases})
    return Steering(SITE, bind(SITE), levers).decide(scene)


def test_what_is_wished_is_told_before_the_quota_and_the_phases_narrow_it():
    assert steer(None, 2.0).wanted_kw == {"car": 2.0}
    assert steer(None, 2.0).decisions["car"].kw == pytest.approx(4.14), "till the slot's energy is there"
    assert steer(CHANGING, 11.0, in_force=1).wanted_kw == {"car": 11.0}
    limited = steer(None, 11.0, standing=make_standing(SITE, overrides={"car": 3.0}))
    assert limited.wanted_kw == {"car": 3.0}


def test_a_safe_value_wants_nothing_nor_does_a_point_without_a_car():
    assert steer(None, 2.0, unavailable=("car",)).wanted_kw == {}
    assert steer(None, 2.0, cars={}).wanted_kw == {}


def test_while_it_changes_it_stands_and_the_decision_carries_the_order():
    stands = replace(TOLD, begun_s=990.0)
    decision = steer(stands, 2.0).decisions["car"]
    assert (decision.kw, decision.rung) == (0.0, Rung.DEVICE)
    assert decision.phases == PhaseOrder(1, "change to one phase: less than three phases can give is wished")
    assert steer(CHANGING, 2.0).decisions["car"].phases is None
    assert steer(stands, 2.0, unavailable=("car",)).decisions["car"].phases is None


def test_the_lever_follows_what_the_device_tells():
    levers = levers_of(SITE)
    conduct = Conduct(levers, bind(SITE), 1.0)
    for told, in_force in ((None, 3), (1.0, 1), (2.0, 1), (None, 1), (3.0, 3)):
        conduct.see(snapshot({**MEASURED, "wallbox.phases": told}), {})
        assert levers["car"].phases == in_force
    assert set(conduct.phases) == {"car"}
    assert levers["battery"].phases is None


def test_the_second_point_is_written_with_intent_lease_read_back_and_reason():
    clock, journal, levers = SimulatedClock(NOW), Journal(), levers_of(SITE)
    levers["car"] = on(levers["car"], 1)
    info = profile_points("simulated", "alfen_ng9xx")
    device = Device("wallbox", info, clock, safe={"limit_a": 6.0})
    writer = Writer(levers, bind(SITE), {"wallbox": device}, journal, clock, lambda: True, 60.0, 10.0)
    order = PhaseOrder(1, "change to one phase: because")

    def tell(decision: Decision) -> list[tuple[str, float | None]]:
        written = asyncio.run(writer.write([decision]))
        return [(one.command.setpoint.point, one.command.setpoint.value) for one in written]

    stand = Decision("car", 0.0, Rung.DEVICE, "the car pauses", order)
    assert tell(stand) == [("wallbox.limit_a", 0.0), ("wallbox.phases", 1.0)]
    assert device.commands["phases"] == 1.0
    assert [(b["point"], b["value"], b["reason"]) for b in journal.bodies("intent")] == [
        ("wallbox.limit_a", 0.0, "the car pauses"),
        ("wallbox.phases", 1.0, "change to one phase: because"),
    ]
    assert [(b["point"], b["outcome"], b["effective"]) for b in journal.bodies("result")] == [
        ("wallbox.limit_a", "applied", 0.0),
        ("wallbox.phases", "applied", 1.0),
    ]
    assert tell(stand) == [], "what is in force is not repeated before its lease asks for it"
    clock.advance_to(clock.monotonic() + 20.0)
    assert tell(stand) == [("wallbox.limit_a", 0.0), ("wallbox.phases", 1.0)]
    assert len(journal.bodies("intent")) == 2, "repeating is no change"
    assert tell(Decision("car", 2.3, Rung.PLAN, "charge")) == [("wallbox.limit_a", 10.0)], "2.3 kW on one phase"
    assert writer.held()["car"].kw == 2.3
    assert tell(stand) == [("wallbox.limit_a", 0.0), ("wallbox.phases", 1.0)]
    assert len(journal.bodies("intent")) == 5, "an order after a pause is a new one"
