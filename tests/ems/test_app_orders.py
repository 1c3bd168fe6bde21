"""The whole daemon under people's orders."""

from __future__ import annotations

from stage import make_plan

from ems.health import State
from ems.store.requests import release

CYCLE_S = 10.0


class TestOrders:
    async def test_an_override_holds_until_it_expires(self, show):
        one = show()
        one.publish(make_plan({"battery": 5.0}))
        await one.run_until(20.0)
        one.ask("override", "battery", power_kw=-7.0, for_s=60.0)
        await one.run_until(31.0)
        assert one.command("store") == -7.0
        assert one.daemon._health.state is State.OVERRIDE
        await one.run_until(100.0)
        assert one.command("store") == 5.0

    async def test_a_locked_device_is_never_written_not_even_to_release_it(self, show):
        one = show()
        one.publish(make_plan({"battery": 5.0, "heat": 3.0}))
        await one.run_until(20.0)
        one.ask("lockout", "heater", on=True)
        one.yard.drivers["heater"].commands["setpoint_kw"] = 7.7
        await one.run_until(400.0)
        assert one.command("heater") == 7.7
        assert one.command("store") == 5.0

    async def test_a_device_without_a_watchdog_is_told_its_safe_value_when_it_leaves_control(self, show):
        one = show(changes={"devices.heater.safe": {"setpoint_kw": 1.0}})
        one.publish(make_plan({"battery": 5.0, "heat": 3.0}))
        await one.run_until(20.0)
        one.ask("mode", "heater", mode="monitor")
        one.ask("mode", "store", mode="advise")
        await one.run_until(31.0)
        assert one.command("heater") == 1.0
        one.yard.drivers["heater"].commands["setpoint_kw"] = 7.7
        await one.run_until(200.0)
        assert one.command("heater") == 7.7
        assert one.command("store") == 0.0, "its own watchdog ran out"
        assert one.daemon.loop.last.outcome.decisions["battery"].kw == 5.0, "advised all the same"

    async def test_release_all_releases_every_commanded_point_once_and_survives_a_restart(self, show):
        one = show()
        one.publish(make_plan({"battery": 5.0, "heat": 3.0, "pv": -30.0}))
        await one.run_until(60.0)
        number = one.ask("release_all", "yard", on=True)
        await one.run_until(71.0)
        assert [one.command(d) for d in ("store", "inverter", "heater", "wallbox")] == [None] * 4
        writes = one.yard.writes
        await one.run_until(200.0)
        assert one.yard.writes == writes
        await one.daemon.stop()
        one.daemon = one.build()
        await one.run_until(300.0)
        assert one.daemon._health.state is State.OVERRIDE
        release(one.state, number, "Ada", "done", one.clock.now())
        one.publish(make_plan({"battery": 5.0}, made_at=one.clock.now()))
        await one.run_until(320.0)
        assert one.command("store") == 5.0
