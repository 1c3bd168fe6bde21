"""The month ahead, roughly: which peak of each month is worth its price. One small linear programme in hours.

    minimise sum over s of (buy[s] * i[s] - sell[s] * e[s] + wear * d[s]) * h + sum over m of price_per_kw * peak[m]
    i[s] - e[s] = fixed[s] + c[s] - d[s] + sum over k of x[k, s]
    stored[s] = stored[s-1] + (eta_c * c[s] - d[s] / eta_d - standby) * h,   0 <= stored[s] <= capacity
    sum over s within window k of x[k, s] * h = energy[k],   0 <= x[k, s] <= most[k, s]
    peak[m] >= free[m],   peak[m] >= i[s] for every s of month m, likewise for each further charge in its own hours

Symbols: i, e [kW] import and export, c, d [kW] all batteries as one, x [kW] what may be moved within a window: a car
within its stay, heat within some hours. An hour's mean stands for its metering intervals, so the true optimum lies a
little higher; the plan of the day sees the intervals themselves.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import coo_matrix, csr_matrix

from optimization.month_ahead import Ahead, FurtherPeak, MonthAhead, Store
from optimization.slots import Ints


class MonthAheadError(Exception):
    """No optimum was found; the message says how the solver ended."""


def look_ahead(asked: MonthAhead) -> Ahead:
    """Find the peaks that are worth their price; raises `MonthAheadError`."""
    broken = [name for name in ("fixed_kw", "import_price", "export_price", "free_kw") if not _finite(asked, name)]
    if broken:
        raise MonthAheadError(f"{', '.join(broken)} of the month ahead: a number is not finite; mend the forecast")
    rows = _Rows(asked)
    found = linprog(
        rows.cost,
        A_ub=rows.below,
        b_ub=np.zeros(rows.below.shape[0]),
        A_eq=rows.equal,
        b_eq=rows.right,
        bounds=np.stack([rows.least, rows.most], axis=1),
        method="highs",
    )
    if found.status != 0:
        raise MonthAheadError(f"the month ahead has no optimum: {found.message}")
    n, months = len(asked.fixed_kw), len(asked.free_kw)
    own, *further = np.asarray(found.x[-months * (1 + len(asked.further)) :]).reshape(-1, months)
    return Ahead(asked, own, np.asarray(found.x[:n]), float(found.fun), tuple(further))


def _finite(asked: MonthAhead, name: str) -> bool:
    return bool(np.isfinite(getattr(asked, name)).all())


class _Rows:
    """The programme's matrices; columns: import, export, charge, discharge, stored, what is moved, peaks."""

    def __init__(self, asked: MonthAhead) -> None:
        n, months, h = len(asked.fixed_kw), len(asked.free_kw), asked.step_s / 3600.0
        store = asked.store or Store(0.0, 0.0, 0.0, 0.0)
        slot = [move.first + np.arange(len(move.most_kw)) for move in asked.movable]
        window = [np.full(len(move.most_kw), k) for k, move in enumerate(asked.movable)]
        slots, windows = (np.concatenate([*each, np.empty(0, int)]).astype(int) for each in (slot, window))
        first = 5 * n + len(slots)
        charges = (FurtherPeak(asked.price_per_kw, asked.month, asked.free_kw), *asked.further)
        moved, peaks = 5 * n + np.arange(len(slots)), first + np.arange(months * len(charges))
        steps, columns = np.arange(n), int(peaks[-1]) + 1
        most = np.concatenate([*(move.most_kw for move in asked.movable), np.empty(0)])
        energy = np.array([min(m.energy_kwh, float(m.most_kw.sum()) * h) for m in asked.movable])
        held = np.clip(store.energy_kwh, 0.0, store.capacity_kwh)

        balance = [(steps, steps + k * n, sign) for k, sign in enumerate((1.0, -1.0, -1.0, 1.0))]
        balance.append((slots, moved, -1.0))
        state = [
            (n + steps, 4 * n + steps, 1.0),
            (n + steps[1:], 4 * n + steps[:-1], -1.0),
            (n + steps, 2 * n + steps, -store.charge_efficiency * h),
            (n + steps, 3 * n + steps, h / store.discharge_efficiency),
        ]
        self.equal = _matrix([*balance, *state, (2 * n + windows, moved, h)], 2 * n + len(energy), columns)
        standby = np.full(n, -store.standby_kw * h)
        standby[0] += held
        self.right = np.concatenate([asked.fixed_kw, standby, energy])
        above = []
        for k, peak in enumerate(charges):
            at = np.flatnonzero(peak.month >= 0)
            above += [(k * n + at, at, 1.0), (k * n + at, peaks[k * months + peak.month[at]], -1.0)]
        self.below = _matrix(above, n * len(charges), columns)
        # Selling at a negative price is not forced: the sun can be turned down. Buying never costs less than selling
        # earns, or the programme would do both at once without end.
        sold = np.maximum(asked.export_price, 0.0)
        running = [np.maximum(asked.import_price, sold), -sold, np.zeros(n)]
        running += [np.full(n, store.wear_per_kwh), np.zeros(n), np.zeros(len(slots))]
        paid = [np.full(months, peak.price_per_kw) for peak in charges]
        self.cost = np.concatenate([*(part * h for part in running), *paid])
        no_end = np.full(n, np.inf)
        full = np.full(n, store.capacity_kwh)
        charge, discharge = np.full(n, store.charge_kw), np.full(n, store.discharge_kw)
        self.most = np.concatenate([no_end, no_end, charge, discharge, full, most, np.full(len(peaks), np.inf)])
        self.least = np.concatenate([np.zeros(5 * n + len(slots)), *(peak.free_kw for peak in charges)])
        # What is stored now is not for sale at the end.
        self.least[5 * n - 1] = min(held, 0.5 * store.capacity_kwh)


def _matrix(parts: list[tuple[Ints, Ints, float]], rows: int, columns: int) -> csr_matrix:
    row, column = (np.concatenate([part[k] for part in parts]) for k in (0, 1))
    value = np.concatenate([np.full(len(part[0]), part[2]) for part in parts])
    return coo_matrix((value, (row, column)), shape=(rows, columns)).tocsr()
