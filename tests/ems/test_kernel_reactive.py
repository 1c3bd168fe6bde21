"""The reactive power that a plan sets: when it is told, that it ends with its lease, and who is not trusted."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from stage import NOW, Journal, SceneMaker, Yard, levers_of, make_plan, make_site, snapshot, voltage_rows

from drivers.points import Outcome, Quality
from ems.clock import SimulatedClock
from ems.config.binding import bind
from ems.fast.decisions import Decision, KvarOrder, Rung
from ems.fast.foreign import Proven
from ems.fast.reactive import KvarTrust
from ems.fast.steering import Steering
from ems.fast.writing import Writer
from ems.process_image import Reading

CHANGES = {
    "devices.inverter.profile": "sunspec_pv_var",
    "assets.pv.inverter": {"rated_kva": 66.0, "cos_phi_of_power": [[1.0, 1.0]], "setpoint_kvar": 20.0},
}
SITE = make_site(CHANGES)
WITH_COS_PHI = make_site(CHANGES | {"assets.pv.inverter.setpoint_cos_phi": 0.9})
CURVE_ONLY = make_site({
    "assets.pv.inverter": {"rated_kva": 66.0, "cos_phi_of_power": [[1.0, 1.0]]},
})  # fmt: skip
POINT = "inverter.reactive_kvar"
TOLD = KvarOrder(12.0, "plan 12:00: take 12.0 kvar")


def plan(kvar=12.0, **more):
    made = make_plan({"pv": -30.0, "battery": 0.0, "car": 0.0, "heat": 2.0}, **more)
    return replace(made, reactive_kvar={"pv": np.full(len(made.slots), kvar)})


def decided(site=SITE, measured=None, **scene):
    steering = Steering(site, bind(site), levers_of(site))
    return steering.decide(SceneMaker(site)(measured, **scene)).decisions["pv"]


TIMES = [
    ("a fresh plan", {"plan": plan()}, TOLD),
    ("one that gives", {"plan": plan(-7.254)}, KvarOrder(-7.25, "plan 12:00: give 7.2 kvar")),
    ("one that needs none", {"plan": plan(1e-9)}, KvarOrder(0.0, "plan 12:00: neither take nor give reactive power")),
    ("no plan", {}, None),
    ("an old plan, which powers still follow", {"plan": plan(), "at": NOW + timedelta(minutes=11)}, None),
    ("one past its age", {"plan": plan(), "at": NOW + timedelta(hours=3)}, None),
    ("a plan that knows nothing of it", {"plan": replace(plan(), reactive_kvar={})}, None),
    ("a safe value", {"plan": plan(), "unavailable": ["pv"]}, None),
    ("a site that is made safe", {"plan": plan(), "measured": {"meter.power_kw": None}}, None),
]


@pytest.mark.parametrize(("scene", "told"), [case[1:] for case in TIMES], ids=[case[0] for case in TIMES])
def test_it_is_told_only_what_a_plan_in_its_own_time_was_verified_with(scene, told):
    assert decided(**scene).kvar == told


def test_an_inverter_that_only_follows_a_curve_is_told_nothing():
    assert decided(CURVE_ONLY, plan=plan()).kvar is None


@pytest.mark.parametrize(
    ("power_kw", "kvar"), [(-60.0, 12.0), (-24.8, 12.0), (-24.7, 10.8), (-12.5, 6.0), (-2.0, 0.0), (0.0, 0.0)]
)
def test_with_a_least_cos_phi_it_falls_with_the_sun_in_steps(power_kw, kvar):
    """12 kvar are cos phi 0.9 at 24.8 kW."""
    order = decided(WITH_COS_PHI, {"inverter.power_kw": power_kw}, plan=plan()).kvar
    assert order is not None
    assert order.kvar == pytest.approx(kvar)


def test_the_rows_of_an_old_plan_are_not_believed_where_it_set_reactive_power():
    looked = []

    def eye(power_kw):
        looked.append(power_kw)

    for site, old_looks in ((SITE, 1), (CURVE_ONLY, 0)):
        steering = Steering(site, bind(site), levers_of(site), eye)
        for minutes, looks in ((1, 0), (11, old_looks)):
            looked.clear()
            steering.decide(SceneMaker(site)(plan=plan(rows=voltage_rows()), at=NOW + timedelta(minutes=minutes)))
            assert len(looked) == looks


class Desk:
    """A writer with its devices in memory."""

    def __init__(self) -> None:
        self.clock, self.journal = SimulatedClock(NOW), Journal()
        self.drivers = Yard(SITE, self.clock).drivers
        self.writer = Writer(
            levers=levers_of(SITE), bindings=bind(SITE), drivers=self.drivers, journal=self.journal, clock=self.clock,
            owns=lambda: True, lease_s=60.0, cycle_s=10.0,
        )  # fmt: skip

    async def write(self, at_s, kvar, kw=-60.0):
        """Write a decision; give what was written of the reactive power."""
        self.clock.advance_to(at_s)
        written = await self.writer.write([Decision("pv", kw, Rung.PLAN, "because", kvar=kvar)])
        return [(w.command.setpoint.value, w.result.outcome) for w in written if w.command.beside]

    async def held_kvar(self, at_s):
        self.clock.advance_to(at_s)
        await self.drivers["inverter"].read()
        return self.drivers["inverter"].commands["reactive_kvar"]


async def test_it_is_a_lease_of_its_own_with_an_intent_before_and_a_proof_after():
    desk = Desk()
    assert await desk.write(0.0, TOLD) == [(12.0, Outcome.APPLIED)]
    assert desk.drivers["inverter"].commands == {"limit_kw": 60.0, "reactive_kvar": 12.0}
    (intent,) = [body for body in desk.journal.bodies("intent") if body["point"] == POINT]
    (result,) = [body for body in desk.journal.bodies("result") if body["point"] == POINT]
    assert (intent["asset"], intent["value"], intent["reason"]) == ("pv", 12.0, TOLD.reason)
    assert (result["outcome"], result["effective"]) == ("applied", 12.0)
    assert desk.writer.proven_kvar() == {"pv": Proven(POINT, 12.0, 0.0, 60.0)}
    assert await desk.write(10.0, TOLD) == []
    assert await desk.write(20.0, TOLD) == [(12.0, Outcome.APPLIED)], "renewed"
    assert len(desk.journal.bodies("intent")) == 2, "a renewal is no change"


async def test_it_ends_with_its_lease_when_nobody_renews_it():
    desk = Desk()
    await desk.write(0.0, TOLD)
    assert await desk.held_kvar(59.0) == 12.0
    assert await desk.held_kvar(61.0) is None
    assert desk.drivers["inverter"].commands["limit_kw"] == 20.0, "the limit has a safe value, this has none"


async def test_it_does_not_end_before_the_limit_that_rests_on_it():
    """A limit of 50 kW that holds for longer than what keeps the voltage would let it rise."""
    desk = Desk()
    await desk.write(0.0, TOLD)
    assert await desk.write(10.0, TOLD, kw=-50.0) == [(12.0, Outcome.APPLIED)]
    assert len(desk.journal.bodies("intent")) == 3, "its own value has not changed"
    assert await desk.held_kvar(65.0) == 12.0
    assert desk.drivers["inverter"].commands["limit_kw"] == 50.0
    assert await desk.held_kvar(71.0) is None
    assert desk.drivers["inverter"].commands["limit_kw"] == 20.0


async def test_without_an_order_it_is_given_back_once_and_before_its_lease_ends():
    desk = Desk()
    await desk.write(0.0, TOLD)
    assert await desk.write(10.0, None) == [(None, Outcome.APPLIED)]
    assert await desk.held_kvar(10.0) is None
    assert await desk.write(20.0, None) == []
    assert await desk.write(40.0, None) == []
    assert await desk.write(50.0, TOLD) == [(12.0, Outcome.APPLIED)]


async def test_who_was_told_nothing_is_given_nothing_back():
    assert await Desk().write(0.0, None) == []


@pytest.mark.parametrize("to_safe", [True, False])
async def test_a_release_gives_it_back_too(to_safe):
    desk = Desk()
    await desk.write(0.0, TOLD)
    await desk.writer.release(["pv"], "the controller is stopped", to_safe=to_safe)
    assert desk.drivers["inverter"].commands == {"limit_kw": 20.0 if to_safe else None, "reactive_kvar": None}


async def test_a_refusal_proves_nothing():
    desk = Desk()
    desk.drivers["inverter"].refusing = "no"
    assert await desk.write(0.0, TOLD) == [(12.0, Outcome.REFUSED)]
    assert desk.writer.proven_kvar() == {}


def seen(kvar, now_s, quality=Quality.GOOD):
    shot = snapshot(now_s=now_s)
    return replace(shot, readings={POINT: Reading(POINT, kvar, NOW, now_s, quality)})


OURS = {"pv": Proven(POINT, 12.0, 100.0, 160.0)}


def test_three_refusals_in_a_row_leave_it_to_itself_for_longer_every_time():
    trust = KvarTrust()
    for _ in range(5):
        trust.answered("pv", Outcome.REFUSED, 0.0)
        trust.answered("pv", Outcome.UNKNOWN, 0.0)
        trust.answered("pv", Outcome.APPLIED, 0.0)
    assert trust.look(seen(None, 1.0), {}) == frozenset()
    until_s = 0.0
    for pause_s in (120.0, 240.0, 480.0):
        for _ in range(3):
            trust.answered("pv", Outcome.REFUSED, until_s)
        assert trust.look(seen(None, until_s + pause_s - 1.0), {}) == {"pv"}
        until_s += pause_s
        assert trust.look(seen(None, until_s), {}) == frozenset()


@pytest.mark.parametrize(
    ("readings", "unset"),
    [
        ([seen(12.0, 110.0), seen(12.05, 120.0), seen(11.9, 130.0)], False),
        ([seen(5.0, 110.0), seen(12.0, 120.0), seen(5.0, 130.0)], False),
        ([seen(5.0, 110.0), seen(5.0, 110.0), seen(5.0, 110.0)], False),
        ([seen(5.0, 110.0), seen(5.0, 120.0)], True),
        ([seen(12.0, 110.0, Quality.UNCERTAIN), seen(12.0, 120.0, Quality.UNCERTAIN)], True),
        ([seen(5.0, 90.0), seen(5.0, 95.0), seen(5.0, 170.0), seen(5.0, 180.0)], False),
        ([seen(5.0, 110.0, Quality.BAD), seen(5.0, 120.0, Quality.BAD)], False),
    ],
)
def test_two_readings_of_something_else_within_its_lease_do_so_too(readings, unset):
    trust = KvarTrust()
    found = [trust.look(shot, OURS) for shot in readings][-1]
    assert (found == {"pv"}) is unset


def test_who_does_not_keep_it_is_told_nothing_and_keeps_its_power():
    made = SceneMaker(SITE)(plan=plan())
    scene = replace(made, snapshot=replace(made.snapshot, unset=frozenset({"pv"})))
    decision = Steering(SITE, bind(SITE), levers_of(SITE)).decide(scene).decisions["pv"]
    assert decision.kvar is None
    assert decision.rung is not Rung.SAFE
