"""What must hold of stores whose energy is valued by a look at the season ahead."""

from __future__ import annotations

from collections.abc import Iterator

from ems.config.parts import Complaint, Parts, number, text


def check_season(parts: Parts) -> Iterator[Complaint]:
    """Check that a look ahead sees further than the plan, that the site has one connection, and what a year is for."""
    horizon_h = number(parts.sections.get(("planning",)), "horizon_h")
    several = any(True for _ in parts.named("connections"))
    asked = [
        (name, days) for name, asset in parts.named("assets") if (days := number(asset, "season_days")) is not None
    ]
    for name, days in asked:
        path = ("assets", name, "season_days")
        if horizon_h is not None and 24.0 * days <= horizon_h:
            least = int(horizon_h // 24.0) + 1
            words = (
                f"{days:g} days are no more than a plan sees, whose `horizon_h` is {horizon_h:g}; write {least} or more"
            )
            yield path, words
        if several:
            yield (
                path,
                "is not there yet for a site with `connections`; remove it, or give the store's site a file of its own",
            )
    if not asked and text(parts.sections.get(("series",)), "season") is not None:
        yield ("series", "season"), "is read for nothing: no store has `season_days`; give it to one, or remove this"
