"""Writes docs/site-file.md from the schema of the site file: `python tests/docs/site_file_table.py`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from site_file_words import WORDS

from ems.config.assets import ASSET_KINDS
from ems.config.site import SiteFile

PAGE = Path(__file__).resolve().parents[2] / "docs" / "site-file.md"
HEAD = """# The site file, key by key

A site is a folder: `site.yaml`, a pandapower grid, a tariff, and the past of its loads in `series/`.
[sites/demo_feeder](../sites/demo_feeder) is a complete one. This page is made from the schema in
[ems/config/site.py](../ems/config/site.py) and [ems/config/assets.py](../ems/config/assets.py) by
`python tests/docs/site_file_table.py`; a test compares the two.

Unknown keys are errors. Numbers are numbers: the text `12 kWh` is none. `ems check SITE` prints every problem of a file
in one run, each with its line and column and with what to write instead, and ends with exit status 3.

Powers are positive into an asset: a PV plant that generates has a negative power. At the grid connection import is
positive. A part in **bold** has no default and must be written.
"""


def _kinds(model: type) -> str:
    return " or ".join(f"`{kind}`" for kind, each in ASSET_KINDS.items() if each is model)


PLACES = {
    "SiteFile": "the whole file",
    "Identity": "`site`",
    "Control": "`control`",
    "Planning": "`planning`",
    "Uncertainty": "`planning.uncertainty`",
    "Grid": "`grid`",
    "Outage": "`grid.outages.<id>`",
    "TapChanger": "`grid.tap_changers.<id>`",
    "CapacitorBank": "`grid.capacitor_banks.<id>`",
    "Island": "`island`",
    "Survives": "`island.survives`",
    "GridOperator": "`grid_operator`",
    "LimitApi": "`grid_operator.api`",
    "LimitRegisters": "`grid_operator.registers.<id>`",
    "LimitInput": "`grid_operator.inputs.<id>`",
    "Feeds": "`feeds`",
    "Feed": "`feeds.price`, `feeds.carbon`, `feeds.weather`, `feeds.bought`",
    "Series": "`series`",
    "Audit": "`audit`",
    "CheckpointMail": "`audit.mail`",
    "TimeStamping": "`audit.timestamp`",
    "Retention": "`retention`",
    "DistrictZone": "`zones.<id>`",
    "Device": "`devices.<id>`",
    **{model.__name__: f"`assets.<id>` of kind {_kinds(model)}" for model in ASSET_KINDS.values()},
    "Group": "`groups.<id>`",
    "InverterCurves": "`assets.<id>.inverter`",
    "ModulePlane": "`assets.<id>.planes`",
    "ReserveBand": "`reserves.<id>`",
    "PowerEnvelope": "`envelopes.<id>`",
    "ResponseEvent": "`demand_response.<id>`",
    "LoadForecast": "`forecasts.<id>`",
    "GridConnection": "`connections.<id>`",
    "PhaseSwitch": "`assets.<id>.phase_switch`",
    "SgReady": "`assets.<id>.sg_ready`",
    "Comfort": "`zones.<id>.comfort`, `assets.<id>.comfort`",
}
UNITS = {"_m_s": "m/s", "_m": "m", "_s": "s", "_h": "h", "_kw": "kW", "_kwh": "kWh", "_pct": "%", "_pu": "pu",
         "_c": "degC", "_deg": "deg", "_a": "A", "_v": "V", "_m2": "m2"}  # fmt: skip


def page() -> str:
    """Write the whole page."""
    schema = SiteFile.model_json_schema()
    models = {"SiteFile": schema, **schema["$defs"]}
    return HEAD + "".join(_part(name, place, models) for name, place in PLACES.items())


def fields() -> dict[str, set[str]]:
    """List the keys of every part, as the schema has them."""
    schema = SiteFile.model_json_schema()
    models = {"SiteFile": schema, **schema["$defs"]}
    return {name: set(model["properties"]) for name, model in models.items() if "properties" in model}


def _part(name: str, place: str, models: dict[str, Any]) -> str:
    model = models[name]
    rows = [_row(name, key, value, model, models) for key, value in model["properties"].items()]
    head = ["| key | what may stand there | default | meaning |", "|---|---|---|---|"]
    return "\n".join(["", f"## {place[:1].upper()}{place[1:]}", "", *head, *rows, ""])


def _row(name: str, key: str, value: dict[str, Any], model: dict[str, Any], models: dict[str, Any]) -> str:
    required = key in model.get("required", ())
    shown = f"**`{key}`**" if required else f"`{key}`"
    return f"| {shown} | {_kind(value, models)} | {'' if required else _default(value)} | {_meaning(name, key)} |"


def _meaning(name: str, key: str) -> str:
    words = WORDS[name][key]
    unit = "" if "[" in words and "](" not in words else next((u for end, u in UNITS.items() if key.endswith(end)), "")
    return f"{words} [{unit}]" if unit and "_per_" not in key else words


def _default(value: dict[str, Any]) -> str:
    default = value.get("default", {})
    if isinstance(default, dict):
        return "its defaults" if default else "none"
    if isinstance(default, list):
        return f"`[{', '.join(f'{one}' for one in default)}]`"
    return f"`{default:g}`" if isinstance(default, float) else f"`{_yaml(default)}`"


def _yaml(value: object) -> str:
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _kind(value: dict[str, Any], models: dict[str, Any]) -> str:
    if "$ref" in value:
        target = value["$ref"].rpartition("/")[2]
        return _kind(models[target], models) if "enum" in models[target] else f"see {PLACES[target]}"
    if "anyOf" in value:
        return " or ".join(_kind(one, models) for one in value["anyOf"])
    if "const" in value:
        return f"`{value['const']}`"
    if "enum" in value:
        return ", ".join(f"`{one}`" for one in value["enum"])
    return " ".join([_type(value, models), *_bounds(value)])


def _type(value: dict[str, Any], models: dict[str, Any]) -> str:
    match value.get("type"):
        case "array" if "prefixItems" in value:
            return f"`[{', '.join(str(one.get('const', one.get('type'))) for one in value['prefixItems'])}]`"
        case "array":
            return f"list of {_kind(value['items'], models).removeprefix('see ')}"
        case "object":
            inner = value.get("additionalProperties") or next(iter(value.get("patternProperties", {}).values()))
            target = "an asset, by kind" if "oneOf" in inner else _kind(inner, models).removeprefix("see ")
            return f"mapping of a name to {target}"
        case kind:
            return {"string": "text", "integer": "whole number", "boolean": "`true`, `false`"}.get(str(kind), str(kind))


def _bounds(value: dict[str, Any]) -> Iterator[str]:
    words = {"exclusiveMinimum": "above", "minimum": "from", "exclusiveMaximum": "below", "maximum": "to"}
    yield from (f"{word} {float(value[key]):.10g}" for key, word in words.items() if key in value)
    if "pattern" in value:
        yield f"like `{value['pattern']}`"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
