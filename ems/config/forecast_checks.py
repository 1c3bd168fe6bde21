"""What must hold of the methods that loads are foreseen by."""

from __future__ import annotations

from collections.abc import Iterator

from ems.config.documents import Keys
from ems.config.forecasts import UNMETERED
from ems.config.parts import Complaint, Parts, text
from ems.config.wording import did_you_mean, shown

FORESEEN_KINDS = ("metered_load", "heat_load")


def check_forecasts(parts: Parts) -> Iterator[Complaint]:
    """Check that what is named is foreseen, and that no method is named twice."""
    kinds = {name: text(asset, "kind") for name, asset in parts.named("assets")}
    known = [name for name, kind in kinds.items() if kind in FORESEEN_KINDS]
    unmetered = "load" in kinds.values()
    yield from _twice(
        ("planning", "forecast_methods"), getattr(parts.sections.get(("planning",)), "forecast_methods", ())
    )
    for name, forecast in parts.named("forecasts"):
        if name not in known and not (unmetered and name == UNMETERED):
            named = [UNMETERED, *known] if unmetered else known
            choices = f"write one of {', '.join(named)}" if named else "this site has none: leave it out"
            words = f"there is no load {shown(name)} that is foreseen by itself{did_you_mean(name, named)}; {choices}"
            yield ("forecasts", name), words
        yield from _twice(("forecasts", name, "methods"), getattr(forecast, "methods", ()))
    if unmetered and UNMETERED in known and any(True for _ in parts.named("forecasts")):
        words = f"`forecasts.{UNMETERED}` means all unmetered loads together; give this asset another name"
        yield ("assets", UNMETERED), words


def _twice(path: Keys, methods: tuple[str, ...]) -> Iterator[Complaint]:
    for place, method in enumerate(methods):
        if method in methods[:place]:
            yield (*path, place), f"{method} stands here twice; write each method once"
