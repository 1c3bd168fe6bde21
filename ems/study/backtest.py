"""Runs the arms of a backtest beside each other and holds them in one table.

captured share = (cost without control - cost of the plan) / (cost without control - cost of the oracle)
"""

from __future__ import annotations

import logging
import multiprocessing
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures import wait as wait_for
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ems.config.loading import load_site
from ems.study.arms import Arm, Controller, run_arm
from ems.study.bench import Period, find_maker

Progress = Callable[[float], None]

SCHEMA = "ems.backtest/1"
AT_ONCE = 2
LOOK_EVERY_S = 0.5
LEAST_WORTH = 0.01
"""Where perfect foresight saves less, there is no share to speak of [currency]."""

_shares: Any = None
"""How far each arm is, shared by the processes."""


@dataclass(frozen=True, slots=True)
class Task:
    """What every arm meets.

    Args:
        folder: the site's folder.
        period: what is studied.
        seed: of what the plant draws by chance: its parameters off the site file's.
        ladder: whether the plan rests on the ladder's forecasts of loads, not the daemon's own.
    """

    folder: Path
    period: Period
    seed: int
    ladder: bool = False


def run_arms(task: Task, controllers: Sequence[Controller], progress: Progress) -> list[Arm]:
    """Run each controller in a process of its own, two at a time; the slow ones first.

    Args:
        task: what they meet.
        controllers: who steers.
        progress: told the share that is done of all, 0..1.
    """
    ranked = sorted(controllers, key=[*reversed(Controller)].index)
    context = multiprocessing.get_context("spawn")
    shares = context.Array("d", len(ranked))
    with ProcessPoolExecutor(AT_ONCE, mp_context=context, initializer=_take, initargs=(shares,)) as pool:
        running = [pool.submit(_run, task, controller, i) for i, controller in enumerate(ranked)]
        _watch(running, lambda: progress(sum(shares[:]) / len(ranked)))
        arms = {future.result().controller: future.result() for future in running}
    return [arms[controller] for controller in controllers]


def _watch(running: Sequence[Future[Arm]], show: Callable[[], None]) -> None:
    left: set[Future[Arm]] = set(running)
    while left:
        _, left = wait_for(left, LOOK_EVERY_S)
        show()


def _take(shares: Any) -> None:
    global _shares  # noqa: PLW0603 - the one way into a pool's processes
    _shares = shares
    logging.disable(logging.WARNING)


def _run(task: Task, controller: Controller, place: int) -> Arm:
    site = load_site(task.folder)

    def show(share: float) -> None:
        _shares[place] = share

    bench = find_maker()(site, task.period, task.seed)
    return run_arm(site, bench, task.period, controller, show, ladder=task.ladder)


def table(task: Task, arms: Sequence[Arm], currency: str) -> dict[str, Any]:
    """Put the arms into one object; `captured_share` is None unless no control, plan and oracle are there."""
    rows = {arm.controller.value: _row(arm) for arm in arms}
    return {
        "schema": SCHEMA,
        "site": task.folder.name,
        "from": task.period.start.isoformat(),
        "to": task.period.end.isoformat(),
        "seed": task.seed,
        "ladder": task.ladder,
        "currency": currency,
        "arms": rows,
        "captured_share": captured_share(rows),
    }


def captured_share(rows: Mapping[str, Mapping[str, Any]]) -> float | None:
    """Give what the plan saves as a share of what perfect foresight saves; None where that is nothing, or unknown."""
    if not {Controller.NONE, Controller.PLAN, Controller.ORACLE} <= rows.keys():
        return None
    none, plan, oracle = (float(rows[c]["cost"]) for c in (Controller.NONE, Controller.PLAN, Controller.ORACLE))
    return (none - plan) / (none - oracle) if none - oracle >= LEAST_WORTH else None


def _row(arm: Arm) -> dict[str, Any]:
    verdict = arm.verdict
    keys = ("cost", "cost_parts", "energy_kwh", "export_kwh", "co2_kg", "peak_import_kw", "peak_export_kw")
    more = ("violation_share", "ev_shortfall_kwh", "comfort_kh")
    churn = arm.counters["churn"]["kw_moved_per_h"] if arm.counters else None
    return {key: verdict[key] for key in (*keys, *more)} | {"churn_kw_per_h": churn, "wall_s": arm.wall_s}
