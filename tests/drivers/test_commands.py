"""Laws of the way down, without a wire: what is written means what was asked, and proof is never taken on trust."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from maker_images import MAKERS
from raw_modbus_server import HOLDING, battery_image, pv_image, wallbox_image

from drivers.modbus.commands import Command, WriteRequest, admitted, effective, reading
from drivers.modbus.profile import modbus_profile
from drivers.modbus.registers import EncodeError, Table, Unusable, decode
from drivers.modbus.scan import Placed, Scan, spans
from drivers.points import Quality

BASES = {
    "sunspec_pv": {1: 40002, 103: 40070, 120: 40122, 704: 40150},
    "sunspec_battery": {1: 40002, 103: 40070, 124: 40122},
    "solaredge_inverter": {1: 40002, 103: 40070},
}
STEP_A = {"amperfied_wallbox": 0.1, "bender_cc612": 1.0, "vestel_evc04": 1.0}
IMAGES = {
    "sunspec_pv": pv_image,
    "sunspec_battery": battery_image,
    "amperfied_wallbox": wallbox_image,
    **{name: image for name, image in MAKERS.items() if name not in ("heat_meter", "limit_gateway", "tank_sensors")},
}
ROLE = {
    "sunspec_pv": "limit_kw",
    "solaredge_inverter": "limit_kw",
    "sunspec_battery": "setpoint_kw",
    "daikin_homehub": "sg_state",
    "genset": "setpoint_kw",
    "boiler": "setpoint_kw",
    "electric_heater": "setpoint_kw",
    "pipe_pump": "setpoint_kw",
    "deferrable_load": "run_state",
    "bidirectional_charger": "setpoint_kw",
    "hybrid_inverter": "setpoint_kw",
}
VALUE = {"daikin_homehub": 3.0, "genset": -10.0, "deferrable_load": 1.0}
"""What is commanded of one that does not take 10."""
SAFE = {"genset": -8.0, "deferrable_load": 0.0}
"""The safe value of one that does not take 8."""


class Bench:
    """A device map over a register image, without a driver."""

    def __init__(self, name: str) -> None:
        self.profile = modbus_profile(name)
        self.image = IMAGES[name]()
        bases = BASES.get(name, {})
        registers = self.profile.registers
        self.placed = {n: Placed(r, r.at + bases.get(r.model, 0)) for n, r in registers.items()}
        self.point = self.profile.points[ROLE.get(name, "limit_a")]

    def put(self, name: str, word: int) -> None:
        place = self.placed[name]
        self.image[3 if place.register.table is Table.HOLDING else 4, place.address] = word & 0xFFFF

    def scan(self) -> Scan:
        raw = {}
        for name, place in self.placed.items():
            table = HOLDING if place.register.table is Table.HOLDING else 4
            words = [self.image[table, place.address + i] for i in range(place.register.layout.words)]
            raw[name] = decode(place.register, words)
        return Scan(self.profile, raw, 0.0)

    def obey(self, requests: tuple[WriteRequest, ...]) -> None:
        for request in requests:
            self.image |= {(HOLDING, request.address + i): word for i, word in enumerate(request.words)}


@given(
    st.sampled_from([("sunspec_pv", 0.0, 80.0), ("sunspec_battery", -40.0, 40.0)]),
    st.floats(0, 1),
    st.integers(-2, 0),
    st.floats(0.2, 60000),
)
def test_a_device_that_obeys_holds_what_was_asked(case, share: float, exponent: int, lease_s: float) -> None:
    name, low, high = case
    bench = Bench(name)
    bench.put("WMaxLimPct_SF" if name == "sunspec_pv" else "InOutWRte_SF", exponent)
    value = low + share * (high - low)
    command = Command(bench.point, value, 35.0 if name == "sunspec_pv" else None, lease_s)
    bench.obey(command.requests(bench.scan(), bench.placed))
    step = max(abs(low), high) * 10.0**exponent / 100
    held = effective(bench.point, bench.scan())
    if name == "sunspec_pv":  # a limit, which is never rounded up
        assert value - step - 1e-9 <= held <= value + 1e-6 * step
    else:
        assert held == pytest.approx(value, abs=step / 2 + 1e-9)
    assert command.is_held(bench.scan(), bench.placed)
    assert reading(bench.point, bench.scan()).quality is Quality.GOOD
    timer = "WMaxLimPctRvrtTms" if name == "sunspec_pv" else "InOutWRte_RvrtTms"
    assert bench.scan().number(timer) == math.ceil(lease_s - 1e-9) >= 1


@given(st.sampled_from(sorted(STEP_A)), st.floats(allow_nan=True, allow_infinity=True) | st.floats(0, 40))
def test_a_charge_point_gets_nothing_that_it_cannot_do_and_never_more_than_asked(name: str, amperes: float) -> None:
    bench = Bench(name)
    command = Command(bench.point, amperes, 6.0, 60)
    possible = amperes == 0 or amperes >= 6
    try:
        bench.obey(command.requests(bench.scan(), bench.placed))
    except EncodeError:
        assert not possible or amperes == math.inf
    else:
        assert possible
        wanted = min(amperes, 32.0)
        assert wanted - STEP_A[name] < effective(bench.point, bench.scan()) <= wanted + 1e-6


@pytest.mark.parametrize("name", IMAGES)
def test_any_register_that_differs_breaks_the_proof(name: str) -> None:
    bench = Bench(name)
    command = Command(bench.point, VALUE.get(name, 10.0), SAFE.get(name, 8.0), 10)
    requests = command.requests(bench.scan(), bench.placed)
    bench.obey(requests)
    assert command.is_held(bench.scan(), bench.placed)
    for request in requests:
        if request.is_taken_back:
            continue
        for index, word in enumerate(request.words):
            bench.obey((request,))
            bench.image[HOLDING, request.address + index] = word ^ 0x4000
            assert not command.is_held(bench.scan(), bench.placed), (request, index)
            bench.obey(requests)


def test_a_sign_of_life_proves_nothing_and_is_given_each_time() -> None:
    bench = Bench("vestel_evc04")
    command = Command(bench.point, 10.0, 6.0, 60)
    bench.obey(command.requests(bench.scan(), bench.placed))
    bench.put("alive", 0)  # the box has taken it back
    assert command.is_held(bench.scan(), bench.placed)
    again = command.requests(bench.scan(), bench.placed)
    assert [(request.address, request.words) for request in again] == [(5004, (10,)), (6000, (1,))]
    assert "alive" not in {name for span in spans(bench.placed, 125) for name in span.names}


def test_what_is_kept_for_ever_is_not_written_again() -> None:
    """An odd percentage has no exact 32-bit float: it must still be recognised as the one that is there."""
    bench = Bench("solaredge_inverter")
    command = Command(bench.point, 10.0, 1.1, 60)
    assert len(command.requests(bench.scan(), bench.placed)) == 3
    bench.obey(command.requests(bench.scan(), bench.placed))
    (again,) = command.requests(bench.scan(), bench.placed)
    assert again.address == 62242
    assert effective(bench.point, bench.scan()) == pytest.approx(10.0, rel=1e-6)


def test_a_lease_that_runs_down_is_still_proof_but_one_that_stands_at_zero_is_none() -> None:
    bench = Bench("sunspec_battery")
    command = Command(bench.point, 10.0, None, 60)
    bench.obey(command.requests(bench.scan(), bench.placed))
    bench.put("InOutWRte_RvrtTms", 58)
    assert command.is_held(bench.scan(), bench.placed)
    for wrong in (0, 61):
        bench.put("InOutWRte_RvrtTms", wrong)
        assert not command.is_held(bench.scan(), bench.placed)


@pytest.mark.parametrize("name", [name for name in IMAGES if Bench(name).point.released_when])
def test_a_released_device_says_so(name: str) -> None:
    bench = Bench(name)
    bench.obey(
        Command(bench.point, VALUE.get(name, 10.0), SAFE.get(name, 8.0), 60).requests(bench.scan(), bench.placed)
    )
    release = Command(bench.point, None, SAFE.get(name, 8.0), 60)
    assert not release.is_held(bench.scan(), bench.placed)
    bench.obey(release.requests(bench.scan(), bench.placed))
    assert release.is_held(bench.scan(), bench.placed)
    assert effective(bench.point, bench.scan()) is None


def test_without_a_declared_safe_value_the_device_falls_back_to_its_own_maximum() -> None:
    bench = Bench("sunspec_pv")
    bench.obey(Command(bench.point, 10.0, None, 60).requests(bench.scan(), bench.placed))
    assert bench.scan().number("WMaxLimPctRvrt") == 10000


@pytest.mark.parametrize("broken", ["WRtg", "WRtg_SF", "WMaxLimPct_SF"])
def test_nothing_is_encoded_with_an_unknown_scale(broken: str) -> None:
    bench = Bench("sunspec_pv")
    bench.put(broken, 0xFFFF if broken == "WRtg" else 0x8000)
    with pytest.raises(EncodeError, match=broken):
        Command(bench.point, 10.0, 5.0, 60).requests(bench.scan(), bench.placed)


def test_a_rating_of_nothing_admits_nothing() -> None:
    bench = Bench("sunspec_battery")
    bench.put("WChaMax", 0)
    with pytest.raises(EncodeError, match=r"outside -?0 to 0"):
        admitted(bench.point, 1.0, bench.scan())


def test_a_value_and_its_exponent_are_one_span() -> None:
    bench = Bench("sunspec_pv")
    held = {span.names[0]: span for span in spans(bench.placed, 125)}
    exponent = bench.placed["WMaxLimPct_SF"].address
    assert held["WMaxLimPct"].address <= exponent < held["WMaxLimPct"].end


def test_what_was_not_read_is_unusable() -> None:
    scan = Scan(modbus_profile("sunspec_pv"), {}, 0.0)
    assert scan.value("W") == Unusable("not read")
    assert not scan.is_released("limit_kw")
