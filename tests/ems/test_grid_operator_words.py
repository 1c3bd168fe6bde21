"""What the grid operator allows, as the planner takes it and as commands say it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
from planning_kit import NOW, build_loop, demo_site, snapshot
from stage import make_site

from ems.commands import status, understood
from ems.config.binding import bind
from ems.limits.failsafe_machine import State
from ems.limits.in_force import Direction, InForce
from ems.study.arms import paced
from optimization.problem import Plan

GRID = demo_site().file.grid
OWN_KW = (GRID.import_limit_kw, GRID.export_limit_kw)
MARGIN = 1.0 - GRID.planning_margin_pct / 100.0


async def connection_with(folder, *limits: InForce):
    loop = build_loop(folder)
    plan = await loop.planning.plan_once(snapshot(), {}, limits=limits)
    assert isinstance(plan, Plan), loop.planning.trouble
    (problem,) = loop.solver.asked
    return problem.slots, problem.connection


async def test_a_plan_keeps_a_limit_in_every_slot_that_begins_before_its_end(tmp_path):
    ends_at = NOW + timedelta(minutes=50)
    limit = InForce(Direction.IMPORT, State.LIMITED, 10.0, "api", ends_at)
    slots, connection = await connection_with(tmp_path, limit, InForce(Direction.EXPORT, State.UNLIMITED))
    within = np.array([start < ends_at for start in slots.starts])
    assert 0 < within.sum() < 6
    assert np.allclose(connection.import_limit_kw, np.where(within, 10.0, OWN_KW[0]) * MARGIN)
    assert np.allclose(connection.export_limit_kw, OWN_KW[1] * MARGIN)


async def test_a_plan_keeps_a_failsafe_limit_throughout_and_never_widens_its_own(tmp_path):
    wide = InForce(Direction.IMPORT, State.LIMITED, 500.0, "api")
    slots, connection = await connection_with(tmp_path, wide, InForce(Direction.EXPORT, State.FAILSAFE, 0.0, "api"))
    assert np.array_equal(connection.import_limit_kw, np.full(len(slots), OWN_KW[0] * MARGIN))
    assert np.array_equal(connection.export_limit_kw, np.zeros(len(slots)))


def test_the_check_says_who_may_limit_the_site_and_how():
    api = {"host": "10.0.0.4", "port": 8471, "certificate": "c.pem", "key": "k.pem"}
    relay = {"device": "wallbox", "role": "state", "import_limit_kw": 4.2}
    box = {"device": "wallbox", "heartbeat": "energy_kwh", "import_limit": "power_kw"}
    said = {"failsafe_import_kw": 12.0, "failsafe_export_kw": 0.0, "api": api, "registers": {"box": box},
            "inputs": {"relay": relay}}  # fmt: skip
    site = make_site({"grid_operator": said})
    facts = understood.understood(site, bind(site), datetime(2025, 5, 1, tzinfo=UTC))
    assert (
        "operator  the grid operator may limit import (failsafe 12 kW) and export (failsafe 0 kW) by "
        "api at 10.0.0.4:8471 with TLS, registers box of wallbox, inputs relay of wallbox"
    ) in list(understood.describe(facts))
    free = make_site()
    facts = understood.understood(free, bind(free), datetime(2025, 5, 1, tzinfo=UTC))
    assert facts["grid_operator"] is None
    assert not [line for line in understood.describe(facts) if line.startswith("operator")]


def test_the_status_says_what_holds():
    limits = {
        "import": {"state": "limited", "reason": "the grid operator allows 12.0 kW of import (api)"},
        "export": {"state": "unlimited", "reason": ""},
    }
    lines = list(status.describe({"at": "2025-05-01T00:00:00+00:00", "grid_limits": limits}, 1.0, []))
    assert "limit     import: limited, the grid operator allows 12.0 kW of import (api)" in lines
    assert "limit     export: unlimited" in lines


def test_a_study_knows_no_grid_operator():
    site = make_site({"grid_operator": {"failsafe_import_kw": 12.0, "api": {}}})
    assert site.file.grid_operator is not None
    assert paced(site).file.grid_operator is None
