"""A whole run by a seed: the daemon's lives one after the other, the world under them, and what came of it."""

from __future__ import annotations

import hashlib
import json
import logging
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

from ems.config.site import Site
from ems.slow.planning_setup import cache_dir, grid_limits, grid_path
from ems.store.journal import read_records
from ems.stores import journal_path
from hil.scenario_file import load_scenario
from hil.simulation.disk import RESERVE_BYTES, Disk
from hil.simulation.faults import ENDS, Fault, Kind, Rates, by_kind, draw
from hil.simulation.invariants import Judge, Violation
from hil.simulation.life import Alter, Life, Setting
from hil.simulation.loop import Wall
from hil.simulation.town import SOLVER, Town
from hil.simulation.variants import GATEWAY, variant
from hil.world import World
from optimization.network_build import prepare

WALL_OF_A_PLAN = "solve"
"""The part of a plan's record that says how long the machine took."""
PLAN_WITHIN_S = 60.0
"""After a restart a plan is due so soon [s]; a solver that fails then is not counted."""
RESTART_S = 2.0
"""A daemon that has lost its site ends, and is started anew so much later [s]."""
SUBSTEP_S = 5.0
"""Step of the world's physics [s]."""
SCENARIOS = ("sunny_day", "winter_day")


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be run; the hour of the day at which it begins is drawn.

    Args:
        site: the site.
        seed: of chance. seconds: length [s]. cycle_s: of the control loop [s].
        rates: how often something goes wrong; None for the usual.
        plans: whether there is a planner.
        scenario: which weather and prices; None to let the seed choose.
        alter: changes each new daemon; for the tests of the invariants.
        stops: whether the first violation ends the run.
        reserve_bytes: how much of the disk is set aside for the journal.
    """

    site: Site
    seed: int
    seconds: float
    cycle_s: float = 10.0
    rates: Rates | None = None
    plans: bool = True
    scenario: str | None = None
    alter: Alter = lambda _daemon: None
    stops: bool = True
    reserve_bytes: int = RESERVE_BYTES


@dataclass(slots=True)
class Outcome:
    """What came of a run.

    Args:
        seed: of chance. seconds: how long it was to be [s]. reached_s: how far it came [s].
        faults: what went wrong, by kind. schedule: the same, one by one.
        violations: what did not hold.
        due: decisions that were due, the times without a process included. decided: how many came in time.
        missed: decisions that did not come in time although there was a process.
        restart_to_decision_s: longest time from the start of a process after a kill to its first decision [s].
        restart_to_plan_s: likewise to its first plan, where the solver did not fail meanwhile [s].
        lost_records: records that the journal acknowledged and that were not there after a kill.
        lives: processes of the daemon. writes: commands that went out. plans: plans that were published.
        over_limit_s: how long the connection was beyond its limit in truth, whoever caused it [s].
        most_over_kw: by how much decisions passed the connection's limit at the most; rounding and calmness may [kW].
        digest: of all that was journalled and of all that happened in the world.
        core_s: what the run took of a core, without building the world [s].
    """

    seed: int
    seconds: float
    schedule: tuple[Fault, ...]
    reached_s: float = 0.0
    violations: list[Violation] = field(default_factory=list)
    due: int = 0
    decided: int = 0
    missed: int = 0
    restart_to_decision_s: float = 0.0
    restart_to_plan_s: float = 0.0
    lost_records: int = 0
    lives: int = 0
    writes: int = 0
    plans: int = 0
    over_limit_s: float = 0.0
    most_over_kw: float = 0.0
    digest: str = ""
    core_s: float = 0.0

    @property
    def availability(self) -> float:
        """Decisions in time as a share of those due."""
        return self.decided / self.due if self.due else 0.0

    @property
    def speed(self) -> float:
        """Simulated seconds a second of a core."""
        return self.reached_s / self.core_s if self.core_s else 0.0

    def as_json(self) -> dict[str, Any]:
        """Write it down."""
        return {
            "schema": "ems.simulation/1", "ok": not self.violations, "seed": self.seed,
            "seconds": self.seconds, "reached_s": self.reached_s, "faults": by_kind(self.schedule),
            "violations": [
                {"invariant": v.invariant.value, "at_s": v.at_s, "facts": v.facts} for v in self.violations
            ],
            "decisions_due": self.due, "decisions_in_time": self.decided, "availability": self.availability,
            "decisions_missed": self.missed, "restart_to_decision_s": self.restart_to_decision_s,
            "restart_to_plan_s": self.restart_to_plan_s, "lost_records": self.lost_records,
            "lives": self.lives, "writes": self.writes, "plans": self.plans, "over_limit_s": self.over_limit_s,
            "commanded_over_kw": self.most_over_kw,
            "digest": self.digest, "core_s": self.core_s, "simulated_s_per_core_s": self.speed,
        }  # fmt: skip


def simulate(order: Order, prepared: Path | None = None) -> Outcome:
    """Run it.

    Args:
        order: what.
        prepared: a folder of prepared feeders and compiled models, which may be shared; None to prepare all anew.
    """
    with tempfile.TemporaryDirectory(prefix="ems-simulation-") as scratch:
        state = Path(scratch)
        if prepared is not None:
            cache_dir(state).symlink_to(prepared)
        prepare(grid_path(order.site), grid_limits(order.site), cache_dir(state))
        return _run(order, state)


def _run(order: Order, state: Path) -> Outcome:
    site = variant(order.site, order.seed)
    gateway = GATEWAY if GATEWAY in site.file.devices else ""
    faults = draw(order.seed, sorted(site.file.devices), order.seconds, order.rates, gateway=gateway)
    outcome = Outcome(order.seed, order.seconds, faults)
    setting = setting_of(order, site, state, faults, outcome.violations.append)
    began_s, start_s = time.process_time(), 0.0
    while start_s < order.seconds and not setting.town.stopped:
        start_s = _live(order, setting, outcome, start_s)
    outcome.due = max(1, int(outcome.reached_s // order.cycle_s))
    outcome.decided = min(outcome.decided, outcome.due)
    outcome.writes, outcome.lost_records = setting.judge.writes, setting.judge.lost_records
    outcome.most_over_kw = setting.judge.most_over_kw
    outcome.core_s = time.process_time() - began_s
    records = setting.town.world.plant.records
    outcome.digest = _digest(state, records)
    over_kw = _excess_kw(site, records["import_kw"])
    outcome.over_limit_s = float((over_kw > 0.0).sum() * 10.0)
    return outcome


def _live(order: Order, setting: Setting, outcome: Outcome, start_s: float) -> float:
    """Let the daemon live once; gives the instant at which it is started anew [s]."""
    end = next((f for f in outcome.schedule if f.kind in ENDS and f.at_s > start_s), None)
    outcome.lives += 1
    life = Life(setting, outcome.lives, start_s)
    life.run(end.at_s if end is not None else order.seconds, killed=end is not None and end.kind is Kind.CRASH)
    _add(outcome, life, order.cycle_s)
    outcome.reached_s = min(life.loop.time(), order.seconds)
    was_ended = end is not None and life.loop.time() >= end.at_s
    next_s = end.end_s if was_ended and end is not None else life.loop.time() + RESTART_S
    setting.town.live_until(min(next_s, order.seconds))
    return max(next_s, life.loop.time())


def _add(outcome: Outcome, life: Life, cycle_s: float) -> None:
    """Add a life to what came of the run."""
    outcome.decided += len(life.decided)
    outcome.plans += life.daemon.planning.counts.published
    outcome.missed += max(0, int((life.loop.time() - life.start_s) // cycle_s) - len(life.decided))
    if life.number == 1:
        return
    if life.first_decision_s is not None:
        outcome.restart_to_decision_s = max(outcome.restart_to_decision_s, life.first_decision_s - life.start_s)
    solver_failed = any(
        fault.kind in SOLVER and fault.at_s < life.start_s + PLAN_WITHIN_S and fault.end_s > life.start_s
        for fault in outcome.schedule
    )
    if life.first_plan_s is not None and not solver_failed:
        outcome.restart_to_plan_s = max(outcome.restart_to_plan_s, life.first_plan_s - life.start_s)


def setting_of(
    order: Order, site: Site, state: Path, faults: tuple[Fault, ...], note: Callable[[Violation], None]
) -> Setting:
    """Make the world of a run, which begins at an hour that the seed has drawn.

    Args:
        order: what is to be run.
        site: as the seed meets it.
        state: the daemon's state folder.
        faults: what goes wrong.
        note: told every violation.
    """
    name = order.scenario or SCENARIOS[order.seed % len(SCENARIOS)]
    begins = timedelta(hours=Random(f"{order.seed}/begin").randrange(24))
    scenario = load_scenario(name, site.file.site.id).lasting(order.seconds)
    scenario = scenario.model_copy(update={"start": scenario.start + begins})
    world = World(site, scenario, order.seed, witness=False)
    world.plant.substep_s = SUBSTEP_S
    return settle(
        world, site, state, order.seed, note,
        faults=faults, cycle_s=order.cycle_s, plans=order.plans, alter=order.alter, stops=order.stops,
        reserve_bytes=order.reserve_bytes,
    )  # fmt: skip


def settle(
    world: World, site: Site, state: Path, seed: int, note: Callable[[Violation], None], *,
    faults: Sequence[Fault] = (), cycle_s: float = 10.0, plans: bool = False,
    alter: Alter = lambda _daemon: None, stops: bool = True, reserve_bytes: int = RESERVE_BYTES,
) -> Setting:  # fmt: skip
    """Put a world, which may have lived already, before a daemon that is to come.

    Args:
        world: the pretend world.
        site: the site.
        state: the daemon's state folder.
        seed: of chance.
        note: told every violation.
        faults: what goes wrong, by its beginning.
        cycle_s: of the control loop [s].
        plans: whether there is a planner.
        alter: changes each new daemon.
        stops: whether the first violation ends the run.
        reserve_bytes: how much of the disk is set aside.
    """
    wall = Wall(world.plant.start)
    town = Town(world, site, state, faults=faults, seed=seed, wall=wall)

    def tell(violation: Violation) -> None:
        note(violation)
        if stops:
            town.stop()

    disk = Disk(state, town.trouble.of_disk, reserve_bytes)
    return Setting(site, state, town, wall, Judge(site, tell), disk, seed, cycle_s, plans=plans, alter=alter)


def _excess_kw(site: Site, import_kw: Any) -> Any:
    grid = site.file.grid
    return (import_kw - grid.import_limit_kw).clip(0.0) + (-import_kw - grid.export_limit_kw).clip(0.0)


def _digest(state: Path, records: Any) -> str:
    """Hash all that was journalled, but for how long the machine took and where, and all that happened in the world."""
    sha, after_id = hashlib.sha256(), 0
    while found := read_records(journal_path(state), after_id=after_id):
        for record in found:
            body: Mapping[str, Any] = {k: v for k, v in record.body.items() if k != WALL_OF_A_PLAN}
            line = f"{record.id} {record.at.isoformat()} {record.kind} {json.dumps(body)}\n"
            sha.update(line.replace(str(state), "").encode())
        after_id = found[-1].id
    for name in records.columns:
        sha.update(records[name].tobytes())
    return sha.hexdigest()


logging.getLogger("hil.world").setLevel(logging.WARNING)
