"""The demo district's devices in memory, with just enough physics that they follow what they are told."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from drivers.registry import profile_points
from drivers.simulated import SimulatedDriver
from ems.clock import Clock
from ems.config.binding import Bindings, bind
from ems.config.site import Site

Give = Callable[[str, float], Mapping[str, float]]


class DistrictInMemory:
    """Every device of a site as a `simulated` one.

    Args:
        site: the site.
        clock: for the drivers.
    """

    def __init__(self, site: Site, clock: Clock) -> None:
        self._site, self._bindings = site, bind(site)
        self.drivers = {
            name: SimulatedDriver(name, profile_points(device.protocol, device.profile), clock, safe=device.safe)
            for name, device in site.file.devices.items()
        }
        self._soc_pct = dict.fromkeys(self.drivers, 50.0)
        self._kwh = dict.fromkeys(self.drivers, 0.0)

    @property
    def bindings(self) -> Bindings:
        return self._bindings

    def live(self, at_s: float, seconds: float) -> None:
        """Let so many seconds pass until an instant [s]; the grid meter shows what all take together."""
        total_kw, meter = 22.0 + 6.0 * math.sin(at_s / 700.0), ""
        for name, spec in self._site.file.assets.items():
            device = self._bindings.devices.get(name)
            if device is None:
                continue
            if spec.kind == "grid_meter":
                meter = device
            elif spec.kind == "building_automation":
                self._show(device, **dict.fromkeys(self._measured(device), 20.0))
            else:
                total_kw += self._step(spec.kind, device, at_s, seconds)
        self._show(meter, power_kw=total_kw, import_kwh=self._counted(meter, max(total_kw, 0.0), seconds))

    def _measured(self, device: str) -> list[str]:
        return [role for role in self.drivers[device].values if role.endswith("_kw")]

    def _step(self, kind: str, device: str, at_s: float, seconds: float) -> float:
        kw = self._power(kind, device, at_s)
        if kind == "battery":
            self._soc_pct[device] += kw * seconds / 3600.0 / 2.0
            self._show(device, power_kw=kw, soc_pct=self._soc_pct[device])
        elif kind == "charge_point":
            self._show(device, power_kw=kw, state=2.0, energy_kwh=self._counted(device, kw, seconds))
        elif kind == "heat_pump":
            self._show(device, power_kw=kw, temperature_c=21.0, outdoor_c=5.0)
        elif kind != "heat_meter":
            self._show(device, power_kw=kw)
        return kw

    def _power(self, kind: str, device: str, at_s: float) -> float:
        told = next(iter(self.drivers[device].commands.values()), None)
        match kind:
            case "battery":
                return told or 0.0
            case "charge_point":
                asked_kw = 22.0 if told is None else told * 0.69
                return min(asked_kw, 11.0) if asked_kw >= 4.1 else 0.0
            case "heat_pump":
                return 4.0 if told is None else told
            case "pv":
                sun_kw = 25.0 + 20.0 * math.sin(at_s / 400.0)
                return -min(sun_kw, math.inf if told is None else told)
            case "metered_load":
                return 9.0 + 3.0 * math.sin(at_s / 300.0 + len(device))
        return 0.0

    def _counted(self, device: str, kw: float, seconds: float) -> float:
        self._kwh[device] += kw * seconds / 3600.0
        return self._kwh[device]

    def _show(self, device: str, **values: float) -> None:
        shown = self.drivers[device].values
        shown.update({role: value for role, value in values.items() if role in shown})
