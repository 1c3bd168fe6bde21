"""The feeder as a sparse linear operator (LinDistFlow), with the limits that AC rounds tighten.

    P_k = sum of P_j over the children j of branch k + p at the branch's lower bus           [kW]
    v_lower = v_upper - 2 * (r_k * P_k + x_k * Q_k)      (v: squared voltage [pu^2])
    |P_k| <= flow_limit_k,   v_min <= v <= v_max

Source: Baran and Wu, Network reconfiguration in distribution systems for loss reduction and load balancing, IEEE
Transactions on Power Delivery 4 (1989) 1401-1407; losses neglected.
"""

from __future__ import annotations

from dataclasses import dataclass

from optimization.slots import Floats, Ints


@dataclass(frozen=True, slots=True, eq=False)
class Network:
    """A radial feeder, each branch named by its lower bus.

    Buses are numbered 0..m-1 here; bus 0 is the slack (upper side of the feeder's transformer). Branch k (0..m-2) feeds
    bus k+1. All arrays are plain numpy, so a network crosses process borders and needs no pandapower to be used.

    Args:
        bus_ids: index of each bus in the pandapower grid, shape (m,).
        upper: upper bus of each branch, shape (m-1,).
        r_pu_per_kw: resistance in squared-voltage terms [pu^2/kW], shape (m-1,).
        x_pu_per_kvar: reactance likewise [pu^2/kvar], shape (m-1,).
        flow_limit_kw: loading limit of each branch, already shared between P and Q [kVA], shape (m-1,).
        v_min_pu: voltage floor, shape (m,). v_max_pu: voltage ceiling, shape (m,).
        slack_pu: voltage of bus 0.
        branch_names: for messages, for example `trafo 0` or `line 3`.
        tighten_flow_kva: how much AC rounds cut each flow limit, shape (n slots, m-1).
        tighten_v_pu: how much AC rounds cut the voltage band, upper and lower, shape (2, n slots, m).
        key: hash of the grid's content, for caches.
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
    tighten_flow_kva: Floats | None = None
    tighten_v_pu: Floats | None = None
