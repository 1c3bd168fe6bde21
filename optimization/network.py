"""The feeder as a sparse linear operator (LinDistFlow), with the limits that AC rounds tighten.

    P_k = sum of P_j over the branches j that leave the lower bus of k + p at that bus
          - sum of P_l over the branches l that close a loop there                           [kW]
    v_lower = v_upper - 2 * (r_k * P_k + x_k * Q_k)      (v: squared voltage [pu^2])
    sum of x_k * P_k - r_k * Q_k along each loop = 0     (the angle is one and the same at each bus)
    cos(a) * P_k + sin(a) * Q_k <= cos(7.5 deg) * flow_limit_k * (1 + v_lower) / 2   for every facet a
    v_min <= v <= v_max

A branch is limited by its current, which is |S| / V; the last factor of the third line is that V, linearised at 1 pu.
The facets are those of the regular 24-gon inside the unit circle that lie within 30 degrees of the P axis: exact at
power factors 1 and 0.966, at most 0.9 % too careful between them. Where inverters are governed those of the 12-gon of
`optimization.reactive` follow all round, and what branches lose adds to the flows.

Where every phase keeps the limits by itself, a bus is three and a branch is three, and what flows in one phase of a
branch moves the voltages of the others too (Z: the branch's phase impedances, t: 0, -120, 120 deg):

    v_lower,f = v_upper,f - 2 * sum over g of re(Z_fg * exp(j (t_g - t_f)) * (P_k,g - j Q_k,g))

Source: Baran and Wu, Network reconfiguration in distribution systems for loss reduction and load balancing, IEEE
Transactions on Power Delivery 4 (1989) 1401-1407; losses neglected. Of loops: own derivation, the imaginary part of the
voltage that drops along a branch at 1 pu, of which the third line is the real part. The last line is the third with the
voltages of the three phases taken as balanced, known as LinDist3Flow: Taheri, Gupta and Molzahn, Optimizing parameters
of the LinDistFlow power flow approximation for distribution systems, arXiv 2404.05125.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optimization.phases import PHASES, bus_of, on_phase
from optimization.reactive import CORNER_SHARE, CORNERS_DEG, Governed
from optimization.slots import Floats, Ints

FACETS_DEG = (-22.5, -7.5, 7.5, 22.5, 157.5, 172.5, 187.5, 202.5)
FACET_SHARE = float(np.cos(np.radians(7.5)))
SIDE_DEG = tuple(angle for angle in CORNERS_DEG if 30.0 < angle % 180.0 < 150.0)
"""Facets of the regular 12-gon further off, where reactive power is steered: those near the axis are finer."""


FAR_INSIDE_PCT = 30.0


class GridError(Exception):
    """A grid file that cannot be planned with; the message names the element, the value and the remedy."""


@dataclass(frozen=True, slots=True)
class GridLimits:
    """What the site allows on its feeder.

    Args:
        voltage_min_pu: floor at every bus below the transformer.
        voltage_max_pu: ceiling there.
        loading_max_pct: of the rated current of every branch.
        planning_margin_pct: share of every limit (of a voltage limit: of its distance to 1 pu) that plans keep free.
        per_phase: whether every phase keeps them by itself; the grid file then has to tell its zero sequence.
    """

    voltage_min_pu: float = 0.95
    voltage_max_pu: float = 1.05
    loading_max_pct: float = 100.0
    planning_margin_pct: float = 5.0
    per_phase: bool = False

    @property
    def planned(self) -> GridLimits:
        """The limits that a plan keeps: these less the margin."""
        share = 1.0 - self.planning_margin_pct / 100.0
        return replace(
            self,
            voltage_min_pu=1.0 + (self.voltage_min_pu - 1.0) * share,
            voltage_max_pu=1.0 + (self.voltage_max_pu - 1.0) * share,
            loading_max_pct=self.loading_max_pct * share,
            planning_margin_pct=0.0,
        )

    @property
    def far_inside(self) -> GridLimits:
        """Limits that leave so much free that no error of the linear network reaches the site's own."""
        return replace(self, planning_margin_pct=FAR_INSIDE_PCT).planned


@dataclass(frozen=True, slots=True, eq=False)
class Mutual:
    """What the other two phases of a branch do to the voltage of one.

    Args:
        branches: the branches that are the other phases of the same cable, shape (m-1, 2).
        r_pu_per_kw: drop of squared voltage for their active power, as `Network.r_pu_per_kw`, shape (m-1, 2).
        x_pu_per_kvar: for their reactive power likewise.
    """

    branches: Ints
    r_pu_per_kw: Floats
    x_pu_per_kvar: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Network:
    """A feeder: a tree, and the branches that close loops in it.

    Buses are numbered 0..m-1 here; bus 0 is the slack (upper side of the feeder's transformer). Branch k (0..m-2) feeds
    bus k+1; those that close loops come after. All arrays are plain numpy, so a network crosses process borders and
    needs no pandapower to be used.

    Args:
        bus_ids: index of each bus in the pandapower grid, shape (m,).
        upper: upper bus of each branch, always numbered lower than the lower one, shape (b,).
        r_pu_per_kw: resistance in squared-voltage terms [pu^2/kW], shape (b,).
        x_pu_per_kvar: reactance likewise [pu^2/kvar], shape (b,).
        flow_limit_kw: apparent power of each branch at its planned loading limit and 1 pu [kVA], shape (b,).
        v_min_pu: voltage floor, shape (m,). v_max_pu: voltage ceiling, shape (m,).
        slack_pu: no-load voltage of the feeder: that of bus 0 behind the transformer's fixed ratio.
        branch_names: for messages, for example `trafo 0` or `line 3`.
        loop_lower: lower bus of each branch that closes a loop, shape (b-m+1,); empty for a radial feeder.
        tighten_flow_kva: how much AC rounds cut each flow limit, shape (n slots, b).
        tighten_v_pu: how much AC rounds cut the voltage band, upper and lower, shape (2, n slots, m).
        key: hash of the grid's content and limits, for caches.
        governed: inverters whose reactive power the planner steers or foresees, and what moves in steps; None for none.
        outages: the feeder as outages make it, whose limits the same powers have to keep: those found to bind.
        after: name of the outage that has made it so; empty for none.
        mutual: how the phases are coupled where each bus is three; None for a balanced feeder.
        lifts: what tap changers multiply the squared voltage above each branch by, and what they add [pu^2], shape
            (b, slots) each; None where they stand as in the grid file.
    """

    bus_ids: Ints
    upper: Ints
    r_pu_per_kw: Floats
    x_pu_per_kvar: Floats
    flow_limit_kw: Floats
    v_min_pu: Floats
    v_max_pu: Floats
    slack_pu: float
    branch_names: tuple[str, ...]
    key: str
    loop_lower: Ints = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    tighten_flow_kva: Floats | None = None
    tighten_v_pu: Floats | None = None
    governed: Governed | None = None
    outages: tuple[Network, ...] = ()
    after: str = ""
    mutual: Mutual | None = None
    lifts: tuple[Floats, Floats] | None = None

    @property
    def shape_key(self) -> str:
        """Name what of it decides the shape of a model."""
        governed = () if self.governed is None else (str(self.governed.shapes), str(self.governed.steps))
        return " ".join((self.key, *governed, *(outage.key for outage in self.outages)))

    @property
    def lower(self) -> Ints:
        """The lower bus of each branch, shape (b,)."""
        return np.concatenate([np.arange(1, len(self.bus_ids)), self.loop_lower])

    @property
    def loops(self) -> Floats:
        """Which branches each loop goes through, shape (loops, b): 1 downwards, -1 upwards, 0 not at all.

        A loop goes from the slack to the upper end of the branch that closes it, along that, and back.
        """
        tree = len(self.bus_ids) - 1
        way = np.zeros((tree + 1, len(self.upper)))
        for branch, upper in enumerate(self.upper[:tree]):
            way[branch + 1] = way[upper]
            way[branch + 1, branch] = 1.0
        loops = way[self.upper[tree:]] - way[self.loop_lower]
        loops[:, tree:] = np.eye(len(loops))
        return loops

    def position(self, bus_id: int) -> int:
        """Find the place 0..m-1 of a pandapower bus index; raises `GridError` for an unknown one."""
        return self.places(bus_id)[0]

    def places(self, bus_id: int) -> tuple[int, ...]:
        """Find where the power of an asset goes, evenly: one place, or the three phases of its bus; raises `GridError`.

        A feeder without phases takes one phase for its bus.
        """
        if not (found := self._found(bus_id)):
            raise GridError(f"bus {bus_of(bus_id)} is not in the grid; its buses are {self.buses}")
        return found

    def has(self, bus_id: int) -> bool:
        """Say whether it has a place for the power of an asset at a bus or phase."""
        return bool(self._found(bus_id))

    @property
    def buses(self) -> list[int]:
        """Indices of its buses in the pandapower grid, in the order of their places."""
        return list(dict.fromkeys(bus_of(number) for number in self.bus_ids.tolist()))

    def _found(self, bus_id: int) -> tuple[int, ...]:
        found = np.flatnonzero(self.bus_ids == bus_id)
        if not found.size:
            found = np.flatnonzero(np.isin(self.bus_ids, [on_phase(bus_id, phase) for phase in PHASES]))
        if not found.size:
            found = np.flatnonzero(self.bus_ids == bus_of(bus_id))
        return tuple(found.tolist())

    @property
    def feeders(self) -> Ints:
        """Number, from 1, the feeder that each bus is on: what branches join without the slack, 0; shape (m,)."""
        feeder = np.zeros(len(self.bus_ids), dtype=np.int64)
        for upper, lower in zip(self.upper.tolist(), self.lower.tolist(), strict=True):
            if not feeder[lower]:
                feeder[lower] = feeder[upper] or lower
            elif upper and feeder[upper] != feeder[lower]:
                feeder[feeder == feeder[upper]] = feeder[lower]
        return feeder

    def flow_limits_kva(self, slots: int) -> Floats:
        """Flow limit of every branch and slot after tightening, never negative [kVA], shape (b, slots)."""
        limit = np.repeat(self.flow_limit_kw[:, None], slots, axis=1)
        return limit if self.tighten_flow_kva is None else np.maximum(0.0, limit - self.tighten_flow_kva.T)

    def squared_band(self, slots: int) -> tuple[Floats, Floats]:
        """Floor and ceiling of the squared voltage after tightening [pu^2], shape (m, slots) each."""
        floor = np.repeat(self.v_min_pu[:, None], slots, axis=1)
        ceiling = np.repeat(self.v_max_pu[:, None], slots, axis=1)
        if self.tighten_v_pu is not None:
            ceiling = ceiling - self.tighten_v_pu[0].T
            floor = floor + self.tighten_v_pu[1].T
        return floor**2, ceiling**2

    def at_ends(self, half: NDArray[Any]) -> NDArray[Any]:
        """Put something at both ends of each branch, shape (b, slots), and add it up by bus, shape (m, slots)."""
        at_bus = np.zeros((len(self.bus_ids), half.shape[1]), dtype=half.dtype)
        np.add.at(at_bus, self.upper, half)
        np.add.at(at_bus, self.lower, half)
        return at_bus

    def flows(self, p_kw: Floats, q_kvar: Floats) -> tuple[Floats, Floats]:
        """Tell what flows down each branch for powers into the assets of each bus, (m, slots) -> (b, slots), both."""
        p, q = self._below(p_kw), self._below(q_kvar)
        if not len(self.loop_lower):
            return p, q
        loops, r, x = self.loops, self.r_pu_per_kw, self.x_pu_per_kvar
        tree = loops[:, : len(p)]
        rp, xp = tree * r[: len(p)], tree * x[: len(p)]
        rr, xx = loops * r @ loops.T, loops * x @ loops.T
        dropped = -np.vstack([rp @ p + xp @ q, xp @ p - rp @ q])
        p_loop, q_loop = np.split(np.linalg.solve(np.block([[rr, xx], [xx, -rr]]), dropped), 2)
        return np.vstack([p + tree.T @ p_loop, p_loop]), np.vstack([q + tree.T @ q_loop, q_loop])

    def squared_voltages(self, p_kw: Floats, q_kvar: Floats) -> Floats:
        """Estimate the squared voltages [pu^2] for powers into the assets of each bus, shape (m, slots) both."""
        flow_kw, flow_kvar = self.flows(p_kw, q_kvar)
        drop = 2.0 * (self.r_pu_per_kw[:, None] * flow_kw + self.x_pu_per_kvar[:, None] * flow_kvar)
        if (other := self.mutual) is not None:
            along_kw, along_kvar = flow_kw[other.branches], flow_kvar[other.branches]
            each = other.r_pu_per_kw[:, :, None] * along_kw + other.x_pu_per_kvar[:, :, None] * along_kvar
            drop = drop + 2.0 * each.sum(axis=1)
        squared = np.full(p_kw.shape, self.slack_pu**2)
        for branch, upper in enumerate(self.upper[: len(self.bus_ids) - 1]):
            above = squared[upper]
            if self.lifts is not None:
                above = self.lifts[0][branch] * above + self.lifts[1][branch]
            squared[branch + 1] = above - drop[branch]
        return squared

    def use_kva(self, p_kw: Floats, q_kvar: Floats) -> Floats:
        """Estimate what the flow limits are held against, for powers as above: shape (b, slots) [kVA at 1 pu]."""
        flows = self.flows(p_kw, q_kvar)
        along = _furthest(FACETS_DEG, FACET_SHARE, *flows)
        if self.governed is not None:
            along = np.maximum(along, _furthest(SIDE_DEG, CORNER_SHARE, *flows))
        use: Floats = along / ((1.0 + self.squared_voltages(p_kw, q_kvar)[self.lower]) / 2.0)
        return use

    def _below(self, taken: Floats) -> Floats:
        """Sum what the buses below each branch of the tree take, shape (m, slots) -> (m-1, slots)."""
        below = np.array(taken, dtype=float)
        for branch in range(len(self.bus_ids) - 2, 0, -1):
            below[self.upper[branch]] += below[branch + 1]
        return below[1:]


def _furthest(angles_deg: tuple[float, ...], share: float, p_kw: Floats, q_kvar: Floats) -> Floats:
    """Measure flows against the facets of a polygon that lies inside the circle by a share."""
    angles = np.radians(angles_deg)[:, None, None]
    along: Floats = (np.cos(angles) * p_kw + np.sin(angles) * q_kvar).max(axis=0) / share
    return along
