"""Derived coefficients that no plan shows by itself."""

from __future__ import annotations

import numpy as np
import pytest
from districts import PUMP, hours, zone_step
from hypothesis import given
from hypothesis import strategies as st

from optimization.assets import ChargePoint, EvSession
from optimization.building import discretised
from optimization.slots import Slots, chain, uniform
from optimization.weights import early_cost

SLOTS = uniform(hours(0), 8, 900.0)
POINT = ChargePoint("point", 10.0, efficiency=1.0)


def test_presence_is_the_share_of_each_slot():
    stay = EvSession(hours(-1), hours(0.6), 1.0)
    np.testing.assert_allclose(stay.presence(SLOTS), [1, 1, 0.4, 0, 0, 0, 0, 0])


@pytest.mark.parametrize(
    ("arrival_h", "departure_h", "energy_kwh", "wanted"),
    [
        (0, 1, 8.0, 8.0),  # gone within the horizon: all of it
        (0, 4, 8.0, 4.0),  # half of the stay lies within: half of it
        (0, 3, 28.0, 56 / 3),  # share in time and what cannot be made good later agree or the greater one counts
        (0, 3, 30.0, 20.0),  # later hours give 10 kWh at the most
        (3, 4, 8.0, 0.0),  # arrives after the end
    ],
)
def test_a_stay_beyond_the_horizon_wants_its_part_within(arrival_h, departure_h, energy_kwh, wanted):
    session = EvSession(hours(arrival_h), hours(departure_h), energy_kwh)
    assert POINT.wanted_kwh(session, SLOTS) == pytest.approx(wanted)


@given(st.floats(-20, 40), st.floats(-20, 40), st.floats(-20, 40), st.floats(-5, 30), st.floats(0.01, 12))
def test_the_zone_is_discretised_exactly(air, mass, out, heat, step_h):
    keep, per_kw, per_c = discretised(PUMP, step_h)
    stepped = keep @ np.array([air, mass]) + per_kw * heat + per_c * out
    np.testing.assert_allclose(stepped, zone_step(PUMP, air, mass, out, heat, step_h), atol=1e-9)


def test_the_horizon_ends_where_no_slot_follows():
    assert SLOTS.ends.tolist() == [0.0] * 7 + [1.0]
    # A ring: the first slot in time is number 2, number 1 the last.
    ring = Slots(hours(0), np.zeros(4), np.ones(4), np.array([3, 0, 1, 2]), np.array([1.0, 1.0, 0.0, 1.0]))
    assert ring.ends.tolist() == [0.0, 1.0, 0.0, 0.0]


def test_being_late_costs_more_each_slot_and_always_little():
    per_kwh = early_cost(chain(hours(0), [300.0] + [900.0] * 143)) / np.append(300.0, np.full(143, 900.0)) * 3600
    assert (np.diff(per_kwh) > 0).all()
    assert per_kwh[-1] < 4e-4


@pytest.mark.parametrize(("factor", "ratio"), [(1.0, 0.0), (0.97, 0.250625), (0.5, 3**0.5)])
def test_reactive_power_from_the_power_factor(factor, ratio):
    assert ChargePoint("point", 10.0, power_factor=factor).reactive_per_active == pytest.approx(ratio, rel=1e-4)
