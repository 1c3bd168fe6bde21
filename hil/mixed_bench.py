"""A bench on which some devices are real: their addresses, in a file of their own.

    devices:
      battery_inverter: {host: 192.0.2.7, port: 502, unit: 1}

A device that is named there is left out of the pretend world; the daemon speaks to the real one. What its meter shows
is told to the world, whose feeder carries it, and which keeps a twin of the asset for the books. Real devices live in
real time, so the world goes no faster than the clock on the wall.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import Field, ValidationError

from ems.clock import Clock
from ems.config.assets import BatteryAsset, ChargePointAsset, HeatPumpAsset, MeteredLoad, PvAsset
from ems.config.documents import Document, Keys, read_document
from ems.config.errors import SiteProblem
from ems.config.loading import SITE_FILE
from ems.config.site import Site
from ems.config.strict import Id, Strict, Whole
from ems.config.wording import did_you_mean, say, shown

POWERED = (BatteryAsset, PvAsset, ChargePointAsset, HeatPumpAsset, MeteredLoad)


class BenchError(Exception):
    """A bench file cannot be used: each line names the place, the thing and the remedy."""


class Address(Strict):
    """Where a real device answers; what is left out stays as the site file has it."""

    host: str
    port: Annotated[Whole, Field(gt=0, lt=65536)]
    unit: Annotated[Whole, Field(ge=0, lt=256)] | None = None
    device_instance: Annotated[Whole, Field(ge=0)] | None = None


class Bench(Strict):
    """The real devices, by id."""

    devices: dict[Id, Address]


class RealTime:
    """Keeps a run from going faster than the wall: from one instant to the next passes at least the time between them.

    What was lost while a plan was made is not made up, since a real device would be asked before it could have moved.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock, self._at_s, self._since_s = clock, 0.0, clock.monotonic()

    async def reach(self, at_s: float) -> None:
        """Wait until an instant of the run [s]; one that was reached before is there already."""
        if at_s <= self._at_s:
            return
        due_s = self._since_s + at_s - self._at_s
        await self._clock.sleep(due_s - self._clock.monotonic())
        self._at_s, self._since_s = at_s, self._clock.monotonic()


def load_bench(path: Path, site: Site) -> Bench:
    """Read a bench file; raises `BenchError` with everything that is wrong."""
    document = read_document(path)
    problems = list(document.problems)
    bench = Bench(devices={})
    if document.root is not None:
        try:
            bench = Bench.model_validate(document.root.value)
        except ValidationError as error:
            found = error.errors(include_url=False)
            problems += [_problem(document, tuple(one["loc"]), say(one, _model(tuple(one["loc"])))) for one in found]
        problems += [_problem(document, keys, words) for keys, words in _strangers(bench, site)]
    if problems:
        raise BenchError("\n".join(map(str, sorted(set(problems)))))
    return bench


def put_in(folder: Path, bench: Bench) -> None:
    """Write the real addresses into the site file of a copy."""
    path = folder / SITE_FILE
    site = yaml.safe_load(path.read_text(encoding="utf-8"))
    for name, address in bench.devices.items():
        site["devices"][name].update(address.model_dump(exclude_none=True))
    path.write_text(yaml.safe_dump(site, sort_keys=False, allow_unicode=True), encoding="utf-8")


def assets_of(site: Site, devices: Iterable[str]) -> tuple[str, ...]:
    """Name the assets behind real devices that take or give power."""
    real, assets = set(devices), site.file.assets
    return tuple(name for name, spec in assets.items() if isinstance(spec, POWERED) and spec.device in real)


def told(bench: Bench) -> Mapping[str, str]:
    """Write the addresses for a record."""
    return {name: f"{one.host}:{one.port}" for name, one in bench.devices.items()}


def _strangers(bench: Bench, site: Site) -> Iterable[tuple[Keys, str]]:
    for name in bench.devices:
        known = site.file.devices
        if name not in known:
            words = f"there is no device {shown(name)}{did_you_mean(name, known)}; known are {', '.join(known)}"
            yield ("devices", name), words
        elif not assets_of(site, [name]):
            words = "stands for nothing that takes or gives power, so the pretend feeder could not carry it"
            yield ("devices", name), f"{words}; replace the device of a battery, plant, charge point, heat pump or load"


def _problem(document: Document, keys: Keys, words: str) -> SiteProblem:
    return SiteProblem(document.name, *document.position(keys), ".".join(map(str, keys)), words)


def _model(keys: tuple[Any, ...]) -> type[Strict]:
    return Address if len(keys) > 2 else Bench
