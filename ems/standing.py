"""What people have ordered: modes, lockouts, overrides and the switch that releases everything. Pure.

The orders are the requests in force, so they survive a restart; without one the site file counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from math import isfinite

from ems.config.site import Mode, Site
from ems.store.requests import Request


@dataclass(frozen=True, slots=True)
class Override:
    """A power that somebody asked for [kW], the sentence that says who and why, and its end, None for none."""

    kw: float
    reason: str
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """All orders at one instant.

    Args:
        modes: how far the daemon may go, by device.
        lockouts: why a device is locked out, by device; the others are missing.
        released: why the whole site is released to local control; empty when it is not.
        overrides: by asset.
    """

    modes: Mapping[str, Mode]
    lockouts: Mapping[str, str]
    released: str
    overrides: Mapping[str, Override]

    def may_write(self, device: str) -> bool:
        """Tell whether a device may be commanded now."""
        return not self.released and device not in self.lockouts and self.modes[device] is Mode.CONTROL


def standing(site: Site, requests: Iterable[Request], withheld: str = "") -> Standing:
    """Lay the requests in force over the site file.

    Args:
        site: the site.
        requests: in force, oldest first.
        withheld: why no device may be controlled for now; devices in control then fall back to advise.
    """
    devices = site.file.devices
    modes = {name: device.mode for name, device in devices.items()}
    lockouts = {name: "locked out by the site file" for name, device in devices.items() if device.lockout}
    released = "the site file says release_all_to_local" if site.file.control.release_all_to_local else ""
    overrides: dict[str, Override] = {}
    for request in requests:
        said = f"by {request.by}: {request.reason}"
        match request.kind:
            case "mode" if request.target in devices and request.value.get("mode") in set(Mode):
                modes[request.target] = Mode(request.value["mode"])
            case "lockout" if request.target in devices and _is_on(request):
                lockouts[request.target] = f"locked out {said}"
            case "release_all" if _is_on(request):
                released = f"released to local {said}"
            case "override":
                _add_override(overrides, request, said)
            case _:
                pass
    if withheld:
        modes = {name: Mode.ADVISE if mode is Mode.CONTROL else mode for name, mode in modes.items()}
    return Standing(modes, lockouts, released, overrides)


def _is_on(request: Request) -> bool:
    """Tell what a switch says; a bare request switches on."""
    return bool(request.value.get("on", True))


def _add_override(overrides: dict[str, Override], request: Request, said: str) -> None:
    power_kw = request.value.get("power_kw")
    if isinstance(power_kw, int | float) and isfinite(power_kw):
        overrides[request.target] = Override(float(power_kw), f"override {said}", request.expires_at)
