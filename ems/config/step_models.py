"""Turns what a site file says of tap changers and capacitor banks into what the planner plans with, and checks it.

Law: nothing sets a position yet. A plan that moves one is for people to look at and carry out, so no device of such a
site is controlled (`nobody_sets`): it would be steered for a voltage that is not there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from ems.config.on_phase import phase_of
from ems.config.parts import Complaint, Parts, text
from ems.config.site import Site
from ems.config.stepping import CapacitorBank, Stepping, TapChanger
from ems.config.wording import did_you_mean, shown
from optimization.network import GridError
from optimization.step_reading import Told, tap_changer
from optimization.steps import CapacitorBank as BankModel
from optimization.steps import Moving, StepDevice, Stepped, step_faults
from optimization.steps import TapChanger as TapModel
from optimization.switching import declared, declared_trafos

GROUPS = ("tap_changers", "capacitor_banks")
KEYS = {"cost": "switching_cost", "most_per_day": "switches_per_day", "now": "on", "most": "steps"}
"""Where a key of the site file has another name than the planner's; of banks."""


def nobody_sets(site: Site) -> str:
    """Say why no device of a site may be controlled; empty where its plans move nothing in steps."""
    grid = site.file.grid
    names = ", ".join((*grid.tap_changers, *grid.capacitor_banks))
    words = "its plans move {}, and nothing sets a tap or a bank yet: devices would be steered for voltages not there"
    return words.format(names) if names else ""


def stepped(site: Site, grid_path: Path) -> dict[str, Stepped]:
    """Give what moves in steps on the feeder of a checked site, as it stands by its files; raises `GridError`."""
    grid = site.file.grid
    if not (grid.tap_changers or grid.capacitor_banks):
        return {}
    buses = declared(grid_path).buses
    found: dict[str, StepDevice] = {name: _tap(spec, grid_path) for name, spec in grid.tap_changers.items()}
    found |= {name: _bank(spec, buses) for name, spec in grid.capacitor_banks.items()}
    on = {name: spec.on for name, spec in grid.capacitor_banks.items()}
    return {name: _standing(device, on.get(name, 0)) for name, device in found.items()}


def as_of(steps: Mapping[str, Stepped], now: datetime, zone: ZoneInfo) -> dict[str, Stepped]:
    """Say how tap changers and banks stand at an instant: nobody measures them, so as their files say."""
    left_s = day_left_s(now, zone)
    return {name: replace(each, day_left_s=left_s) for name, each in steps.items()}


def day_left_s(now: datetime, zone: ZoneInfo) -> float:
    """Give what is left of the local day [s]."""
    local = now.astimezone(zone)
    midnight = datetime.combine(local.date() + timedelta(days=1), datetime.min.time(), zone)
    return midnight.timestamp() - now.timestamp()


def check_steps(parts: Parts, grid_path: Path) -> Iterator[Complaint]:
    """Check the tap changers and capacitor banks of a site file against its grid."""
    specs = [(group, name, spec) for group in GROUPS for name, spec in parts.listed("grid", group)]
    for group, name, spec in specs:
        if not parts.is_broken(("grid", group, name)):
            yield from _own(("grid", group, name), name, spec, grid_path)
    if specs:
        yield from _twice(parts)
        yield from _besides(parts, ("grid", *specs[0][:2]))


def _tap(spec: TapChanger, grid_path: Path) -> TapModel:
    told = Told(spec.least, spec.most, spec.neutral, spec.step_pct, spec.side)
    return tap_changer(grid_path, spec.trafo, told, _moving(spec))


def _bank(spec: CapacitorBank, buses: Mapping[str, int]) -> BankModel:
    return BankModel(buses[spec.bus], spec.step_kvar, spec.steps, _moving(spec))


def _moving(spec: Stepping) -> Moving:
    return Moving(spec.switching_cost, spec.dead_time_s, spec.switches_per_day)


def _standing(device: StepDevice, on: int) -> Stepped:
    return Stepped(device, device.stands if isinstance(device, TapModel) else on)


def _own(path: tuple[str, ...], name: str, spec: object, grid_path: Path) -> Iterator[Complaint]:
    """Say what is wrong with one of them."""
    file = grid_path.name
    device: StepDevice
    if isinstance(spec, TapChanger):
        trafos = declared_trafos(grid_path)
        if spec.trafo not in trafos:
            has = f"known are {', '.join(trafos)}" if trafos else "it has none"
            yield (
                (*path, "trafo"),
                f"{file} has no transformer {shown(spec.trafo)}{did_you_mean(spec.trafo, trafos)}; {has}",
            )
            return
        try:
            device = _tap(spec, grid_path)
        except GridError as error:
            yield path, str(error).replace(str(grid_path), file)
            return
    else:
        assert isinstance(spec, CapacitorBank)
        buses = declared(grid_path).buses
        if spec.bus not in buses:
            words = f"{file} has no bus {shown(spec.bus)}{did_you_mean(spec.bus, buses)}; known are {', '.join(buses)}"
            yield (*path, "bus"), words
            return
        device = _bank(spec, buses)
    on = 0 if isinstance(spec, TapChanger) else spec.on
    for fault in step_faults({name: _standing(device, on)}):
        key, _, words = fault.partition(": ")
        yield (*path, *_key(key.removeprefix(f"{name}."), spec)), words


def _key(key: str, spec: object) -> tuple[str, ...]:
    """Name the key of the site file that a fault is about; none where the grid file tells it."""
    if isinstance(spec, TapChanger):
        key = {"now": "trafo", "ratio": "step_pct"}.get(key, KEYS[key] if key in {"cost", "most_per_day"} else key)
    else:
        key = KEYS.get(key, key)
    return (key,) if key in getattr(spec, "model_fields_set", ()) else ()


def _twice(parts: Parts) -> Iterator[Complaint]:
    """Find names and transformers that stand there twice: plans tell powers and positions by name."""
    taps, banks = (dict(parts.listed("grid", group)) for group in GROUPS)
    for name in taps.keys() & banks.keys():
        yield ("grid", "capacitor_banks", name), "is also the name of a tap changer; write another one"
    assets = {name for name, _ in parts.named("assets")}
    for group, names in zip(GROUPS, (taps, banks), strict=True):
        for name in assets & names.keys():
            yield ("grid", group, name), "is also the name of an asset; write another one"
    owners: dict[str, str] = {}
    for name, spec in taps.items():
        trafo = text(spec, "trafo")
        if trafo is not None and (owner := owners.setdefault(trafo, name)) != name:
            yield (
                ("grid", "tap_changers", name, "trafo"),
                f"{shown(trafo)} is moved by {owner} already; name another one",
            )


def _besides(parts: Parts, path: tuple[str, ...]) -> Iterator[Complaint]:
    """Say with what else of a site nothing may move in steps yet."""
    name = path[-1]
    if parts.raw.get("grid", {}).get("outages"):
        yield ("grid", "outages"), f"plans cannot survive outages and move {name} yet; leave one out"
    if parts.raw.get("planning", {}).get("uncertainty"):
        yield ("planning", "uncertainty"), f"plans for several scenarios cannot move {name} yet; leave one out"
    if parts.raw.get("connections"):
        yield ("connections",), f"plans for several connections cannot move {name} yet; leave one out"
    on_phase = next((asset for asset, spec in parts.named("assets") if phase_of(spec) is not None), None)
    if on_phase is not None and parts.raw.get("grid", {}).get("per_phase") is not False:
        yield path, f"is not planned phase by phase yet, but {on_phase} has a `phase`; leave one out"
