"""The feeder of `simbench_rural` without the planner: a power flow and the least curtailment by programmes of its own.

    i = Y v,  i_bus = -conj(s / v)        s into the loads [pu], v of the buses but the slack's
    Y dv - diag(conj(s / v^2)) conj(dv) = -conj(ds / v)              slopes about a solution: no difference quotients
    minimise the sum of what is not given, |v| <= most, |i| at both ends of each branch <= rated
    or maximise what reaches the slack: -re(v_slack conj(i_slack)), straight about the solution likewise

The programme is linear about a power flow and laid anew about what it found until nothing moves and AC power flow keeps
every limit; a step is bounded and the bound shrinks, so that reactive power does not swing. With storages one programme
holds all steps. Nothing here is the planner's: numpy, scipy and the admittances that pandapower wrote down.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog
from scipy.sparse import block_diag, csr_matrix, eye, hstack, kron

Floats = NDArray[np.float64]
Complexes = NDArray[np.complex128]
CLOSE_PU, MOST_ROUNDS = 1e-12, 200
ROUNDS, SHRINKS = 20, 0.6
KEPT, STILL_KW = 1e-7, 1e-3
NEAR, CLOSE = 0.1, 1e-5


@dataclass(frozen=True)
class Feeder:
    """The feeder in numbers.

    Args:
        y: admittances among the buses but the slack's. impedance: its inverse. no_load: their voltages without load.
        ends: admittances from voltages to branch currents, one end after the other. at_slack: what the slack adds.
        rated: of these currents [pu]. place: of a pandapower bus among the buses but the slack's; -1 for the slack.
        slack_v: its voltage. slack_y: admittances of its current. base_kva: of all that is in pu.
        most_v: what every voltage stays below [pu].
    """

    y: Complexes
    impedance: Complexes
    no_load: Complexes
    ends: Complexes
    at_slack: Complexes
    rated: Floats
    place: NDArray[np.int64]
    slack_v: complex
    slack_y: tuple[Complexes, complex]
    base_kva: float
    most_v: float

    @classmethod
    def read(cls, path: Path, most_v: float) -> Feeder:
        """Read what `simbench_side` wrote."""
        with np.load(path) as told:
            slack, v0 = int(told["slack"]), complex(told["slack_v"])
            others = np.delete(np.arange(len(told["y_bus"])), slack)
            y = told["y_bus"][np.ix_(others, others)]
            impedance = np.linalg.inv(y)
            ends = told["y_ends"].reshape(-1, len(others) + 1)
            place = np.array([int(np.flatnonzero(others == p)[0]) if p != slack else -1 for p in told["place"]])
            return cls(
                y, impedance, -impedance @ told["y_bus"][others, slack] * v0, ends[:, others], ends[:, slack] * v0,
                told["most_pu"].reshape(-1), place, v0,
                (told["y_bus"][slack, others], complex(told["y_bus"][slack, slack])), float(told["base_kva"]), most_v,
            )  # fmt: skip

    def at(self, bus: NDArray[np.int64]) -> Floats:
        """Give which elements stand at which bus, shape (buses, elements)."""
        return (np.arange(len(self.y))[:, None] == self.place[bus][None, :]).astype(float)

    def voltages(self, s_kva: Complexes) -> Complexes:
        """Solve the power flow for powers into the buses, shape (buses, steps); raises `RuntimeError`."""
        s = s_kva / self.base_kva
        v = np.repeat(self.no_load[:, None], s.shape[1], axis=1)
        for _ in range(MOST_ROUNDS):
            newer = self.no_load[:, None] - self.impedance @ np.conj(s / v)
            moved, v = np.abs(newer - v).max(initial=0.0), newer
            if moved < CLOSE_PU:
                return v
        raise RuntimeError("the power flow does not converge")

    def use(self, v: Complexes) -> tuple[Floats, Floats]:
        """Give voltages [pu] and loadings [1], shapes (buses, steps), (ends, steps)."""
        return np.abs(v), np.abs(self.ends @ v + self.at_slack[:, None]) / self.rated[:, None]

    def fed_kw(self, v: Complexes) -> Floats:
        """Give what the feeder feeds into the slack, shape (steps,)."""
        of_others, of_own = self.slack_y
        current: Complexes = of_others @ v + of_own * self.slack_v
        return -(self.slack_v * np.conj(current)).real * self.base_kva

    def beyond(self, v: Complexes) -> Floats:
        """Say how far each step is beyond its worst limit [1], negative where all are kept."""
        v_pu, loading = self.use(v)
        return np.maximum(v_pu.max(axis=0) / self.most_v, loading.max(axis=0)) - 1.0

    def slopes(self, v: Complexes, dv: Complexes) -> Floats:
        """Give the slopes of voltages and loadings at one step, shape (limits, columns), for those of `turned`."""
        i = self.ends @ v + self.at_slack
        di = self.ends @ dv
        of_v = (np.conj(v)[:, None] * dv).real / np.abs(v)[:, None]
        return np.vstack(
            [of_v, (np.conj(i)[:, None] * di).real / np.maximum(np.abs(i), 1e-9)[:, None] / self.rated[:, None]]
        )

    def fed_slopes(self, dv: Complexes) -> Floats:
        """Give the slopes of what is fed into the slack, shape (columns,), for those of `turned`."""
        current: Complexes = self.slack_y[0] @ dv
        return -(self.slack_v * np.conj(current)).real * self.base_kva

    def turned(self, s_kva: Complexes, v: Complexes, column: Complexes) -> Complexes:
        """Give the slopes of the voltages at one step for powers into the buses, shape (buses, columns).

        Args:
            s_kva: powers into the buses. v: their voltages. column: what each column adds to them [kVA].
        """
        s, buses = s_kva / self.base_kva, len(v)
        a = -np.conj(s / v**2)
        right = -np.conj(column / self.base_kva / v[:, None])
        y, g = self.y, np.diag(a)
        system = np.block([[y.real + g.real, -y.imag + g.imag], [y.imag + g.imag, y.real - g.real]])
        moved = np.linalg.solve(system, np.vstack([right.real, right.imag]))
        return np.asarray(moved[:buses] + 1j * moved[buses:])


@dataclass(frozen=True)
class Sources:
    """The plants at one step.

    Args:
        available_kw: what the sun allows, shape (plants,).
        rated_kva: of the inverters; they take or give at most `most_kvar`, none of it without reactive power.
        bus: which plant stands at which bus, shape (buses, plants).
    """

    available_kw: Floats
    rated_kva: Floats
    most_kvar: Floats
    bus: Floats


def least_curtailment(
    feeder: Feeder, others_kva: Complexes, sources: Sources, feeds: bool = False
) -> tuple[float, Floats]:
    """Curtail one step as little as linear programmes with AC correction find, or so that most is fed in.

    Args:
        feeder: whose limits are kept. others_kva: powers of all else into the buses.
        sources: the plants.
        feeds: whether what reaches the slack counts instead of what the plants give: lines burn the difference.

    Returns:
        what is not given [kW], and the powers given [kW] and taken [kvar], shape (2 plants,).
    """
    n = len(sources.available_kw)
    column = np.hstack([-sources.bus, 1j * sources.bus])
    limits = np.concatenate([np.full(len(feeder.y), feeder.most_v), np.ones(len(feeder.rated))])
    best, most = np.zeros(2 * n), -np.inf
    x, step = np.concatenate([sources.available_kw, np.zeros(n)]), 1.0
    for _ in range(ROUNDS):
        s = others_kva + column @ x
        v = feeder.voltages(s[:, None])
        worth = float(feeder.fed_kw(v)[0] if feeds else x[:n].sum())
        if feeder.beyond(v)[0] < KEPT and worth > most:
            best, most = x, worth
        dv = feeder.turned(s, v[:, 0], column)
        slope = feeder.slopes(v[:, 0], dv)
        used = np.concatenate([part[:, 0] for part in feeder.use(v)])
        near = step * np.maximum(sources.rated_kva, 1.0)
        low = np.concatenate([np.zeros(n), np.maximum(-sources.most_kvar, x[n:] - near)])
        high = np.concatenate([sources.available_kw, np.minimum(sources.most_kvar, x[n:] + near)])
        gain = feeder.fed_slopes(dv) if feeds else np.concatenate([np.ones(n), np.zeros(n)])
        found = linprog(-gain, slope, limits - used + slope @ x, bounds=np.column_stack([low, high]))
        if found.status != 0:
            raise RuntimeError(f"the programme of one step: {found.message}")
        moved, x = np.abs(found.x - x).max(), found.x
        if moved < STILL_KW:
            break
        step *= SHRINKS
    return float(sources.available_kw.sum() - best[:n].sum()), best


@dataclass(frozen=True)
class Stores:
    """Storages, empty at first; what is left in them at the end counts as it could be given.

    Args:
        most_kwh: of energy. most_kw: of power either way. efficiency: one way.
        bus: which stands at which bus, shape (buses, stores).
    """

    most_kwh: Floats
    most_kw: Floats
    efficiency: float
    bus: Floats


def least_given_up(
    feeder: Feeder, others_kva: Complexes, sources: Sequence[Sources], stores: Stores, step_h: float
) -> float:
    """Find the least that is curtailed and lost in storages over all steps in one programme [kWh].

    It is linear about one power flow of all steps after another; limits stand in it where they are near.
    """
    steps, n, m = others_kva.shape[1], len(sources[0].available_kw), len(stores.most_kw)
    width = n + 3 * m
    available = np.array([each.available_kw for each in sources])
    at_pv = sources[0].bus
    column = np.hstack([-at_pv, stores.bus, -stores.bus]).astype(complex)
    limits = np.concatenate([np.full(len(feeder.y), feeder.most_v), np.ones(len(feeder.rated))])
    high = np.hstack(
        [available, *(np.tile(each, (steps, 1)) for each in (stores.most_kw, stores.most_kw, stores.most_kwh))]
    )
    x = np.hstack([available, np.zeros((steps, 3 * m))])
    cost = np.tile(np.concatenate([-np.ones(n), np.ones(m), -np.ones(m), np.zeros(m)]) * step_h, (steps, 1))
    cost[-1, n + 2 * m :] = -stores.efficiency
    balance = _stored(steps, n, m, stores.efficiency, step_h)
    near = np.zeros(steps, dtype=bool)
    for _ in range(ROUNDS):
        s = others_kva + column @ x[:, : n + 2 * m].T
        v = feeder.voltages(s)
        near |= feeder.beyond(v) > -NEAR
        used = np.vstack(feeder.use(v))
        at = np.flatnonzero(near)
        slopes = [feeder.slopes(v[:, k], feeder.turned(s[:, k], v[:, k], column)) for k in at]
        room = np.concatenate(
            [limits - used[:, k] + slope @ x[k, : n + 2 * m] for k, slope in zip(at, slopes, strict=True)]
        )
        found = linprog(
            cost.ravel(), _placed(slopes, at, steps, width), room, balance, np.zeros(steps * m),
            bounds=np.column_stack([np.zeros(high.size), high.ravel()]), method="highs",
        )  # fmt: skip
        if found.status != 0:
            raise RuntimeError(f"the programme of all steps: {found.message}")
        x = found.x.reshape(steps, width)
        if feeder.beyond(feeder.voltages(others_kva + column @ x[:, : n + 2 * m].T)).max() < CLOSE:
            break
    return float(found.fun + available.sum() * step_h)


def _stored(steps: int, n: int, m: int, efficiency: float, step_h: float) -> csr_matrix:
    """Write e[s] - e[s - 1] - (efficiency c[s] - d[s] / efficiency) h = 0, rows (step, store)."""
    width, one = n + 3 * m, eye(m)
    own = hstack([csr_matrix((m, n)), -efficiency * step_h * one, step_h / efficiency * one, one])
    before = hstack([csr_matrix((m, width - m)), -one])
    return csr_matrix(kron(eye(steps), own) + kron(eye(steps, k=-1), before))


def _placed(slopes: list[Floats], at: NDArray[np.int64], steps: int, width: int) -> csr_matrix:
    """Put the rows of each step at its columns."""
    padded = [csr_matrix(np.hstack([slope, np.zeros((len(slope), width - slope.shape[1]))])) for slope in slopes]
    chosen = eye(steps, format="csr")[at]
    return csr_matrix(block_diag(padded) @ kron(chosen, eye(width)))
