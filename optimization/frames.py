"""A table at the border of the library: pandas Series become a problem's arrays, a plan becomes DataFrames.

Imported on demand; nothing else of the planner needs pandas.

Law 1: every instant is aware; what comes back is in UTC.
Law 2: what is missing is refused with the instant at which it is missing, never filled.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC

import numpy as np
import pandas as pd

from optimization.problem import Plan
from optimization.slots import Floats, Slots, chain


def slots_of(starts: pd.DatetimeIndex, end: pd.Timestamp) -> Slots:
    """Lay a horizon: consecutive slots of any lengths.

    Args:
        starts: aware start of each slot, growing.
        end: aware end of the last one.

    Raises:
        ValueError: an instant has no time zone, there is no slot, or one does not end after it starts.
    """
    if not len(starts):
        raise ValueError("there is no slot: give the start of at least one")
    edges = np.append(_seconds(starts, "the starts of the slots"), _seconds(pd.DatetimeIndex([end]), "the end"))
    return chain(starts[0].to_pydatetime().astimezone(UTC), np.diff(edges))


def on_slots(series: pd.Series[float], slots: Slots) -> Floats:
    """Average a series over the slots, by time.

    Args:
        series: each value holds from its aware instant to the next one's, the last as long as the one before it; a
            single one holds for good.
        slots: the horizon.

    Returns:
        the mean of each slot, shape (n,), in the unit of the series.

    Raises:
        ValueError: an instant has no time zone or does not grow, or a value that the horizon needs is missing.
    """
    name = "the series" if series.name is None else str(series.name)
    if not len(series):
        raise ValueError(f"{name} is empty: give a value from {slots.start} on")
    since_s = _seconds(pd.DatetimeIndex(series.index), name) - slots.start.timestamp()
    value = series.to_numpy(dtype=float)
    if (np.diff(since_s) <= 0.0).any():
        raise ValueError(f"{name}: its instants do not grow; sort it and keep one value an instant")
    last_s = np.inf if len(since_s) == 1 else 2.0 * since_s[-1] - since_s[-2]
    end_s = float(slots.offset_s[-1] + slots.duration_s[-1])
    edges = np.append(since_s, last_s)
    needed = (edges[:-1] < end_s) & (edges[1:] > 0.0)
    lacking = needed & ~np.isfinite(value)
    if lacking.any():
        raise ValueError(f"{name} has no value at {series.index[int(np.argmax(lacking))]}: give one")
    if edges[0] > 0.0 or edges[-1] < end_s:
        raise ValueError(
            f"{name} reaches from {series.index[0]} for {last_s - since_s[0]:g} s, the horizon from {slots.start} to "
            f"{slots.end}: give values for all of it"
        )
    return _means(np.clip(edges, 0.0, end_s), np.where(needed, value, 0.0), slots)


def connection_frame(plan: Plan) -> pd.DataFrame:
    """Give import, export and excess [kW] of each slot and its length [s], by its UTC start."""
    columns = {"duration_s": plan.slots.duration_s, "import_kw": plan.import_kw, "export_kw": plan.export_kw}
    return _frame(plan, {**columns, "excess_kw": plan.excess_kw})


def power_frame(plan: Plan) -> pd.DataFrame:
    """Give the power of each asset, positive into it [kW]: columns `<asset>.power_kw`, by each slot's UTC start."""
    return _frame(plan, {f"{name}.power_kw": one.power_kw for name, one in plan.schedules.items()})


def state_frame(plan: Plan) -> pd.DataFrame:
    """Give what the assets reach at each slot's end: columns `<asset>.energy_kwh` and so on, by its UTC start."""
    return _frame(plan, {f"{a}.{name}": v for a, one in plan.schedules.items() for name, v in one.states.items()})


def slack_frame(plan: Plan) -> pd.DataFrame:
    """Give what was wished for and is not served: columns `<asset>.shortfall_kwh` and so on, by its UTC start."""
    return _frame(plan, {f"{a}.{name}": v for a, one in plan.schedules.items() for name, v in one.slack.items()})


def _frame(plan: Plan, columns: Mapping[str, Floats]) -> pd.DataFrame:
    index = pd.DatetimeIndex(plan.slots.starts, name="start")
    return pd.DataFrame(dict(columns), index=index)


def _means(edges_s: Floats, value: Floats, slots: Slots) -> Floats:
    integral = np.append(0.0, np.cumsum(value * np.diff(edges_s)))
    begin, end = slots.offset_s, slots.offset_s + slots.duration_s
    mean: Floats = (np.interp(end, edges_s, integral) - np.interp(begin, edges_s, integral)) / slots.duration_s
    return mean


def _seconds(instants: pd.DatetimeIndex, name: str) -> Floats:
    """Count the seconds since 1970; raises `ValueError` for instants that are missing or have no time zone."""
    if instants.tz is None or instants.hasnans:
        raise ValueError(f"{name}: an instant is missing or has no time zone; give them with tz, for example 'UTC'")
    return np.asarray((instants - pd.Timestamp(0, tz="UTC")) / pd.Timedelta(seconds=1), dtype=float)
