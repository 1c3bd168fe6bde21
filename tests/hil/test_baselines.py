"""The baselines see the world that the plan sees, and the bound for cars is one that nobody beats."""

from __future__ import annotations

from pathlib import Path

import pytest

from ems.config.loading import load_site
from hil.baselines import ev_unavoidable_kwh, run_no_control, run_rules
from hil.case import Case
from hil.plant_build import build_plant
from hil.scenario import Visit
from hil.scenario_file import load_scenario

DEMO = Path(__file__).resolve().parents[2] / "sites" / "demo_feeder"
HOUR_S = 3600.0


@pytest.fixture(scope="module")
def case():
    return Case.of(DEMO, "demo_hour", 1, 0.5 * HOUR_S)


def test_rules_keep_the_limits_that_nobody_in_control_breaks(case):
    no_control, rules = run_no_control(case).verdict, run_rules(case).verdict
    assert no_control["violation_share"] > 0.03
    assert rules["plant_limits"]["excursions"] == 0
    assert rules["plant_limits"]["steps_judged"] == no_control["plant_limits"]["steps_judged"] == 180


def test_control_that_begins_late_is_judged_from_then_on(case):
    late = Case(case.folder, case.scenario, case.seed, case.duration_s, begin_s=600.0)
    assert run_rules(late).verdict["plant_limits"]["steps_judged"] == 120


@pytest.mark.parametrize(("energy_kwh", "least_kwh"), [(4.0, 0.0), (30.0, 5.0)])
def test_what_no_controller_could_charge_is_known(energy_kwh, least_kwh):
    site = load_site(DEMO)
    visit = Visit(arrival_s=0.0, stay_s=HOUR_S, energy_kwh=energy_kwh, charge_kw=22.0)
    scenario = load_scenario("demo_hour").model_copy(update={"cars": (visit,)})
    unavoidable_kwh = ev_unavoidable_kwh(site, build_plant(site, scenario, 1, witness=False), HOUR_S + 300.0)
    assert least_kwh <= unavoidable_kwh <= energy_kwh
    assert (unavoidable_kwh > 0.0) == (least_kwh > 0.0)
