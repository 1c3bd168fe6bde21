"""The benchmark's linear programme written by hand in numpy, without Pyomo and without the planner's own modules.

What a specialist would write for these five kinds of devices on such a feeder, and nothing else: the places of all
values are found once, a solve fills them in and starts from the last basis. It shares the question with the planner.
"""

from __future__ import annotations

from datetime import datetime

import highspy
import numpy as np
from scipy.linalg import expm

from optimization.assets import Battery, ChargePoint, HeatPump, Load, Pv
from optimization.problem import Problem

FACETS = np.radians((-22.5, -7.5, 7.5, 22.5, 157.5, 172.5, 187.5, 202.5))
INF = highspy.kHighsInf


class Raw:
    """Solves the questions of one district, from the last basis.

    Args:
        problem: the first question: devices, feeder and slots of all others.
        options: of HiGHS.
    """

    def __init__(self, problem: Problem, options: dict) -> None:
        self.n, self.h = len(problem.slots), problem.slots.duration_h
        self.net = problem.network
        self.of = {kind: [a for a in problem.assets if isinstance(a, kind)] for kind in KINDS}
        self.room = 2
        self.near = int((problem.slots.offset_s - problem.slots.duration_s[0] < 7200.0).sum())
        self.columns, self.rows = 0, 0
        self.triplets: list[tuple] = []
        self._lay_out()
        parts = [np.broadcast_arrays(*each) for each in self.triplets]
        row, column, self.values = (np.concatenate([part[k].ravel() for part in parts]) for k in range(3))
        self.order = np.lexsort((row, column))
        shape = (self.rows, self.columns)
        counts = np.bincount(column, minlength=self.columns)
        self.indptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
        self.indices, self.shape = row[self.order].astype(np.int32), shape
        self.highs, self.basis = highspy.Highs(), None
        for name, value in options.items():
            self.highs.setOptionValue(name, value)

    def solve(self, problem: Problem) -> tuple[float, dict[str, np.ndarray]]:
        """Give the objective and the power of each device."""
        cost, offset, lower, upper, rhs = self._fill(problem)
        self.highs.passModel(
            self.columns, self.rows, len(self.values), 1, 1, offset, cost, lower, upper, rhs[0], rhs[1],
            self.indptr, self.indices, self.values[self.order], np.zeros(self.columns, dtype=np.int32),
        )  # fmt: skip
        if self.basis is not None:
            self.highs.setBasis(self.basis)
        self.highs.run()
        self.basis = self.highs.getBasis()
        assert self.highs.getModelStatus() == highspy.HighsModelStatus.kOptimal
        x = np.fromiter(self.highs.getSolution().col_value, float, self.columns)
        return self.highs.getInfo().objective_function_value, self._powers(problem, x)

    def _more_columns(self, *shape: int) -> np.ndarray:
        first, self.columns = self.columns, self.columns + int(np.prod(shape))
        return np.arange(first, self.columns).reshape(shape)

    def _more_rows(self, *shape: int) -> np.ndarray:
        first, self.rows = self.rows, self.rows + int(np.prod(shape))
        return np.arange(first, self.rows).reshape(shape)

    def _put(self, row: np.ndarray, column: np.ndarray, value: object) -> slice:
        """Place values; gives where they stand, so that they can be changed."""
        first = sum(np.broadcast(*each).size for each in self.triplets)
        self.triplets.append((row, column, np.asarray(value, dtype=float)))
        return slice(first, first + np.broadcast(*self.triplets[-1]).size)

    def _lay_out(self) -> None:
        n, branches = self.n, len(self.net.upper)
        loads, suns, stores, points, pumps = (len(self.of[kind]) for kind in KINDS)
        self.trade = self._more_columns(4, n)
        self.moves = self._more_columns(2, stores + points + pumps, self.near)
        self.flow = self._more_columns(3, branches, n)
        self.volt = self._more_columns(2, branches, n)
        self.unserved, self.sun = self._more_columns(loads, n), self._more_columns(suns, n)
        self.store = self._more_columns(3, stores, n)
        self.car, self.short = self._more_columns(points, self.room, n), self._more_columns(points, self.room)
        self.pump, self.air, self.mass, self.cold = self._more_columns(4, pumps, n)
        self.balance, self.moved = self._more_rows(n), self._more_rows(stores + points + pumps, self.near)
        self._lay_feeder()
        self._lay_powers()
        self._lay_devices()

    def _lay_feeder(self) -> None:
        n, upper = self.n, self.net.upper
        branches = len(upper)
        self.flows, self.drop = self._more_rows(2, branches, n), self._more_rows(branches, n)
        self.band, self.facet = self._more_rows(2, branches, n), self._more_rows(len(FACETS), branches, n)
        below = np.arange(1, branches)
        for kind in (0, 1):
            self._put(self.flows[kind], self.flow[kind], 1.0)
            self._put(self.flows[kind, upper[below] - 1], self.flow[kind, below], -1.0)
            self._put(self.band[kind], self.volt[0], 1.0)
            self._put(self.band[kind], self.volt[1], (-1.0, 1.0)[kind])
        self._put(self.drop, self.volt[0], 1.0)
        self._put(self.drop[below], self.volt[0, upper[below] - 1], -1.0)
        self._put(self.drop, self.flow[0], 2.0 * self.net.r_pu_per_kw[:, None])
        self._put(self.drop, self.flow[1], 2.0 * self.net.x_pu_per_kvar[:, None])
        self.half = np.cos(np.radians(7.5)) / 2.0 * self.net.flow_limit_kw[:, None]
        for a, angle in enumerate(FACETS):
            self._put(self.facet[a], self.flow[0], np.cos(angle))
            self._put(self.facet[a], self.flow[1], np.sin(angle))
            self._put(self.facet[a], self.flow[2], -1.0)
            self._put(self.facet[a], self.volt[0], -self.half)

    def _lay_powers(self) -> None:
        """Put what each device draws into the balance, the feeder and the anchor."""
        for column, sign in zip(self.trade, (-1.0, 1.0, -1.0, 1.0), strict=True):
            self._put(self.balance, column, sign)
        drawn = {
            Load: [(self.unserved, -1.0)],
            Pv: [(self.sun, -1.0)],
            Battery: [(self.store[0], 1.0), (self.store[1], -1.0)],
            ChargePoint: [(self.car[:, k], 1.0) for k in range(self.room)],
            HeatPump: [(self.pump, 1.0)],
        }
        anchored = 0
        for kind, parts in drawn.items():
            for i, device in enumerate(self.of[kind]):
                for columns, sign in parts:
                    self._put(self.balance, columns[i], sign)
                    self._put(self.flows[0, device.bus - 1], columns[i], -sign)
                    if device.power_factor < 1.0:
                        self._put(self.flows[1, device.bus - 1], columns[i], -sign * _tan(device))
                    if kind in (Battery, ChargePoint, HeatPump):
                        self._put(self.moved[anchored], columns[i, : self.near], sign)
                anchored += kind in (Battery, ChargePoint, HeatPump)
        self._put(self.moved, self.moves[0], -1.0)
        self._put(self.moved, self.moves[1], 1.0)

    def _lay_devices(self) -> None:
        stored, wished = self._more_rows(*self.store[2].shape), self._more_rows(*self.short.shape)
        airs, masses = self._more_rows(*self.air.shape), self._more_rows(*self.air.shape)
        self.warm, self.cool = self._more_rows(*self.air.shape), self._more_rows(*self.air.shape)
        self.stored, self.wished, self.airs, self.masses = stored, wished, airs, masses
        loss = np.array([[b.charge_efficiency, b.discharge_efficiency] for b in self.of[Battery]]).reshape(-1, 2)
        charge, discharge, energy = self.store
        self._put(stored, energy, 1.0)
        self._put(stored[:, 1:], energy[:, :-1], -1.0)
        self._put(stored, charge, -loss[:, :1] * self.h)
        self._put(stored, discharge, self.h / loss[:, 1:])
        gain = np.array([p.efficiency for p in self.of[ChargePoint]])[:, None, None] * self.h
        self._put(wished[:, :, None], self.car, gain)
        self._put(wished, self.short, 1.0)
        self.zones = [_zone(pump, float(self.h[0])) for pump in self.of[HeatPump]]
        keep = np.array([zone[0] for zone in self.zones])[:, :, :, None]
        for row, this, k in ((airs, self.air, 0), (masses, self.mass, 1)):
            self._put(row, this, 1.0)
            self._put(row[:, 1:], self.air[:, :-1], -keep[:, k, 0])
            self._put(row[:, 1:], self.mass[:, :-1], -keep[:, k, 1])
        self.heat = [self._put(airs, self.pump, 0.0), self._put(masses, self.pump, 0.0)]
        for row, sign in ((self.warm, 1.0), (self.cool, -1.0)):
            self._put(row, self.air, 1.0)
            self._put(row, self.cold, sign)

    def _fill(self, problem: Problem) -> tuple:
        """Derive costs, bounds and right-hand sides, and the heat that each pump brings."""
        cost, lower, upper = np.zeros(self.columns), np.zeros(self.columns), np.full(self.columns, INF)
        rhs = np.zeros((2, self.rows))
        given = {kind: [problem.inputs[a.id] for a in self.of[kind]] for kind in KINDS}
        early = 1e-5 * problem.slots.offset_s / 3600.0 * self.h
        self._fill_devices(problem, given, early, (cost, lower, upper, rhs))
        offset = self._fill_zones(problem, given[HeatPump], (cost, lower, upper, rhs))
        self._fill_grid(problem, given, (cost, lower, upper, rhs))
        self._fill_anchor(problem, cost, rhs)
        return cost, offset, lower, upper, rhs

    def _fill_grid(self, problem: Problem, given: dict, out: tuple) -> None:
        cost, lower, upper, rhs = out
        tariff, limit = problem.tariff, problem.connection
        demand = np.array([each.demand_kw for each in given[Load]])
        taken = 1.0 + demand.sum(axis=0) + upper[self.car].sum(axis=(0, 1))
        taken += sum(b.charge_kw for b in self.of[Battery]) + sum(p.rated_kw for p in self.of[HeatPump])
        given_kw = 1.0 + upper[self.sun].sum(axis=0) + sum(b.discharge_kw for b in self.of[Battery])
        for k, (most, reach) in enumerate(((limit.import_limit_kw, taken), (limit.export_limit_kw, given_kw))):
            upper[self.trade[k]] = np.minimum(most, reach)
            upper[self.trade[k + 2]] = np.maximum(reach - most, 0.0)
        bought = (np.round(tariff.import_price, 6) + tariff.carbon_price * tariff.carbon_kg_per_kwh) * self.h
        sold, beyond = np.round(tariff.export_price, 6) * self.h, problem.weights.grid_limit * self.h
        cost[self.trade] = bought, -sold, bought + beyond, beyond - sold
        rhs[:, self.balance] = -demand.sum(axis=0)
        for device, kw in zip(self.of[Load], demand, strict=True):
            rhs[:, self.flows[0, device.bus - 1]] += kw
            rhs[:, self.flows[1, device.bus - 1]] += _tan(device) * kw
        lower[self.flow[:2]], lower[self.volt[0]] = -INF, -INF
        cost[self.flow[2]], cost[self.volt[1]] = beyond, 500.0 * beyond
        slack, first = self.net.slack_pu**2, self.net.upper == 0
        rhs[:, self.drop[first]] = slack
        rhs[:, self.band[0]] = np.array([-INF, 0.0])[:, None, None] + (self.net.v_max_pu[1:, None] ** 2) * [
            [[0.0]],
            [[1.0]],
        ]
        rhs[0, self.band[1]], rhs[1, self.band[1]] = self.net.v_min_pu[1:, None] ** 2, INF
        rhs[0, self.facet], rhs[1, self.facet] = -INF, self.half

    def _fill_devices(self, problem: Problem, given: dict, early: np.ndarray, out: tuple) -> None:
        cost, lower, upper, rhs = out
        upper[self.unserved] = [each.demand_kw for each in given[Load]]
        cost[self.unserved] = problem.weights.unserved * self.h
        upper[self.sun] = [
            np.minimum(each.available_kw, a.rated_kw) for a, each in zip(self.of[Pv], given[Pv], strict=True)
        ]
        for i, (store, now) in enumerate(zip(self.of[Battery], given[Battery], strict=True)):
            charge, discharge, energy = self.store[:, i]
            upper[charge], upper[discharge] = store.charge_kw, store.discharge_kw
            lower[energy] = min(store.capacity_kwh * store.soc_min_pct / 100.0, now.energy_kwh)
            upper[energy] = max(store.capacity_kwh * store.soc_max_pct / 100.0, now.energy_kwh)
            cost[charge], cost[discharge] = early, store.wear_per_kwh * self.h + early
            cost[energy[-1]] = -now.end_value_per_kwh
            rhs[:, self.stored[i, 0]] = now.energy_kwh
        end = problem.slots.end
        upper[self.car], upper[self.short] = 0.0, 0.0
        cost[self.car], cost[self.short] = early, problem.weights.ev_shortfall
        for i, (point, now) in enumerate(zip(self.of[ChargePoint], given[ChargePoint], strict=True)):
            for k, session in enumerate(now.sessions):
                stands = self._stands(problem.slots.start, session)
                wanted = session.energy_kwh
                after_h = (session.departure - max(end, session.arrival)).total_seconds() / 3600.0
                if after_h > 0.0:
                    inside_h = float(stands @ self.h)
                    share = wanted * inside_h / (inside_h + after_h)
                    wanted = max(wanted - point.charge_kw * point.efficiency * after_h, share)
                upper[self.car[i, k]] = point.charge_kw * stands
                upper[self.short[i, k]] = rhs[0, self.wished[i, k]] = rhs[1, self.wished[i, k]] = wanted

    def _stands(self, start: datetime, session: object) -> np.ndarray:
        """Find the share of each slot in which a car stands there."""
        edges = np.concatenate([[0.0], np.cumsum(self.h)])
        arrives, leaves = ((at - start).total_seconds() / 3600.0 for at in (session.arrival, session.departure))
        return np.clip(np.minimum(edges[1:], leaves) - np.maximum(edges[:-1], arrives), 0.0, None) / self.h

    def _fill_zones(self, problem: Problem, given: list, out: tuple) -> float:
        cost, lower, upper, rhs = out
        offset = 0.0
        lower[self.air] = lower[self.mass] = -INF
        cost[self.cold] = problem.weights.discomfort * self.h
        for i, (pump, now, zone) in enumerate(zip(self.of[HeatPump], given, self.zones, strict=True)):
            keep, heat, outdoor = zone
            upper[self.pump[i]] = pump.rated_kw
            cop = np.clip(pump.cop_0 + pump.cop_slope * now.outdoor_c, 1.5, 6.0)
            for k, row in enumerate((self.airs, self.masses)):
                place = self.heat[k]
                self.values[place].reshape(-1, self.n)[i] = -heat[k] * cop
                rhs[:, row[i]] = outdoor[k] * now.outdoor_c + heat[k] * now.gains_kw
                rhs[:, row[i, 0]] += keep[k] @ [now.temperature_c, now.mass_c]
            rhs[0, self.warm[i]], rhs[1, self.warm[i]] = now.comfort_low_c, INF
            rhs[0, self.cool[i]], rhs[1, self.cool[i]] = -INF, now.comfort_high_c
            value = now.end_value_per_kwh
            cost[self.air[i, -1]], cost[self.mass[i, -1]] = -value * pump.air_kwh_per_k, -value * pump.mass_kwh_per_k
            offset += value * (pump.air_kwh_per_k + pump.mass_kwh_per_k) * float(now.comfort_low_c[-1])
        return offset

    def _fill_anchor(self, problem: Problem, cost: np.ndarray, rhs: np.ndarray) -> None:
        """Hold the first slots to the plan before, a step of which has gone by."""
        if problem.previous is None:
            return
        late = round((problem.slots.start - problem.previous.slots.start).total_seconds() / 3600.0 / self.h[0])
        cost[self.moves] = problem.weights.move * self.h[: self.near]
        steered = [*self.of[Battery], *self.of[ChargePoint], *self.of[HeatPump]]
        for i, device in enumerate(steered):
            rhs[:, self.moved[i]] = problem.previous.schedules[device.id].power_kw[late : late + self.near]

    def _powers(self, problem: Problem, x: np.ndarray) -> dict[str, np.ndarray]:
        kw = {a.id: problem.inputs[a.id].demand_kw - x[self.unserved[i]] for i, a in enumerate(self.of[Load])}
        kw |= {a.id: -x[self.sun[i]] for i, a in enumerate(self.of[Pv])}
        kw |= {a.id: x[self.store[0, i]] - x[self.store[1, i]] for i, a in enumerate(self.of[Battery])}
        kw |= {a.id: x[self.car[i]].sum(axis=0) for i, a in enumerate(self.of[ChargePoint])}
        return kw | {a.id: x[self.pump[i]] for i, a in enumerate(self.of[HeatPump])}


KINDS = (Load, Pv, Battery, ChargePoint, HeatPump)


def _tan(device: object) -> float:
    return float(np.tan(np.arccos(device.power_factor)))


def _zone(pump: HeatPump, step_h: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Discretise a zone over a step: what is kept of air and mass, what a kW of heat and a degree outdoors bring."""
    am, ao, mo = 1 / pump.air_mass_k_per_kw, 1 / pump.air_out_k_per_kw, 1 / pump.mass_out_k_per_kw
    rates = np.zeros((4, 4))
    rates[0] = np.array([-(am + ao), am, 1.0, ao]) / pump.air_kwh_per_k
    rates[1] = np.array([am, -(am + mo), 0.0, mo]) / pump.mass_kwh_per_k
    after = expm(rates * step_h)
    return after[:2, :2], after[:2, 2], after[:2, 3]
