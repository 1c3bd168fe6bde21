"""The worst case of all devices in failsafe at once, on the demo feeder."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from ems.config.binding import bind
from ems.config.loading import load_site
from ems.config.site import Site
from ems.config.verdict import Verdict
from ems.failsafe import failsafe_extremes, judge

NOW = datetime(2026, 1, 2, tzinfo=UTC)
LOAD_KW = (2.0, 40.0)

Spoil = Callable[[dict], None]


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("state")


@pytest.fixture
def variant(tmp_path: Path, pinned_demo: Path) -> Callable[[Spoil], Site]:
    """Give a maker of pinned sites with one change."""

    def make(spoil: Spoil, series: str | None = None) -> Site:
        folder = tmp_path / "demo_feeder"
        shutil.copytree(pinned_demo, folder)
        if series is not None:
            (folder / "series" / "load.csv").write_text(series, encoding="utf-8")
        text = yaml.safe_load((folder / "site.yaml").read_text(encoding="utf-8"))
        spoil(text)
        (folder / "site.yaml").write_text(yaml.safe_dump(text), encoding="utf-8")
        return load_site(folder)

    return make


def powers(site: Site) -> list[dict[str, float]]:
    return [extreme.power_kw for extreme in failsafe_extremes(site, bind(site))]


def test_steered_devices_stand_at_their_safe_values(variant: Callable[[Spoil], Site]) -> None:
    highest, lowest = powers(variant(lambda _: None))
    assert highest["houses_near"] == pytest.approx(0.4 * LOAD_KW[1])
    assert lowest["houses_near"] == pytest.approx(0.4 * LOAD_KW[0])
    assert (highest["pv"], lowest["pv"]) == (0.0, -30.0)
    assert (highest["battery"], lowest["battery"]) == (0.0, 0.0)
    assert (highest["charge_point"], lowest["charge_point"]) == (pytest.approx(4.14), 0.0)
    assert (highest["heat_pump"], lowest["heat_pump"]) == (5.0, 0.0)


@pytest.mark.parametrize("how", ["monitor", "advise", "lockout", "released"])
def test_what_is_not_steered_may_do_what_its_rating_allows(variant: Callable[[Spoil], Site], how: str) -> None:
    def spoil(text: dict) -> None:
        device = text["devices"]["battery_inverter"]
        if how == "lockout":
            device["lockout"] = True
        elif how == "released":
            device["safe"] = {"setpoint_kw": None}
        else:
            device["mode"] = how

    highest, lowest = powers(variant(spoil))
    assert (highest["battery"], lowest["battery"]) == (40.0, -40.0)


def test_without_a_series_the_import_limit_is_the_peak(variant: Callable[[Spoil], Site]) -> None:
    highest, lowest = powers(variant(lambda text: text["series"].pop("load")))
    assert highest["houses_far"] == pytest.approx(0.4 * 58)
    assert lowest["houses_far"] == 0.0


METERED = {"kind": "metered_load", "device": "office_meter", "bus": "office"}
COLUMNS = """start,houses_near_kw,houses_far_kw,office_load_kw
2025-01-01T00:00:00Z,2,1,4
2025-01-01T00:15:00Z,6,,9
2025-01-01T00:30:00Z,3,4,
"""


def with_a_meter(text: dict) -> None:
    text["devices"]["office_meter"] = {"protocol": "modbus", "profile": "sunspec_meter", "port": 15030}
    text["assets"]["office_load"] = METERED
    for name in ("houses_near", "houses_far"):
        text["assets"][name]["residual_share"] = 0.5


def test_a_metered_load_lies_within_its_own_column(variant: Callable[..., Site]) -> None:
    highest, lowest = powers(variant(with_a_meter, series=COLUMNS))
    assert (lowest["office_load"], highest["office_load"]) == (4.0, 9.0)
    assert (lowest["houses_near"], highest["houses_near"]) == (1.5, 3.5)


def test_a_metered_load_without_a_series_may_take_what_the_connection_carries(
    variant: Callable[[Spoil], Site],
) -> None:
    def spoil(text: dict) -> None:
        with_a_meter(text)
        text["series"].pop("load")

    highest, lowest = powers(variant(spoil))
    assert (lowest["office_load"], highest["office_load"]) == (0.0, 58.0)


def verdict(site: Site, state: Path) -> Verdict:
    return judge(site, state, NOW)


def test_a_grid_that_stands_failsafe_passes(variant: Callable[[Spoil], Site], state: Path) -> None:
    found = verdict(variant(lambda _: None), state)
    assert found.passed
    assert not found.problems
    assert found.cases[0].startswith("import extreme: 49.1 kW in all")
    assert found.cases[1].startswith("export extreme: -28.0 kW in all")


def test_a_released_heat_pump_overloads_the_transformer_in_winter(
    variant: Callable[[Spoil], Site], state: Path
) -> None:
    def spoil(text: dict) -> None:
        text["devices"]["air_handler"]["safe"] = {"setpoint_kw": None}
        text["devices"]["wallbox"]["safe"] = {"limit_a": 16}

    found = verdict(variant(spoil), state)
    assert not found.passed
    assert "import extreme: transformer is loaded to 11" in found.problems[0]
    assert "declare a smaller safe value for air_handler (15.0 kW) or wallbox (11.0 kW)" in found.problems[0]


def test_uncurtailed_sun_lifts_the_voltage(variant: Callable[[Spoil], Site], state: Path) -> None:
    found = verdict(variant(lambda text: text["devices"]["pv_inverter"].update(safe={"limit_kw": 80})), state)
    assert not found.passed
    assert any("export extreme: voltage at barn is 1.0" in words for words in found.problems)
    assert all("pv_inverter (80.0 kW)" in words for words in found.problems)


def test_loads_that_alone_are_too_much_are_said_to_be(variant: Callable[[Spoil], Site], state: Path) -> None:
    def spoil(text: dict) -> None:
        text["series"].pop("load")
        text["grid"]["import_limit_kw"] = 90
        text["devices"]["air_handler"]["safe"] = {"setpoint_kw": 0}
        text["devices"]["wallbox"]["safe"] = {"limit_a": 0}

    found = verdict(variant(spoil), state)
    assert any("the loads alone exceed it" in words for words in found.problems)
