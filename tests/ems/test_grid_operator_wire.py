"""The whole daemon with a grid operator's gateway on a real Modbus wire."""

from __future__ import annotations

from stage import make_plan

from drivers.registry import DeviceSpec, build_driver
from hil.endpoints.limit_gateway import LimitGateway
from hil.endpoints.modbus_server import ModbusServer

REGISTERS = {
    "device": "gateway",
    "heartbeat": "heartbeat_state",
    "import_limit": "import_limit_kw",
    "export_limit": "export_limit_kw",
}


async def test_the_daemon_obeys_the_registers_of_a_real_wire_and_falls_to_failsafe_when_it_is_cut(show) -> None:
    gateway = LimitGateway(50.0, 40.0)
    server = ModbusServer("127.0.0.1", 0, {1: gateway})
    await server.open()
    one = show(
        changes={
            "grid_operator": {"failsafe_import_kw": 20.0, "failsafe_export_kw": 0.0, "registers": {"box": REGISTERS}},
            "devices.gateway": {"protocol": "simulated", "profile": "limit_gateway", "port": 9},
        }
    )
    driver = build_driver("gateway", DeviceSpec("modbus", "limit_gateway", port=server.port), one.clock)
    one.yard.drivers["gateway"] = one.daemon._parts.drivers["gateway"] = driver
    one.publish(make_plan({"battery": 15.0, "heat": 3.0, "pv": -4.0, "car": 0.0}, slots=96))
    for at_s in range(0, 900, 10):
        one.script[float(at_s)] = lambda at_s=at_s: gateway.tick(float(at_s))

    def now() -> tuple[str, float | None]:
        limit = one.daemon.loop.last.outcome.limits[0]
        return limit.state.value, limit.kw

    await one.run_until(55.0)
    assert (now(), one.yard.grid_kw) == (("limited", 50.0), 30.0)
    gateway.allow(12.0, 40.0)
    await one.run_until(61.0)
    assert now() == ("limited", 12.0)
    await one.run_until(71.0)
    assert one.yard.grid_kw <= 12.0
    gateway.allow(50.0, 40.0)
    await one.run_until(101.0)
    assert one.yard.grid_kw == 30.0
    await server.close()
    await one.run_until(191.0)
    assert now() == ("limited", 50.0)
    await one.run_until(231.0)
    assert now() == ("failsafe", 20.0)
    assert {"device:gateway", "grid_limit:import", "grid_limit:export"} <= one.alarms()
    await one.run_until(241.0)
    assert one.yard.grid_kw <= 20.0
    await server.open()
    await one.run_until(400.0)
    assert now() == ("limited", 50.0)
    assert one.yard.grid_kw == 30.0
    await driver.close()
    await server.close()
