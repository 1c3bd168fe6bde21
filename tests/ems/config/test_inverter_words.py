"""Inverters with curves of their own: what cannot be, each said at its place, and what the planner gets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from small_site import SITE, problems

from ems.config.assets import WindAsset
from ems.config.inverter import InverterCurves
from ems.config.inverter_models import inverter_model, inverters, planned_inverters, set_inverters
from ems.config.loading import load_site
from optimization.assets import Load, Pv
from optimization.reactive import Chosen, FactorOfPower, Inverter, ReactiveOfVoltage

PV = """\
  roof:
    kind: pv
    device: roof_inverter
    bus: busbar
    rated_kw: 40
    module_kw: 45
"""
TEXT = SITE.replace(
    "assets:\n", f"  roof_inverter: {{protocol: modbus, profile: sunspec_pv, port: 15021}}\nassets:\n{PV}"
)
COS_PHI = "cos_phi_of_power: [[0.5, 1], [1, 0.9]]"
VOLTAGE = "reactive_of_voltage: [[0.95, -1], [0.98, 0], [1.02, 0], [1.05, 1]]"
BROKEN = {
    "{rated_kva: 44}": "inverter: says nothing of its reactive power; write `cos_phi_of_power` or",
    "{rated_kva: 39, COS}": "inverter: rated_kw: 40 is above its rated_kva of 39",
    "{COS}": "inverter.rated_kva: is missing",
    "{rated_kva: 44, COS, VOLT, most_kvar: 20}": "inverter.reactive_of_voltage: stands beside `cos_phi_of_power`",
    "{rated_kva: 44, VOLT}": "inverter.reactive_of_voltage: gives shares of `most_kvar`, which is missing",
    "{rated_kva: 44, most_kvar: 20, COS}": "inverter.most_kvar: belongs to `reactive_of_voltage`",
    "{rated_kva: 44, cos_phi_of_power: [[1, 0.9], [0.5, 1]]}": "inverter.cos_phi_of_power: the points [[1, 0.9],",
    "{rated_kva: 44, reactive_of_voltage: [[1, 1], [1.1, -1]], most_kvar: 20}": "inverter.reactive_of_voltage: the "
    "values of [[1, 1], [1.1, -1]] must rise with the voltage",
    "{rated_kva: 44, COS, power_of_voltage: [[1.05, 0.5], [1.1, 1]]}": "inverter.power_of_voltage: the values of",
    "{rated_kva: 44, setpoint_kvar: 20}": "inverter: says nothing of its reactive power; write `cos_phi_of_power` or",
    "{rated_kva: 44, COS, setpoint_kvar: 45}": "inverter.setpoint_kvar: 45 is above its rated_kva of 44; write what",
    "{rated_kva: 44, COS, setpoint_kvar: 0}": "inverter.setpoint_kvar: ",
    "{rated_kva: 44, COS, setpoint_cos_phi: 1.1}": "inverter.setpoint_cos_phi: ",
    "{rated_kva: 44, COS, setpoint_cosphi: 0.9}": "inverter.setpoint_cosphi: is not a known key here",
    "{rated_kva: 44, cos_phi: 0.9, COS}": "inverter.cos_phi: is not a known key here",
}


def written(said: str) -> str:
    return said.replace("COS", COS_PHI).replace("VOLT", VOLTAGE)


@pytest.mark.parametrize("inverter", BROKEN)
def test_one_slip_of_an_inverter_gives_one_problem_at_its_place(yard: Path, inverter: str) -> None:
    line = f"    inverter: {written(inverter)}\n"
    text = TEXT.replace(PV, PV + line)
    (found,) = problems(yard, text)
    assert found.startswith(f"site.yaml:{text[: text.index(line)].count(chr(10)) + 1}:"), found
    assert f"  roof.{BROKEN[inverter]}" in found, found


@pytest.mark.parametrize(
    ("after", "more", "expected"),
    [
        (PV, "    power_factor: 0.95\n", "roof.power_factor: plays no part beside `inverter`, whose curves decide"),
        ("  export_limit_kw: 40\n", "  outages: {x: {out: [a]}}\n", "plans cannot survive outages with the curves"),
    ],
)
def test_what_does_not_go_with_curves_is_said(yard: Path, after: str, more: str, expected: str) -> None:
    text = TEXT.replace(PV, f"{PV}    inverter: {{rated_kva: 44, {COS_PHI}}}\n").replace(after, after + more)
    assert any(expected in found for found in problems(yard, text))


SET = TEXT.replace("profile: sunspec_pv,", "profile: sunspec_pv_var, mode: control, safe: {limit_kw: 10},")
SET = SET.replace(PV, f"{PV}    inverter: {{rated_kva: 44, {COS_PHI}, setpoint_kvar: 20, setpoint_cos_phi: 0.9}}\n")
UNFIT = [
    (
        "profile: sunspec_pv_var",
        "profile: sunspec_pv",
        "roof_inverter.profile: takes no reactive_kvar, which `setpoint_",
    ),
    (
        "{limit_kw: 10}",
        "{limit_kw: 10, reactive_kvar: 0}",
        "safe.reactive_kvar: a pv is not commanded by reactive_kvar",
    ),
    (
        "    discharge_kw: 40\n",
        f"    discharge_kw: 40\n    inverter: {{rated_kva: 50, {COS_PHI}, setpoint_cos_phi: 0.9}}\n",
        "battery.inverter.setpoint_cos_phi: it does not only give power; leave it out",
    ),
]


@pytest.mark.parametrize(("old", "new", "expected"), UNFIT)
def test_what_a_plan_may_set_has_to_be_taken(yard: Path, old: str, new: str, expected: str) -> None:
    assert old in SET
    assert [found for found in problems(yard, SET.replace(old, new, 1)) if expected in found]


def test_what_nobody_writes_needs_no_map_for_it(yard: Path) -> None:
    watched = SET.replace("profile: sunspec_pv_var, mode: control, safe: {limit_kw: 10}", "profile: sunspec_pv")
    (yard / "site.yaml").write_text(watched, encoding="utf-8")
    assert set_inverters(load_site(yard)).keys() == {"roof"}


def test_an_inverter_that_is_set_has_two_descriptions(yard: Path) -> None:
    """What a plan may do with it, and what it does by itself: without a plan, and while nobody steers it."""
    (yard / "site.yaml").write_text(SET, encoding="utf-8")
    site = load_site(yard)
    alone, chosen = inverters(site), set_inverters(site)
    by_itself = Inverter(44.0, 40.0, 44.0, FactorOfPower(((0.5, 1.0), (1.0, 0.9))))
    by_plan = Inverter(44.0, 40.0, 20.0, Chosen(0.9))
    assert (alone, chosen) == ({"roof": by_itself}, {"roof": by_plan})
    assert planned_inverters(alone, (Pv("roof", 40.0),), chosen) == {"roof": by_plan}
    assert planned_inverters(alone, (Pv("roof", 40.0),), chosen, {"roof"}) == {"roof": by_itself}
    assert planned_inverters(alone, (Load("roof"),), chosen) == {"roof": by_itself}


def test_the_planner_gets_the_curves_and_a_ceiling_only_of_what_it_steers(yard: Path) -> None:
    curves = f"{{rated_kva: 44, {VOLTAGE}, most_kvar: 20, power_of_voltage: [[1.05, 1], [1.1, 0]]}}"
    battery = f"    inverter: {{rated_kva: 50, {COS_PHI}}}\n"
    text = TEXT.replace(PV, f"{PV}    inverter: {curves}\n").replace(
        "    discharge_kw: 40\n", f"    discharge_kw: 40\n{battery}"
    )
    (yard / "site.yaml").write_text(text, encoding="utf-8")
    found = inverters(load_site(yard))
    q_of_u = ReactiveOfVoltage(((0.95, -1.0), (0.98, 0.0), (1.02, 0.0), (1.05, 1.0)))
    assert found == {
        "roof": Inverter(44.0, 40.0, 20.0, q_of_u, ((1.05, 1.0), (1.1, 0.0))),
        "battery": Inverter(50.0, 40.0, 50.0, FactorOfPower(((0.5, 1.0), (1.0, 0.9)))),
    }
    mill = WindAsset(
        kind="wind", device="mill", bus="busbar", rated_kw=30.0, hub_m=50.0,
        inverter=InverterCurves(rated_kva=33, cos_phi_of_power=((1, 0.95),), power_of_voltage=((1.05, 1), (1.1, 0))),
    )  # fmt: skip
    rule = FactorOfPower(((1.0, 0.95),))
    assert inverter_model(mill) == Inverter(33.0, 30.0, 33.0, rule, ((1.05, 1.0), (1.1, 0.0)))
    assert planned_inverters(found, (Pv("roof", 40.0),))["roof"] == found["roof"]
    fixed = planned_inverters(found, (Load("roof"),))["roof"]
    assert fixed.power_of_voltage == ()
    at = np.array([1.04])
    assert fixed.kvar(np.array([-20.0]), at) == found["roof"].kvar(np.array([-20.0]), at) == pytest.approx(40.0 / 3.0)
