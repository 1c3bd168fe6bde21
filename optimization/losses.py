"""What branches lose in the linear network: straight in the flows in their middle, about the last AC round.

    loss_kw   = loss_kw*   + r * (u * (P - P*) + w * (Q - Q*)),      u = 2 P* / v^2,  w = 2 Q* / v^2
    loss_kvar = loss_kvar* + x * (u * (P - P*) + w * (Q - Q*)),      v^2 = v_upper * v_lower

Half of it is taken at each end of the branch. Symbols: P [kW] and Q [kvar] down the branch in its middle, starred as
the AC round has them; r [pu^2/kW] and x [pu^2/kvar] as in `optimization.network`; v [pu]. It is the tangent of
r * (P^2 + Q^2) / v^2 with v held; own derivation. Where phases are coupled, losses stay as they were.
"""

from __future__ import annotations

import numpy as np

from optimization.assets.asset import Values
from optimization.network import Network
from optimization.reactive import Operating
from optimization.slots import Floats

SLOPES = ("grid_loss_per_kw", "grid_loss_per_kvar")
"""Params of each branch and slot: u and w."""
MOST_TURNS, CLOSE_KVA = 50, 1e-9


def changes_with_flows(network: Network) -> bool:
    """Say whether losses change with flows in a network that is laid about an AC round."""
    return network.mutual is None


def loss_terms(network: Network, at: Operating) -> Values:
    """Derive the Params: what is lost at each bus where nothing flows, shape (m-1, n), and the slopes, (b, n)."""
    if not changes_with_flows(network):
        return {"grid_loss_kw": at.loss_kw[1:], "grid_loss_kvar": at.loss_kvar[1:]}
    flow = np.zeros((len(network.upper), at.v_pu.shape[1])) if at.flow_kva is None else at.flow_kva
    per_kva = 2.0 * flow / (at.v_pu[network.upper] * at.v_pu[network.lower])
    lost_kw, lost_kvar = _lost(network, (per_kva.real, per_kva.imag), (flow.real, flow.imag))
    return {
        "grid_loss_kw": (at.loss_kw - lost_kw)[1:],
        "grid_loss_kvar": (at.loss_kvar - lost_kvar)[1:],
        **dict(zip(SLOPES, (per_kva.real, per_kva.imag), strict=True)),
    }


def with_losses(network: Network, p_kw: Floats, q_kvar: Floats) -> tuple[Floats, Floats]:
    """Add what a network that is laid about an AC round takes for lost.

    Args:
        network: with `governed`.
        p_kw: power into the assets of each bus, shape (m, n).
        q_kvar: likewise.
    """
    assert network.governed is not None
    terms = network.governed.terms
    at_slack = np.zeros((1, p_kw.shape[1]))
    fixed = p_kw + np.vstack([at_slack, terms["grid_loss_kw"]]), q_kvar + np.vstack([at_slack, terms["grid_loss_kvar"]])
    if not changes_with_flows(network):
        return fixed
    found, slopes = fixed, (terms[SLOPES[0]], terms[SLOPES[1]])
    for _ in range(MOST_TURNS):
        lost = _lost(network, slopes, network.flows(*found))
        newer = fixed[0] + lost[0], fixed[1] + lost[1]
        moved, found = max(np.abs(b - a).max() for a, b in zip(found, newer, strict=True)), newer
        if moved < CLOSE_KVA:
            break
    return found


def _lost(network: Network, slopes: tuple[Floats, Floats], flows: tuple[Floats, Floats]) -> tuple[Floats, Floats]:
    along = slopes[0] * flows[0] + slopes[1] * flows[1]
    r, x = network.r_pu_per_kw[:, None], network.x_pu_per_kvar[:, None]
    return network.at_ends(r * along / 2.0), network.at_ends(x * along / 2.0)
