"""A site file in parts, each as far as it is valid, so that one slip hides no other.

A part is built without its broken keys: those with a default take it, the others are absent. So a check reads with
`number` and `text`, which answer None for what is absent.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from ems.config.assets import ASSET_KINDS, Comfort
from ems.config.audit import Audit, CheckpointMail, TimeStamping
from ems.config.district_zone import DistrictZone
from ems.config.documents import Key, Keys
from ems.config.flexibility import PowerEnvelope, ReserveBand, ResponseEvent
from ems.config.forecasts import LoadForecast
from ems.config.grid_operator import GridOperator, LimitApi, LimitInput, LimitRegisters
from ems.config.inverter import InverterCurves
from ems.config.island import Island, Survives
from ems.config.planes import ModulePlane
from ems.config.site import (
    Control,
    Device,
    Feed,
    Feeds,
    Grid,
    GridConnection,
    Group,
    Identity,
    Outage,
    Planning,
    Series,
    SiteFile,
)
from ems.config.stepping import CapacitorBank, TapChanger
from ems.config.strict import Strict
from ems.config.switched import PhaseSwitch, SgReady

_SECTIONS: Mapping[Keys, type[Strict]] = {
    ("site",): Identity,
    ("control",): Control,
    ("planning",): Planning,
    ("grid",): Grid,
    ("grid_operator",): GridOperator,
    ("grid_operator", "api"): LimitApi,
    ("island",): Island,
    ("island", "survives"): Survives,
    ("feeds",): Feeds,
    ("feeds", "price"): Feed,
    ("feeds", "carbon"): Feed,
    ("feeds", "weather"): Feed,
    ("feeds", "bought"): Feed,
    ("series",): Series,
    ("audit",): Audit,
    ("audit", "mail"): CheckpointMail,
    ("audit", "timestamp"): TimeStamping,
}
_NAMED: Mapping[str, type[Strict]] = {
    "devices": Device,
    "zones": DistrictZone,
    "groups": Group,
    "reserves": ReserveBand,
    "envelopes": PowerEnvelope,
    "demand_response": ResponseEvent,
    "forecasts": LoadForecast,
    "connections": GridConnection,
}
"""What stands under an id and has one schema."""
_LISTED: Mapping[tuple[str, str], type[Strict]] = {
    ("grid", "outages"): Outage,
    ("grid", "tap_changers"): TapChanger,
    ("grid", "capacitor_banks"): CapacitorBank,
    ("grid_operator", "registers"): LimitRegisters,
    ("grid_operator", "inputs"): LimitInput,
}
"""What stands under an id within a section."""
_BLOCKS: Mapping[str, type[Strict]] = {
    "comfort": Comfort,
    "sg_ready": SgReady,
    "phase_switch": PhaseSwitch,
    "inverter": InverterCurves,
    "planes": ModulePlane,
}
"""The blocks within an asset or a zone, also those of a list."""
Complaint = tuple[Keys, str]
"""A path in a file, and what is wrong there."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What could be understood of a site file.

    Args:
        raw: the whole file as plain values.
        sections: every part by its path, for example `("assets", "battery")`.
        broken: paths about which something was said already.
    """

    raw: Mapping[str, Any]
    sections: Mapping[Keys, BaseModel]
    broken: frozenset[Keys]

    def named(self, group: str) -> Iterator[tuple[str, BaseModel]]:
        """List the zones, devices, assets, groups, bands, envelopes or events by id, in the order of the file."""
        for path, part in self.sections.items():
            if len(path) == 2 and path[0] == group and group != "feeds":
                yield str(path[1]), part

    def listed(self, section: str, group: str) -> Iterator[tuple[str, BaseModel]]:
        """List what stands by id within a section, such as the grid operator's registers, in the order of the file."""
        for path, part in self.sections.items():
            if path[:2] == (section, group) and len(path) == 3:
                yield str(path[2]), part

    def is_broken(self, path: Keys) -> bool:
        """Tell whether something was said already about a place or what it holds."""
        return any(other[: len(path)] == path for other in self.broken)


def schema_at(path: Keys, raw: Mapping[str, Any]) -> type[Strict] | None:
    """Give the part of the schema that the block at a path follows; None if there is none."""
    match path:
        case ():
            return SiteFile
        case (str() as group, _) if group in _NAMED:
            return _NAMED[group]
        case ("assets", name):
            return ASSET_KINDS.get(_kind(raw, name))
        case ("assets" | "zones", _, str() as key, *_) if key in _BLOCKS:
            return _BLOCKS[key]
        case (str() as section, str() as group, _) if (section, group) in _LISTED:
            return _LISTED[section, group]
    return _SECTIONS.get(path)


def salvage(raw: Mapping[str, Any], broken: frozenset[Keys]) -> Parts:
    """Build the parts of a file without the keys at `broken` paths."""
    sections: dict[Keys, BaseModel] = {}
    for path in _paths(raw):
        schema, block = schema_at(path, raw), _block(raw, path)
        if schema is None or block is None:
            continue
        bad = {other[len(path)] for other in broken if len(other) > len(path) and other[: len(path)] == path}
        good = {key: value for key, value in block.items() if key in schema.model_fields and key not in bad}
        sections[path] = schema.model_construct(None, **good)
    return Parts(raw, sections, broken)


def number(part: BaseModel | None, key: str) -> float | None:
    """Read a number of a part; None where it is absent or broken."""
    value = getattr(part, key, None)
    return float(value) if isinstance(value, int | float) else None


def text(part: BaseModel | None, key: str) -> str | None:
    """Read a text of a part; None where it is absent or broken."""
    value = getattr(part, key, None)
    return str(value) if isinstance(value, str) else None


def _paths(raw: Mapping[str, Any]) -> Iterator[Keys]:
    yield from _SECTIONS
    for group in ("assets", *_NAMED):
        for name in _block(raw, (group,)) or {}:
            yield group, name
            yield from ((group, name, key) for key in _BLOCKS)
    for section, group in _LISTED:
        for name in _block(raw, (section, group)) or {}:
            yield section, group, name


def _block(raw: Mapping[str, Any], path: Keys) -> Mapping[str, Any] | None:
    """Give the block at a path, an empty one for a section that may be left out, None where there is none."""
    block: Any = raw
    for key in path:
        if not isinstance(block, dict):
            return None
        block = block.get(str(key), {} if path in {("control",), ("planning",), ("series",), ("audit",)} else None)
    return block if isinstance(block, dict) else None


def _kind(raw: Mapping[str, Any], name: Key) -> str:
    block = _block(raw, ("assets", name))
    return str(block.get("kind")) if block else ""
