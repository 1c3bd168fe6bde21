"""What plans for several scenarios are worth to a site: the daemon on its pretend world, with them and without.

Both arms live through the same weather, prices and loads; only `planning.uncertainty` differs. A step counts as bound
where the power that is carried out differs by more than 1 % of a rating from that of a plan without scenarios for the
very same question. Prints one JSON object:  python -m tests.benchmarks.hedged_site [SITE] [FIRST DAY] [DAYS] [SEED]
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from ems.config.loading import load_site
from ems.config.site import Site
from ems.config.sites import find_site
from ems.study import arms
from ems.study.arms import Arm, Controller
from ems.study.bench import Period
from ems.worker import DirectSolver
from hil.plant.weather import Kind
from hil.scenario import Scenario
from hil.study_bench import PretendBench
from hil.world import World
from optimization.hedging import HedgingSolver
from optimization.problem import Plan, Problem, Refused

NEAR = 0.01
"""Of a rating."""
HOUR_S = 3600.0


class Compared(DirectSolver):
    """Answers, and asks each question about several scenarios once more without them."""

    bound: list[float]
    spent_s: list[tuple[float, float]]

    async def solve(self, problem: Problem, now: datetime, deadline_s: float) -> Plan | Refused | None:
        """Answer."""
        answer = await super().solve(problem, now, deadline_s)
        if problem.uncertainty is None or not isinstance(answer, Plan):
            return answer
        linear = replace(problem, network=None)
        begin_s = time.process_time()
        ALONE.solve(replace(linear, uncertainty=None))
        middle_s = time.process_time()
        ALONE.solve(linear)
        Compared.spent_s.append((middle_s - begin_s, time.process_time() - middle_s))
        plain = await super().solve(replace(problem, uncertainty=None), now, deadline_s)
        assert isinstance(plain, Plan)
        Compared.bound.append(
            max(
                abs(answer.schedules[a.id].power_kw[0] - plain.schedules[a.id].power_kw[0]) / a.charge_kw
                for a in problem.assets
                if hasattr(a, "charge_kw")
            )
        )
        return answer


ALONE = HedgingSolver()


@contextmanager
def watched() -> Iterator[None]:
    """Let the daemon's solver be the one that compares."""
    usual = arms.DirectSolver
    arms.DirectSolver = Compared  # type: ignore[misc]
    try:
        yield
    finally:
        arms.DirectSolver = usual  # type: ignore[misc]


def lived(site: Site, first: datetime, days: int, seed: int) -> Arm:
    """Let the daemon run a site's pretend world."""
    zone = ZoneInfo(site.file.site.timezone)
    period = Period(first, first + timedelta(days=days))
    scenario = Scenario(
        name="hedged", title="Winter evenings", start=first.astimezone(zone).replace(tzinfo=None),
        duration_s=period.seconds + 2 * HOUR_S, weather=Kind.SEASON, price="winter",
    )  # fmt: skip
    world = World(site, scenario, seed, witness=False)
    world.plant.substep_s = 10.0
    return arms.run_arm(site, PretendBench(site, world), period, Controller.PLAN, lambda share: note(site, share))


def note(site: Site, share: float) -> None:
    """Tell how far an arm is."""
    which = "plain" if site.file.planning.uncertainty is None else "hedged"
    print(f"{which} {share:.0%}", file=sys.stderr)


def measure(name: str = "demo_court", first: str = "2025-02-06", days: str = "3", seed: str = "1") -> dict:
    """Run both arms."""
    site = load_site(find_site(name))
    at = datetime.fromisoformat(first).replace(tzinfo=UTC)
    Compared.bound, Compared.spent_s = [], []
    planning = site.file.planning.model_copy(update={"uncertainty": None})
    plain = site.model_copy(update={"file": site.file.model_copy(update={"planning": planning})})
    told = {}
    for which, each in (("plain", plain), ("hedged", site)):
        with watched():
            arm = lived(each, at, int(days), int(seed))
        import_kw = np.array(arm.track["import_kw"])
        told[which] = {
            "beyond_limit_kwh": float(np.maximum(import_kw - site.file.grid.import_limit_kw, 0.0).sum() / 4.0),
            "peak_kw": float(import_kw.max()),
            "verdict": dict(arm.verdict),
            "counters": {key: value for key, value in arm.counters.items() if isinstance(value, int | float)},
        }
    alone, together = np.array(Compared.spent_s).T
    return {
        "days": int(days),
        "bound_share": float(np.mean(np.array(Compared.bound) > NEAR)),
        "steps": len(Compared.bound),
        "time_ratio": float(np.median(together[1:] / alone[1:])),
        **told,
    }


if __name__ == "__main__":
    print(json.dumps(measure(*sys.argv[1:]), default=str))
