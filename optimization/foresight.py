"""With perfect foresight: the energy that no plan could have brought into the cars.

    minimise sum of shortfall[k]
    sum over s of eta * c[k, s] * h[s] + shortfall[k] = energy[k],   0 <= c[k, s] <= charge_kw[k] * present[k, s]
    sum over k of c[k, s] <= headroom[s]
    sum over k of c[k, s] / charge_kw[k] <= points              (where cars share charge points)

The last row lets cars take turns within a step, so that it stays a bound. A small formulation of its own, independent
of the planner's model: it judges what the planner did.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import block_diag, csr_matrix, eye, hstack, vstack

from optimization.assets import ChargePoint, EvSession
from optimization.slots import Floats, Slots


def least_ev_shortfall(
    sessions: Sequence[EvSession],
    slots: Slots,
    headroom_kw: Floats,
    charge_point: ChargePoint,
    points: int | None = None,
) -> float:
    """Find the least energy that must stay missing at the departures [kWh].

    Args:
        sessions: the stays as they truly were.
        slots: the period.
        headroom_kw: what the connection and the grid leave for charging in each slot, negative counts as none, (n,).
        charge_point: the point at which they stood.
        points: how many such points the cars share; None for one each.

    Raises:
        RuntimeError: the solver found no optimum.
    """
    if not sessions:
        return 0.0
    count, n = len(sessions), len(slots)
    limit = np.stack([charge_point.most_kw(each) * each.presence(slots) for each in sessions])
    gain = csr_matrix(charge_point.efficiency * slots.duration_h)
    slack, most_kw = csr_matrix((n, count)), [charge_point.most_kw(each) for each in sessions]
    rows, bounds = [hstack([*[eye(n)] * count, slack])], [np.maximum(headroom_kw, 0.0)]
    if points is not None:
        rows.append(hstack([*[eye(n) / kw for kw in most_kw], slack]))
        bounds.append(np.full(n, float(points)))
    outcome = linprog(
        np.concatenate([np.zeros(count * n), np.ones(count)]),
        A_ub=vstack(rows),
        b_ub=np.concatenate(bounds),
        A_eq=hstack([block_diag([gain] * count), eye(count)]),
        b_eq=np.array([each.energy_kwh for each in sessions]),
        bounds=np.stack([np.zeros(count * (n + 1)), np.append(limit.ravel(), np.full(count, np.inf))], axis=1),
        method="highs",
    )
    if outcome.status != 0:
        raise RuntimeError(f"the unavoidable shortfall was not found: {outcome.message}")
    return float(outcome.fun)
