"""The state estimator: against pandapower's own, its laws, and whether its bands hold what they promise."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest
from feeder_days import GRID
from hypothesis import given, settings
from hypothesis import strategies as st

from optimization.estimation import EstimationError, Injection, Kind, Reading, estimate
from optimization.grid_case import GridCase
from optimization.slots import Floats

TAN = 0.25
POWERS_KW = {1: -20.0, 2: 9.0, 3: 6.0, 4: 12.0, 5: -35.0}
METERED = (1, 5)


def _injections(sigma_kw: float = 4.0, sigma_kvar: float = 1.0) -> list[Injection]:
    return [Injection(f"at {bus}", bus, p, sigma_kw, TAN, sigma_kvar) for bus, p in POWERS_KW.items()]


def _solve(case: GridCase, p_kw: Floats, q_kvar: Floats) -> tuple[Floats, Floats, Floats]:
    """Give voltages, arriving power and loading of a state by AC power flow."""
    v, converged = case.ac.voltages(p_kw[:, None], q_kvar[:, None])
    assert converged.all()
    kva, result = case.ac.arriving_kva(v), case.ac.result(v, converged)
    return np.abs(v[:, 0]), kva[:, 0].real, result.loading_pct[:, 0]


def _readings(case: GridCase, p_kw: Floats, q_kvar: Floats, rng: np.random.Generator | None = None) -> list[Reading]:
    """Read the connection, two metered devices and two voltages, with the noise of their meters."""
    v_pu, flow_kw, _ = _solve(case, p_kw, q_kvar)
    exact = [
        Reading(Kind.FLOW, 0, flow_kw[0], 0.1),
        Reading(Kind.POWER, 0, p_kw[1], 0.1),
        Reading(Kind.POWER, 4, p_kw[5], 0.1),
        Reading(Kind.VOLTAGE, 1, v_pu[1], 0.001),
        Reading(Kind.VOLTAGE, 3, v_pu[3], 0.001),
    ]
    return exact if rng is None else [replace(r, value=r.value + r.sigma * rng.standard_normal()) for r in exact]


def test_it_agrees_with_pandapowers_estimator_where_everything_is_measured(case: GridCase) -> None:
    import pandapower as pp
    from pandapower.estimation import estimate as pandapower_estimate

    rng = np.random.default_rng(5)
    p_kw, q_kvar = np.zeros(6), np.zeros(6)
    for bus, power in POWERS_KW.items():
        p_kw[bus], q_kvar[bus] = power, TAN * power
    v_pu, flow_kw, _ = _solve(case, p_kw, q_kvar)
    read = [Reading(Kind.VOLTAGE, b, v_pu[b] + rng.normal(0, 1e-3), 1e-3) for b in range(6)]
    read += [Reading(Kind.POWER, k, p_kw[b] + rng.normal(0, 0.5), 0.5) for k, b in enumerate(POWERS_KW)]
    read += [Reading(Kind.REACTIVE, k, q_kvar[b] + rng.normal(0, 0.5), 0.5) for k, b in enumerate(POWERS_KW)]
    read += [Reading(Kind.FLOW, 0, flow_kw[0] + rng.normal(0, 0.3), 0.3)]
    net = pp.from_json(GRID)
    ids = case.ac.bus_ids
    for r in read:
        match r.kind:
            case Kind.VOLTAGE:
                pp.create_measurement(net, "v", "bus", r.value, r.sigma, int(ids[r.at]))
            case Kind.FLOW:
                # pandapower counts what enters the transformer at its lower side.
                pp.create_measurement(net, "p", "trafo", -r.value / 1e3, r.sigma / 1e3, 0, side="lv")
            case kind:
                bus = int(ids[list(POWERS_KW)[r.at]])
                what = "p" if kind is Kind.POWER else "q"
                pp.create_measurement(net, what, "bus", r.value / 1e3, r.sigma / 1e3, bus)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pandapower writes to a slice of a table; the values are right
        assert pandapower_estimate(net, tolerance=1e-10, zero_injection=None, maximum_iterations=50)["success"]

    # Nothing is taken for granted: pseudo-measurements so wide that they weigh nothing.
    told = estimate(case, _injections(1e5, 1e5), read, source_sigma_pu=1e3, branch_share=0.0)

    assert told.voltage_pu.value == pytest.approx(net.res_bus_est.vm_pu.loc[ids].to_numpy(), abs=1e-6)
    taken_kw = net.res_bus_est.p_mw.loc[ids[1:]].to_numpy() * 1e3
    assert told.power_kw.value == pytest.approx(taken_kw, abs=1e-4)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**16),
    extra=st.lists(
        st.tuples(st.sampled_from(list(Kind)), st.integers(0, 4), st.floats(0.001, 5.0)), min_size=1, max_size=4
    ),
)
def test_one_more_reading_never_widens_a_band(case: GridCase, seed: int, extra: list[tuple[Kind, int, float]]) -> None:
    rng = np.random.default_rng(seed)
    p_kw = np.array([0.0, *(p + rng.normal(0, 3.0) for p in POWERS_KW.values())])
    readings = _readings(case, p_kw, TAN * p_kw, rng)
    before = estimate(case, _injections(), readings)
    for kind, at, sigma in extra:
        value = {Kind.VOLTAGE: 1.0, Kind.POWER: list(POWERS_KW.values())[at]}.get(kind, 1.0)
        readings.append(Reading(kind, at, value, sigma * (0.01 if kind is Kind.VOLTAGE else 1.0)))
    after = estimate(case, _injections(), readings)
    for wide, narrow in zip(_widths(before), _widths(after), strict=True):
        assert (narrow <= wide * (1.0 + 1e-9) + 1e-12).all()


def _widths(told: object) -> list[Floats]:
    bands = (told.power_kw, told.voltage_pu, told.loading_pct)  # type: ignore[attr-defined]
    return [band.high - band.value for band in bands]


def test_nine_of_ten_true_values_lie_within_the_bands(case: GridCase) -> None:
    rng = np.random.default_rng(11)
    inside: dict[str, list[bool]] = {"power": [], "voltage": [], "loading": []}
    for _ in range(150):
        p_kw, q_kvar = np.zeros(6), np.zeros(6)
        for bus, power in POWERS_KW.items():
            p_kw[bus] = power + (rng.normal(0, 4.0) if bus not in METERED else rng.normal(0, 0.1))
            q_kvar[bus] = TAN * power + rng.normal(0, 1.0)
        v_pu, _, loading = _solve(case, p_kw, q_kvar)
        told = estimate(case, _injections(), _readings(case, p_kw, q_kvar, rng), branch_share=0.0, source_sigma_pu=1e-4)
        unmetered = [k for k, bus in enumerate(POWERS_KW) if bus not in METERED]
        for name, band, true in (
            ("power", told.power_kw, p_kw[list(POWERS_KW)]),
            ("voltage", told.voltage_pu, v_pu),
            ("loading", told.loading_pct, loading),
        ):
            which = unmetered if name == "power" else [2, 3] if name == "voltage" else [1, 2]
            inside[name] += [bool(band.low[k] <= true[k] <= band.high[k]) for k in which]
    for name, marks in inside.items():
        assert 0.85 <= np.mean(marks) <= 0.97, name


def test_it_says_what_the_readings_alone_do_not_determine(case: GridCase) -> None:
    p_kw = np.array([0.0, *POWERS_KW.values()])
    told = estimate(case, _injections(), _readings(case, p_kw, TAN * p_kw)[:3])
    # The connection and two devices are read: of the other three only the sum is known, and no voltage at all.
    assert told.power_kw.observable.tolist() == [True, False, False, False, True]
    assert not told.voltage_pu.observable.any()

    all_powers = [Reading(Kind.POWER, k, p, 0.1) for k, p in enumerate(POWERS_KW.values())]
    with_one_voltage = estimate(case, _injections(), [*all_powers, Reading(Kind.VOLTAGE, 1, 1.0, 0.001)])
    assert with_one_voltage.power_kw.observable.all()
    assert with_one_voltage.voltage_pu.observable.all()
    assert with_one_voltage.loading_pct.observable.all()
    # What hangs below a bus that is metered on its way is known as a sum only.
    behind = estimate(case, _injections(), [Reading(Kind.FLOW, 1, -26.0, 0.1), Reading(Kind.POWER, 4, -35.0, 0.1)])
    names = dict(zip(case.ac.branch_names, behind.loading_pct.observable.tolist(), strict=True))
    assert names["houses_near - houses_far"]
    assert not names["busbar - office"]


def test_without_any_reading_it_gives_back_what_was_expected(case: GridCase) -> None:
    told = estimate(case, _injections(), [])
    assert told.power_kw.value == pytest.approx(list(POWERS_KW.values()))
    assert not told.power_kw.observable.any()
    assert told.power_kw.high - told.power_kw.low == pytest.approx(np.full(5, 2 * 1.6449 * 4.0))


def test_a_sink_is_never_shown_to_give_power(case: GridCase) -> None:
    sinks = [replace(i, sign=1 if i.expected_kw > 0 else -1) for i in _injections(sigma_kw=20.0)]
    told = estimate(case, sinks, [])
    for injection, low, high in zip(sinks, told.power_kw.low, told.power_kw.high, strict=True):
        assert low >= 0.0 if injection.sign > 0 else high <= 0.0


def test_an_impossible_expectation_is_refused_in_words(case: GridCase) -> None:
    with pytest.raises(EstimationError, match=r"cannot carry the 5000\.0 kW"):
        estimate(case, [Injection("mill", 4, 5000.0, 1.0)], [])
