"""The SunSpec devices of the feeder: meter, PV inverter, battery inverter.

Images are brought up to date when somebody reads. Reversion timers run on the plant's time: when a lease written by a
controller ends, the device goes back to what the lease says, by itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from hil.endpoints.modbus_server import Fault, ModbusFault, Table
from hil.endpoints.sunspec import Image, scaled
from hil.plant.power_flow import GridState

PERCENT_EXPONENT = -2
FULL = 10_000  # 100 % at that exponent
NOMINAL_V = 230.94  # 400 V between phases
SERVED_KWH = 1000.0
"""Energy registers of devices in service do not begin at zero, which means "not implemented" there."""


class PlantFace(Protocol):
    """What the devices need of the plant."""

    elapsed_s: float
    import_kwh: float
    export_kwh: float
    grid: GridState

    def command(self, asset: str, power_kw: float | None) -> None:
        """Tell a device its power [kW]."""

    def command_kvar(self, asset: str, kvar: float | None) -> None:
        """Tell an inverter its reactive power [kvar]."""

    def state(self, asset: str) -> Mapping[str, float]:
        """Tell what a sensor could know."""

    def voltage_pu(self, bus: str) -> float:
        """Give the voltage of a bus now."""


@dataclass(slots=True)
class Reversion:
    """A device's timer: running until an instant [s], or not at all."""

    until_s: float | None = None

    def restart(self, now_s: float, seconds: int) -> None:
        """Start anew; zero seconds mean no timer."""
        self.until_s = now_s + seconds if seconds > 0 else None

    def ended(self, now_s: float) -> bool:
        """Tell once that the time is up."""
        if self.until_s is None or now_s < self.until_s:
            return False
        self.until_s = None
        return True

    def left_s(self, now_s: float) -> int:
        """Tell the time that is left [s]."""
        return 0 if self.until_s is None else max(0, round(self.until_s - now_s))


class SunSpecDevice:
    """A register image in front of one asset.

    Args:
        plant: the plant. asset: id of the asset. bus: its bus.
        models: SunSpec models in order. writable: raw limits of the writable points.
    """

    garbage_word = 0x8000  # "not implemented" of values and scale factors

    def __init__(
        self, plant: PlantFace, asset: str, bus: str, models: Sequence[int], writable: Mapping[str, tuple[int, int]]
    ) -> None:
        self.plant, self.asset, self.bus = plant, asset, bus
        self.image = Image(models)
        self._writable = writable
        self._fresh_at_s = -1.0
        self.image.put({"1.Mn": "Pretend", "1.Md": type(self).__name__, "1.SN": asset, "1.DA": 1})

    def read(self, table: Table, address: int, count: int) -> bytes:  # noqa: ARG002 -- both tables show the same
        """Give registers as of now; raises `ModbusFault`."""
        if self._fresh_at_s != self.plant.elapsed_s:
            self._fresh_at_s = self.plant.elapsed_s
            self.refresh()
        return self.image.read(address, count)

    def write(self, address: int, values: tuple[int, ...]) -> None:
        """Take registers: all are checked first, then all are set; raises `ModbusFault`."""
        asked = self.image.preview(address, values, frozenset(self._writable))
        for name, raw in asked.items():
            lower, upper = self._writable[name]
            if not lower <= raw <= upper:
                raise ModbusFault(Fault.ILLEGAL_VALUE)
        self.image.put(asked)
        self.obey(frozenset(asked))

    def tick(self, now_s: float) -> None:
        """Run the device's own timers; the instant counts since the start of the world [s]."""

    def refresh(self) -> None:
        """Bring the measurements up to date."""

    def obey(self, touched: frozenset[str]) -> None:
        """Act on a write."""

    def put_inverter(self, generated_kw: float, generated_kwh: float) -> None:
        """Fill model 103: an inverter counts generation positive."""
        volts = NOMINAL_V * self.plant.voltage_pu(self.bus)
        phase_a = _phase_a(abs(generated_kw), volts)
        raw = {f"103.{name}": scaled(phase_a, -1) for name in ("AphA", "AphB", "AphC")}
        raw |= {f"103.{name}": scaled(volts, -1) for name in ("PhVphA", "PhVphB", "PhVphC")}
        raw |= {"103.A": scaled(3.0 * phase_a, -1), "103.A_SF": -1, "103.V_SF": -1, "103.W_SF": 1, "103.WH_SF": 0}
        raw |= {"103.W": scaled(generated_kw * 1000.0, 1), "103.WH": scaled((SERVED_KWH + generated_kwh) * 1000.0, 0)}
        raw |= {"103.Hz": 5000, "103.Hz_SF": -2, "103.St": 4 if abs(generated_kw) > 0.05 else 8}
        self.image.put(raw)


class _Model203(SunSpecDevice):
    """A three-phase meter, model 203: import is positive."""

    def __init__(self, plant: PlantFace, asset: str, bus: str) -> None:
        super().__init__(plant, asset, bus, (1, 203), {})
        self.image.put({"203.A_SF": -1, "203.V_SF": -1, "203.Hz_SF": -2, "203.W_SF": 1, "203.VAR_SF": 1})
        self.image.put({"203.TotWh_SF": 0})

    def put_meter(self, power_kw: float, reactive_kvar: float, import_kwh: float, export_kwh: float) -> None:
        """Fill model 203; the registers count from the day that the meter was mounted."""
        volts = NOMINAL_V * self.plant.voltage_pu(self.bus)
        phase_a = _phase_a((power_kw**2 + reactive_kvar**2) ** 0.5, volts)
        raw = {f"203.{name}": scaled(volts, -1) for name in ("PhV", "PhVphA", "PhVphB", "PhVphC")}
        raw |= {f"203.{name}": scaled(phase_a, -1) for name in ("AphA", "AphB", "AphC")}
        raw |= {f"203.W{phase}": scaled(power_kw * 1000.0 / 3.0, 1) for phase in ("phA", "phB", "phC")}
        raw |= {"203.W": scaled(power_kw * 1000.0, 1), "203.VAR": scaled(reactive_kvar * 1000.0, 1)}
        raw |= {"203.A": scaled(3.0 * phase_a, -1), "203.Hz": 5000}
        raw |= {"203.TotWhImp": scaled((SERVED_KWH + import_kwh) * 1000.0, 0)}
        raw |= {"203.TotWhExp": scaled((SERVED_KWH + export_kwh) * 1000.0, 0)}
        self.image.put(raw)


class Meter(_Model203):
    """Grid meter."""

    def refresh(self) -> None:
        """Read powers, voltages and energy registers off the plant."""
        grid = self.plant.grid
        self.put_meter(grid.import_kw, grid.import_kvar, self.plant.import_kwh, self.plant.export_kwh)


class SubMeter(_Model203):
    """The meter of one load, with the voltage of its own bus."""

    def refresh(self) -> None:
        """Read power and energy off the load."""
        state = self.plant.state(self.asset)
        self.put_meter(state["power_kw"], state.get("reactive_kvar", 0.0), state["energy_kwh"], 0.0)


class PvInverter(SunSpecDevice):
    """PV inverter, models 103, 120 and 704: a power limit in per cent of the rating, with a value to revert to."""

    def __init__(self, plant: PlantFace, asset: str, bus: str, rated_kw: float) -> None:
        limits = {
            "704.WMaxLimPctEna": (0, 1),
            "704.WMaxLimPct": (0, FULL),
            "704.WMaxLimPctRvrt": (0, FULL),
            "704.WMaxLimPctEnaRvrt": (0, 1),
            "704.WMaxLimPctRvrtTms": (0, 0xFFFFFFFE),
        }
        super().__init__(plant, asset, bus, (1, 103, 120, 704), limits)
        self._rated_kw, self._timer = rated_kw, Reversion()
        self.image.put({"120.DERTyp": 4, "120.WRtg": scaled(rated_kw * 1000.0, 1), "120.WRtg_SF": 1})
        self.image.put(dict.fromkeys(limits, 0) | {"704.WMaxLimPct": FULL, "704.WMaxLimPctRvrt": FULL})
        self.image.put({"704.WMaxLimPct_SF": PERCENT_EXPONENT, "704.WMaxLimPctRvrtRem": 0})

    def refresh(self) -> None:
        """Read power and energy off the plant, and the time left of the lease."""
        state = self.plant.state(self.asset)
        self.put_inverter(-state["power_kw"], state["energy_kwh"])
        self.image.put({"704.WMaxLimPctRvrtRem": self._timer.left_s(self.plant.elapsed_s)})

    def obey(self, touched: frozenset[str]) -> None:
        """Take a new limit; every write of value, enable or time starts the timer anew."""
        if touched & {"704.WMaxLimPctEna", "704.WMaxLimPct", "704.WMaxLimPctRvrtTms"}:
            enabled = self.image.get("704.WMaxLimPctEna") == 1
            seconds = self.image.get("704.WMaxLimPctRvrtTms") if enabled else 0
            self._timer.restart(self.plant.elapsed_s, seconds)
        self._apply()

    def tick(self, now_s: float) -> None:
        """Revert when the lease ends."""
        if self._timer.ended(now_s):
            revert = {name: self.image.get(f"704.WMaxLimPct{name}Rvrt") for name in ("", "Ena")}
            self.image.put({f"704.WMaxLimPct{name}": raw for name, raw in revert.items()})
            self._apply()

    def _apply(self) -> None:
        if self.image.get("704.WMaxLimPctEna") == 1:
            self.plant.command(self.asset, -self._rated_kw * self.image.get("704.WMaxLimPct") / FULL)
        else:
            self.plant.command(self.asset, None)


class BatteryInverter(SunSpecDevice):
    """Battery inverter, models 103, 124 and 713: a window for its power, released when the lease ends.

    With both bits of StorCtl_Mod, charging lies between -OutWRte and InWRte (per cent of WChaMax); left to itself the
    battery idles, or does as little as the window allows.
    """

    def __init__(self, plant: PlantFace, asset: str, bus: str, charge_kw: float, capacity_kwh: float) -> None:
        limits = {
            "124.StorCtl_Mod": (0, 3),
            "124.OutWRte": (-FULL, FULL),
            "124.InWRte": (-FULL, FULL),
            "124.InOutWRte_RvrtTms": (0, 0xFFFE),
        }
        super().__init__(plant, asset, bus, (1, 103, 120, 124, 713), limits)
        self._charge_kw, self._timer = charge_kw, Reversion()
        rating = {"WRtg": charge_kw, "MaxChaRte": charge_kw, "MaxDisChaRte": charge_kw}
        self.image.put({"120.DERTyp": 82} | {f"120.{name}": scaled(kw * 1000.0, 1) for name, kw in rating.items()})
        self.image.put({f"120.{name}_SF": 1 for name in rating})
        self.image.put({"124.WChaMax": scaled(charge_kw * 1000.0, 1), "124.WChaMax_SF": 1, "124.ChaState_SF": -1})
        self.image.put({"124.InOutWRte_SF": PERCENT_EXPONENT, "124.ChaGriSet": 1})
        self.image.put({"124.StorCtl_Mod": 0, "124.OutWRte": FULL, "124.InWRte": FULL, "124.InOutWRte_RvrtTms": 0})
        self.image.put({"713.WHRtg": scaled(capacity_kwh * 1000.0, 1), "713.WH_SF": 1, "713.Pct_SF": -1})

    def refresh(self) -> None:
        """Read power and charge off the plant."""
        state = self.plant.state(self.asset)
        self.put_inverter(-state["power_kw"], state["discharged_kwh"])
        soc = scaled(state["soc_pct"], -1)
        self.image.put({"124.ChaState": soc, "713.SoC": soc, "713.SoH": 1000, "713.Sta": 1})
        self.image.put({"713.WHAvail": scaled(state["energy_kwh"] * 1000.0, 1)})

    def obey(self, touched: frozenset[str]) -> None:  # noqa: ARG002
        """Take a new window; every write starts the timer anew while control is on."""
        seconds = self.image.get("124.InOutWRte_RvrtTms") if self.image.get("124.StorCtl_Mod") else 0
        self._timer.restart(self.plant.elapsed_s, seconds)
        self._apply()

    def tick(self, now_s: float) -> None:
        """Let go when the lease ends."""
        if self._timer.ended(now_s):
            self.image.put({"124.StorCtl_Mod": 0})
            self._apply()

    def _apply(self) -> None:
        mode = self.image.get("124.StorCtl_Mod")
        if mode == 0:
            self.plant.command(self.asset, None)
            return
        upper = self.image.get("124.InWRte") if mode & 1 else FULL
        lower = -self.image.get("124.OutWRte") if mode & 2 else -FULL
        self.plant.command(self.asset, self._charge_kw * min(max(0, lower), upper) / FULL)


def _phase_a(apparent_kva: float, volts: float) -> float:
    """Give the current of each of three phases [A]; none on a dead bus."""
    return apparent_kva * 1000.0 / (3.0 * volts) if volts > 0.0 else 0.0
