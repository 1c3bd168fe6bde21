"""Bindings: the turn between asset power and device unit keeps its laws on every kind of asset."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_site import DEMO

from ems.config.binding import Bindings, CommandBinding, CommandKind, bind
from ems.config.loading import load_site

ASSETS = st.sampled_from(["battery", "charge_point", "heat_pump", "pv"])


@pytest.fixture(scope="session")
def bindings(pinned_demo: Path) -> Bindings:
    return bind(load_site(pinned_demo))


def command(bindings: Bindings, asset: str) -> CommandBinding:
    found = bindings.command(asset)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("asset", "point", "kind", "kw", "value"),
    [
        ("battery", "battery_inverter.setpoint_kw", CommandKind.SETPOINT, -12.5, -12.5),
        ("battery", "battery_inverter.setpoint_kw", CommandKind.SETPOINT, 99.0, 40.0),
        ("pv", "pv_inverter.limit_kw", CommandKind.LIMIT, -30.0, 30.0),
        ("pv", "pv_inverter.limit_kw", CommandKind.LIMIT, 5.0, 0.0),
        ("charge_point", "wallbox.limit_a", CommandKind.LIMIT, 11.04, 16.0),
        ("charge_point", "wallbox.limit_a", CommandKind.LIMIT, 4.14, 6.0),
        ("charge_point", "wallbox.limit_a", CommandKind.LIMIT, 4.13, 0.0),
        ("charge_point", "wallbox.limit_a", CommandKind.LIMIT, 40.0, 31.884058),
        ("heat_pump", "air_handler.setpoint_kw", CommandKind.SETPOINT, 7.0, 7.0),
        ("heat_pump", "air_handler.setpoint_kw", CommandKind.SETPOINT, None, None),
    ],
)
def test_power_turns_into_the_device_s_unit(
    bindings: Bindings, asset: str, point: str, kind: CommandKind, kw: float | None, value: float | None
) -> None:
    bound = command(bindings, asset)
    assert (bound.point, bound.kind) == (point, kind)
    assert bound.to_point(kw) == value


@given(ASSETS, st.floats(-1e4, 1e4))
def test_a_command_stays_in_its_bounds_and_comes_back_the_same(bindings: Bindings, asset: str, kw: float) -> None:
    bound = command(bindings, asset)
    value = bound.to_point(kw)
    assert value is not None
    back_kw = bound.to_kw(value)
    assert bound.lower_kw - 1e-5 <= back_kw <= bound.upper_kw + 1e-5
    clamped_kw = min(max(kw, bound.lower_kw), bound.upper_kw)
    paused = value == 0.0 and abs(clamped_kw * bound.per_kw) <= bound.minimum
    assert paused or back_kw == pytest.approx(clamped_kw, abs=1e-5)


@given(ASSETS, st.floats(-1e4, 1e4))
def test_a_value_that_was_commanded_is_commanded_again(bindings: Bindings, asset: str, kw: float) -> None:
    bound = command(bindings, asset)
    value = bound.to_point(kw)
    assert value is not None
    assert bound.to_point(bound.to_kw(value)) == pytest.approx(value, abs=2e-6)


def test_measured_roles_name_points_of_the_asset_s_device(bindings: Bindings) -> None:
    assert bindings.measure("connection", "power_kw") == "grid_meter.power_kw"
    assert bindings.measure("battery", "soc_pct") == "battery_inverter.soc_pct"
    assert bindings.measure("battery", "temperature_c") is None
    assert bindings.measure("houses_near", "power_kw") is None
    assert bindings.asset_of("wallbox") == "charge_point"
    assert bindings.asset_of("nobody") is None


def test_safe_values_are_powers_into_the_asset(bindings: Bindings) -> None:
    assert bindings.safe_kw("pv") == -30.0
    assert bindings.safe_kw("battery") == 0.0
    assert bindings.command("connection") is None


def test_the_site_file_may_bind_a_role_to_another_point(demo_copy: Path) -> None:
    text = (DEMO / "site.yaml").read_text(encoding="utf-8")
    spoiled = text.replace(
        "profile: sunspec_battery", "profile: sunspec_battery\n    roles: {energy_kwh: discharge_kwh}"
    )
    (demo_copy / "site.yaml").write_text(spoiled, encoding="utf-8")
    bindings = bind(load_site(demo_copy))
    assert bindings.measure("battery", "energy_kwh") == "battery_inverter.discharge_kwh"
