"""Districts of 3, 30 and 300 devices on a feeder, and the questions that a rolling horizon asks about them.

Each question begins a step after the one before, from the state and the plan that one left, with revised forecasts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Protocol

import numpy as np

from optimization.assets import (
    Battery,
    BatteryInputs,
    ChargePoint,
    ChargePointInputs,
    EvSession,
    Genset,
    GensetInputs,
    HeatPump,
    HeatPumpInputs,
    Load,
    LoadInputs,
    Pv,
    PvInputs,
)
from optimization.extract import Solution
from optimization.network import Network
from optimization.problem import AcVerdict, Connection, Plan, Problem, TariffSeries
from optimization.slots import chain
from optimization.solve import Solver

START = datetime(2026, 1, 5, tzinfo=UTC)
STEP_S = 900.0
DAY = (STEP_S,) * 96
WEEK = (STEP_S,) * 32 + (2 * STEP_S,) * 40 + (8 * STEP_S,) * 28 + (12 * STEP_S,) * 28
"""128 slots: quarters of an hour for 8 h, then longer and longer ones."""
KINDS = (*("load",) * 10, *("pv",) * 7, *("battery",) * 5, *("point",) * 4, *("pump",) * 4)
"""What stands at each of thirty places."""
FEW = ("load", "pv", "battery")


def feeder(branches: int) -> Network:
    """Make a feeder with arms of five buses behind one transformer, which is the larger the more there are."""
    size = branches / 11.0
    share = np.append(1.0 / size, np.ones(branches - 1))
    return Network(
        bus_ids=np.arange(branches + 1),
        upper=np.array([0, *(1 if k % 5 == 1 else k for k in range(1, branches))]),
        r_pu_per_kw=2e-5 * share,
        x_pu_per_kvar=1e-5 * share,
        flow_limit_kw=np.array([250.0 * size] + [140.0] * (branches - 1)),
        v_min_pu=np.full(branches + 1, 0.94),
        v_max_pu=np.full(branches + 1, 1.06),
        slack_pu=1.0,
        branch_names=tuple(f"line {k}" for k in range(branches)),
        key=f"bench {branches}",
    )


def device(i: int, bus: int, kinds: tuple[str, ...], *, whole: bool) -> object:
    """Make one device."""
    kind, spread = kinds[i % len(kinds)], i % len(kinds)
    if kind == "load":
        return Load(f"load{i}", bus=bus)
    if kind == "pv":
        return Pv(f"pv{i}", 25.0, bus=bus)
    if kind == "battery":
        return Battery(f"battery{i}", 30.0 + spread, 10.0, 10.0, bus, wear_per_kwh=0.02 + spread / 1e4)
    if kind == "point":
        return ChargePoint(f"point{i}", 11.0, bus=bus, keeps_minimum=whole)
    if whole and i % 2:
        least_s = 3600.0
        return Genset(f"genset{i}", 8.0, 3.0, 2.4, bus, 1.5, least_run_s=least_s, least_stand_s=least_s, start_cost=0.2)
    return HeatPump(f"pump{i}", 6.0, 4.0 + spread / 10, 30.0, 0.25, 1.5, 4.0, bus)


class Answers(Protocol):
    """Whose answers a district follows."""

    def solve(self, problem: Problem) -> Solution | Plan:
        """Answer a question."""


def a_winter_day(hour: np.ndarray) -> dict[str, np.ndarray]:
    """Foresee a winter day in rough shapes, the same every day; `hour` counts from the start."""
    of_day = hour % 24
    return {
        "price": 0.24 + 0.07 * np.sin((hour - 14) / 24 * 4 * np.pi) + 0.02 * np.sin(hour * 1.7),
        "sun": np.clip(np.sin((of_day - 7) / 10 * np.pi), 0, None) * ((of_day > 7) & (of_day < 17)),
        "load": 3 + 2 * np.exp(-(((of_day - 19) / 3) ** 2)),
        "outdoor": 3 + 3 * np.sin((hour - 9) / 24 * 2 * np.pi),
    }


class District:
    """Rolls a horizon over one district.

    Args:
        devices: how many there are.
        durations_s: of the slots [s].
        whole: whether gensets and least powers of cars are planned.
        solver: whose plans are followed.
        foresee: gives price, sun, load and outdoor temperature of hours since the start.
    """

    def __init__(
        self,
        devices: int,
        durations_s: tuple[float, ...] = DAY,
        *,
        whole: bool = False,
        solver: Answers | None = None,
        foresee: Callable[[np.ndarray], dict[str, np.ndarray]] = a_winter_day,
    ) -> None:
        branches = max(3, devices * 11 // 30)
        kinds = FEW if devices < len(KINDS) else KINDS
        self.network = feeder(branches)
        self.assets = tuple(device(i, 1 + i % branches, kinds, whole=whole) for i in range(devices))
        self._durations_s, self._foresee = durations_s, foresee
        self._solver = Solver(ring=True) if solver is None else solver

    def windows(self, count: int, first: int = 0) -> Iterator[Problem]:
        """Ask one question after the other, from the step of this number on."""
        state: dict = {}
        previous = None
        for step in range(first, first + count):
            asked = self._asked(step, state, previous)
            yield asked
            solution = self._solver.solve(asked)
            previous = _in_force(asked, solution)
            for asset in self.assets:
                _move_on(asset, asked.inputs[asset.id], solution.schedules[asset.id], state)

    def _asked(self, step: int, state: dict, previous: Plan | None) -> Problem:
        slots = chain(START + timedelta(seconds=STEP_S * step), list(self._durations_s))
        hour = (step * STEP_S + slots.offset_s + slots.duration_s / 2.0) / 3600.0
        rng = np.random.default_rng(step)
        seen = self._foresee(hour)
        scale = len(self.assets) / 30.0
        price = seen["price"]
        return Problem(
            slots,
            self.assets,
            {asset.id: _inputs(asset, i, hour, seen, state, rng) for i, asset in enumerate(self.assets)},
            TariffSeries(price, price * 0.5, np.full(len(hour), 0.3), 0.08),
            Connection(np.full(len(hour), 200.0 * scale), np.full(len(hour), 200.0 * scale)),
            self.network,
            previous=previous,
        )


def _inputs(asset: object, i: int, hour: np.ndarray, seen: dict, state: dict, rng: np.random.Generator) -> object:
    """Say what is measured and foreseen of a device; each forecast is revised by a few percent at every step."""
    if isinstance(asset, Load):
        return LoadInputs((seen["load"] + 0.05 * rng.standard_normal(len(hour))) * (1 + (i % 30) / 20))
    if isinstance(asset, Pv):
        return PvInputs(22.0 * seen["sun"] * (1 - 0.03 * rng.random()))
    if isinstance(asset, Battery):
        return BatteryInputs(state.get(asset.id, 15.0), 0.2)
    if isinstance(asset, Genset):
        return GensetInputs(*state.get(asset.id, (False, 7200.0)), np.full(len(hour), 0.1))
    if isinstance(asset, ChargePoint):
        left = state.get(asset.id, {})
        today = int(hour[0] // 24)
        evenings = [START + timedelta(days=today + d, hours=17) for d in range(-1, 9)]
        stays = [(at, at + timedelta(hours=12 + (i % 30) / 10)) for at in evenings]
        begin, end = START + timedelta(hours=float(hour[0])), START + timedelta(hours=float(hour[-1]))
        here = [stay for stay in stays if stay[1] > begin and stay[0] < end]
        return ChargePointInputs(tuple(EvSession(*stay, left.get(stay[0], 20.0)) for stay in here))
    low = np.where((hour % 24 > 6) & (hour % 24 < 22), 20.5, 18.0)
    air_c, mass_c = state.get(asset.id, (20.4, 20.2))
    outdoor_c = seen["outdoor"] + 0.3 * rng.standard_normal()
    return HeatPumpInputs(air_c, mass_c, outdoor_c, np.full(len(hour), 0.5), low, low + 4.0, 0.03)


def _move_on(asset: object, inputs: object, schedule: object, state: dict) -> None:
    """Keep what is measured of a device after the first slot."""
    if isinstance(asset, Battery):
        state[asset.id] = float(schedule.states["energy_kwh"][0])
    elif isinstance(asset, HeatPump):
        state[asset.id] = tuple(float(schedule.states[name][0]) for name in ("temperature_c", "mass_c"))
    elif isinstance(asset, ChargePoint):
        left = state.setdefault(asset.id, {})
        for session in inputs.sessions[:1]:
            left[session.arrival] = max(0.0, session.energy_kwh - float(schedule.states["delivered_kwh"][0]))
    elif isinstance(asset, Genset):
        runs = bool(schedule.states["is_running"][0] > 0.5)
        state[asset.id] = (runs, STEP_S + (inputs.since_s if runs == inputs.is_running else 0.0))


def _in_force(asked: Problem, solution: object) -> Plan:
    """Wrap a solution as the plan in force."""
    return Plan(
        "p",
        asked.slots.start,
        asked.slots,
        solution.schedules,
        solution.import_kw,
        solution.export_kw,
        solution.excess_kw,
        solution.objective,
        AcVerdict("unchecked"),
    )
