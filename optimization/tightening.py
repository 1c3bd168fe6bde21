"""What an AC check teaches the linear network: how much its limits must be cut to mean what they say.

A limit is cut by the *measured error of the linearisation* at that slot and element, not by the excess: one solve later
the AC value meets the limit, while cuts by tangents creep. Where the linear network already pays for an excess it was
right, and nothing is cut.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from optimization.ac_check import AcResult
from optimization.grid_case import GridCase
from optimization.network import GridLimits, Network
from optimization.problem import Problem
from optimization.slots import Floats

TOLERANCE_PCT = 0.01
TOLERANCE_PU = 1e-5
SLACK_KVA = 0.05
SLACK_PU = 5e-5
RETREAT = 0.3
"""Share of every flow limit given up in a slot that has no power flow at all."""


def tightened(
    case: GridCase, network: Network, limits: GridLimits, powers: tuple[Floats, Floats], result: AcResult
) -> Network | None:
    """Cut a network's limits where AC exceeds them.

    Args:
        case: the feeder.
        network: the linear operator that the powers were planned with.
        limits: the limits it stands for, before any cut.
        powers: active [kW] and reactive [kvar] power into the assets of each bus, shape (m, n) each.
        result: what AC says of these powers.

    Returns:
        the network with further cuts; None where there is nothing left to cut.
    """
    flow = _flow_cuts(case, network, limits, powers, result)
    voltage = _voltage_cuts(network, limits, powers, result)
    old_flow, old_voltage = _flow_cut(network, len(flow)), _voltage_cut(network, len(flow))
    if (flow <= old_flow).all() and (voltage <= old_voltage).all():
        return None
    return replace(network, tighten_flow_kva=np.maximum(flow, old_flow), tighten_v_pu=np.maximum(voltage, old_voltage))


def blended(beyond: Problem, verified: Problem, share: float) -> Problem:
    """Ask for a share of the caution of one question and the rest of another's, of the same feeder and assets."""
    one, two = beyond.network, verified.network
    assert one is not None
    assert two is not None
    slots = len(verified.slots)
    weight = beyond.weights.grid_limit ** (1.0 - share) * verified.weights.grid_limit**share
    network = replace(
        two,
        flow_limit_kw=_mixed(one.flow_limit_kw, two.flow_limit_kw, share),
        v_min_pu=_mixed(one.v_min_pu, two.v_min_pu, share),
        v_max_pu=_mixed(one.v_max_pu, two.v_max_pu, share),
        tighten_flow_kva=_mixed(_flow_cut(one, slots), _flow_cut(two, slots), share),
        tighten_v_pu=_mixed(_voltage_cut(one, slots), _voltage_cut(two, slots), share),
    )
    return replace(verified, network=network, weights=replace(verified.weights, grid_limit=weight))


def _mixed(one: Floats, two: Floats, share: float) -> Floats:
    return (1.0 - share) * one + share * two


def _flow_cut(network: Network, slots: int) -> Floats:
    cut = network.tighten_flow_kva
    return np.zeros((slots, len(network.upper))) if cut is None else cut


def _voltage_cut(network: Network, slots: int) -> Floats:
    cut = network.tighten_v_pu
    return np.zeros((2, slots, len(network.bus_ids))) if cut is None else cut


def _flow_cuts(
    case: GridCase, network: Network, limits: GridLimits, powers: tuple[Floats, Floats], result: AcResult
) -> Floats:
    """Cuts of the flow limits, shape (n, b) [kVA]."""
    error = result.loading_pct / 100.0 * case.rating_kva[:, None] - network.use_kva(*powers)
    over = result.loading_pct > limits.loading_max_pct + TOLERANCE_PCT
    cut = np.where(over & (error > 0.0), error + SLACK_KVA, 0.0)
    retreat = network.flow_limit_kw[:, None] - (1.0 - RETREAT) * network.flow_limits_kva(cut.shape[1])
    cuts: Floats = np.where(result.converged, cut, retreat).T
    return cuts


def _voltage_cuts(network: Network, limits: GridLimits, powers: tuple[Floats, Floats], result: AcResult) -> Floats:
    """Cuts of the voltage band, above and below, shape (2, n, m) [pu]."""
    error = result.v_pu - np.sqrt(np.maximum(network.squared_voltages(*powers), 0.0))
    above = result.v_pu > limits.voltage_max_pu + TOLERANCE_PU
    below = result.v_pu < limits.voltage_min_pu - TOLERANCE_PU
    upper = np.where(above & (error > 0.0), error + SLACK_PU, 0.0)
    lower = np.where(below & (error < 0.0), SLACK_PU - error, 0.0)
    return np.stack([upper.T, lower.T])
