"""What must hold of the methods that loads are foreseen by."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ems.config.documents import Keys
from ems.config.forecasts import UNMETERED
from ems.config.parts import Complaint, Parts, text
from ems.config.wording import did_you_mean, shown

FORESEEN_KINDS = ("metered_load", "heat_load", "cold_load")
UNMETERED_KIND = "load"
TAKEN: Mapping[str, str] = {
    UNMETERED: f"`forecasts.{UNMETERED}` means all unmetered loads together",
    "price": "`price` means the published energy price among what is foreseen",
    "carbon": "`carbon` means the published carbon intensity among what is foreseen",
}
"""What is foreseen beside the loads of single assets, by name; one unmetered load may be called as all of them are."""


def check_forecasts(parts: Parts) -> Iterator[Complaint]:
    """Check that what is named is foreseen, and that methods are named, each once."""
    kinds = {name: text(asset, "kind") for name, asset in parts.named("assets")}
    known = [name for name, kind in kinds.items() if kind in FORESEEN_KINDS]
    unmetered = UNMETERED_KIND in kinds.values()
    yield from _methods(parts, ("planning", "forecast_methods"))
    for name, _ in parts.named("forecasts"):
        if name not in known and not (unmetered and name == UNMETERED):
            named = [UNMETERED, *known] if unmetered else known
            choices = f"write one of {', '.join(named)}" if named else "this site has none: leave it out"
            words = f"there is no load {shown(name)} that is foreseen by itself{did_you_mean(name, named)}; {choices}"
            yield ("forecasts", name), words
        yield from _methods(parts, ("forecasts", name, "methods"))
    for name, meant in TAKEN.items():
        if name in kinds and (name, kinds[name]) != (UNMETERED, UNMETERED_KIND):
            yield ("assets", name), f"{meant}; give this asset another name"


def _methods(parts: Parts, path: Keys) -> Iterator[Complaint]:
    part = parts.sections.get(path[:-1])
    if part is None or parts.is_broken(path):
        return
    methods = getattr(part, str(path[-1]))
    if not methods:
        yield path, "names nothing; write at least one"
    for place, method in enumerate(methods):
        if method in methods[:place]:
            yield (*path, place), f"{method} stands here twice; write each method once"
