"""Plans a site once, offline: the slow loop itself, on what is recorded, published or given for an instant.

Nothing is sent, and nothing is left in the state directory. The whole day is asked anew: no plan of before binds it.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd

from ems.clock import SimulatedClock
from ems.config.assets import ForeseenAsset, MeteredLoad
from ems.config.binding import Bindings, bind
from ems.config.site import Site
from ems.exit_codes import CommandError
from ems.planning import Foresees, Planning
from ems.resume import resumed_hygiene, transitions
from ems.slow.feed_desk import Label
from ems.slow.foresee import Cars, Foresight
from ems.slow.planning_setup import build_planning, cache_dir, feeder, grid_limits, grid_path
from ems.slow.question import plan_slots
from ems.slow.situation import AssetNow
from ems.study.recorded import feeds, snapshots
from ems.worker import DirectSolver
from optimization.forecast.published import Rung
from optimization.frames import on_slots
from optimization.more_room import MoreRoom, more_room
from optimization.network_build import prepare
from optimization.problem import Plan, Problem, Refused
from optimization.slots import Floats, Slots
from optimization.solve import Solver
from optimization.witness import Witness

GIVEN = ("price", "carbon", "outdoor_c", "irradiance_w_m2", "load_kw")
"""Columns of a given table that are no asset's: as in `Foresight`, all unmetered loads together."""
LABELS = {"load_kw": "load"}
ONE_KW = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Occasion:
    """When a site is planned, and what holds then whatever is recorded.

    Args:
        at: UTC instant.
        measured: values by `<asset>.<role>`, such as `battery.soc_pct`.
        series: aware index and columns of `GIVEN` or `<asset>_kw`: what a metered load will take, what a PV plant could
            generate [kW]; each reaches over the horizon. None to foresee everything.
    """

    at: datetime
    measured: Mapping[str, float] = field(default_factory=dict)
    series: pd.DataFrame | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Solved:
    """A plan, its record as a journal would have it, and what one more kW of import and of export is worth."""

    plan: Plan
    record: Mapping[str, Any]
    room: Mapping[str, MoreRoom]


def solve_offline(site: Site, state: Path | None, occasion: Occasion) -> Solved:
    """Plan once.

    Args:
        site: the site.
        state: its state directory, read only; None to go without.
        occasion: when, and on what.

    Raises:
        CommandError: there is no plan; the message says why.
        ArchiveError: a history cannot be read.
        ValueError: a given series does not reach over the horizon.
    """
    with tempfile.TemporaryDirectory(prefix="ems-plan-") as folder:
        return asyncio.run(_solve(site, state, occasion, Path(folder)))


async def _solve(site: Site, state: Path | None, occasion: Occasion, folder: Path) -> Solved:
    bindings, clock = bind(site), SimulatedClock(occasion.at)
    told = {_point(bindings, name): value for name, value in occasion.measured.items()}
    series, slots = occasion.series, plan_slots(occasion.at, site.file.planning)
    known = None if series is None else _known(site, series, slots)
    prepare(grid_path(site), grid_limits(site), cache_dir(folder))
    journal, solver = _Kept(), _Asked(feeder(site, folder, Witness.LIVE))
    planning = build_planning(
        site, bindings, clock,
        solver=solver, journal=journal, state_dir=folder, feeds=feeds(site, occasion.at, clock),
    )  # fmt: skip
    if known is not None:
        planning.foresee_by(lambda usual: _Given(usual, known))
    before = () if state is None else (one for one in transitions(state, occasion.at) if one.at <= occasion.at)
    desk = resumed_hygiene(site, bindings, journal.record, before)
    for snapshot in snapshots(site, bindings, occasion.at, state=state, told=told):
        planning.observe(snapshot)
        hygiene = desk.update(snapshot)
    plan = await planning.plan_once(snapshot, {}, hygiene=hygiene)
    if not isinstance(plan, Plan) or solver.asked is None:
        raise CommandError(f"{site.file.site.id}: {_why(planning, plan)}")
    return Solved(plan, journal.plan, _room(solver.asked))


def _why(planning: Planning, answer: Plan | Refused | None) -> str:
    return "; ".join(answer.reasons) if isinstance(answer, Refused) else planning.trouble


def _point(bindings: Bindings, name: str) -> str:
    asset, _, role = name.partition(".")
    point = bindings.measure(asset, role)
    if point is None:
        raise CommandError(f"{name}: the site measures no such value; write <asset>.<role>, such as battery.soc_pct")
    return point


def _known(site: Site, series: pd.DataFrame, slots: Slots) -> dict[str, Floats]:
    """Lay the columns of a table on the slots; raises `ValueError` for one that does not reach over the horizon."""
    assets = {f"{name}_kw" for name, spec in site.file.assets.items() if isinstance(spec, ForeseenAsset | MeteredLoad)}
    strange = [str(column) for column in series if column not in {*GIVEN, *assets}]
    if strange:
        raise CommandError(f"{', '.join(strange)}: no such column; known are {', '.join([*GIVEN, *sorted(assets)])}")
    return {str(name): on_slots(series[name], slots) for name in series}


def _room(problem: Problem) -> dict[str, MoreRoom]:
    """Widen the connection by a kW in either direction; a direction in which that cannot be asked is left out."""
    solver = Solver()
    asked = {
        "import": more_room(solver, problem, import_kw=ONE_KW),
        "export": more_room(solver, problem, export_kw=ONE_KW),
    }
    return {direction: found for direction, found in asked.items() if isinstance(found, MoreRoom)}


class _Kept:
    """Keeps the plan's record in memory."""

    def __init__(self) -> None:
        self.plan: Mapping[str, Any] = {}

    def record(self, kind: str, body: Mapping[str, Any], *, at: datetime | None = None) -> Future[int]:  # noqa: ARG002
        """Keep it where it is a plan's."""
        if kind == "plan":
            self.plan = body
        done: Future[int] = Future()
        done.set_result(1)
        return done


class _Asked(DirectSolver):
    """Remembers what it was asked."""

    asked: Problem | None = None

    async def solve(self, problem: Problem, now: datetime, deadline_s: float) -> Plan | Refused | None:
        """Answer, and remember the question."""
        self.asked = problem
        return await super().solve(problem, now, deadline_s)


class _Given:
    """Foresees what a table says, and as usual what it does not.

    Args:
        usual: the site's own foresight.
        known: by column of the table, on the slots of the plan.
    """

    def __init__(self, usual: Foresees, known: Mapping[str, Floats]) -> None:
        self._usual, self._known = usual, known

    def foresee(self, slots: Slots, now: datetime, situation: Mapping[str, AssetNow], sessions: Cars) -> Foresight:
        """Foresee."""
        found, known = self._usual.foresee(slots, now, situation, sessions), self._known
        own = {name.removesuffix("_kw"): kw for name, kw in known.items() if name not in GIVEN}
        label = Label(Rung.FRESH, now, "given")
        return replace(
            found,
            price=known.get("price", found.price),
            carbon=known.get("carbon", found.carbon),
            outdoor_c=known.get("outdoor_c", found.outdoor_c),
            irradiance=known.get("irradiance_w_m2", found.irradiance),
            load_kw=known.get("load_kw", found.load_kw),
            pv_kw={name: own.get(name, kw) for name, kw in found.pv_kw.items()},
            metered_kw=dict(found.metered_kw) | {name: kw for name, kw in own.items() if name not in found.pv_kw},
            labels=dict(found.labels) | {LABELS.get(name, name): label for name in known if name in GIVEN},
        )
