"""An emergency as one timed record: stimulus and response, a cycle a row."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from ems.config.binding import CommandKind
from ems.emergencies import emergencies, told
from ems.fast.decisions import AssetKind, Decision, Lever, Rung
from ems.fast.emergency import EmergencyDesk
from ems.limits.failsafe_machine import State
from ems.limits.in_force import Direction, InForce
from ems.store.journal import Record

START = datetime(2025, 1, 1, 12, tzinfo=UTC)
GRID: Any = SimpleNamespace(import_limit_kw=100.0, export_limit_kw=50.0)


def lever(asset: str, kind: AssetKind, rating_kw: float) -> Lever:
    limited = kind in {AssetKind.PV, AssetKind.CHARGE_POINT}
    lower = -rating_kw if kind in {AssetKind.PV, AssetKind.BATTERY} else 0.0
    upper = 0.0 if kind is AssetKind.PV else rating_kw
    how = CommandKind.LIMIT if limited else CommandKind.SETPOINT
    return Lever(asset, asset, kind, how, lower, upper, 0.0, 0.1, 0.0)


LEVERS = {
    "store": lever("store", AssetKind.BATTERY, 20.0),
    "car": lever("car", AssetKind.CHARGE_POINT, 11.0),
    "pump": lever("pump", AssetKind.HEAT_PUMP, 8.0),
    "sun": lever("sun", AssetKind.PV, 30.0),
}


class Stage:
    """Plays cycles of a second, and keeps what is journalled."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.now = START
        self.desk = EmergencyDesk(LEVERS, GRID, self._keep)

    def _keep(self, kind: str, body: Any) -> None:
        self.records.append(Record(len(self.records) + 1, self.now, kind, dict(body)))

    def cycle(
        self,
        grid_kw: float | None,
        decided: dict[str, tuple[float, Rung]],
        metered: dict[str, float],
        limit: tuple[Direction, float] | None = None,
        planned_at: datetime | None = None,
    ) -> list[str]:
        """Run a cycle, with a plan of an instant; gives the events that it tells, with their assets."""
        before = len(self.records)
        limits = () if limit is None else (InForce(limit[0], State.LIMITED, limit[1], "api"),)
        decisions = {a: Decision(a, kw, rung, "why") for a, (kw, rung) in decided.items()}
        powers = SimpleNamespace(grid_kw=grid_kw, metered_kw=metered)
        outcome: Any = SimpleNamespace(limits=limits, decisions=decisions, powers=powers)
        self.desk.look(self.now, outcome, planned_at)
        self.now += timedelta(seconds=1)
        return [f"{r.body['event']} {r.body.get('asset', '')}".strip() for r in self.records[before:]]


LIMIT = (Direction.IMPORT, 40.0)
FULL = {"store": 5.0, "car": 11.0, "pump": 8.0, "sun": 0.0}


def test_a_limit_is_followed_through_shedding_and_recovery() -> None:
    stage = Stage()
    plan = {"store": (5.0, Rung.PLAN), "car": (11.0, Rung.PLAN), "pump": (8.0, Rung.PLAN), "sun": (-30.0, Rung.PLAN)}
    shed = {"store": (-20.0, Rung.GRID), "car": (0.0, Rung.GRID), "pump": (8.0, Rung.PLAN), "sun": (-30.0, Rung.PLAN)}
    low = {"store": -20.0, "car": 0.0, "pump": 8.0, "sun": 0.0}
    assert stage.cycle(70.0, plan, FULL) == []
    assert stage.cycle(70.0, shed, FULL, LIMIT) == ["limited", "gave_way store", "gave_way car"]
    assert stage.cycle(60.0, shed, FULL | {"store": -12.0}, LIMIT) == []
    assert stage.cycle(50.0, shed, low | {"car": 4.0}, LIMIT) == ["followed store"]
    assert stage.cycle(39.0, shed, low, LIMIT) == ["followed car", "kept"]
    assert stage.cycle(39.5, shed, low, LIMIT) == []
    assert stage.cycle(39.0, plan, low) == ["released"]
    assert stage.cycle(45.0, plan, low | {"store": 4.6, "car": 6.0}) == ["came_back store"]
    assert stage.cycle(69.0, plan, FULL) == ["came_back car", "recovered"]
    assert stage.cycle(70.0, plan, FULL) == []
    (found,) = emergencies(stage.records)
    assert (found.shed_s, found.recovery_s, found.total_s) == (3.0, 2.0, 5.0)
    assert found.manual_s == 80.0
    assert found.faster_share == pytest.approx(1.0 - 5.0 / 80.0)
    assert [told(step) for step in found.steps][1] == "store (rank 1) is told -20.0 kW; it took 5.0 kW"
    assert found.as_json()["steps"][0]["limit_kw"] == 40.0


def test_sun_has_no_part_in_an_import_limit_and_its_own_in_an_export_limit() -> None:
    stage = Stage()
    decided = {"sun": (-30.0, Rung.PLAN)}
    assert stage.cycle(70.0, decided, {"sun": 0.0}, LIMIT) == ["limited"]
    stage = Stage()
    curtailed = {"sun": (-10.0, Rung.GRID)}
    assert stage.cycle(-20.0, curtailed, {"sun": -28.0}, (Direction.EXPORT, 5.0)) == ["limited", "gave_way sun"]
    assert stage.cycle(-4.0, curtailed, {"sun": -11.0}, (Direction.EXPORT, 5.0)) == ["followed sun", "kept"]


def test_what_the_plan_gives_up_until_the_limit_is_kept_counts_as_well() -> None:
    stage = Stage()
    assert stage.cycle(70.0, {"car": (0.0, Rung.PLAN)}, {"car": 11.0}, LIMIT) == ["limited", "gave_way car"]


def test_who_wants_nothing_afterwards_is_back_when_that_is_settled() -> None:
    stage = Stage()
    shed, rest = {"car": (0.0, Rung.GRID)}, {"car": (0.0, Rung.PLAN)}
    stage.cycle(70.0, shed, {"car": 11.0}, LIMIT)
    assert stage.cycle(30.0, shed, {"car": 0.0}, LIMIT) == ["followed car", "kept"]
    assert stage.cycle(30.0, rest, {"car": 0.0}) == ["released"]
    told = [stage.cycle(30.0, rest, {"car": 0.0}) for _ in range(30)]
    assert told[:29] == [[]] * 29
    assert told[29] == ["came_back car", "recovered"]


@pytest.mark.parametrize(
    ("planned_after_s", "rung", "metered_kw", "is_back"),
    [
        (0.0, Rung.PLAN, 0.0, True),
        (-1.0, Rung.PLAN, 0.0, False),
        (None, Rung.PLAN, 0.0, False),
        (0.0, Rung.RULES, 0.0, False),
        (0.0, Rung.GRID, 0.0, False),
        (0.0, Rung.PLAN, 3.0, False),
    ],
)
def test_who_wants_nothing_afterwards_is_back_as_soon_as_a_plan_that_knows_of_the_release_says_so(
    planned_after_s, rung, metered_kw, is_back
):
    stage, shed = Stage(), {"car": (0.0, Rung.GRID)}
    stage.cycle(70.0, shed, {"car": 11.0}, LIMIT)
    stage.cycle(30.0, shed, {"car": 0.0}, LIMIT)
    released_at = stage.now
    assert stage.cycle(30.0, {"car": (0.0, Rung.PLAN)}, {"car": 0.0}, planned_at=START) == ["released"]
    planned_at = None if planned_after_s is None else released_at + timedelta(seconds=planned_after_s)
    told = stage.cycle(30.0, {"car": (0.0, rung)}, {"car": metered_kw}, planned_at=planned_at)
    assert told == (["came_back car", "recovered"] if is_back else [])


def test_a_limit_that_falls_further_belongs_to_the_same_emergency() -> None:
    stage = Stage()
    shed = {"car": (0.0, Rung.GRID)}
    stage.cycle(70.0, shed, {"car": 11.0}, LIMIT)
    stage.cycle(30.0, shed, {"car": 0.0}, LIMIT)
    assert stage.cycle(30.0, shed, {"car": 0.0}, (Direction.IMPORT, 20.0)) == ["limited"]
    assert stage.cycle(19.0, shed, {"car": 0.0}, (Direction.IMPORT, 20.0)) == ["kept"]
    assert len(emergencies(stage.records)) == 1


def test_a_meter_that_is_lost_proves_nothing() -> None:
    stage = Stage()
    shed = {"car": (0.0, Rung.GRID)}
    stage.cycle(70.0, shed, {"car": 11.0}, LIMIT)
    assert stage.cycle(None, shed, {"car": 0.0}, LIMIT) == ["followed car"]
    (found,) = emergencies(stage.records)
    assert (found.shed_s, found.total_s, found.faster_share) == (None, None, None)
