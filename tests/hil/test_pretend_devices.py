"""The devices' physics, one stimulus and one response at a time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil.plant.ambient import Ambient, Device, approach
from hil.plant.battery import Battery
from hil.plant.building import Building, Occupancy, Shell
from hil.plant.charge_point import Car, ChargePoint
from hil.plant.draws import stream
from hil.plant.load import Load
from hil.plant.pv import Pv

WORKDAY = Ambient(local_hour=12.0, weekday=1, outdoor_c=-3.0, irradiance_w_m2=0.0)


def live(device: Device, seconds: float, around: Ambient = WORKDAY, step_s: float = 2.0) -> None:
    """Let a device live in an unchanging world."""
    for k in range(round(seconds / step_s)):
        device.step(replace(around, elapsed_s=around.elapsed_s + k * step_s), step_s)


def battery(soc_pct: float = 50.0, **changes: float) -> Battery:
    made = Battery("busbar", 100.0, 40.0, 40.0, 0.02, 0.03, 0.05, soc_pct)
    for name, value in changes.items():
        setattr(made, name, value)
    return made


class TestBattery:
    def test_left_alone_it_idles_and_loses_its_standby(self) -> None:
        idle = battery()
        live(idle, 3600.0)
        assert idle.power_kw == 0.0
        assert idle.energy_kwh == pytest.approx(49.95)

    @pytest.mark.parametrize(
        ("soc_pct", "asked_kw", "given_kw"),
        [
            (50.0, 20.0, 20.0),
            (50.0, -35.0, -35.0),
            (50.0, 90.0, 40.0),
            (50.0, -90.0, -40.0),
            (90.0, 40.0, 24.0),
            (99.8, 40.0, 8.2),
            (4.0, -40.0, -20.0),
            (0.0, -40.0, 0.0),
        ],
    )
    def test_it_gives_what_the_cells_allow(self, soc_pct: float, asked_kw: float, given_kw: float) -> None:
        found = battery(soc_pct)
        found.command(asked_kw)
        live(found, 20.0)
        assert found.power_kw == pytest.approx(given_kw, abs=0.6)

    def test_it_answers_with_a_lag(self) -> None:
        found = battery()
        found.command(20.0)
        live(found, 2.0)
        assert 5.0 < found.power_kw < 15.0
        live(found, 10.0)
        assert found.power_kw == pytest.approx(20.0, abs=0.2)

    def test_a_round_trip_loses_more_at_high_power(self) -> None:
        def efficiency(power_kw: float) -> float:
            found = battery()
            found.standby_kw = 0.0
            for sign in (1.0, -1.0):
                found.command(sign * power_kw)
                while sign * (found.energy_kwh - 50.0) < (10.0 if sign > 0 else 0.0):
                    live(found, 2.0)
            return found.discharged_kwh / found.charged_kwh

        assert 0.85 < efficiency(40.0) < efficiency(10.0) < 0.97

    @given(st.lists(st.floats(-60.0, 60.0), min_size=1, max_size=40), st.floats(0.0, 100.0))
    def test_energy_is_never_made(self, orders: list[float], soc_pct: float) -> None:
        found = battery(soc_pct)
        began_kwh = found.energy_kwh
        for order_kw in orders:
            found.command(order_kw)
            live(found, 60.0)
        assert 0.0 <= found.energy_kwh <= found.capacity_kwh
        assert found.energy_kwh - began_kwh <= found.charged_kwh - found.discharged_kwh + 1e-9

    def test_the_true_one_is_off_the_site_file(self) -> None:
        drawn = [
            Battery.drawn(
                stream(seed, "battery"), bus="b", capacity_kwh=100.0, rated_kw=(40.0, 40.0), loss=0.04,
                standby_kw=0.05, soc_pct=40.0,
            )
            for seed in range(10)
        ]  # fmt: skip
        assert all(5.0 <= abs(each.capacity_kwh - 100.0) <= 10.0 for each in drawn)
        assert all(each.soc_pct == pytest.approx(40.0) and each.charge_kw == 40.0 for each in drawn)


class TestPv:
    NOON = Ambient(outdoor_c=15.0, irradiance_w_m2=900.0)

    def plant(self) -> Pv:
        return Pv("barn", 80.0, 84.0, -0.004)

    def test_unlimited_it_gives_all_there_is(self) -> None:
        found = self.plant()
        live(found, 3600.0, self.NOON)
        assert -75.0 < found.power_kw < -60.0
        assert found.energy_kwh == pytest.approx(-found.power_kw, rel=0.03)

    def test_a_limit_holds_within_seconds_and_lifts_again(self) -> None:
        found = self.plant()
        live(found, 600.0, self.NOON)
        free_kw = found.power_kw
        found.command(-30.0)
        live(found, 12.0, self.NOON)
        assert found.power_kw == pytest.approx(-30.0, abs=0.3)
        found.command(None)
        live(found, 30.0, self.NOON)
        assert found.power_kw == pytest.approx(free_kw, rel=0.01)

    def test_a_limit_is_told_with_either_sign(self) -> None:
        found = self.plant()
        found.command(30.0)
        assert found.limit_kw == 30.0

    def test_a_cloud_takes_the_power_at_once(self) -> None:
        found = self.plant()
        live(found, 600.0, self.NOON)
        found.step(replace(self.NOON, irradiance_w_m2=200.0), 2.0)
        assert found.power_kw > -20.0

    @pytest.mark.parametrize("irradiance", [0.0, 5.0, 100.0, 600.0, 1100.0, 1400.0])
    def test_it_keeps_within_night_and_nameplate(self, irradiance: float) -> None:
        found = self.plant()
        live(found, 60.0, replace(self.NOON, irradiance_w_m2=irradiance))
        assert -80.0 <= found.power_kw <= 0.0

    def test_hot_cells_give_less(self) -> None:
        found = self.plant()
        assert found.available_kw(800.0, 60.0) < 0.92 * found.available_kw(800.0, 25.0)

    def test_nights_draw_nothing_and_the_nameplate_is_true(self) -> None:
        drawn = Pv.drawn(stream(1, "pv"), bus="b", rated_kw=80.0, module_kw=88.0, per_k=-0.004)
        assert drawn.rated_kw == 80.0
        assert 0.90 <= drawn.module_kw / 88.0 <= 0.95
        assert drawn.available_kw(0.0, 10.0) == 0.0


def car(**changes: float) -> Car:
    facts = {"arrival_s": 100.0, "departure_s": 7200.0, "energy_kwh": 10.0, "phases": 3, "maximum_a": 32.0}
    return Car(**(facts | {"capacity_kwh": 60.0, "soc": 0.5} | changes))  # type: ignore[arg-type]


def point(*cars: Car) -> ChargePoint:
    return ChargePoint("houses_far", 32.0, 0.9, 3, 230.0, cars)


class TestChargePoint:
    def test_uncontrolled_it_charges_at_full_current(self) -> None:
        found = point(car())
        live(found, 160.0)
        assert found.current_a == pytest.approx(32.0, abs=0.1)
        assert found.power_kw == pytest.approx(3 * 230.0 * 32.0 * 0.99 / 1000.0, rel=0.01)

    @pytest.mark.parametrize(
        ("limit_kw", "current_a"),
        [(22.08, 32.0), (11.04, 16.0), (4.14, 6.0), (4.0, 0.0), (0.0, 0.0), (-3.0, 0.0), (99.0, 32.0)],
    )
    def test_less_than_six_ampere_is_a_pause(self, limit_kw: float, current_a: float) -> None:
        found = point(car())
        found.command(limit_kw)
        live(found, 200.0)
        assert found.current_a == pytest.approx(current_a, abs=0.1)

    def test_a_single_phase_car_takes_a_third(self) -> None:
        found = point(car(phases=1))
        live(found, 200.0)
        assert found.power_kw == pytest.approx(230.0 * 32.0 * 0.99 / 1000.0, rel=0.01)

    def test_a_small_car_takes_its_own_current(self) -> None:
        found = point(car(maximum_a=16.0))
        live(found, 200.0)
        assert found.current_a == pytest.approx(16.0, abs=0.1)

    def test_the_power_falls_with_the_voltage(self) -> None:
        low = replace(WORKDAY, voltage_pu={"houses_far": 0.9})
        found = point(car())
        live(found, 200.0, low)
        assert found.power_kw == pytest.approx(0.9 * 3 * 230.0 * 32.0 * 0.99 / 1000.0, rel=0.01)

    def test_a_nearly_full_car_tapers_but_not_below_six_ampere(self) -> None:
        found = point(car(soc=0.9, energy_kwh=6.5))
        live(found, 200.0)
        early_a = found.current_a
        live(found, 2400.0, replace(WORKDAY, elapsed_s=200.0))
        assert 6.0 <= found.current_a < early_a < 17.0

    def test_it_stops_when_the_car_has_what_it_wants(self) -> None:
        found = point(car(energy_kwh=2.0))
        live(found, 1200.0)
        assert found.power_kw == 0.0
        assert found.car is not None and found.car.delivered_kwh == pytest.approx(2.0, abs=0.02)
        assert found.energy_kwh == pytest.approx(2.0 / 0.9, rel=0.02)

    def test_what_is_missing_at_departure_is_written_down(self) -> None:
        found = point(car(departure_s=400.0))
        live(found, 600.0)
        (left,) = found.departures
        assert found.car is None and found.power_kw == 0.0
        assert left.wanted_kwh == 10.0 and 0.0 < left.delivered_kwh < 3.0

    def test_cars_come_one_after_the_other_and_are_announced(self) -> None:
        heard: list[Car] = []
        first, second = car(departure_s=300.0), car(arrival_s=300.0, energy_kwh=5.0)
        found = point(first, second)
        found.on_arrival = heard.append
        live(found, 400.0)
        assert heard == [first, second]
        assert found.state()["missing_kwh"] <= 5.0

    @given(st.integers(0, 200), st.floats(1.0, 60.0), st.sampled_from([7.4, 11.0, 22.0]))
    def test_a_drawn_car_has_room_for_its_wish(self, seed: int, energy_kwh: float, charge_kw: float) -> None:
        drawn = Car.drawn(stream(seed, "car"), stay_s=(0.0, 10.0), energy_kwh=energy_kwh, charge_kw=charge_kw)
        assert drawn.soc > 0.0 and drawn.soc + energy_kwh / drawn.capacity_kwh <= 1.0
        assert drawn.phases * 230.0 * drawn.maximum_a == pytest.approx(charge_kw * 1000.0)


SHELL = Shell(4.0, 40.0, 0.25, 1.4, 3.5, 2.0, 6.0)
OFFICE = Occupancy(18.0, 20.5, 7.0, 19.0, (0, 1, 2, 3, 4))


def office(air_c: float = 20.0, mass_c: float | None = None) -> Building:
    return Building("office", 15.0, 1.8, 3.0, 0.06, SHELL, OFFICE, 0.25, air_c, air_c if mass_c is None else mass_c)


class TestBuilding:
    @pytest.mark.parametrize(
        ("asked_kw", "runs_kw"), [(5.0, 5.0), (30.0, 15.0), (1.8, 1.8), (1.2, 1.8), (0.8, 0.0), (0.0, 0.0)]
    )
    def test_the_compressor_has_a_minimum_and_a_rating(self, asked_kw: float, runs_kw: float) -> None:
        found = office(21.0)
        found.command(asked_kw)
        live(found, 60.0)
        assert found.power_kw == pytest.approx(runs_kw, abs=0.05)

    def test_left_alone_it_keeps_people_comfortable(self) -> None:
        found = office(20.5)
        live(found, 8 * 3600.0, step_s=10.0)
        assert 20.5 <= found.air_c <= 21.6
        assert 5.0 < found.power_kw < 12.0

    @pytest.mark.parametrize(
        ("weekday", "hour", "floor_c"),
        [(1, 12.0, 20.5), (1, 6.5, 18.0), (1, 19.0, 18.0), (5, 12.0, 18.0)],
    )
    def test_the_floor_follows_the_occupation(self, weekday: int, hour: float, floor_c: float) -> None:
        assert OFFICE.floor_c(weekday, hour) == floor_c

    def test_it_warms_up_before_people_come(self) -> None:
        found = office(18.2)
        live(found, 60.0, replace(WORKDAY, local_hour=5.5))
        assert found.power_kw > 14.0
        night = office(19.2)
        live(night, 60.0, replace(WORKDAY, local_hour=4.0))
        assert night.power_kw == 0.0

    def test_the_extremes_are_protected_from_any_command(self) -> None:
        hot, cold = office(27.5), office(15.0)
        hot.command(15.0)
        cold.command(0.0)
        live(hot, 30.0)
        live(cold, 60.0)
        assert hot.power_kw == 0.0
        assert cold.power_kw == pytest.approx(15.0, abs=0.1)

    def test_it_settles_where_heat_in_equals_heat_out(self) -> None:
        found = office(21.0)
        found.command(8.0)
        live(found, 40 * 86400.0, replace(WORKDAY, outdoor_c=0.0), step_s=60.0)
        conductance = 1.0 / 1.4 + 1.0 / (3.5 + 0.25)
        heat_kw = found.cop(0.0, 8.0) * 8.0 + 2.0
        assert found.air_c == pytest.approx(heat_kw / conductance, rel=0.01)

    def test_the_sun_warms_mass_and_air(self) -> None:
        dark, bright = office(20.0), office(20.0)
        for found, sun in ((dark, 0.0), (bright, 800.0)):
            found.command(0.0)
            live(found, 3600.0, replace(WORKDAY, irradiance_w_m2=sun))
        assert bright.air_c > dark.air_c + 0.3
        assert bright.mass_c > dark.mass_c

    @given(st.floats(-25.0, 40.0), st.floats(0.0, 15.0))
    def test_the_cop_is_plausible_and_falls_with_load(self, outdoor_c: float, power_kw: float) -> None:
        found = office()
        assert 1.5 <= found.cop(outdoor_c, power_kw) <= 6.0
        assert found.cop(outdoor_c, 15.0) <= found.cop(outdoor_c, power_kw) <= found.cop(outdoor_c, 0.0)

    def test_the_true_shell_is_off_in_every_figure(self) -> None:
        drawn = SHELL.drawn(stream(1, "shell"))
        for name in Shell.__slots__:
            assert 0.049 <= abs(getattr(drawn, name) / getattr(SHELL, name) - 1.0) <= 0.151


class TestLoad:
    def test_it_follows_its_series_and_holds_the_last_value(self) -> None:
        found = Load("office", np.array([1.0, 2.0, 3.0]), 0.25)
        for elapsed_s, power_kw in ((0.0, 1.0), (9.9, 1.0), (10.0, 2.0), (1000.0, 3.0)):
            found.step(replace(WORKDAY, elapsed_s=elapsed_s), 2.0)
            assert found.power_kw == power_kw
        assert found.reactive_kvar == pytest.approx(0.75)

    def test_nobody_steers_a_house(self) -> None:
        with pytest.raises(ValueError, match="cannot be commanded to 3"):
            Load("office", np.zeros(3), 0.25).command(3.0)


@given(st.floats(-100.0, 100.0), st.floats(-100.0, 100.0), st.floats(0.1, 100.0))
def test_an_approach_never_overshoots(value: float, target: float, dt_s: float) -> None:
    reached = approach(value, target, dt_s, 2.0)
    assert min(value, target) - 1e-9 <= reached <= max(value, target) + 1e-9
